"""Tasks that somebody owns: none is lost, none reports an error to nobody, and all end together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Tasks:
    """A set of running tasks."""

    __slots__ = ("_running",)

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine; its error, if nobody asks for it, is dropped."""
        task = asyncio.get_running_loop().create_task(work)
        self.own(task)
        return task

    def own(self, task: asyncio.Task[Any]) -> None:
        """Own a task that runs already."""
        self._running.add(task)
        task.add_done_callback(self._landed)

    async def close(self) -> None:
        """Cancel all of them and wait until they have ended."""
        running = [task for task in self._running if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()
