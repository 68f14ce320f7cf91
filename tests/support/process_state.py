"""Fails a test that leaves the process otherwise than it found it: others, in any order, would pay for it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import webex.telemetry  # noqa: F401  # adds the handler of its logger before the first test, not within one

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD") if hasattr(signal, name)]
_OF_PYTEST = ("PYTEST_CURRENT_TEST",)


def _blocked() -> set[Any]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, [])) if hasattr(signal, "pthread_sigmask") else set()


def state() -> dict[str, Any]:
    """What is the process's own and not a test's."""
    return {
        "os.environ": {name: value for name, value in os.environ.items() if name not in _OF_PYTEST},
        "the current folder": os.getcwd(),
        "sys.path": list(sys.path),
        **{f"the handler of {number.name}": signal.getsignal(number) for number in _SIGNALS},
        "the signals that are blocked": _blocked(),
        "logging.disable": logging.root.manager.disable,
        "the level of the logger webex": logging.getLogger("webex").level,
        "the handlers of the logger webex": list(logging.getLogger("webex").handlers),
        "socket.getdefaulttimeout": socket.getdefaulttimeout(),
        "sys.excepthook": sys.excepthook,
        "threading.excepthook": threading.excepthook,
        "the event loop policy": type(asyncio.get_event_loop_policy()),
    }


@pytest.fixture(autouse=True)
def _process_is_left_as_found() -> Iterator[None]:
    before = state()
    yield
    after = state()
    changed = [f"{name}: {_difference(before[name], after[name])}" for name in before if before[name] != after[name]]
    assert not changed, f"the test has changed {', '.join(changed)}"


def _difference(before: Any, after: Any) -> str:
    if isinstance(before, dict):
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        return " and ".join(names)  # values may be secret
    return f"{before!r} became {after!r}"
