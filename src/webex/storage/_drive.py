"""Runs a coroutine that never suspends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    coroutine.close()
    raise RuntimeError("a blocking call suspended")


def drive_iter(iterator: AsyncIterator[T]) -> Iterator[T]:
    try:
        while True:
            try:
                yield drive(iterator.__anext__())  # type: ignore[arg-type]
            except StopAsyncIteration:
                return
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            drive(close())
