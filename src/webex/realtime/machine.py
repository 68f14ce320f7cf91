"""What all listeners of an app share: timer wheel, TLS, content keys, catalogs. One for each event loop."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Unpack

from webex.encryption.keys import KeyRing
from webex.errors import ConfigurationError, RealtimeError, TransportError
from webex.http.types import Request, Response
from webex.realtime.device import DEFAULT_NAME
from webex.realtime.listener import Listener
from webex.realtime.listening import Listening
from webex.realtime.options import ListenOptions, checked_resources, split_options
from webex.realtime.timers import Wheel
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

_SMALL_BUFFER: Final = 16 * 1024
_MOST_IDLE: Final = 1_000  # listeners that do not listen


class UserDoor:
    """The requests of one user to any service, by the user's catalog."""

    __slots__ = ("_catalog", "_machine", "device_url", "tokens")

    def __init__(self, machine: Machine, tokens: TokenSource) -> None:
        self._machine, self.tokens = machine, tokens
        self._catalog: Catalog | None = None
        self.device_url: str | None = None

    async def catalog(self) -> Catalog:
        """The catalog of this user's organization."""
        if self._catalog is None:
            self._catalog = await self._machine.catalog_for(self.tokens)
        return self._catalog

    def refresh_catalog(self) -> None:
        """Ask for the catalog again on next use: a service could not be reached."""
        if self._catalog is not None:
            self._machine.drop_catalog(self._catalog)
            self._catalog = None

    async def url_of(self, service: str) -> str:
        """The base URL of a service: as configured, else by the catalog."""
        configured = self._machine.config.service_urls.get(service)
        if configured is not None:
            return configured
        return (await self.catalog()).url_of(service)

    async def send(self, method: str, url: str, **options: Any) -> Response:
        """Send, with the user's token and the name of the device."""
        headers: Mapping[str, str] = options.pop("headers", None) or {}
        if self.device_url is not None:
            headers = {"cisco-device-url": self.device_url, **headers}
        try:
            return await self._machine.pipeline.send(Request(method, url, headers=headers, **options), self.tokens)
        except TransportError:
            if self._catalog is not None:
                self._catalog.mark_failed(url)
            raise


