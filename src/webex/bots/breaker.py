"""A breaker against loops: two bots that answer each other, or a person who found out how to make one talk."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final

_logger = logging.getLogger("webex.bots")

MOST: Final = 20  # answers in a minute, to one person in one room
_WINDOW: Final = 60.0  # seconds


class Breaker:
    """Counts answers; beyond the bound there is silence for a minute. `now` is in seconds."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], deque[float]] = {}
        self._silent: dict[tuple[str, str], float] = {}

    def is_open(self, person: str, room: str, now: float) -> bool:
        """Whether this person gets no answers in this room now."""
        key = (person, room)
        until = self._silent.get(key)
        if until is None:
            return False
        if now < until:
            return True
        del self._silent[key]
        return False

    def count(self, person: str, room: str, answers: int, now: float) -> None:
        """Count the answers of one event."""
        key = (person, room)
        if len(self._answers) > 10_000:
            self._answers = {
                each: times for each, times in self._answers.items() if times and times[-1] > now - _WINDOW
            }
        times = self._answers.setdefault(key, deque(maxlen=MOST + 1))
        times.extend([now] * answers)
        if len(times) > MOST and times[0] > now - _WINDOW:
            self._silent[key] = now + _WINDOW
            times.clear()
            _logger.warning("more than %d answers in a minute in one room: silence for a minute", MOST)
