"""Stands between clients and the emulator's Mercury, on a socket of its own: notes each frame, and can change it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.support.quiet import QUIET
from webex.emulator.realtime import wdm
from webex.services import Services

PATIENCE = 20  # real seconds before a test gives up
Frame = dict[str, Any]


@dataclass
class Line:
    """One connection of a client."""

    path: str
    socket: ServerConnection
    sent: list[Frame] = field(default_factory=list)  # by the client
    heard: list[Frame | str] = field(default_factory=list)  # by the client
    closed: tuple[int, str] | None = None  # what the client said when it closed

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query))

    @property
    def acknowledged(self) -> list[str]:
        return [frame["messageId"] for frame in self.sent if frame["type"] == "ack"]

    @property
    def pings(self) -> list[str]:
        return [frame["id"] for frame in self.sent if frame["type"] == "ping"]

    def of(self, kind: str) -> list[Frame]:
        """The frames with this event type, or type, that the client heard."""
        frames = [frame for frame in self.heard if isinstance(frame, dict)]
        return [frame for frame in frames if kind in (frame.get("type"), frame.get("data", {}).get("eventType"))]

    async def say(self, frame: Frame | str) -> None:
        """Say something to the client that the emulator did not."""
        self.heard.append(frame)
        await self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))


class Wiretap:
    """All connections, the oldest first. `rewrite` gives what is said to the client instead of a frame."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.log: list[str] = []  # "open" and "close" of lines, in their order
        self.rewrite: Callable[[Frame], Iterable[Frame | str]] = lambda frame: [frame]
        self.query = ""  # what the address of a device's socket ends with
        self._upstream: dict[str, str] = {}  # path → the emulator's own URL
        self._changed = asyncio.Event()

    @property
    def line(self) -> Line:
        """The latest connection."""
        return self.lines[-1]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something holds; it is looked at after each frame."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        parts = urlsplit(socket.request.path)
        line = Line(socket.request.path, socket)
        self.lines.append(line)
        self._note(f"open {len(self.lines)}")
        number = len(self.lines)
        url = f"{self._upstream[parts.path]}?{parts.query}"
        async with connect(url, proxy=None, logger=QUIET, ping_interval=None) as upstream:
            down = asyncio.ensure_future(self._downstream(line, upstream))
            try:
                async for text in socket:
                    line.sent.append(json.loads(text))
                    self._changed.set()
                    await upstream.send(text)
            except ConnectionClosed:
                pass
            finally:
                if socket.protocol.close_rcvd is not None:
                    line.closed = (socket.protocol.close_rcvd.code, socket.protocol.close_rcvd.reason)
                self._note(f"close {number}")
                down.cancel()
                await asyncio.gather(down, return_exceptions=True)

    async def _downstream(self, line: Line, upstream: ClientConnection) -> None:
        try:
            async for text in upstream:
                for frame in self.rewrite(json.loads(text)):
                    await line.say(frame)
                self._changed.set()
        except ConnectionClosed:
            pass
        end = upstream.protocol.close_rcvd
        if end is None or end.code in (1005, 1006):
            line.socket.transport.abort()
        else:
            await line.socket.close(end.code, end.reason)

    def _note(self, what: str) -> None:
        self.log.append(what)
        self._changed.set()

    def redirect(self, record: Frame, port: int) -> Frame:
        """A device's record with the address of the wiretap in it."""
        parts = urlsplit(record["webSocketUrl"])
        self._upstream[parts.path] = record["webSocketUrl"]
        return {**record, "webSocketUrl": f"ws://127.0.0.1:{port}{parts.path}{self.query}"}


@asynccontextmanager
async def tapped(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wiretap]:
    """Every device that is registered from now on connects through a wiretap."""
    wire = Wiretap()
    own, trusted = wdm._record, Services.may_receive_token
    async with serve(wire.serve, "127.0.0.1", 0, logger=QUIET, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        monkeypatch.setattr(wdm, "_record", lambda *args: wire.redirect(own(*args), port))
        here = f"http://127.0.0.1:{port}/"  # a host that no catalog names
        monkeypatch.setattr(Services, "may_receive_token", lambda *args: args[1].startswith(here) or trusted(*args))
        yield wire
