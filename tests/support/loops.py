"""Event loops of tests: with an end to a wait that never ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["run", "until"]

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T], seconds: float = 60.0) -> T:
    """Run a test's coroutine, for so long at most."""
    return asyncio.run(asyncio.wait_for(work, seconds))


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait until something holds, such as what happens in another thread."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
