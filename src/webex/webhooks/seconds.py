"""Numbers of seconds that an app gives."""

from __future__ import annotations

import math

from webex.errors import ConfigurationError

_DAY = 86_400.0


def checked_seconds(what: str, value: object, least: float = 0.0, most: float = _DAY) -> float:
    """Return a number of seconds; `ConfigurationError`, which says what it is for, when it is none or out of range."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        limit = f"{least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
        raise ConfigurationError(f"{what} is {value!r}; it is a number of seconds, {limit}.")
    return float(value)
