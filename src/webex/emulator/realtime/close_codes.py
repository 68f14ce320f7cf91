"""Close codes: which a server can send, and those that stand for something else."""

from __future__ import annotations

from typing import Final

ABRUPT: Final = 1006  # stands for: cut the connection, say nothing
NO_CODE: Final = 1005  # stands for: a close frame without a code
REPLACED: Final = (4000, "Replaced")
MOVED: Final = (4001, "Shutdown: the client moved to another socket")
GONE: Final = (4404, "Registration not found")
_SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


def check(code: int, reason: str = "") -> None:
    """`ValueError` for what no server can close a websocket with."""
    if not (code in _SENDABLE or code in (ABRUPT, NO_CODE) or 3000 <= code <= 4999):
        raise ValueError(f"A server can't close a websocket with the code {code}.")
    if len(reason.encode()) > 123:
        raise ValueError("The reason of a close frame has at most 123 bytes.")
