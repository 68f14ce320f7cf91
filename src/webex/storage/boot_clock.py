"""The clock that leases in a file live by: seconds since this machine started, in common for all its processes.

Setting the machine's clock does not move it, and it counts while the machine sleeps where the system has such a clock.
`boot_id` tells one start of the machine from the next: a lease of an earlier one has no holder any more.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Final

__all__ = ["boot_id", "boot_time"]

_BOOTTIME: Final = getattr(time, "CLOCK_BOOTTIME", None)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_time() -> float:
    """Return the seconds since this machine started."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


@functools.cache
def boot_id() -> str:
    """Return what names this start of the machine; "-" where the system does not say."""
    try:
        return _BOOT_ID.read_text("ascii").strip() or "-"
    except (OSError, ValueError):
        return "-"
