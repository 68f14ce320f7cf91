"""How `RedisStorage` reaches its server: from a URL, through Sentinel, or over a client that the app has.

A client that is made here repeats nothing by itself: a write whose answer was lost may have been made, and repeating it
later could put an older value over a newer one. Reads are repeated once over a new connection.
"""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast
from urllib.parse import SplitResult, unquote, urlsplit

from webex.errors import ConfigurationError, StorageError
from webex.extras import needed_by
from webex.runtime.answers import LATE
from webex.runtime.cancellation import heeding
from webex.storage.per_loop import PerLoop, PerProcess
from webex.storage.redis_notifications import subscribed
from webex.storage.redis_scripts import Script
from webex.storage.wrappers import settle

__all__ = ["Address", "Command", "Opened", "Server", "is_asynchronous_client", "is_cluster", "parse_address"]

Command = tuple[Any, ...]

_SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
    "sentinel": "redis",
    "sentinels": "rediss",
}
_PAUSE: Final = 0.005  # seconds between looks for a free connection
_SENTINEL_PORT: Final = 26379
_EXAMPLE: Final = "RedisStorage('redis://localhost:6379/0')"

# What went wrong, by the name of the exception's class: redis-py and Valkey's client use the same names.
_REASONS: Final = (
    (("MaxConnectionsError",), "has no connection left for us: raise max_connections"),
    (("TimeoutError",), "did not answer in time"),
    (("AuthenticationError", "AuthorizationError"), "refused the user name or password"),
    (("NoPermissionError",), "does not permit this user what the storage needs"),
    (("ReadOnlyError",), "is a replica that can't be written: address the primary, or use Sentinel"),
    (("OutOfMemoryError",), "has no memory left (maxmemory)"),
    (("BusyLoadingError",), "is still loading its data"),
    (("ConnectionError", "OSError"), "can't be reached"),
)


class Address(NamedTuple):
    """Where a server is: what can be shown, and what redis-py needs."""

    shown: str
    url: str
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""


@dataclass(slots=True)
class Opened:
    """A client of redis-py, and whether the layout of the keys was compared with ours."""

    client: Any
    checked: bool = False


def parse_address(url: str) -> Address:
    """Read a URL; `ConfigurationError` says what is wrong with it, without its password."""
    try:
        parts = urlsplit(url)
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None:
            raise ConfigurationError(
                f"RedisStorage takes a URL that begins with redis://, rediss:// (TLS), unix:// or sentinel://, not "
                f"with {parts.scheme + '://' if parts.scheme else 'no scheme'}: {_EXAMPLE}"
            )
        if parts.scheme.startswith("sentinel"):
            return _sentinel_address(parts, scheme)
        place = parts.path if scheme == "unix" else f"{_host(parts.hostname)}:{parts.port or 6379}"
    except ValueError:
        raise ConfigurationError(f"the URL of RedisStorage can't be read: it looks like {_EXAMPLE}") from None
    shown = f"{parts.scheme}://{place}" + ("" if scheme == "unix" else parts.path.rstrip("/"))
    return Address(shown, scheme + url[len(parts.scheme) :])


def _sentinel_address(parts: SplitResult, scheme: str) -> Address:
    service, _, database = parts.path.strip("/").partition("/")
    login, _, hosts = parts.netloc.rpartition("@")
    if not service or not hosts:
        raise ConfigurationError(
            "a sentinel:// URL names the sentinels and the service: sentinel://one:26379,two:26379/mymaster/0"
        )
    sentinels = []
    for host in hosts.split(","):
        one = urlsplit(f"//{host}")
        sentinels.append((one.hostname or "localhost", one.port or _SENTINEL_PORT))
    query = f"?{parts.query}" if parts.query else ""
    url = f"{scheme}://{login + '@' if login else ''}localhost/{database or 0}{query}"
    names = ",".join(f"{_host(host)}:{port}" for host, port in sentinels)
    return Address(f"{parts.scheme}://{names}/{service}", url, tuple(sentinels), unquote(service))


def _host(host: str | None) -> str:
    return f"[{host}]" if host and ":" in host else host or "localhost"


def is_asynchronous_client(client: object) -> bool:
    """Return whether a client, or a pool of connections, is one of event-loop style."""
    execute = getattr(client, "execute_command", None)
    if execute is not None:
        return inspect.iscoroutinefunction(execute)
    return any(".asyncio" in base.__module__ for base in type(client).__mro__)


