"""Take events from a subscription, a fleet or a broker, hand each to the bot, and acknowledge it once it is handled."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from webex.bots.happening import from_event
from webex.bots.leader import leading
from webex.bots.repeats import handle_once
from webex.bots.room_queues import RoomQueues
from webex.bots.time_outs import TimeOuts
from webex.errors import ConfigurationError
from webex.runtime.signals import handled_by_loop

if TYPE_CHECKING:
    from webex.bots.bot import Bot
    from webex.bots.dispatch import Handled, Outcome
    from webex.bots.happening import Door, Happening
    from webex.realtime.event import Event

T = TypeVar("T")

_logger = logging.getLogger("webex.bots")


class Consumer:
    """The events that a bot has in hand: `handle(happening)` is called for each, in the order of its room."""

    def __init__(self, bot: Bot, handle: Callable[[Happening], Awaitable[Handled]], most: int, per_room: int) -> None:
        self._bot, self._handle = bot, handle
        self._max_in_hand = most * 10  # of the bot's own subscription
        self._stopping, self._receivers = asyncio.Event(), 0
        self._starting: asyncio.Timeout | None = None
        self.queues: RoomQueues = RoomQueues(most, per_room)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.time_outs: TimeOuts = TimeOuts(bot, self)
        self._looking: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Listen until the process is asked to end (SIGINT, SIGTERM), then close the bot."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(self._run())
        else:
            raise ConfigurationError(
                "An event loop is running, and bot.run() begins one of its own: await bot.listen() here instead, and "
                "bot.aclose() at the end; or call bot.run() in a thread."
            )

    async def _run(self) -> None:
        listening = asyncio.ensure_future(self._bot.listen())
        with handled_by_loop(self._stop_receiving):
            try:
                await listening
            finally:
                await self._bot.aclose()

    async def listen(self, options: dict[str, Any]) -> None:
        """Take the events of the bot's socket, while this worker leads, until `stop`."""
        bot = self._bot
        with self._receiving():
            async with self._until_stopped():
                await bot.ready()
            bot.warn_of_settings()
            while not self._stopping.is_set():
                async with leading(bot.storage, f"{bot.key}:socket", self._stopping, bot.lease) as lost:
                    if not self._stopping.is_set():
                        async with self._ending_overdue_dialogs():
                            await self._receive(lost, options)

    async def _receive(self, lost: asyncio.Event, options: dict[str, Any]) -> None:
        bot = self._bot
        given: Any = {"max_in_hand": self._max_in_hand, **options, "ack": "manual"}
        events = bot.client.listen(bot.resources, **given)
        async with contextlib.AsyncExitStack() as stack:
            async with self._until_stopped():
                await stack.enter_async_context(events)
            if self._stopping.is_set():
                return
            bot.health.is_connected = True
            try:
                await self.take_all(events, "socket", self._stopping, lost)
                await self.drain(bot.grace)
            finally:
                bot.health.is_connected = False

    async def consume(self, events: AsyncIterator[Event[Any]], max_in_hand: int, once: bool) -> None:
        """Take the events of another consumer until it ends, or `stop`."""
        with self._receiving():
            await self._bot.ready()
            async with self._ending_overdue_dialogs():
                await self.take_all(events, "handle", self._stopping, max_in_hand=max_in_hand, once=once)
            await self.drain(self._bot.grace)

    async def stop(self, grace: float) -> None:
        """Take no more events, and finish those in hand."""
        self._stop_receiving()
        looking, self._looking = self._looking, None
        await _ended(looking)
        await self.drain(grace)

    def end_overdue_dialogs_until_stopped(self) -> None:
        """Look for dialogs whose time ran out from now on, until `stop`: for a fleet."""
        if self._looking is None:
            self._looking = asyncio.ensure_future(self.time_outs.run())

    @contextlib.asynccontextmanager
    async def _ending_overdue_dialogs(self) -> AsyncIterator[None]:
        """Look for dialogs whose time ran out, beside the body."""
        looking = asyncio.ensure_future(self.time_outs.run())
        try:
            yield
        finally:
            await _ended(looking)

    def _stop_receiving(self) -> None:
        self._stopping.set()
        if self._starting is not None and not self._starting.expired():
            self._starting.reschedule(asyncio.get_running_loop().time())

    @contextlib.contextmanager
    def _receiving(self) -> Iterator[None]:
        """Note that events are taken until `stop`, which ends all that take some."""
        if not self._receivers:
            self._stopping = asyncio.Event()
        self._receivers += 1
        try:
            yield
        finally:
            self._receivers -= 1

    @contextlib.asynccontextmanager
    async def _until_stopped(self) -> AsyncIterator[None]:
        """End the body when the bot is stopped: it may wait for a cloud that does not answer."""
        try:
            async with asyncio.timeout(None) as self._starting:
                yield
        except TimeoutError:
            if not self._stopping.is_set():
                raise
        finally:
            self._starting = None

    async def take_all(
        self,
        events: AsyncIterator[Event[Any]],
        door: Door,
        *ends: asyncio.Event,
        max_in_hand: int | None = None,
        once: bool = False,
    ) -> None:
        """Take events until there are no more, or one of `ends` is set; at most `max_in_hand` at a time."""
        ended, taking = asyncio.ensure_future(_first(*ends)), None
        in_hand: set[asyncio.Task[Any]] = set()
        try:
            while not ended.done():
                if max_in_hand is not None and len(in_hand) >= max_in_hand:
                    await asyncio.wait({ended, *in_hand}, return_when=asyncio.FIRST_COMPLETED)
                    continue
                taking = asyncio.ensure_future(anext(events))
                await asyncio.wait({taking, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not taking.done():
                    break
                try:
                    event = taking.result()
                except StopAsyncIteration:
                    break
                task = self._start(self.take(event, door, once=once))
                in_hand.add(task)
                task.add_done_callback(in_hand.discard)
        finally:
            ended.cancel()
            if taking is not None and not taking.done():
                taking.cancel()
                await asyncio.gather(taking, return_exceptions=True)

    async def take(self, event: Event[Any], door: Door, *, once: bool = False) -> Outcome:
        """Handle an event and acknowledge it; give it back when it is to be handled again."""
        outcome: Outcome = "ignored"
        after = 0.0
        if event.resource == "gap":
            _logger.warning("events may be missing: %s", getattr(event.data, "reason", None))
        elif door != "socket" and not self._bot.is_own(event.created_by):
            _logger.debug("%s is ignored: another account received it", event.key)
        else:
            happening = from_event(event, self._bot.client, door)
            try:
                outcome, after = await self.handle(happening, once=once)
            except Exception:  # a mistake here or in an observer; repeating it would not help
                outcome = "failed"
                _logger.exception("%s could not be handled", event.key)
        if outcome == "retry":
            event.nack(after)
        else:
            event.ack()
        return outcome

    async def handle(self, happening: Happening, *, once: bool = False) -> Handled:
        """Handle what happened, in its turn; with `once`, ignore what was handled before."""
        async with self.queues.turn(happening.room_id):
            if not once:
                return await self._handle(happening)
            return await handle_once(self._bot.storage, self._bot.key, happening, self._handle)

    def begin(self, happening: Happening) -> asyncio.Task[Handled]:
        """Begin to handle what happened, in its turn; `drain` waits for it."""
        return self._start(self.handle(happening))

    def handle_later(self, happening: Happening) -> None:
        """Handle what happened apart from the caller, until it need not be repeated."""
        self._start(self._until_handled(happening))

    async def wait_until_idle(self) -> None:
        """Return when nothing is in hand."""
        while self.tasks:
            await asyncio.wait([*self.tasks])

    async def drain(self, grace: float) -> None:
        """Give what is in hand so many seconds, then cancel it."""
        waiting = {task for task in self.tasks if task is not asyncio.current_task()}
        if waiting:
            await asyncio.wait(waiting, timeout=grace)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _until_handled(self, happening: Happening) -> None:
        while True:
            outcome, after = await self.handle(happening)
            if outcome != "retry":
                return
            await asyncio.sleep(after)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _first(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
