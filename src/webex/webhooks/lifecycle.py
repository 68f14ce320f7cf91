"""Whether a receiver runs, and with which workers.

    new ──start──▶ running ──stop──▶ closed ──start──▶ running

The first delivery starts a new receiver, and none starts a closed one. Workers belong to one process and, in event-loop
style, to one event loop: after a fork, or in another loop once the first has ended, `start` makes others. A `start`
during a `stop` waits for its end, and a second `stop` waits for the first. With `mode="inline"` there are no workers.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, Literal, Protocol, TypeVar

from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.webhooks.core import Job
    from webex.webhooks.loop_workers import LoopWorkers
    from webex.webhooks.thread_workers import ThreadWorkers

GRACE: Final = 25.0  # seconds for running handlers at a stop


class _Workers(Protocol):
    def start(self) -> None: ...
    def submit(self, job: Job) -> bool: ...


W = TypeVar("W", bound=_Workers)


class _Lifecycle(Generic[W]):
    """`make` makes the workers of this process and event loop; None where there are none."""

    def __init__(self, make: Callable[[], W] | None) -> None:
        self._make = make
        self._state: Literal["new", "running", "closed"] = "new"
        self._workers: W | None = None
        self._process = 0

    @property
    def is_closed(self) -> bool:
        """Whether it was stopped, and not started again."""
        return self._state == "closed"

    @property
    def workers(self) -> W | None:
        """The workers of this process; None when there are none yet."""
        return self._workers if self._process == os.getpid() else None

    def submit(self, job: Job) -> bool:
        """Give an event to the workers; False when there are none that take it."""
        workers = self.workers
        return workers is not None and workers.submit(job)

    def _begin(self) -> None:
        if self._make is not None:
            self._process, self._workers = os.getpid(), self._make()
            self._workers.start()
        self._state = "running"


class LoopLifecycle(_Lifecycle["LoopWorkers"]):
    """In event-loop style."""

    def __init__(self, make: Callable[[], LoopWorkers] | None) -> None:
        super().__init__(make)

    async def start(self, *, reopen: bool = True) -> bool:
        """Run; without `reopen`, False for a closed receiver, which stays so.

        `ConfigurationError` while it runs in another event loop.
        """
        while reopen or not self.is_closed:
            here = self.workers
            if here is None:
                self._begin()
            elif here.loop is not asyncio.get_running_loop():
                if here.loop.is_running() and not here.is_stopping:
                    raise ConfigurationError(
                        "The receiver runs in another event loop already. Make one receiver for each event loop, or "
                        "stop this one there first: await hooks.aclose()."
                    )
                self._begin()
            elif here.ended.is_set():
                self._begin()
            elif here.is_stopping:
                await here.ended.wait()
                continue
            return True
        return False

    async def stop(self, grace: float) -> None:
        """Begin nothing more, and wait so many seconds for running handlers."""
        self._state = "closed"
        workers = self.workers
        if workers is None or workers.loop.is_closed():
            return
        if workers.loop is asyncio.get_running_loop():
            await workers.stop(grace)
        elif workers.loop.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(workers.stop(grace), workers.loop))


class ThreadLifecycle(_Lifecycle["ThreadWorkers"]):
    """In blocking style. It is stopped at the end of the process."""

    def __init__(self, make: Callable[[], ThreadWorkers] | None) -> None:
        super().__init__(make)
        self._guard = threading.Lock()

    def start(self, *, reopen: bool = True) -> bool:
        """Run; without `reopen`, False for a closed receiver, which stays so."""
        while True:
            with self._guard:
                here = self.workers
                if self.is_closed and not reopen:
                    return False
                if here is None or here.ended.is_set():
                    self._begin()
                    if self._make is not None:
                        atexit.register(self.stop, GRACE)
                    return True
                if not here.is_stopping:
                    return True
            here.ended.wait()

    def stop(self, grace: float) -> None:
        """Begin nothing more, and wait so many seconds for running handlers."""
        with self._guard:
            self._state = "closed"
            workers = self.workers
        if workers is not None:
            atexit.unregister(self.stop)
            workers.stop(grace)