def is_cluster(client: object) -> bool:
    """Return whether a client speaks to a cluster."""
    return any(base.__name__ in {"RedisCluster", "ValkeyCluster"} for base in type(client).__mro__)


def shown_client(client: Any) -> str:
    """Return where a client connects to, as far as it says."""
    pool = getattr(client, "connection_pool", None)
    settings = getattr(pool, "connection_kwargs", None) or {}
    if service := getattr(pool, "service_name", None):
        return f"sentinel service {service}"
    if path := settings.get("path"):
        return f"unix://{path}"
    if settings.get("host"):
        return f"redis://{_host(settings['host'])}:{settings.get('port', 6379)}/{settings.get('db', 0)}"
    return "a cluster" if is_cluster(client) else "a server"


def from_pool(given: Any) -> Any:
    """Return a client: the given one, or one over the given pool."""
    if hasattr(given, "execute_command"):
        return given
    if not hasattr(given, "get_connection"):
        raise ConfigurationError(
            f"RedisStorage takes a URL, a client of redis-py or a pool of its connections, not "
            f"{type(given).__name__}: {_EXAMPLE}"
        )
    with needed_by("RedisStorage over a pool"):
        import redis
        import redis.asyncio
    return (
        redis.asyncio.Redis(connection_pool=given)
        if is_asynchronous_client(given)
        else redis.Redis(connection_pool=given)
    )


def open_client(address: Address, *, asynchronous: bool, timeout: float, max_connections: int) -> Any:
    """Make a client for one process (and event loop). It connects at its first command."""
    with needed_by("RedisStorage"):
        import redis.asyncio.connection
        import redis.asyncio.retry
        import redis.asyncio.sentinel
        import redis.backoff
        import redis.retry
        import redis.sentinel
    kind: Any = redis.asyncio if asynchronous else redis
    retry = (redis.asyncio.retry if asynchronous else redis.retry).Retry(redis.backoff.NoBackoff(), 0)
    options: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": retry}
    try:
        if address.sentinels:
            options |= kind.connection.parse_url(address.url)
            options.pop("host", None)
            login: dict[str, Any] = {
                name: options[name] for name in ("ssl_ca_certs", "ssl_cert_reqs") if name in options
            }
            if options.pop("connection_class", None) is not None:
                options["ssl"] = True
                login["ssl"] = True
            sentinel = kind.sentinel.Sentinel(
                address.sentinels,
                sentinel_kwargs={"socket_timeout": timeout, "socket_connect_timeout": timeout, **login},
            )
            client = sentinel.master_for(address.service, **options)
        else:
            pool = kind.BlockingConnectionPool.from_url(
                address.url, max_connections=max_connections, timeout=timeout, **options
            )
            client = kind.Redis(connection_pool=pool)
    except (ValueError, TypeError):
        raise _not_understood(address) from None
    if asynchronous:  # a blocking socket gives what has come, however late
        from webex.storage.redis_patience import read_answers_late

        read_answers_late(client)
    return client


def check_client(client: Any, address: Address) -> None:
    """Refuse a URL with options that a connection does not take, before the first one is made."""
    pool = client.connection_pool
    try:
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, AttributeError):
        raise _not_understood(address) from None


def _not_understood(address: Address) -> ConfigurationError:
    return ConfigurationError(
        f"redis-py does not understand the URL of RedisStorage ({address.shown}); it looks like {_EXAMPLE}"
    )


async def close_client(client: Any) -> None:
    """Close a client and its pool."""
    pool = client.connection_pool
    if is_asynchronous_client(client):
        await client.aclose()
        await pool.disconnect()
    else:
        client.close()
        pool.disconnect()


