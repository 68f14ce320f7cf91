"""Share what all connections of an app have in common: timer wheel, TLS, content keys, catalogs. One per event loop."""

from __future__ import annotations

import asyncio
import logging
import ssl
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Unpack

from webex.encryption.keys import KeyRing
from webex.errors import ConfigurationError, DecodeError, NotSignedInError, RealtimeError
from webex.realtime.mercury.timers import TimerWheel
from webex.realtime.options import ListenOptions, check_resources, split_options
from webex.realtime.pace import Turns
from webex.realtime.records import DEFAULT_NAME
from webex.realtime.subscription import Subscription
from webex.realtime.user_connection import UserConnection
from webex.realtime.watch import Watch
from webex.services import Catalog, fetch_catalog
from webex.storage.access import StorageAccess
from webex.storage.encrypted import EncryptedStorage

if TYPE_CHECKING:
    from webex.config import Config
    from webex.http.pipeline import Pipeline
    from webex.http.types import TokenSource
    from webex.runtime.protocol import Runtime
    from webex.services import Services
    from webex.storage import StorageSet

_logger = logging.getLogger("webex.realtime")

_MOST_IDLE: Final = 1_000  # listeners that do not listen


class ConnectionManager:
    """Make and keep the connections of one app in one event loop."""

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        pipeline: Pipeline,
        services: Services,
        storage: StorageSet,
        now: Callable[[], float],
    ) -> None:
        if runtime.style != "async":
            raise ConfigurationError("Listening needs an event loop; use AsyncWebex, or Webex.listen().")
        self.config: Config = config
        self.runtime: Runtime = runtime
        self.pipeline: Pipeline = pipeline
        self._services = services
        self.now = now
        self.kms_roots: tuple[bytes, ...] = config.kms_roots
        self.storage: StorageAccess = StorageAccess(storage.bounded, runtime)
        self.durable: bool = is_durable(storage.bounded)
        encrypted = isinstance(storage.unbounded, EncryptedStorage)
        self.key_storage: StorageAccess | None = StorageAccess(storage.unbounded, runtime) if encrypted else None
        self.keys: KeyRing = KeyRing()
        self.wheel: TimerWheel = TimerWheel()
        self.watch: Watch = Watch(self)
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._turns: dict[float, Turns] = {}
        self._tls: ssl.SSLContext | None = None
        self._catalogs: dict[str, Catalog] = {}
        self._failed_hosts: set[str] = set()
        self._fetching: dict[str, asyncio.Task[Catalog]] = {}
        self._connections: dict[tuple[Any, str], UserConnection] = {}
        self._senders: dict[Any, UserConnection] = {}
        self._ending: set[UserConnection] = set()  # dropped, and still to be closed
        self.watched: Counter[tuple[Any, str]] = Counter()  # (user, person) → subscriptions to the presence of a person

    # Listening

    def listen(
        self,
        tokens: TokenSource,
        resources: Collection[str],
        **options: Unpack[ListenOptions],
    ) -> Subscription[Any]:
        """Return a subscription; those of the same user and device share one connection."""
        of_subscription, device_name, of_connection = split_options(options)
        listener = self.connection_of(tokens, device_name, of_connection)
        return Subscription(listener, check_resources(resources), **of_subscription)

    def sender(self, tokens: TokenSource) -> UserConnection:
        """Return a connection to send by: one that listens, or one with a device of its own that takes no events."""
        owner = self.owner_of(tokens)
        for (whose, _), listener in self._connections.items():
            if whose == owner and listener.dispatcher.subscriptions:
                return listener
        sender = self._senders.get(owner)
        if sender is None:
            sender = self._senders[owner] = UserConnection(
                self, tokens, tokens.key, f"{DEFAULT_NAME}-sender", sending=True
            )
        return sender

    def connection_of(self, tokens: TokenSource, device_name: str, options: dict[str, Any]) -> UserConnection:
        """Return the connection of one user under one device name."""
        key = (self.owner_of(tokens), device_name)
        listener = self._connections.get(key)
        if listener is not None and listener.is_running:
            for name, value in options.items():
                if value != (present := getattr(listener.options, name)):
                    raise ConfigurationError(
                        f"This person listens already under the device name {device_name!r}, with {name}={present!r}, "
                        f"not {value!r}. Give the same options, or a device_name of its own."
                    )
        elif listener is None or any(value != getattr(listener.options, name) for name, value in options.items()):
            listener = UserConnection(self, tokens, tokens.key, device_name, **options)
            self._connections[key] = listener
            self._forget_idle()
        return listener

    def owner_of(self, tokens: TokenSource) -> Any:
        """Return what the connections of one user have in common: the app's key, else the token source."""
        key = tokens.key
        return key if key is not None else id(tokens)  # the listener holds the source, so that its id stays its own

    def _forget_idle(self) -> None:
        """Keep the connections that are open, and the last ones that were."""
        idle = [key for key, listener in self._connections.items() if not listener.is_running]
        for key in idle[: max(len(idle) - _MOST_IDLE, 0)]:
            del self._connections[key]

    def listeners(self) -> list[UserConnection]:
        """Return all connections, open or not."""
        return [*self._connections.values(), *self._senders.values(), *self._ending]

    @contextmanager
    def dropped(self, listener: UserConnection) -> Iterator[None]:
        """Close a connection in this block while the next use makes a new one; a sign-out still finds it."""
        self.drop(listener)
        self._ending.add(listener)
        try:
            yield
        finally:
            self._ending.discard(listener)

    def drop(self, listener: UserConnection) -> None:
        """Forget a connection; the next use makes a new one."""
        for made in (self._connections, self._senders):
            for key in [key for key, each in made.items() if each is listener]:
                del made[key]

    async def sign_out(self, user: TokenSource | str, token: str | None, seconds: float) -> None:
        """End what listens or sends for a user (key, or token source), and delete its devices while `token` works."""
        key = user if isinstance(user, str) else None
        owner = user if isinstance(user, str) else self.owner_of(user)
        ended = [each for (whose, _), each in self._connections.items() if whose == owner]
        ended += [each for whose, each in self._senders.items() if whose == owner]
        ended += [each for each in self._ending if self.owner_of(each.tokens) == owner]
        error = NotSignedInError("This user was signed out.", user_key=key)
        for listener in ended:
            self.drop(listener)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(each.sign_out(error, token) for each in ended), return_exceptions=True)
        except TimeoutError:
            _logger.warning("sockets of a user who was signed out are still being closed")

    async def aclose(self) -> None:
        """Close every connection; callers that wait for an event get a `RealtimeError`."""
        error = RealtimeError("The client was closed.")
        await self.watch.close()
        await asyncio.gather(*(listener.stop(error) for listener in self.listeners()), return_exceptions=True)
        self._connections.clear()
        self._senders.clear()
        self.wheel.close()

    # What is shared

    async def turn_to_connect(self, per_second: float) -> None:
        """Return when one more connection may be made; all that share the limit wait for each other. 0: at once."""
        if per_second:
            await self._turns.setdefault(per_second, Turns(per_second)).next()

    @property
    def tls(self) -> ssl.SSLContext:
        """One TLS context for all sockets."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
            if self.config.ca_bundle is not None:
                self._tls.load_verify_locations(self.config.ca_bundle)
        return self._tls

    async def catalog_for(self, tokens: TokenSource) -> Catalog:
        """Return the catalog of a user's organization; users of one organization share it."""
        from webex.auth.orgs import org_id_of

        try:
            org = org_id_of(await tokens.access_token())
        except DecodeError:  # a token that does not tell, such as an opaque one of a test or a proxy
            org = f"user:{tokens.key or id(tokens)}"
        found = self._catalogs.get(org)
        if found is not None:
            return found
        task = self._fetching.get(org)
        if task is None:
            task = self._fetching[org] = asyncio.ensure_future(fetch_catalog(self.pipeline, tokens))
            task.add_done_callback(lambda done: self._fetched(org, done))
        return await asyncio.shield(task)

    def drop_catalog(self, catalog: Catalog) -> None:
        """Forget a catalog; the next use fetches it."""
        for org, known in tuple(self._catalogs.items()):
            if known is catalog:
                del self._catalogs[org]

    def _fetched(self, org: str, task: asyncio.Task[Catalog]) -> None:
        self._fetching.pop(org, None)
        if task.cancelled() or task.exception() is not None:
            return
        catalog = task.result()
        self._services.trust(catalog)
        catalog.share_failures(self._failed_hosts)
        self._catalogs[org] = catalog


