"""An HTTP proxy that writes down what it is asked, and leads every host name to one place on this machine."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


@dataclass
class Asked:
    """One request to the proxy: its first line and its headers, whose names are lower case."""

    method: str
    target: str
    headers: dict[str, str] = field(repr=False)


class RecordingProxy:
    """Serves CONNECT through `tls_port` and absolute-form requests through `port`, on threads of its own."""

    def __init__(self, port: int, tls_port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self._ports = {"http": port, "https": tls_port}
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def url(self, user: str = "") -> str:
        """The proxy's URL, with credentials."""
        return f"{'https' if self._tls else 'http'}://{user + '@' if user else ''}127.0.0.1:{self.port}"

    @property
    def tunnels(self) -> list[str]:
        """Where tunnels were asked to."""
        return [each.target for each in self.asked if each.method == "CONNECT"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            self._open.append(client)
            data = b""
            while b"\r\n\r\n" not in data:
                piece = client.recv(65536)
                if not piece:
                    return
                data += piece
            head, _, rest = data.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ", 2)
            pairs = [line.partition(":") for line in lines]
            self.asked.append(Asked(method, target, {name.lower(): value.strip() for name, _, value in pairs}))
            try:
                port = self._ports["https" if method == "CONNECT" else "http"]
                upstream = socket.create_connection(("127.0.0.1", port))
            except OSError:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                client.shutdown(socket.SHUT_RDWR)
                return
            self._open.append(upstream)
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                parts = urlsplit(target)
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
                upstream.sendall(
                    "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "connection: close", "", ""]).encode()
                )
            upstream.sendall(rest)
            threading.Thread(target=_copy, args=(upstream, client), daemon=True).start()
            _copy(client, upstream)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