class Server:
    """One way to the server: commands, pipelines and scripts, with errors of ours.

    `kept` gives the client of the present process (and event loop). Before its first command the `layout` of the keys
    is compared with the one that is stored there under `layout_key`.
    """

    def __init__(
        self,
        shown: str,
        kept: PerLoop[Opened] | PerProcess[Opened] | Opened,
        *,
        layout: str,
        layout_key: str,
        timeout: float,
        blocking: bool,
        open_listener: Callable[[], Any] | None = None,
    ) -> None:
        self.shown = shown
        self._open_listener = open_listener  # a client beside the kept one; without, the kept one listens too
        self._timeout, self._blocking = timeout, blocking
        self._kept = kept
        self._layout, self._layout_key = layout, layout_key

    async def command(self, *command: Any, again: bool = False) -> Any:
        """Send one command; one that only reads may be sent `again` when the connection was cut."""
        opened = await self._opened()
        return await self._tried(lambda: opened.client.execute_command(*command), again=again)

    async def pipeline(self, commands: Sequence[Command], *, again: bool = False) -> list[Any]:
        """Send commands in one trip, and return the answers in their order."""
        return self._answers(await self._answered(commands, again=again))

    async def script(self, script: Script, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a script, by its digest where the server knows it."""
        return (await self.scripts(script, [(keys, arguments)], again=False))[0]

    async def scripts(
        self, script: Script, steps: Sequence[tuple[Sequence[str], Sequence[Any]]], *more: Command, again: bool
    ) -> list[Any]:
        """Run one script many times in one trip, and after that `more` on the same connection."""

        def commands(verb: str, what: str) -> list[Command]:
            return [*((verb, what, len(keys), *keys, *arguments) for keys, arguments in steps), *more]

        answers = await self._answered(commands("EVALSHA", script.sha), again=again)
        if any(_is_kind(answer, "NoScriptError") for answer in answers):  # then none of them was run
            answers = await self._answered(commands("EVAL", script.text), again=again)
        return self._answers(answers)

    async def scan(self, pattern: str) -> AsyncIterator[str]:
        """Give the names of all keys of the server, or of all servers of the cluster, that match."""
        opened = await self._opened()
        names = opened.client.scan_iter(match=pattern, count=1000)
        try:
            if hasattr(names, "__aiter__"):
                async for name in names:
                    yield name.decode() if isinstance(name, bytes) else name
                return
            for name in names:
                yield name.decode() if isinstance(name, bytes) else name
        except Exception as error:
            raise self._typed(error) from _harmless(error)

    async def listen(self, channel: str) -> AsyncGenerator[str | None, None]:
        """Give what is published on a channel, and None when listening has begun; the connection is closed then."""
        kept = (await self._opened()).client
        own = self._open_listener() if self._open_listener is not None else None
        try:
            async with aclosing(subscribed(own or kept, channel, self._timeout)) as messages:
                async for message in messages:
                    yield None if message is None else _text(message)
        except Exception as error:
            raise self._typed(error) from _harmless(error)
        finally:
            if own is not None:
                await close_client(own)

    async def time(self) -> tuple[int, int]:
        """Return the server's time: seconds since the epoch, and microseconds."""
        await self._need_one_server()
        seconds, microseconds = await self.command("TIME", again=True)
        return int(seconds), int(microseconds)

    async def setting(self, name: str) -> dict[str, str]:
        """Return a setting of the server by its name; `StorageError` where that is not permitted."""
        await self._need_one_server()
        found = await self.command("CONFIG GET", name, again=True)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {_text(key): _text(value) for key, value in pairs}

    async def _need_one_server(self) -> None:
        if is_cluster((await self._opened()).client):
            raise StorageError(f"Redis at {self.shown} is a cluster: each of its servers has a clock and settings")

    async def close(self) -> None:
        """Close what was opened here in this process (and event loop)."""
        if isinstance(self._kept, PerProcess):
            self._kept.close()
        elif isinstance(self._kept, PerLoop):
            await self._kept.aclose()

    async def _opened(self) -> Opened:
        kept = self._kept
        opened = kept if isinstance(kept, Opened) else await settle(kept.get())
        if not opened.checked:
            await self._compare_layout(opened.client)
            opened.checked = True
        return opened

    async def _compare_layout(self, client: Any) -> None:
        found = await self._tried(lambda: client.execute_command("GET", self._layout_key), again=True)
        if found is None:
            await self._tried(lambda: client.execute_command("SET", self._layout_key, self._layout, "NX"))
            found = await self._tried(lambda: client.execute_command("GET", self._layout_key), again=True)
        stored = found.decode() if isinstance(found, bytes) else found
        if stored != self._layout:
            raise ConfigurationError(
                f"Redis at {self.shown} holds keys of this prefix that were laid out as {stored!r}, and this storage "
                f"is set to {self._layout!r} (format, buckets): give all of them the same buckets=, or another prefix="
            )

    async def _answered(self, commands: Sequence[Command], *, again: bool) -> list[Any]:
        """Return the answers to several commands; what the server refused is an exception among them."""
        client = (await self._opened()).client
        if len(commands) == 1:
            return [await self._tried(lambda: client.execute_command(*commands[0]), again=again, refusals=True)]

        def send() -> Any:
            pipeline = client.pipeline(**({} if is_cluster(client) else {"transaction": False}))
            for command in commands:
                pipeline.execute_command(*command)
            return pipeline.execute(raise_on_error=False)

        return cast(list[Any], await self._tried(send, again=again))

    def _answers(self, answers: list[Any]) -> list[Any]:
        for answer in answers:
            if isinstance(answer, Exception):
                raise self._typed(answer) from _harmless(answer)
        return answers

    async def _tried(self, send: Callable[[], Any], *, again: bool = False, refusals: bool = False) -> Any:
        give_up: float | None = None
        stood_still = False
        while True:
            began = time.monotonic()
            try:
                work = settle(send())
                return await (work if self._blocking else heeding(work))
            except Exception as error:
                if refusals and _is_kind(error, "ResponseError"):
                    return error
                if _is_kind(error, "MaxConnectionsError"):  # nothing was sent: wait for one of the pool
                    now = time.monotonic()
                    give_up = give_up or now + self._timeout
                    if now < give_up:
                        await self._pause(_PAUSE)
                        continue
                if not stood_still and _is_pool_empty(error) and time.monotonic() > began + self._timeout + LATE:
                    stood_still = True  # this process, and with it those that have the connections
                    continue
                if not again or not _is_kind(error, "ConnectionError"):
                    raise self._typed(error) from _harmless(error)
                again = False

    async def _pause(self, seconds: float) -> None:
        seconds *= random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret
        if self._blocking:
            time.sleep(seconds)  # noqa: ASYNC251  # driven without an event loop
        else:
            await asyncio.sleep(seconds)

    def _typed(self, error: Exception) -> Exception:
        if isinstance(error, StorageError | ConfigurationError):
            return error
        text = str(error)
        if _is_pool_empty(error):
            return StorageError(f"Redis at {self.shown} has no connection left for us: raise max_connections")
        for kinds, reason in _REASONS:
            if _is_kind(error, *kinds):
                return StorageError(f"Redis at {self.shown} {reason} ({type(error).__name__})")
        code = text.partition(" ")[0]
        told = code if code.isalpha() and code.isupper() else type(error).__name__
        return StorageError(f"Redis at {self.shown} refused a command ({told})")


def _is_pool_empty(error: Exception) -> bool:
    """Whether no connection of the pool became free in time: nothing was sent."""
    return _is_kind(error, "ConnectionError") and "No connection available" in str(error)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _harmless(error: Exception) -> Exception | None:
    """Return the error when its text may be shown: what a server refuses may repeat the arguments of the command."""
    return error if _is_kind(error, "ConnectionError", "TimeoutError", "OSError", "ImportError") else None


def _is_kind(error: BaseException | None, *names: str) -> bool:
    return any(base.__name__ in names for base in type(error).__mro__)


def discard_client(opened: Opened) -> None:
    """Let go of a client whose event loop was closed before it: only its sockets are left to close."""
    pool = getattr(opened.client, "connection_pool", None)
    for name in ("_available_connections", "_in_use_connections"):
        for connection in list(getattr(pool, name, ())):
            writer = getattr(connection, "_writer", None)
            if writer is not None:
                connection._writer = connection._reader = None  # noqa: SLF001  # nothing public lets go of it
                _close_socket(writer)


def _close_socket(writer: asyncio.StreamWriter) -> None:
    import warnings

    with warnings.catch_warnings():  # the transport would say that it was not closed, which its loop can't do any more
        warnings.simplefilter("ignore", ResourceWarning)
        transport: Any = writer.transport
        inner = getattr(transport, "_ssl_protocol", None)
        inner = getattr(inner, "_transport", None) or transport
        sock = getattr(inner, "_sock", None)
        if sock is not None:
            sock.close()
            # Nothing public lets go of it; without `_closing` it is told once more that the loop is closed.
            inner._sock, inner._closing = None, True  # noqa: SLF001  # see above
