"""Forked children, and the mark of the tests that need them."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

import pytest

__all__ = ["Child", "in_child", "needs_fork"]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

_PATIENCE = 120  # seconds, then a child that hangs is ended by SIGALRM


class Child:
    """A forked child that calls `work`, and then ends without anything of this process's being cleaned up."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            signal.alarm(_PATIENCE)
            try:
                os._exit(1 if work() is False else 0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(2)

    def exit_code(self) -> int:
        """Wait for its end: 0 when the work was done, 1 when it returned False, 2 when it raised, -N by signal N."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def in_child(work: Callable[[], object]) -> int:
    """Call `work` in a forked child; return its exit code."""
    return Child(work).exit_code()
