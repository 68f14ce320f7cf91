"""A storage in Redis or Valkey, shared by any number of hosts: alone, with replicas, behind Sentinel, or as a cluster.

Everything that one step reads and writes is in one slot: the keys of a person share a hash tag, one of `buckets` many.
Each write is a Lua script, so that value, version, expiry and index change together. Values and leases expire by the
server's clock. Versions and fencing tokens are random, because a counter comes round again when a failover loses the
last writes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from webex.errors import ConfigurationError, StorageError
from webex.extras import require
from webex.runtime import drive
from webex.storage.codec import check_duration, check_text
from webex.storage.per_loop import PerLoop, PerProcess
from webex.storage.protocol import Binding, Capabilities
from webex.storage.redis_binding import Confirmation, Layout, RedisAsyncBinding, text_of
from webex.storage.redis_server import (
    Opened,
    Server,
    check_client,
    close_client,
    discard_client,
    from_pool,
    is_asynchronous_client,
    is_cluster,
    open_client,
    parse_address,
    shown_client,
)
from webex.storage.server_facts import ServerFacts
from webex.storage.wrappers import BlockingWrapper

__all__ = ["RedisStorage"]

_FORMAT = 1
_MOST_BUCKETS = 16384
_DURABILITY = ("appendonly", "appendfsync", "save", "maxmemory-policy")


class RedisStorage:
    """Values in the Redis or Valkey server at a URL, or over a client or pool of redis-py that the app has.

    URLs: `redis://`, `rediss://` (TLS), `unix://`, `valkey://`, `valkeys://`, and `sentinel://one:26379,two/mymaster/0`
    (`sentinels://` with TLS). Of a URL both styles are served, each with its own pool of at most `max_connections` for
    a process (and event loop), opened at the first call; `close()` or `aclose()` closes it, and a later call opens it
    again. A blocking client serves blocking style, and event-loop style in worker threads; an asynchronous client
    serves event-loop style only; `async_client` beside a blocking one serves both. What is given is never closed here.

    - `prefix` is what all keys begin with. `buckets` is the number of hash tags that people are spread over; it can't
      be changed later, and a storage with another number is refused.
    - `durable` says whether this server survives a power failure (`appendonly yes`): it is told, not found out.
    - `wait_replicas` is how many replicas must confirm each durable write within `wait_timeout` seconds; with fewer
      the call raises `StorageError`, although the write was made.
    - `timeout` is the seconds for a connection, an answer, or a free connection of the pool.

    Needs `pip install 'webex[redis]'`. `ConfigurationError` for what can't be a server; `StorageError` names the server
    and never a password.
    """

    def __init__(
        self,
        server: Any,
        async_client: Any = None,
        *,
        prefix: str = "webex",
        buckets: int = 256,
        durable: bool = False,
        wait_replicas: int = 0,
        wait_timeout: float = 1.0,
        timeout: float = 5.0,
        max_connections: int = 50,
    ) -> None:
        _check_settings(prefix, buckets, wait_replicas, max_connections)
        check_duration(wait_timeout, "wait_timeout")
        check_duration(timeout, "timeout")
        self.capabilities: Capabilities = Capabilities(
            ttl=True,
            scan=True,
            compare_and_swap=True,
            lease=True,
            durable=durable,
            shared=True,
            bulk=True,
            relaxed=True,
            loops=isinstance(server, str),
            notifications=not (is_cluster(server) or is_cluster(async_client)),
        )
        self._layout = Layout(prefix, buckets)
        self._confirmation = Confirmation(wait_replicas, wait_timeout)
        self._settings: dict[str, Any] = {
            "prefix": prefix,
            "buckets": buckets,
            "durable": durable,
            "wait_replicas": wait_replicas,
            "wait_timeout": wait_timeout,
            "timeout": timeout,
            "max_connections": max_connections,
        }
        self._url: str | None = None
        self._blocking: Server | None = None
        self._event_loop: Server | None = None
        if not isinstance(server, str):
            self._from_clients(server, async_client)
        elif async_client is None:
            self._from_url(server, timeout, max_connections)
        else:
            raise ConfigurationError("RedisStorage takes a URL, which serves both styles, or clients: not both")
        self._serve()

    def bind(self, namespace: str) -> Binding:
        """Return the namespace; with an asynchronous client only, its methods are `async def`."""
        if self._blocking is None:
            return self._bind_async(namespace)
        binding = RedisAsyncBinding(self._blocking, self._layout, namespace, self._confirmation, blocking=True)
        return BlockingWrapper(binding)

    def namespaces(self) -> Any:
        """Return the names of all namespaces that hold something."""
        return self._in_style(self._namespaces)

    def server_facts(self) -> Any:
        """Return the server's clock and the settings of its durability, as `ServerFacts`; in the style of `bind`.

        The settings are empty where the server does not permit `CONFIG`, as managed ones often do not. Raises
        `StorageError` when it can't be reached, and over a cluster, whose servers each have their own.
        """
        return self._in_style(self._server_facts)

    def repair(self) -> Any:
        """Make the index true again, from which `keys` lists; how many keys that changed.

        It needs this only where something else removed or restored keys: an eviction (`maxmemory-policy` other than
        `noeviction`), `DEL` by hand, a partial restore. It walks all keys of the server with `SCAN` while others work.
        With `async_client` or an event loop use `await arepair()`.
        """
        return self._in_style(self._repair)

    async def arepair(self) -> int:
        """Do what `repair` does, in event-loop style."""
        return await self._repair(self._need_event_loop())

    def close(self) -> None:
        """Close the blocking connections that were opened here. Safe to call twice; a later call opens them again."""
        if self._blocking is not None:
            drive(self._blocking.close())

    async def aclose(self) -> None:
        """Close what was opened here in this event loop, and the blocking connections."""
        if self._event_loop is not None:
            await self._event_loop.close()
        self.close()

    def __enter__(self) -> RedisStorage:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> RedisStorage:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __reduce__(self) -> tuple[Callable[[], RedisStorage], tuple[()]]:
        if self._url is None:
            raise TypeError("a RedisStorage over a client can't be pickled: make it from a URL")
        return partial(RedisStorage, self._url, **self._settings), ()

    def __repr__(self) -> str:
        server = self._blocking or self._need_event_loop()
        return f"RedisStorage({server.shown!r}, prefix={self._layout.prefix!r})"

    def _serve(self) -> None:
        self.asynchronous: bool = self._blocking is None
        if self._event_loop is not None and not self.asynchronous:
            self.bind_async: Callable[[str], Binding] = self._bind_async
            self.namespaces_async: Callable[[], Awaitable[list[str]]] = partial(self._namespaces, self._event_loop)

    def _from_url(self, url: str, timeout: float, max_connections: int) -> None:
        address = parse_address(url)
        require("RedisStorage", "redis")
        self._url = url
        make = partial(open_client, address, timeout=timeout, max_connections=max_connections)
        check_client(make(asynchronous=False), address)

        async def close(opened: Opened) -> None:
            await close_client(opened.client)

        self._blocking = self._server(
            address.shown,
            PerProcess(lambda: Opened(make(asynchronous=False)), lambda opened: drive(close(opened))),
            blocking=True,
        )
        self._event_loop = self._server(
            address.shown,
            PerLoop(lambda: Opened(make(asynchronous=True)), close, discard_client),
            blocking=False,
            open_listener=lambda: make(asynchronous=True),
        )

    def _from_clients(self, given: Any, async_client: Any) -> None:
        client = from_pool(given)
        clients = {is_asynchronous_client(client): client}
        if async_client is not None:
            second = from_pool(async_client)
            if is_asynchronous_client(client) or not is_asynchronous_client(second):
                raise ConfigurationError("of the two clients of RedisStorage the first is blocking, the second is not")
            clients[True] = second
        if self._confirmation.replicas and any(map(is_cluster, clients.values())):
            raise ConfigurationError("wait_replicas can't be used over a cluster: its client has no WAIT for one key")
        if False in clients:
            self._blocking = self._server(shown_client(clients[False]), Opened(clients[False]), blocking=True)
        if True in clients:
            self._event_loop = self._server(shown_client(clients[True]), Opened(clients[True]), blocking=False)

    def _server(
        self,
        shown: str,
        kept: PerLoop[Opened] | PerProcess[Opened] | Opened,
        *,
        blocking: bool,
        open_listener: Callable[[], Any] | None = None,
    ) -> Server:
        return Server(
            shown,
            kept,
            layout=f"{_FORMAT} {self._layout.buckets}",
            layout_key=f"{self._layout.prefix}:layout",
            timeout=self._settings["timeout"],
            blocking=blocking,
            open_listener=open_listener,
        )

    def _bind_async(self, namespace: str) -> Binding:
        server = self._need_event_loop()
        return RedisAsyncBinding(server, self._layout, namespace, self._confirmation, blocking=False)

    def _need_event_loop(self) -> Server:
        if self._event_loop is None:
            raise ConfigurationError("this RedisStorage has a blocking client only: give it a URL, or async_client=")
        return self._event_loop

    def _in_style(self, work: Callable[[Server], Any]) -> Any:
        return work(self._need_event_loop()) if self._blocking is None else drive(work(self._blocking))

    async def _namespaces(self, server: Server) -> list[str]:
        commands = [("SMEMBERS", self._layout.key("n", bucket)) for bucket in range(self._layout.buckets)]
        answers = await server.pipeline(commands, again=True)
        escaped = {text_of(name) for names in answers for name in names}
        return sorted(name.replace("%3A", ":").replace("%25", "%") for name in escaped)

    async def _server_facts(self, server: Server) -> ServerFacts:
        seconds, microseconds = await server.time()
        settings: dict[str, str] = {}
        for name in _DURABILITY:
            with suppress(StorageError):  # CONFIG is forbidden, or renamed
                settings |= await server.setting(name)
        return ServerFacts("redis", seconds + microseconds / 1e6, settings)

    async def _repair(self, server: Server) -> int:
        changed = 0
        for name in await self._namespaces(server):  # keys that are listed, and have no value
            binding = RedisAsyncBinding(server, self._layout, name, self._confirmation, blocking=False)
            async for page in binding.keys():
                for key in page:
                    changed += await binding.repair(self._layout.bucket(key), key)
        start = f"{self._layout.prefix}:{{b"
        async for found in server.scan(f"{_pattern(start)}*}}:v:*"):  # values that are not listed
            bucket, _, rest = found[len(start) :].partition("}:v:")
            escaped, _, key = rest.partition(":")
            namespace = escaped.replace("%3A", ":").replace("%25", "%")
            binding = RedisAsyncBinding(server, self._layout, namespace, self._confirmation, blocking=False)
            if bucket.isdigit():
                changed += await binding.repair(int(bucket), key)
        return changed


def _pattern(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "*?[]^-\\" else letter for letter in text)


def _check_settings(prefix: str, buckets: int, wait_replicas: int, max_connections: int) -> None:
    check_text(prefix, "prefix")
    if not prefix or any(letter in prefix for letter in "{}"):
        raise ConfigurationError("the prefix of RedisStorage is text without braces, of at least one character")
    for name, value, least, most in (
        ("buckets", buckets, 1, _MOST_BUCKETS),
        ("wait_replicas", wait_replicas, 0, 100),
        ("max_connections", max_connections, 1, 100_000),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigurationError(f"{name} of RedisStorage is a whole number from {least} to {most}, not {value!r}")
