"""Time limits that a test lets run out, on a machine that may stall."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

__all__ = ["growing"]


def growing(first: float) -> Iterator[float]:
    """Yield time limits of `first` seconds and more, each four times the last; fail the test after the third.

    For a test in which a limit has to run out, but not before something has happened: on a stalled machine the limit
    may be over first. That proves nothing, so the test goes on with the next limit, and leaves the loop otherwise.
    """
    for factor in (1, 4, 16):
        yield first * factor
    pytest.fail(f"a limit of {16 * first:g} s was over too soon")
