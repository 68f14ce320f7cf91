"""Small things that make a page pleasant: initials, colours, times, sizes."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Final

COLOURS: Final = 8


def initials(name: str | None) -> str:
    """`Alice Anderson` → `AA`."""
    words = (name or "?").replace("@", " ").split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def colour(name: str | None) -> int:
    """Return the number of a colour, always the same for a name."""
    return (zlib.crc32((name or "").encode()) >> 8) % COLOURS


def clock_time(moment: object) -> str:
    """`14:05`, or what came when it is no time."""
    return moment.astimezone().strftime("%H:%M") if isinstance(moment, datetime) else str(moment or "")


def size(count: int | None) -> str:
    """`1.2 MB`."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
