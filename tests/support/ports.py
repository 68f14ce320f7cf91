"""Ports of 127.0.0.1 that are the running test's alone, also before something listens there."""

from __future__ import annotations

import os
import random
import socket
import tempfile
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # then nothing is locked

__all__ = ["free_port"]

_FIRST, _COUNT = 20_000, 12_000  # below the ports that Linux, macOS and Windows give to connections by themselves
_given: set[int] = set()
_locks: dict[int, int] = {}  # by process: the open file whose bytes stand for the ports


def free_port() -> int:
    """Return a port that nothing listens on, and that no other test is given while this process runs.

    A port of the system's choice (`bind` to 0) would be anyone's again as soon as it is closed: the next connection
    or server of another test may get it.
    """
    start = random.SystemRandom().randrange(_COUNT)
    for step in range(_COUNT):
        port = _FIRST + (start + step) % _COUNT
        if port not in _given and _is_free(port) and _is_locked(port):
            _given.add(port)
            return port
    raise AssertionError("no port is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_locked(port: int) -> bool:
    """Lock the port against other processes; the lock ends with this one."""
    if fcntl is None:
        return True
    file = _locks.get(os.getpid())
    if file is None:
        path = Path(tempfile.gettempdir()) / "webex-test-ports"
        file = _locks[os.getpid()] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True
