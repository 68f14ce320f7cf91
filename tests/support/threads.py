"""The threads of this process, of which an earlier test may have left some that are about to end."""

from __future__ import annotations

import threading

__all__ = ["running_threads"]


def running_threads(name: str = "") -> set[threading.Thread]:
    """Return those whose name begins with this: compare with what ran before, never with a number."""
    return {thread for thread in threading.enumerate() if thread.name.startswith(name)}
