"""How long to wait: what a service asks for, and an exponential backoff with jitter. The only such rules of the SDK.

The text of a header is remote: each function takes time in proportion to its length and never raises.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_RETRY_AFTER: Final = 3600.0  # seconds

_LONGEST_MOMENT: Final = 100  # characters; an HTTP date has 29
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")


class Backoff:
    """An exponential backoff: the n-th wait is `first` doubled n times, at most `longest` seconds, with jitter.

    `spread` is the part of each wait that is random: with 0.5, waits lie between half of the bound and all of it.
    `reset()` begins again after a success.
    """

    __slots__ = ("_bound", "_first", "_longest", "_spread")

    def __init__(self, first: float, longest: float, *, spread: float = 0.5) -> None:
        self._first = first
        self._longest = longest
        self._spread = spread
        self._bound = first

    def next(self) -> float:
        """Return the seconds to wait now, and double the bound of the wait after it."""
        bound = min(self._bound, self._longest)
        self._bound = min(self._bound * 2.0, self._longest)
        return bound * random.uniform(1.0 - self._spread, 1.0)  # noqa: S311  # jitter, not a secret

    def reset(self) -> None:
        """Begin with `first` again."""
        self._bound = self._first


def with_jitter(wait: float) -> float:
    """Return a wait that a service asked for, up to a tenth (at most a second) longer, so that callers do not meet."""
    return wait + random.uniform(0.0, min(0.1 * wait, 1.0))  # noqa: S311  # jitter, not a secret


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of `Retry-After`; a date counts from the answer's own `Date`, else from `now`.

    `now` is seconds since the epoch by the client's clock. None when the answer asks for nothing that can be read.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    base = server_time(headers.get("date"))
    return parse_retry_after(value, now if base is None else base)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from seconds or an HTTP date (RFC 9110 §10.2.3).

    None for anything else; less than nothing is 0, and more than an hour is an hour.
    """
    if value is None:
        return None
    text = value.strip()
    if _NUMBER.fullmatch(text) is not None:
        seconds = float(text)
    else:
        when = server_time(text)
        if when is None:
            return None
        seconds = when - now
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def server_time(value: str | None) -> float | None:
    """Return the time of a `Date` header, in seconds since the epoch; None when there is none."""
    if not value or len(value) > _LONGEST_MOMENT:
        return None
    try:
        when = parsedate_to_datetime(value)
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
