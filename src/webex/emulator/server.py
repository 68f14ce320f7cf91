"""The cloud on a socket: uvicorn's HTTP and websocket protocols on an event loop of its own.

uvicorn's `Server` looks ten times a second whether it should end, and sleeps while it does; a test suite starts and
stops hundreds of clouds, so the loop around the protocol is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import ssl

    from webex.emulator.cloud import Cloud


class PortInUseError(OSError):
    """The port that was asked for cannot be had."""


@dataclass(frozen=True)
class Listener:
    """A socket that listens, and the certificate it shows (none: plain http)."""

    socket: socket.socket
    tls: ssl.SSLContext | None = None

    @property
    def port(self) -> int:
        """Return the port that was taken."""
        return int(self.socket.getsockname()[1])


def listen(host: str, port: int, tls: ssl.SSLContext | None = None) -> Listener:
    """Take a port; 0 takes a free one. `PortInUseError` when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on each accepted connection; without it an answer in two
    # segments waits about 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise PortInUseError(
            error.errno,
            f"The emulator cannot listen on {host} port {port}: {error.strerror or error}. "
            "Choose another port, or 0 for a free one.",
        ) from error
    return Listener(listener, tls)


async def serve(cloud: Cloud, listeners: list[Listener], stop: asyncio.Event, ready: threading.Event) -> None:
    """Serve a cloud until `stop` is set; sets `ready` once connections are taken."""
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import ServerState

    from webex.emulator.realtime.websocket import QuietWebSocket

    config = uvicorn.Config(
        cast(Any, cloud.app),
        http=H11Protocol,
        ws=QuietWebSocket,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()

    def protocol() -> asyncio.Protocol:
        connection = H11Protocol(config=config, server_state=state, app_state={"webex.stop": stop}, _loop=loop)
        connection.access_log = False  # its lines hold whole URLs, and those hold codes and tokens
        return connection

    servers = [
        await loop.create_server(protocol, sock=listener.socket, ssl=listener.tls, backlog=2048)
        for listener in listeners
    ]
    ready.set()
    try:
        await stop.wait()
    finally:
        for server in servers:
            server.close()
        for connection in list(state.connections):
            connection.shutdown()
        tasks = list(state.tasks)
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=0.5)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)


class ServerThread:
    """Serves a cloud from a thread until `stop`."""

    def __init__(self, cloud: Cloud, listeners: list[Listener]) -> None:
        self._cloud, self._listeners = cloud, listeners
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="webex-emulator", daemon=True)

    def start(self) -> None:
        """Serve; returns when connections are taken."""
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise RuntimeError("The emulator could not start.") from self._failure

    def stop(self) -> None:
        """End every connection and wait for the thread."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)
        for listener in self._listeners:
            listener.socket.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(self._cloud, self._listeners, self._stop, self._ready)
