"""Own tasks: none is lost, no error is left unretrieved, and all end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")

_AGAIN: Final = 5.0  # seconds that a cancelled task has to end, before it is cancelled once more


class Tasks:
    """A set of running tasks."""

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine; its error is dropped unless a caller awaits the task."""
        task = asyncio.get_running_loop().create_task(work)
        self.own(task)
        return task

    def own(self, task: asyncio.Task[Any]) -> None:
        """Own a task that runs already."""
        self._running.add(task)
        task.add_done_callback(self._on_done)

    async def finish(self) -> None:
        """Wait until all have ended by themselves."""
        while running := [task for task in self._running if task is not asyncio.current_task()]:
            await asyncio.gather(*running, return_exceptions=True)

    async def close(self) -> None:
        """Cancel all of them and wait until they have ended."""
        await end(self._running)

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until they have ended, all but the one that calls.

    One that goes on is cancelled again: a library may have swallowed the cancellation, as `asyncio.wait_for` of
    Python 3.11 does when what it waits for ends at that moment.
    """
    running = {task for task in tasks if task is not asyncio.current_task()}
    while running:
        for task in running:
            task.cancel()
        done, running = await asyncio.wait(running, timeout=_AGAIN)
        for task in done:
            observed(task)


def observed(task: asyncio.Future[Any]) -> None:
    """Take note of a task's error, so that asyncio does not complain that it was never retrieved."""
    if not task.cancelled():
        task.exception()
