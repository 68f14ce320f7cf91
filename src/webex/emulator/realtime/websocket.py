"""uvicorn's websocket protocol, without its log lines: they would hold the frames, and those hold tokens."""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# It stands in no registry: `logging.config.dictConfig` would enable a disabled logger of the registry again.
_silent = logging.Logger("webex.emulator.websocket.silent", level=logging.CRITICAL + 1)  # noqa: LOG001  # as said


class QuietWebSocket(WebSocketsSansIOProtocol):
    """A websocket that writes nothing about itself to a log."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger: logging.Logger = _silent
        self.conn.logger = _silent
        self.conn.debug = False
