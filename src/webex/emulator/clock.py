"""The cloud's clock: real time, which tests can move."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC).timestamp()  # what is valid for a century still has a date


class Clock:
    """Gives the emulator's time. It runs with real time until it is moved, frozen or set."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen: float | None = None

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._frozen if self._frozen is not None else time.time() + self._offset

    def advance(self, seconds: float) -> float:
        """Move forward (or, with a negative number, back); gives the new time.

        `ValueError` when that would be before 1970 or after the year 9000: no date could be written.
        """
        if not 0 <= self.time() + seconds <= _LATEST:
            raise ValueError(
                f"The clock can't go {seconds:g} s from {iso(self.time())}: it stays in the years 1970 to 9000."
            )
        if self._frozen is not None:
            self._frozen += seconds
        else:
            self._offset += seconds
        return self.time()

    def set(self, to: float) -> float:
        """Go to a moment, in seconds since the epoch, and run on from there (or stay there when frozen)."""
        return self.advance(to - self.time())

    def freeze(self) -> float:
        """Stop; only `advance` and `set` move it from now on."""
        self._frozen = self.time()
        return self._frozen

    def run(self) -> None:
        """Run again from where it stands."""
        if self._frozen is not None:
            self._offset, self._frozen = self._frozen - time.time(), None

    def reset(self) -> None:
        """Real time again."""
        self._offset, self._frozen = 0.0, None

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._frozen is not None

    @property
    def offset(self) -> float:
        """How many seconds it stands before real time."""
        return self.time() - time.time() if self._frozen is not None else self._offset


def iso(moment: float) -> str:
    """Format a moment as the cloud does: `2026-01-31T12:00:00.000Z`."""
    value = datetime.fromtimestamp(moment, UTC)
    return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
