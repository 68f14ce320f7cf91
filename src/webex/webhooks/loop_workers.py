"""Handling on an event loop: a task for each event, and one that keeps the lease and takes over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from webex.webhooks.room_queues import RoomQueues

if TYPE_CHECKING:
    from webex.webhooks.core import Core, Job
    from webex.webhooks.upkeep import Upkeep

_logger = logging.getLogger("webex.webhooks")


class LoopWorkers:
    """What handles events in one event loop, at most `concurrency` at a time. Plain handlers run in threads.

    `alongside` is what runs beside them, from `start` to `stop`; `at_start` what is done before webhooks are checked.
    """

    def __init__(
        self,
        core: Core,
        upkeep: Upkeep,
        concurrency: int,
        alongside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
        at_start: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        self._core, self._upkeep, self._concurrency = core, upkeep, concurrency
        self._alongside, self._at_start = alongside, at_start
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._queues: RoomQueues[Job] = RoomQueues()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._upkeeping: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_stopping: bool = False
        self.ended: asyncio.Event = asyncio.Event()  # after `stop`

    def start(self) -> None:
        """Begin to maintain the inbox."""
        work = (self._maintain(), self._check(), *(run() for run in self._alongside))
        self._upkeeping = {self.loop.create_task(each) for each in work}

    def submit(self, job: Job) -> bool:
        """Queue an event; False when it is not taken, because they stop."""
        if self.is_stopping:
            return False
        self._queues.put(job.room_id, job)
        self._fill()
        return True

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is being handled here, or they stop."""
        await self._idle.wait()

    async def stop(self, grace: float) -> None:
        """Begin nothing more, wait so many seconds for running handlers, then cancel them."""
        if self.is_stopping:
            await self.ended.wait()
            return
        self.is_stopping = True
        self._queues.clear()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for task in self._upkeeping:
            task.cancel()
        # A handler may close its own receiver; then it is not waited for.
        own = {task for task in self._tasks if task is asyncio.current_task()}
        give_up = self.loop.time() + grace
        try:
            if self._upkeeping:
                await asyncio.wait(self._upkeeping)
            if self._tasks - own:
                _, late = await asyncio.wait(self._tasks - own, timeout=grace)
                for task in late:
                    task.cancel()
                if late:
                    _logger.warning("%d events were still being handled after %g s of grace", len(late), grace)
                    await asyncio.wait(late)
            self._core.handlers.close()
            # While a function runs in a thread, also one that an earlier stop left there, the lease is kept: others
            # would take what is still being handled.
            if not own and await self._core.handlers.wait_for_threads(max(0.0, give_up - self.loop.time())):
                await self._upkeep.end()
        finally:
            for task in self._tasks - own:  # when this was cancelled
                task.cancel()
            self.ended.set()
            self._count()

    def _fill(self) -> None:
        while not self.is_stopping and len(self._tasks) < self._concurrency and (taken := self._queues.take()):
            task = self.loop.create_task(self._handle(*taken))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        self._count()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._fill()

    def _count(self) -> None:
        health = self._core.health
        health.waiting, health.in_hand = len(self._queues) + len(self._timers), len(self._tasks)
        if self.ended.is_set() or not (health.waiting or health.in_hand):
            self._idle.set()
        else:
            self._idle.clear()

    async def _handle(self, room_id: str | None, job: Job) -> None:
        after: float | None = None
        try:
            after = await self._core.attempt(job)
        finally:
            if not self.is_stopping:
                self._queues.free(room_id)
        if after is not None and not self.is_stopping:
            self._later(after, job)

    def _later(self, seconds: float, job: Job) -> None:
        def due() -> None:
            self._timers.discard(timer)
            self.submit(job)

        timer = self.loop.call_later(seconds, due)
        self._timers.add(timer)

    async def _maintain(self) -> None:
        while True:
            pause = self._upkeep.every
            try:
                pause = await self._upkeep.once(self.submit)
            except Exception:
                _logger.exception("the upkeep of a webhook receiver failed; once more in %g s", pause)
            await asyncio.sleep(pause)

    async def _check(self) -> None:
        for run in self._at_start:  # a check before them would restore what an earlier version of the app wanted
            await run()
        while True:
            try:
                await self._upkeep.check()
            except Exception:
                _logger.exception("the webhooks could not be checked; once more in %g s", self._upkeep.every)
            await asyncio.sleep(self._upkeep.every)
