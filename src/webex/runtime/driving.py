"""The trick of the house: one `async def` serves both styles.

With a `BlockingRuntime` every awaited call does its I/O before it returns, so a coroutine never suspends and one
`send(None)` runs it to its end: no event loop, no thread, a plain stack trace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends to its end, and give its result."""
    try:
        awaited = coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(
        f"{coroutine!r} waited for {awaited!r}: in blocking style nothing may wait for an event loop. "
        "A storage, hook or callback given to a blocking client must be plain functions."
    )


def drive_iter(iterator: AsyncIterator[T]) -> Iterator[T]:
    """Iterate over an asynchronous iterator that never suspends; it is closed when the loop is left."""
    try:
        while True:
            try:
                item = drive(_next(iterator))
            except StopAsyncIteration:
                return
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            drive(close())


async def _next(iterator: AsyncIterator[T]) -> T:
    return await iterator.__anext__()
