"""A websocket that hands over each message as it is read, and writes many at once.

The library's own `recv` and `send` cost a task switch, a future and a system call a message; a socket that brings
thousands of events a second can't afford them. The protocol, the handshake and the closing are the library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Event

Data: TypeAlias = bytes | bytearray | memoryview


class Connecting(connect):
    """Makes a connection, and follows no redirect: the first thing that is sent on it is a token."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Refuse."""
        return exc


class Connection(ClientConnection):
    """`arrived` is called with the bytes of every message, in order; it must neither block nor raise."""

    def __init__(self, arrived: Callable[[Data], None], protocol: ClientProtocol, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._arrived = arrived
        self._pieces: list[Data] = []  # of a message that comes in several frames

    def process_event(self, event: Event) -> None:
        """Take one frame; the handshake's answer and control frames are the library's."""
        if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            super().process_event(event)
        elif event.fin and not self._pieces:
            self._arrived(event.data)
        else:
            self._pieces.append(event.data)
            if event.fin:
                whole, self._pieces = b"".join(self._pieces), []
                self._arrived(whole)

    def send_all(self, messages: Iterable[bytes]) -> None:
        """Send text messages, without waiting; on a connection that closes they are dropped."""
        protocol = self.protocol
        if protocol.state is OPEN:
            for message in messages:
                protocol.send_text(message)
            self.transport.write(b"".join(protocol.data_to_send()))

    @property
    def was_cut(self) -> bool:
        """Whether it ended without the other side's close frame."""
        return self.protocol.close_rcvd is None
