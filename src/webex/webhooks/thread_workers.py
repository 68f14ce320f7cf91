"""Handling in threads, for blocking style; one more keeps the lease and takes over, one checks the webhooks."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from typing import TYPE_CHECKING

from webex.runtime import drive
from webex.webhooks.room_queues import RoomQueues

if TYPE_CHECKING:
    from webex.webhooks.core import Core, Job
    from webex.webhooks.upkeep import Upkeep

_logger = logging.getLogger("webex.webhooks")


class ThreadWorkers:
    """What handles events in one process, with `concurrency` threads, which are daemons."""

    def __init__(self, core: Core, upkeep: Upkeep, concurrency: int) -> None:
        self._core, self._upkeep = core, upkeep
        self._queues: RoomQueues[Job] = RoomQueues()
        self._changed = threading.Condition()
        self._later: list[tuple[float, int, Job]] = []  # a heap: when, and a number that settles ties
        self._numbers = itertools.count()
        self._in_hand = 0
        self._ending = threading.Event()
        self.ended: threading.Event = threading.Event()  # after `stop`

        def thread(work: object, name: str) -> threading.Thread:
            return threading.Thread(target=work, name=f"webex-webhooks-{name}", daemon=True)  # type: ignore[arg-type]  # a method

        self._handling = [thread(self._work, str(number)) for number in range(concurrency)]
        self._maintaining = thread(self._maintain, "upkeep")
        self._checking = thread(self._check, "check")

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is begun."""
        return self._ending.is_set()

    def start(self) -> None:
        """Begin to handle events and to maintain the inbox."""
        for thread in (self._maintaining, self._checking, *self._handling):
            thread.start()

    def submit(self, job: Job) -> bool:
        """Queue an event; False when it is not taken, because they stop."""
        with self._changed:
            if self.is_stopping:
                return False
            self._queues.put(job.room_id, job)
            self._count()
            self._changed.notify()
            return True

    def drain(self) -> None:
        """Wait until nothing waits and nothing is being handled here, or they stop."""
        with self._changed:
            while (self._queues or self._later or self._in_hand) and not self.ended.is_set():
                self._changed.wait()

    def stop(self, grace: float) -> None:
        """Begin nothing more, and wait so many seconds for running handlers."""
        with self._changed:
            first = not self.is_stopping
            self._ending.set()
            self._queues.clear()
            self._later.clear()
            self._count()
            self._changed.notify_all()
        if not first:
            if threading.current_thread() not in self._handling:
                self.ended.wait()
            return
        try:
            self._join(grace)
        finally:
            self.ended.set()
            with self._changed:
                self._changed.notify_all()

    def _join(self, grace: float) -> None:
        give_up = time.monotonic() + grace
        for thread in (*self._handling, self._maintaining, self._checking):
            if thread is not threading.current_thread():  # a handler may close its own receiver
                thread.join(max(0.0, give_up - time.monotonic()))
        if late := sum(thread.is_alive() for thread in self._handling):
            _logger.warning("%d events were still being handled after %g s of grace", late, grace)
        elif not self._maintaining.is_alive():
            drive(self._upkeep.end())

    def _count(self) -> None:
        self._core.health.waiting = len(self._queues) + len(self._later)
        self._core.health.in_hand = self._in_hand

    def _next(self) -> tuple[str | None, Job] | None:
        with self._changed:
            while not self.is_stopping:
                now = time.monotonic()
                while self._later and self._later[0][0] <= now:
                    job = heapq.heappop(self._later)[2]
                    self._queues.put(job.room_id, job)
                taken = self._queues.take()
                if taken is not None:
                    self._in_hand += 1
                    self._count()
                    return taken
                self._changed.wait(self._later[0][0] - now if self._later else None)
            return None

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            room_id, job = taken
            after: float | None = None
            try:
                after = drive(self._core.attempt(job))
            finally:
                with self._changed:
                    self._in_hand -= 1
                    if not self.is_stopping:
                        self._queues.free(room_id)
                        if after is not None:
                            heapq.heappush(self._later, (time.monotonic() + after, next(self._numbers), job))
                    self._count()
                    self._changed.notify_all()

    def _maintain(self) -> None:
        pause = 0.0
        while not self._ending.wait(pause):
            pause = self._upkeep.every
            try:
                pause = drive(self._upkeep.once(self.submit))
            except Exception:
                _logger.exception("the upkeep of a webhook receiver failed; once more in %g s", pause)

    def _check(self) -> None:
        pause = 0.0
        while not self._ending.wait(pause):
            pause = self._upkeep.every
            try:
                drive(self._upkeep.check())
            except Exception:
                _logger.exception("the webhooks could not be checked; once more in %g s", pause)
