"""Keeps what belongs to one process whole across `fork()`: nothing is held or open while the copy is made."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

__all__ = ["LONGEST_REST", "survives_forks"]


class _Forkable(Protocol):
    def before_fork(self) -> None:
        """Come to rest: take the locks, close what must not be inherited."""
        ...

    def after_fork(self, *, in_child: bool) -> None:
        """Go on. In the child make all locks anew: no thread is left that would release them."""
        ...


# Seconds to wait for a thread to come to rest. A signal handler that forks while the thread below it is at work would
# wait for itself; the child then leaves alone what it could not put to rest.
LONGEST_REST = 5.0

_everyone: weakref.WeakSet[_Forkable] = weakref.WeakSet()
_resting: list[_Forkable] = []
_one_fork_at_a_time = threading.Lock()
_alone = False


def survives_forks(one: _Forkable) -> None:
    """From now on `one` is told before and after each fork of this process; it is held weakly."""
    _everyone.add(one)


def _before() -> None:
    global _alone  # noqa: PLW0603
    _alone = _one_fork_at_a_time.acquire(timeout=LONGEST_REST)
    for one in list(_everyone):
        one.before_fork()
        _resting.append(one)


def _after_in_parent() -> None:
    while _resting:
        _resting.pop().after_fork(in_child=False)
    if _alone:
        _one_fork_at_a_time.release()


def _after_in_child() -> None:
    # A server written in C may fork without the call before it, so this does not count on that one.
    global _one_fork_at_a_time  # noqa: PLW0603
    _one_fork_at_a_time = threading.Lock()
    _resting.clear()
    for one in list(_everyone):
        one.after_fork(in_child=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
