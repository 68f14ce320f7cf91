"""Look at once when the storage tells that something changed, where it does; looking from time to time goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from webex.errors import StorageError
from webex.http.timing import Backoff
from webex.storage import NoNotificationsError

__all__ = ["be_woken"]

_logger = logging.getLogger("webex.fleet")

_FIRST_PAUSE: Final = 0.5  # seconds until a lost connection is made anew
_LONGEST_PAUSE: Final = 30.0


async def be_woken(
    notifications: Callable[[], AsyncGenerator[str | None, None]], told: Callable[[str | None], None]
) -> None:
    """Call `told` with each key that the storage tells, and with None when something may have been missed.

    A connection that is lost is made anew, after pauses that grow. Returns where the storage does not tell.
    """
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
    while True:
        try:
            async with aclosing(notifications()) as keys:
                async for key in keys:
                    backoff.reset()
                    told(key)
        except NoNotificationsError as error:
            _logger.debug("changes are found by looking only: %s", str(error))
            return
        except StorageError as error:
            _logger.warning("the storage does not tell of changes for now: %s", type(error).__name__)
        await asyncio.sleep(backoff.next())
