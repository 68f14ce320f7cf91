"""`/livez` and `/readyz` for what restarts processes and sends them work: as an ASGI app, and over a socket of its own.

Both answer 200 or 503, with the worker's health as JSON. `/livez` fails when the worker has to be restarted, `/readyz`
also while it starts, stops, or can't reach its storage.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from webex.fleet.health import FleetHealth

__all__ = ["Probes", "answer_probe", "probes_app"]

_PATIENCE: Final = 10.0  # seconds that a request may take to come
_REASONS: Final = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}


def answer_probe(path: str, health: FleetHealth) -> tuple[int, bytes]:
    """Return the status and the body for a path."""
    if path == "/livez":
        well = health.live
    elif path == "/readyz":
        well = health.live and health.ready
    else:
        return 404, b'{"paths": ["/livez", "/readyz"]}'
    return 200 if well else 503, json.dumps(health.to_dict()).encode()


def probes_app(health: Callable[[], FleetHealth]) -> Callable[..., Awaitable[None]]:
    """Return an ASGI app that answers probes."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        status, body = answer_probe(path, health())
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


class Probes:
    """A small HTTP server that answers probes, and nothing else."""

    def __init__(self, health: Callable[[], FleetHealth], host: str, port: int) -> None:
        self._health, self._host = health, host
        self.port: int = port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; with port 0 on a free one, which `port` tells."""
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the socket."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
                path = words[1].partition("?")[0] if len(words) > 1 else "/"
                status, body = answer_probe(path, self._health())
                lines = (
                    f"HTTP/1.1 {status} {_REASONS[status]}",
                    "Content-Type: application/json",
                    f"Content-Length: {len(body)}",
                    "Connection: close",
                )
                writer.write("\r\n".join((*lines, "", "")).encode() + (b"" if words[0] == "HEAD" else body))
                await writer.drain()
        writer.close()
