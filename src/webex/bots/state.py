"""What a bot remembers: of a room, of a person, of itself; and what it did only once."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from webex.errors import StorageError
from webex.ids import comparable_id, person_uuid

if TYPE_CHECKING:
    from webex.app_storage import AsyncAppStorage

_logger = logging.getLogger("webex.bots")
_DAY: Final = 86_400.0
_STATE, _ONCE = "bot-state", "bot-once"


class Scope:
    """State of one room, person or bot: plain data by name."""

    __slots__ = ("_prefix", "_storage")

    def __init__(self, storage: AsyncAppStorage, prefix: str) -> None:
        self._storage, self._prefix = storage, prefix

    async def get(self, name: str, default: Any = None) -> Any:
        """Return a value, or `default`."""
        return await self._storage.get(_STATE, f"{self._prefix}:{name}", default)

    async def put(self, name: str, value: Any, *, expires_in: float | None = None) -> None:
        """Store a value, for `expires_in` seconds or for good."""
        await self._storage.put(_STATE, f"{self._prefix}:{name}", value, expires_in=expires_in)

    async def update(self, name: str, change: Callable[[Any], Any], *, default: Any = None) -> Any:
        """Store `change(value)`, whatever other handlers and workers do meanwhile; return it."""
        return await self._storage.update(_STATE, f"{self._prefix}:{name}", change, default=default)

    async def delete(self, name: str) -> None:
        """Remove a value."""
        await self._storage.delete(_STATE, f"{self._prefix}:{name}")


class State:
    """`ctx.state.room`, `ctx.state.person` and `ctx.state.bot`."""

    __slots__ = ("bot", "person", "room")

    def __init__(self, storage: AsyncAppStorage, bot: str, person_id: str | None, room_id: str | None) -> None:
        self.bot: Scope = Scope(storage, f"{bot}:bot")
        self.room: Scope = Scope(storage, f"{bot}:room:{comparable_id(room_id) if room_id else '-'}")
        person = person_uuid(person_id) if person_id else "-"
        self.person: Scope = Scope(storage.for_user(person), f"{bot}:person")


@asynccontextmanager
async def once(storage: AsyncAppStorage, bot: str, key: str, name: str) -> AsyncIterator[bool]:
    """Tell whether this is the first time, over all workers and deliveries.

    The mark is set before the body runs: a body that is killed midway does not run again. One that raises `Retry` gives
    it back.
    """
    from webex.bots.signals import Retry

    mark = f"{bot}:{key}:{name}"
    is_first = await storage.add(_ONCE, mark, {}, expires_in=_DAY)
    try:
        yield is_first
    except Retry:
        if is_first:
            try:
                await storage.delete(_ONCE, mark)
            except StorageError as error:
                _logger.error("%s of %s will not be done: its mark could not be removed (%s)", name, key, error)
        raise


async def note_replaced(storage: AsyncAppStorage, bot: str, key: str, token: str, new: tuple[str, str | None]) -> None:
    """Note by which message (id, thread) an event replaced the card that it was submitted to."""
    await storage.put(_ONCE, f"{bot}:replaced:{key}", {"token": token, "new": list(new)}, expires_in=_DAY)


async def replaced_by(storage: AsyncAppStorage, bot: str, key: str, token: str) -> tuple[str, str | None] | None:
    """Return what replaced the card of an event that carries this signed value; None when nothing did."""
    known = await storage.get(_ONCE, f"{bot}:replaced:{key}")
    if not isinstance(known, dict) or known.get("token") != token:
        return None
    message_id, thread = known["new"]
    return message_id, thread


async def time_left(storage: AsyncAppStorage, bot: str, mark: str, event: str, seconds: float, now: float) -> float:
    """Return the seconds until `event` may be handled; 0, and it is noted, when no other one was within `seconds`."""

    def noted(known: Any) -> dict[str, Any]:
        if isinstance(known, dict) and known["key"] != event and known["until"] > now:
            return known
        return {"key": event, "until": now + seconds}

    record = await storage.update(_ONCE, f"{bot}:{mark}", noted, expires_in=seconds)
    return 0.0 if record["key"] == event else float(record["until"] - now)


async def first_time(storage: AsyncAppStorage, bot: str, mark: str, seconds: float) -> bool:
    """Set a mark; return whether it was not set yet."""
    return await storage.add(_ONCE, f"{bot}:{mark}", {}, expires_in=seconds)
