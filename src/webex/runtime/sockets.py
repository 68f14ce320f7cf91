"""Sockets of the blocking transport that keep a deadline, whatever drips.

A socket's own time-out begins anew with every byte that comes. These look at one point in time before each operation.
Imported on the first call, so that what gevent replaces has been replaced by then.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Any

from webex.runtime.answers import GRACE, LATE

_LONGEST = 1e9  # seconds; a socket takes nine times that and no more
_AT_ONCE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # on, for 0 seconds

if TYPE_CHECKING:

    class _Base(socket.socket): ...  # of the kind that this is mixed into
else:
    _Base = object


class _Timed(_Base):
    """`due` is on the monotonic clock; None: as `settimeout` said."""

    due: float | None = None
    spared: bool = False

    def _mind(self) -> None:
        if self.due is not None:
            left = self.due - time.monotonic()
            if left < -LATE and not self.spared:  # the process was stopped: read what has come meanwhile
                self.spared = True
                self.due, left = time.monotonic() + GRACE, GRACE
            if left <= 0:
                raise TimeoutError("timed out")
            self.settimeout(min(left, _LONGEST))

    def recv_into(self, *arguments: Any, **named: Any) -> int:
        """Receive within the time that is left."""
        self._mind()
        return super().recv_into(*arguments, **named)

    def recv(self, *arguments: Any, **named: Any) -> bytes:
        """Receive within the time that is left."""
        self._mind()
        return super().recv(*arguments, **named)

    def send(self, *arguments: Any, **named: Any) -> int:
        """Send within the time that is left."""
        self._mind()
        return super().send(*arguments, **named)


class TimedSocket(_Timed, socket.socket):
    """A plain socket."""

    def sendall(self, *arguments: Any, **named: Any) -> None:
        """Send within the time that is left."""
        self._mind()
        super().sendall(*arguments, **named)


class TimedTLSSocket(_Timed, ssl.SSLSocket):
    """A socket with TLS; sending all is sending several times."""


def reset_on_close(sock: Any) -> None:
    """Let closing a socket drop what it has not sent, and tell the other side at once.

    A close alone ends the connection only after the other side has read everything, which may be never.
    """
    while sock is not None:
        with contextlib.suppress(OSError, AttributeError, TypeError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        sock = getattr(sock, "socket", None)  # TLS within a proxy's TLS
