"""Connect a websocket that hands over each message as it is read, and writes many at once.

The library's own `recv` and `send` cost a task switch, a future and a system call a message; a socket that brings
thousands of events a second can't afford them. The protocol, the handshake and the closing are the library's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Event

Data: TypeAlias = bytes | bytearray | memoryview

_TLS_BUFFER: Final = 16 * 1024  # bytes


def _shrink_buffer(transport: Any) -> None:
    """Shrink the read buffer of this TLS connection, of which asyncio makes 256 KiB; frames are small.

    Only this connection is changed: others of the process are not ours.
    """
    protocol: Any = getattr(transport, "_ssl_protocol", None)
    with suppress(AttributeError, TypeError):  # another event loop, or a Python that does it otherwise
        if len(getattr(protocol, "_ssl_buffer", b"")) > _TLS_BUFFER:
            buffer = bytearray(_TLS_BUFFER)
            protocol.max_size = _TLS_BUFFER
            protocol._ssl_buffer, protocol._ssl_buffer_view = buffer, memoryview(buffer)  # noqa: SLF001  # no option


class Connecting(connect):
    """Connect without following redirects: the first thing that is sent is a token."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Refuse to follow a redirect."""
        return exc


class Connection(ClientConnection):
    """Call `arrived` with the bytes of every message, in order; it must neither block nor raise."""

    def __init__(self, arrived: Callable[[Data], None], protocol: ClientProtocol, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._arrived = arrived
        self._whole: bytearray | None = None  # of a message that comes in several frames

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep less memory for a connection over TLS than asyncio would."""
        super().connection_made(transport)
        _shrink_buffer(transport)

    def process_event(self, event: Event) -> None:
        """Take one frame; the handshake's answer and control frames are the library's."""
        if not isinstance(event, Frame) or event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            super().process_event(event)
        elif event.fin and self._whole is None:
            self._arrived(event.data)
        else:
            if self._whole is None:
                self._whole = bytearray()
            self._whole += event.data  # empty frames, of which any number may come, add nothing
            if event.fin:
                whole, self._whole = self._whole, None
                self._arrived(bytes(whole))

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