class Machine:
    """Makes and keeps the listeners of one app in one event loop."""

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
        self.config, self.runtime, self.pipeline = config, runtime, pipeline
        self._services = services
        self.now = now
        self.kms_roots: tuple[bytes, ...] = config.kms_roots
        self.storage = StorageAccess(storage.bounded, runtime)
        self.durable = is_durable(storage.bounded)
        encrypted = isinstance(storage.unbounded, EncryptedStorage)
        self.key_storage = StorageAccess(storage.unbounded, runtime) if encrypted else None
        self.keys = KeyRing()
        self.wheel = Wheel()
        self.loop = asyncio.get_running_loop()
        self._tls: ssl.SSLContext | None = None
        self._catalogs: dict[str, Catalog] = {}
        self._failed_hosts: set[str] = set()
        self._fetching: dict[str, asyncio.Task[Catalog]] = {}
        self._listeners: dict[tuple[Any, str], Listener] = {}
        self._senders: dict[Any, Listener] = {}

    # Listening

    def listen(
        self,
        tokens: TokenSource,
        resources: Collection[str],
        **options: Unpack[ListenOptions],
    ) -> Listening[Any]:
        """A subscription; listeners of the same user and device share one socket."""
        of_subscription, device_name, of_connection = split_options(options)
        listener = self._listener(tokens, device_name, of_connection)
        return Listening(listener, checked_resources(resources), **of_subscription)

    def sender(self, tokens: TokenSource) -> Listener:
        """A listener to send by: one that listens, or one with a device of its own that takes no events."""
        owner = self._owner_of(tokens)
        for (whose, _), listener in self._listeners.items():
            if whose == owner and listener.intake.subscriptions:
                return listener
        sender = self._senders.get(owner)
        if sender is None:
            sender = self._senders[owner] = Listener(
                self, tokens, getattr(tokens, "key", None), f"{DEFAULT_NAME}-sender", sending=True
            )
        return sender

    def _listener(self, tokens: TokenSource, device_name: str, options: dict[str, Any]) -> Listener:
        """The listener of one user under one device name."""
        key = (self._owner_of(tokens), device_name)
        listener = self._listeners.get(key)
        if listener is not None and listener.is_running:
            for name, value in options.items():
                if value != (present := getattr(listener.options, name)):
                    raise ConfigurationError(
                        f"This person listens already under the device name {device_name!r}, with {name}={present!r}, "
                        f"not {value!r}. Give the same options, or a device_name of its own."
                    )
        elif listener is None or any(value != getattr(listener.options, name) for name, value in options.items()):
            listener = Listener(self, tokens, getattr(tokens, "key", None), device_name, **options)
            self._listeners[key] = listener
            self._forget_idle()
        return listener

    def _owner_of(self, tokens: TokenSource) -> Any:
        key = getattr(tokens, "key", None)
        return key if key is not None else id(tokens)  # the listener holds the source, so that its id stays its own

    def _forget_idle(self) -> None:
        """Tokens come and go; keep those that listen, and the last ones that did."""
        idle = [key for key, listener in self._listeners.items() if not listener.is_running]
        for key in idle[: max(len(idle) - _MOST_IDLE, 0)]:
            del self._listeners[key]

    def listeners(self) -> list[Listener]:
        """All of them, listening or not."""
        return [*self._listeners.values(), *self._senders.values()]

    async def aclose(self) -> None:
        """End every listener; who waits for an event hears that it is over."""
        error = RealtimeError("The client was closed.")
        await asyncio.gather(*(listener.stop(error) for listener in self.listeners()), return_exceptions=True)
        self._listeners.clear()
        self._senders.clear()
        self.wheel.close()

    # What is shared

    @property
    def tls(self) -> ssl.SSLContext:
        """One context for all sockets, with small buffers: an idle socket should cost little."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
            if self.config.ca_bundle is not None:
                self._tls.load_verify_locations(self.config.ca_bundle)
            _use_small_buffers()
        return self._tls

    async def catalog_for(self, tokens: TokenSource) -> Catalog:
        """The catalog of a user's organization; users of one organization share it."""
        from webex.auth.orgs import org_id_of

        try:
            org = org_id_of(await tokens.access_token())
        except ValueError:
            org = f"user:{id(tokens)}"
        found = self._catalogs.get(org)
        if found is not None:
            return found
        task = self._fetching.get(org)
        if task is None:
            task = self._fetching[org] = asyncio.ensure_future(fetch_catalog(self.pipeline, tokens))
            task.add_done_callback(lambda done: self._fetched(org, done))
        return await asyncio.shield(task)

    def drop_catalog(self, catalog: Catalog) -> None:
        """Fetch it anew on next use."""
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


class Machines:
    """The machine of the running loop; another loop, or a fork, gets another one."""

    def __init__(self, *parts: Any) -> None:
        self._parts = parts
        self._machine: Machine | None = None
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None

    def here(self) -> Machine:
        """The machine of the running loop."""
        loop = asyncio.get_running_loop()
        if self._machine is None or self._loop is None or self._loop() is not loop:
            self._machine = Machine(*self._parts)
            self._loop = weakref.ref(loop)
        return self._machine

    async def aclose(self) -> None:
        """End every listener of the running loop."""
        machine, self._machine = self._machine, None
        if machine is not None and machine.loop is asyncio.get_running_loop():
            await machine.aclose()


def is_durable(storage: Any) -> bool:
    """Whether what is stored outlives the process."""
    from webex.storage.memory import MemoryStorage

    inner = storage
    while True:
        if isinstance(inner, MemoryStorage):
            return False
        wrapped = getattr(inner, "inner", None)
        if wrapped is None or wrapped is inner:
            return True
        inner = wrapped


def _use_small_buffers() -> None:
    """asyncio gives each TLS connection a read buffer of 256 KiB; frames are small, so 16 KiB serve as well."""
    from asyncio import sslproto

    if getattr(sslproto.SSLProtocol, "max_size", 0) > _SMALL_BUFFER:
        sslproto.SSLProtocol.max_size = _SMALL_BUFFER
