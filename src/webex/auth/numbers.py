"""Numbers of token endpoints' answers, ID tokens and stored records: checked before anything is counted with them."""

from __future__ import annotations

import math
from typing import Any, Final

LARGEST: Final = 1e11  # seconds; some 3,000 years


def seconds(value: Any) -> float | None:
    """Return a lifetime or interval in seconds; None when there is none (0 counts as none, as in the Node SDK).

    `ValueError` for what is no number, negative, not finite, or longer than 3,000 years.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a number of seconds")  # one kind of error for all wrong values
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not 0 <= number < LARGEST:  # also NaN
        raise ValueError("not a number of seconds from 0 to 3,000 years")
    return number or None


def moment(value: Any) -> float | None:
    """Return a moment in seconds since the epoch, None for None; `ValueError` for what is no finite number."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a moment")  # one kind of error for all wrong values
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("not a finite moment")
    return number
