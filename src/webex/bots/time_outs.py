"""End the dialogs whose time ran out, each once, whether an answer comes or not: they are found in the storage.

Every minute one of the workers, by a lease that is left to run out, lists the records of dialogs. Each that is overdue
becomes an event like any other, which waits for its room and has the middlewares, error handlers and repetitions that
others have. It is handled under the lease of that dialog, and only if the record is then still the one that was found:
an answer, or another worker, may have been faster. The record is marked as `ending` before `on_timeout` runs and as
done after it, so what was killed in between runs again, with `ctx.redelivered`.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from webex.bots.dialogs import NAMESPACE, Record, Running, read_record
from webex.bots.happening import Happening
from webex.realtime.event import Actor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from webex.bots.bot import Bot
    from webex.bots.dispatch import Handled

_logger = logging.getLogger("webex.bots")

EVERY: Final = 60.0  # seconds
_AT_ONCE: Final = 20  # dialogs that are ended side by side


class _Queue(Protocol):
    def begin(self, happening: Happening) -> asyncio.Task[Handled]: ...


@dataclass(slots=True)
class Overdue:
    """The data of the event: where the answer was awaited, and whose."""

    room_id: str
    room_type: str
    parent_id: str | None
    person_id: str


def is_overdue(record: Record, now: float) -> bool:
    """Whether a dialog still waits, and its time has run out."""
    return not record.done and record.expires < now


def key_of(record: Record) -> str:
    """Return the key of the event that a dialog's time ran out, which no other question of the dialog has."""
    return f"dialogs:timedOut:{record.kind}:{record.last_key}"


class TimeOuts:
    """Looks for dialogs whose time ran out."""

    def __init__(self, bot: Bot, queue: _Queue) -> None:
        self._bot, self._queue = bot, queue

    async def run(self) -> None:
        """Look every minute, unless another worker did; until it is cancelled."""
        while True:
            try:
                if self._can_look and await self._is_first():
                    await self.end_overdue()
            except Exception as error:
                _logger.warning(
                    "dialogs whose time ran out could not be ended (%s); once more in %g s", type(error).__name__, EVERY
                )
            await asyncio.sleep(EVERY)

    @property
    def _can_look(self) -> bool:
        return not self._bot.dialogs.is_empty and self._bot.storage.can_list

    async def _is_first(self) -> bool:
        """Whether no other worker has looked within the minute: the lease is left to run out."""
        return await self._bot.storage.hold(NAMESPACE, f"{self._bot.key}:time-outs", EVERY) is not None

    async def end_overdue(self) -> int:
        """End those that are overdue now; return how many."""
        bot = self._bot
        if not self._can_look:
            return 0
        await bot.ready()
        found = [record async for record in self._overdue()]
        ended = 0
        for start in range(0, len(found), _AT_ONCE):
            tasks = {self._queue.begin(self._happening(record)): record for record in found[start : start + _AT_ONCE]}
            await asyncio.wait(tasks)  # not cancelled with this: they have the time of grace that all have
            for task, record in tasks.items():
                if task.cancelled():  # the bot was stopped
                    continue
                outcome = task.result().outcome
                ended += outcome == "handled"
                if outcome == "failed":
                    await self._give_up(record)
        return ended

    async def _overdue(self) -> AsyncIterator[Record]:
        bot = self._bot
        async for _, key, value in bot.storage.of_every_user(NAMESPACE, prefix=f"{bot.key}:"):
            record = read_record(value)
            if record is None or not is_overdue(record, bot.now()) or not record.person:
                continue
            if self._running(record).key == key and bot.dialogs.restored(record) is not None:
                yield record

    def _running(self, record: Record) -> Running:
        return Running(self._bot.storage, self._bot.key, record.person, record.room, record.thread or None)

    def _happening(self, record: Record) -> Happening:
        bot = self._bot
        data = Overdue(record.room, record.room_type, record.thread or None, record.person)
        return Happening(
            "dialogs",
            "timedOut",
            data,
            Actor(record.person),
            record.room,
            key_of(record),
            bot.client,
            "timer",
            redelivered=record.ending,
        )

    async def _give_up(self, record: Record) -> None:
        """Write down that a dialog is over whose end failed for good, as in a room that the bot has left."""
        running = self._running(record)
        async with running.turn():
            present = await running.load()
            if present is not None and is_overdue(present, self._bot.now()) and key_of(present) == key_of(record):
                present.done = True
                await running.save(present, self._bot.now())
