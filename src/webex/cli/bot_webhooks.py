"""`webex bot run --webhook`: serve the receiver of a bot's webhooks, and register them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import click

from webex.config.values import is_loopback_host, split_url
from webex.runtime.signals import handled_by_loop

if TYPE_CHECKING:
    import uvicorn

    from webex.bots import Bot

ASGI = Callable[[Any, Any, Any], Awaitable[None]]

_HOST: Final = "127.0.0.1"
_PORT: Final = 8000
_PORTS: Final = {"http": 80, "https": 443}


def webhook_url(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Return the value of --webhook; a click error for what is no URL."""
    parts = split_url(value)
    if value is not None and (parts is None or parts.scheme not in _PORTS or not parts.hostname):
        raise click.BadParameter(f"{value!r} is no whole URL, such as https://bot.example.com/webex/events.")
    return value


def listening_address(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """Return the value of --listen."""
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not port.isdecimal() or int(port) > 65535 or (colon and not host):
        raise click.BadParameter(f"{value!r} is no [HOST:]PORT.")
    return host or _HOST, int(port)


def address_text(host: str, port: int) -> str:
    """Return HOST:PORT."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def serve(bot: Bot, url: str, address: tuple[str, int] | None, secret: str | None) -> None:
    """Receive the webhooks of a bot until SIGINT or SIGTERM, then finish what is in hand.

    A click error says what keeps it from that.
    """
    parts = split_url(url)
    assert parts is not None
    _check_reachable(bot, url)
    if address is None:
        is_here = is_loopback_host(parts.hostname or "")
        address = _HOST, (parts.port or _PORTS[parts.scheme]) if is_here else _PORT
    with contextlib.closing(_bound(*address)) as listening:
        asyncio.run(_serve(bot, url, unquote(parts.path) or "/", listening, secret))


def _check_reachable(bot: Bot, url: str) -> None:
    """Raise a click error for a URL that nothing would be delivered to."""
    from webex.view import app_of

    parts = split_url(url)
    assert parts is not None
    is_here = is_loopback_host(parts.hostname or "")
    if app_of(bot.client).config.emulator_url:
        if not is_here or parts.scheme != "http":
            raise click.ClickException(
                f"The emulator delivers to this machine only, by http: --webhook http://127.0.0.1:{_PORT}/webex/events"
            )
    elif is_here:
        raise click.ClickException(
            f"Webex can't reach {parts.hostname}: give the public URL that leads to this machine, such as that of a "
            "tunnel. Without one, leave --webhook out: the bot then listens by a socket."
        )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise click.ClickException(
            f"{address_text(host, port)} can't be listened on ({error.strerror or error}): --listen names another."
        ) from None


async def _serve(bot: Bot, url: str, path: str, listening: socket.socket, secret: str | None) -> None:
    """Serve until a signal comes; one that comes before deliveries are taken ends it at once."""
    receiving = _Receiving(bot, url, path, listening)
    work = asyncio.ensure_future(receiving.run(secret))
    with handled_by_loop(lambda: receiving.end(work)), contextlib.suppress(asyncio.CancelledError):
        await work


class _Receiving:
    """A web server with the receiver of a bot at one path."""

    def __init__(self, bot: Bot, url: str, path: str, listening: socket.socket) -> None:
        self._bot, self._url, self._path, self._listening = bot, url, path, listening
        self._server: uvicorn.Server | None = None

    async def run(self, secret: str | None) -> None:
        """Register the webhooks and take deliveries, until `end`; then finish what is in hand."""
        bot = self._bot
        try:
            hooks = bot.webhooks(self._url, secret=secret or await bot.webhook_secrets())
            await hooks.reconcile(wanted=bot.webhook_events)  # deliveries wait in the socket, which listens already
            try:
                await hooks.start()
                self._server = _server(_at(self._path, hooks.asgi), max(1, int(bot.grace)))
                where = address_text(*self._listening.getsockname()[:2])
                click.echo(f"The bot takes webhooks at {where}, posted to {self._url}; Ctrl-C ends it.", err=True)
                await self._server.serve([self._listening])
            finally:
                await hooks.aclose(bot.grace)
        finally:
            await bot.aclose()

    def end(self, work: asyncio.Future[None]) -> None:
        """Take no more deliveries; when none was taken yet, end at once."""
        if self._server is None or not self._server.started:
            work.cancel()
            return
        self._server.force_exit = self._server.should_exit  # the second time
        self._server.should_exit = True


def _server(app: ASGI, seconds: int) -> uvicorn.Server:
    """Return a server that has so many seconds for open requests at its end, and leaves signals to the command."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

    options: dict[str, Any] = {"lifespan": "off", "ws": "none", "log_config": None, "access_log": False}
    return Server(uvicorn.Config(app, server_header=False, timeout_graceful_shutdown=seconds, **options))


def _at(path: str, receiver: ASGI) -> ASGI:
    """Return an app that has the receiver at this path, and nothing elsewhere."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] == path:
            await receiver(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": f"Webhooks are taken at {path}.\n".encode()})

    return app
