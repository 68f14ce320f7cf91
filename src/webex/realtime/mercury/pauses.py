"""The pauses between connections of one user: they grow until a connection has stayed open for a while."""

from __future__ import annotations

from typing import Final

from webex.http.timing import Backoff

LONGEST_PAUSE: Final = 32.0  # seconds
PROVEN: Final = 10.0  # seconds that a connection has to stay open, so that the next pause is the first one again


class ReconnectPauses:
    """Count the pauses of one user's connection.

    That a server accepts a connection says nothing: one that closes it at once is treated like one that refuses.
    Moments are seconds by the clock of the event loop.
    """

    def __init__(self, first: float) -> None:
        self._backoff = Backoff(first, LONGEST_PAUSE)
        self._opened_at: float | None = None

    def opened(self, now: float) -> None:
        """Note that a connection is open."""
        self._opened_at = now

    def ended(self, now: float) -> float:
        """Return the pause after a connection that has ended, or an attempt that failed."""
        if self.is_proven(now):
            self._backoff.reset()
        self._opened_at = None
        return self._backoff.next()

    def is_proven(self, now: float) -> bool:
        """Return whether the open connection has stayed open long enough to be replaced without a pause."""
        return self._opened_at is not None and now - self._opened_at >= PROVEN
