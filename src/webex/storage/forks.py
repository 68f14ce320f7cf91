"""Keeps what belongs to one process whole across `fork()`: nothing is held or open while the copy is made."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

__all__ = ["survives_forks"]


class _Forkable(Protocol):
    def before_fork(self) -> None:
        """Come to rest: take the locks, close what must not be inherited."""
        ...

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; in the child everything that belonged to the parent is to be made anew."""
        ...


_everyone: weakref.WeakSet[_Forkable] = weakref.WeakSet()
_one_fork_at_a_time = threading.Lock()
_resting: list[_Forkable] = []


def survives_forks(one: _Forkable) -> None:
    """From now on `one` is told before and after each fork of this process; it is held weakly."""
    _everyone.add(one)


def _before() -> None:
    _one_fork_at_a_time.acquire()
    for one in list(_everyone):
        one.before_fork()
        _resting.append(one)


def _after_in_parent() -> None:
    _wake(in_child=False)


def _after_in_child() -> None:
    _wake(in_child=True)


def _wake(*, in_child: bool) -> None:
    while _resting:
        _resting.pop().after_fork(in_child=in_child)
    _one_fork_at_a_time.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
