"""Hold a lease for as long as a handler runs."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from webex.errors import StorageError
from webex.runtime import drive

if TYPE_CHECKING:
    from webex.runtime.protocol import Style
    from webex.storage.access import AccessLease

_logger = logging.getLogger("webex.webhooks")


@asynccontextmanager
async def renewing(lease: AccessLease, ttl: float, style: Style) -> AsyncIterator[None]:
    """Renew a lease of `ttl` seconds beside the block, by a task or in blocking style by a thread."""
    if style == "blocking":
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(ttl / 3):
                if not drive(_renewed(lease, ttl)):
                    return

        thread = threading.Thread(target=keep, name="webex-webhooks-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        return

    async def keep_in_loop() -> None:
        while True:
            await asyncio.sleep(ttl / 3)
            if not await _renewed(lease, ttl):
                return

    task = asyncio.ensure_future(keep_in_loop())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _renewed(lease: AccessLease, ttl: float) -> bool:
    """Renew it; False when it is lost. What the storage refuses is tried at the next turn."""
    try:
        if await lease.renew(ttl):
            return True
    except StorageError as error:
        _logger.warning("the lease of an event could not be renewed (%s)", type(error).__name__)
        return True
    _logger.warning("the lease of an event was lost: another worker may handle it too")
    return False
