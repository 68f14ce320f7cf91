"""Let no cancellation be swallowed by a library.

`asyncio.wait_for` of Python 3.11 returns the result when what it waits for ends at the moment of the cancellation, and
the cancelled task goes on. redis-py, psycopg and others use it for every command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ["heeding"]

T = TypeVar("T")


async def heeding(work: Awaitable[T]) -> T:
    """Await `work`; `CancelledError` when the task was cancelled meanwhile and `work` has ended otherwise."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # another scheduler than asyncio's drives this, such as that of a model
        return await work
    before = 0 if task is None else task.cancelling()
    try:
        result = await work
    except Exception as error:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return result
