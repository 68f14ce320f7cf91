"""uvicorn's websocket protocol, without its log lines: they would hold the frames, and those hold tokens."""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_silent = logging.getLogger("webex.emulator.websocket.silent")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
_silent.disabled = True


class QuietWebSocket(WebSocketsSansIOProtocol):
    """A websocket that writes nothing about itself to a log."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _silent
        self.conn.logger = _silent
        self.conn.debug = False