class ManagerPerLoop:
    """Keep the connection manager of the running loop; another loop, or a fork, gets another one."""

    def __init__(self, *parts: Any) -> None:
        self._parts = parts
        self._manager: ConnectionManager | None = None
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None

    def here(self) -> ConnectionManager:
        """Return the connection manager of the running loop."""
        loop = asyncio.get_running_loop()
        if self._manager is None or self._loop is None or self._loop() is not loop:
            self._manager = ConnectionManager(*self._parts)
            self._loop = weakref.ref(loop)
        return self._manager

    async def sign_out(self, owner: Any, token: str | None, seconds: float) -> None:
        """End the connections of a user in the running loop; those of other loops find out by themselves."""
        manager = self._manager
        if manager is not None and manager.loop is asyncio.get_running_loop():
            await manager.sign_out(owner, token, seconds)

    async def aclose(self) -> None:
        """Close every connection of the running loop."""
        manager, self._manager = self._manager, None
        if manager is not None and manager.loop is asyncio.get_running_loop():
            await manager.aclose()


def is_durable(storage: Any) -> bool:
    """Return whether what is stored outlives the process."""
    from webex.storage.memory import MemoryStorage

    inner = storage
    while True:
        if isinstance(inner, MemoryStorage):
            return False
        wrapped = getattr(inner, "inner", None)
        if wrapped is None or wrapped is inner:
            return True
        inner = wrapped
