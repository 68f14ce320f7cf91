"""Let a cancellation through that a library has taken for its own.

redis-py writes with `asyncio.wait_for`. On Python 3.11 that returns a result which came in the same moment as the
cancellation, and the task goes on as if it had not been cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ["heeding_cancellation"]

T = TypeVar("T")


async def heeding_cancellation(work: Awaitable[T]) -> T:
    """Await a library's work; raise `CancelledError` when the task was cancelled meanwhile, whatever the work gave."""
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        return await work
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
