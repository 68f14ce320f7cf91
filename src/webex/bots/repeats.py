"""Handle once what a queue delivers more than once: `bot.handle(…, once=True)`.

A mark in the storage says that an event was begun, and then that it was handled. It is looked at and set under a lease,
which is renewed while the handler runs: a worker that gets the event meanwhile waits, and then finds it handled. Where
it finds it only begun, the other worker was killed or asked for a repetition, and the event is handled again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from webex.bots.leader import leased
from webex.errors import StorageError
from webex.http.timing import Backoff
from webex.models.base import Model

if TYPE_CHECKING:
    from webex.app_storage import AsyncAppStorage
    from webex.bots.dispatch import Handled
    from webex.bots.happening import Happening

_logger = logging.getLogger("webex.bots")

NAMESPACE: Final = "bot-handled"
_KEPT: Final = 86_400.0  # seconds for which an event is recognized
_LEASE: Final = 15.0  # seconds until another worker goes on, after the one that handled the event was killed
_AGAIN: Final = 5.0  # seconds until an event comes again that could not be looked up


async def handle_once(
    storage: AsyncAppStorage,
    bot: str,
    happening: Happening,
    handle: Callable[[Happening], Awaitable[Handled]],
) -> Handled:
    """Handle an event unless it was handled before; "retry" when the storage can't tell."""
    from webex.bots.dispatch import Handled
    from webex.webhooks.repeats import hashed

    key = _repeat_key(happening)
    if key is None:
        return await handle(happening)
    mark, pause = f"{bot}:{hashed(key)}", Backoff(0.02, 0.5)
    try:
        while True:
            async with leased(storage, NAMESPACE, mark, _LEASE) as held:
                if held:
                    known = await storage.get(NAMESPACE, mark)
                    if isinstance(known, dict) and known.get("done"):
                        return Handled("ignored")
                    if known is None:
                        await storage.put(NAMESPACE, mark, {"done": False}, expires_in=_KEPT)
                    else:
                        happening.redelivered = True
                    return await _handled(storage, mark, await handle(happening))
            await asyncio.sleep(pause.next())
    except StorageError as error:
        _logger.warning(
            "%s comes again: it could not be looked up whether it was handled (%s)",
            happening.key,
            type(error).__name__,
        )
        return Handled("retry", _AGAIN)


async def _handled(storage: AsyncAppStorage, mark: str, handled: Handled) -> Handled:
    """Set the mark of an event that was handled; one that is to come again stays begun."""
    if handled.outcome != "retry":
        try:
            await storage.put(NAMESPACE, mark, {"done": True}, expires_in=_KEPT)
        except StorageError as error:
            _logger.error("a repetition would be handled: it could not be marked (%s)", type(error).__name__)
    return handled


def _repeat_key(happening: Happening) -> str | None:
    """Return what the deliveries of one event, and no others, have in common; None where that can't be known."""
    from webex.webhooks.repeats import repeat_key_of

    data: dict[str, Any] = happening.data.to_dict() if isinstance(happening.data, Model) else {}
    return repeat_key_of(happening.resource, happening.event, happening.key, data)
