"""Receive webhooks: verify, write down, answer 200, then handle.

hooks = WebhookReceiver(integration, secret=os.environ["WEBEX_WEBHOOK_SECRET"])

@hooks.on("messages", "created")
async def answer(event):
    message = await event.fetch()
    await event.client.messages.create(room_id=message.room_id, text=f"You said: {message.text}")
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar, cast, overload

from webex.client import AsyncWebex, Webex
from webex.errors import ConfigurationError, NotSignedInError, ReauthorizationRequiredError, WebexError
from webex.ids import person_uuid
from webex.integration import AsyncIntegration, Integration
from webex.runtime import drive
from webex.runtime.unpicklable import Unpicklable
from webex.view import app_of, session_of, source_of
from webex.webhooks.catching_up import CaughtUp, Heartbeat, begin_of, catch_up
from webex.webhooks.core import CLOSED, Core, Mode, ReceiverHealth, Reply
from webex.webhooks.keeping import Keeper
from webex.webhooks.lifecycle import GRACE, LoopLifecycle, ThreadLifecycle
from webex.webhooks.received import C
from webex.webhooks.registration import Registration
from webex.webhooks.seconds import checked_seconds
from webex.webhooks.upkeep import Upkeep, rhythm

if TYPE_CHECKING:
    from webex.api.webhooks import Reconciled, Wanted, WebhookChange
    from webex.webhooks.asgi import ASGIReceiver
    from webex.webhooks.keeping import Kept
    from webex.webhooks.loop_workers import LoopWorkers
    from webex.webhooks.signatures import Signature
    from webex.webhooks.thread_workers import ThreadWorkers
    from webex.webhooks.wsgi import WSGIReceiver

_logger = logging.getLogger("webex.webhooks")

R = TypeVar("R")
OwnedBy = Literal["creator", "org"]
_LEAST_LEASE: Final = 1.0
_SIGN_IN: Final = (NotSignedInError, ReauthorizationRequiredError)
MAX_WAITING = 10_000  # events in memory; more stay in the inbox


class WebhookReceiver(Registration[C], Unpicklable):
    """Receives the webhooks of an app. Its style is that of `source`.

    `source` is an integration, and then `event.client` is the client of the user who made the webhook; or a client (of
    a bot), which is that of every event. With an `AsyncIntegration` or `AsyncWebex`, methods are awaited and handlers
    are `async def`, or plain functions, which run in threads; with an `Integration` or `Webex`, all is blocking.

    `secret` is the text that the webhooks are created with; of a list the first is given to new webhooks and all are
    accepted, so that one can be replaced. `storage` is by default that of `source`. `mode`:

    - `"inbox"`: the event is in the storage before the answer. Needs a storage with compare-and-swap, leases and
      listing, which all workers share, such as SQLite, PostgreSQL or Redis.
    - `"inline"`: the answer comes after the handlers, for functions that are stopped after it (AWS Lambda).
    - `"lossy"`: the event is in memory only, and lost when the process ends.

    Repetitions are dropped for 24 hours, whichever worker they reach. `concurrency` is how many events one process
    handles at a time; those of one room come one after the other. A worker that ended is noticed after `lease` seconds.
    `name` tells the receivers of one app apart, and begins the names of its webhooks. `url` is where Webex posts, for
    `reconcile`; every `check_every` seconds one of the workers activates what Webex has deactivated (0: never). With
    `each_owner=False` an event is handled once, also when several users of the app have a webhook for it. Raises
    `ConfigurationError` for what does not fit.
    """

    _instead = "Make one in each process."

    @overload
    def __init__(
        self: WebhookReceiver[AsyncWebex],
        source: AsyncIntegration | AsyncWebex,
        *,
        secret: str | bytes | Sequence[str | bytes],
        storage: Any = None,
        mode: Mode = "inbox",
        url: str | None = None,
        name: str = "webex-python-sdk",
        concurrency: int = 10,
        lease: float = 60.0,
        max_size: int = 1_000_000,
        each_owner: bool = True,
        check_every: float = 600.0,
    ) -> None: ...
    @overload
    def __init__(
        self: WebhookReceiver[Webex],
        source: Integration | Webex,
        *,
        secret: str | bytes | Sequence[str | bytes],
        storage: Any = None,
        mode: Mode = "inbox",
        url: str | None = None,
        name: str = "webex-python-sdk",
        concurrency: int = 10,
        lease: float = 60.0,
        max_size: int = 1_000_000,
        each_owner: bool = True,
        check_every: float = 600.0,
    ) -> None: ...
    def __init__(
        self,
        source: Any,
        *,
        secret: str | bytes | Sequence[str | bytes],
        storage: Any = None,
        mode: Mode = "inbox",
        url: str | None = None,
        name: str = "webex-python-sdk",
        concurrency: int = 10,
        lease: float = 60.0,
        max_size: int = 1_000_000,
        each_owner: bool = True,
        check_every: float = 600.0,
    ) -> None:
        from webex.storage import StorageAccess
        from webex.webhooks.signatures import secrets_of

        if not isinstance(source, AsyncIntegration | Integration | AsyncWebex | Webex):
            raise ConfigurationError(
                f"WebhookReceiver takes an integration or a client as its source, not {type(source).__name__}."
            )
        if not isinstance(name, str) or not name or "#" in name:
            raise ConfigurationError(f"name is {name!r}; it is a text without #.")
        for option, value, least in (("concurrency", concurrency, 1), ("max_size", max_size, 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigurationError(f"{option} is {value!r}; it is a whole number, {least} or more.")
        if url is not None:
            from webex.api.webhooks import check_target_url

            check_target_url(url, "url")
        self._lease = checked_seconds("lease", lease, _LEAST_LEASE, 3600)
        every = checked_seconds("check_every", check_every, 0, 30 * 86_400)
        self._source = source
        self._app = app_of(source)
        self._runtime = self._app.runtime
        access = self._app.access if storage is None else StorageAccess(storage, self._runtime)
        self.name: str = name
        self.mode: Mode = mode
        self.max_size: int = max_size
        self._keeper = Keeper(
            self._app,
            access,
            self._core_of,
            source=source if isinstance(source, AsyncWebex | Webex) else None,
            url=url,
            name=name,
            every=every,
        )
        self._concurrency = concurrency
        self._core = Core(
            self._runtime,
            access,
            self._client_of,
            client_id=self._app.config.client_id,
            secret=secrets_of(secret),
            mode=mode,
            name=name,
            lease=self._lease,
            max_size=max_size,
            each_owner=each_owner,
            concurrency=concurrency,
            max_waiting=MAX_WAITING,
        )
        self._heartbeat = Heartbeat(access, self._core.root, self._runtime.clock.time, rhythm(self._lease))
        # On an event loop: what runs from start to stop, and what is done before the webhooks are checked first.
        self.alongside: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.at_start: list[Callable[[], Coroutine[Any, Any, None]]] = []
        inline = mode == "inline"
        self._lifecycle: LoopLifecycle | ThreadLifecycle = (
            LoopLifecycle(None if inline else self._loop_workers)
            if self.is_asynchronous
            else ThreadLifecycle(None if inline else self._thread_workers)
        )

    @property
    def health(self) -> ReceiverHealth:
        """What this process has received, refused, dropped and handled."""
        return self._core.health

    # Receiving

    @property
    def asgi(self) -> ASGIReceiver:
        """The receiver as an ASGI app, to be routed to or mounted; it starts and stops with the server's lifespan."""
        from webex.webhooks.asgi import ASGIReceiver

        return ASGIReceiver(self)

    @property
    def wsgi(self) -> WSGIReceiver:
        """The receiver as a WSGI app; for a source of blocking style."""
        from webex.webhooks.wsgi import WSGIReceiver

        if self.is_asynchronous:
            raise ConfigurationError(
                "hooks.wsgi needs a source of blocking style: make the receiver with an Integration or a Webex."
            )
        return WSGIReceiver(cast("WebhookReceiver[Webex]", self))

    @overload
    def receive(self: WebhookReceiver[AsyncWebex], body: bytes, headers: Signature) -> Coroutine[Any, Any, Reply]: ...
    @overload
    def receive(self: WebhookReceiver[Webex], body: bytes, headers: Signature) -> Reply: ...
    def receive(self, body: bytes, headers: Signature) -> Any:
        """Take one delivery, as bytes and headers; return the status, text and headers of the answer.

        The signature is verified before anything is read. 200: in the inbox (with `mode="inline"`: handled), or a
        repetition; 401: not signed, or otherwise; 413: too large; 400: signed and no event; 503: the storage fails.
        """
        return self._in_style(self._receive(body, headers))

    @overload
    def handle(self: WebhookReceiver[AsyncWebex], event: Any) -> Coroutine[Any, Any, None]: ...
    @overload
    def handle(self: WebhookReceiver[Webex], event: Any) -> None: ...
    def handle(self, event: Any) -> Any:
        """Call the handlers for an event that came in another way: one of `listen()`, or of `read_event`.

        `async for event in client.listen(): await hooks.handle(event)`. Returns when they have run.
        """
        return self._in_style(self._handle(event))

    # The webhooks at Webex

    @overload
    def reconcile(
        self: WebhookReceiver[AsyncWebex],
        user: Any = None,
        wanted: Wanted = (),
        *,
        owned_by: OwnedBy = "creator",
        dry_run: bool = False,
    ) -> Coroutine[Any, Any, Reconciled]: ...
    @overload
    def reconcile(
        self: WebhookReceiver[Webex],
        user: Any = None,
        wanted: Wanted = (),
        *,
        owned_by: OwnedBy = "creator",
        dry_run: bool = False,
    ) -> Reconciled: ...
    def reconcile(
        self, user: Any = None, wanted: Wanted = (), *, owned_by: OwnedBy = "creator", dry_run: bool = False
    ) -> Any:
        """Make the webhooks of a user or bot what is wanted: `{"messages:created": "roomType=direct"}`.

        `user` is the key of a user of the integration, or a client; without one it is the source itself. Creates,
        corrects, activates and deletes as `client.webhooks.ensure` does, with the receiver's `url`, `name` and first
        secret. `owned_by="org"` is for what happens in the whole organization of an administrator. What is kept this
        way is checked from then on by every receiver of this name and storage, and goes when its user is signed out;
        for a client that is not the source, by this process only.
        """
        return self._in_style(self._keeper.reconcile(self._client(user), wanted, owned_by=owned_by, dry_run=dry_run))

    @overload
    def check(self: WebhookReceiver[AsyncWebex]) -> Coroutine[Any, Any, list[WebhookChange]]: ...
    @overload
    def check(self: WebhookReceiver[Webex]) -> list[WebhookChange]: ...
    def check(self) -> Any:
        """Look at all webhooks that `reconcile` keeps, now: correct them, and activate what Webex has deactivated.

        A running receiver does it by itself every `check_every` seconds, in one of all workers.
        """
        return self._in_style(self._keeper.check())

    @overload
    def catch_up(
        self: WebhookReceiver[AsyncWebex], user: Any = None, *, since: datetime | float | None = None
    ) -> Coroutine[Any, Any, list[CaughtUp]]: ...
    @overload
    def catch_up(
        self: WebhookReceiver[Webex], user: Any = None, *, since: datetime | float | None = None
    ) -> list[CaughtUp]: ...
    def catch_up(self, user: Any = None, *, since: datetime | float | None = None) -> Any:
        """Take what came while no worker received, from the history, as `listen()` does; each event once.

        `user` is the key of a user, or a client; without one it is every user whose webhooks `reconcile` keeps. `since`
        is a moment, or how many seconds back; without it, when a worker was last at work. A day back at most. What is
        found is limited to what the user's webhooks would have delivered, and handled like a delivery. Only messages,
        rooms, memberships and attachment actions have a history, and of an organization's webhooks only the events of
        their administrator. Returns one result a user. What fails for one user is the `error` of its result, and the
        others are still listed; with `user` it is raised.
        """
        return self._in_style(self._catch_up(user, since))

    # Starting and stopping

    @overload
    def start(self: WebhookReceiver[AsyncWebex]) -> Coroutine[Any, Any, None]: ...
    @overload
    def start(self: WebhookReceiver[Webex]) -> None: ...
    def start(self) -> Any:
        """Begin to handle what is in the inbox, also after a `close`; the first delivery does it too.

        Raises `ConfigurationError` where the receiver runs in another event loop.
        """
        return self._in_style(self._started())

    @overload
    def drain(self: WebhookReceiver[AsyncWebex]) -> Coroutine[Any, Any, None]: ...
    @overload
    def drain(self: WebhookReceiver[Webex]) -> None: ...
    def drain(self) -> Any:
        """Wait until this process has handled everything that it has received, or is closed."""
        workers = self._lifecycle.workers
        if workers is None:
            return self._in_style(_nothing())
        return workers.drain()

    async def aclose(self, grace: float = GRACE) -> None:
        """Begin nothing more, and wait so many seconds for running handlers; then they are cancelled.

        What is not handled stays in the inbox, for others and for the next start. Deliveries are answered with 503.
        Called a second time, it waits for the first.
        """
        seconds = checked_seconds("grace", grace)
        if isinstance(self._lifecycle, LoopLifecycle):
            await self._lifecycle.stop(seconds)
        else:
            await asyncio.to_thread(self._lifecycle.stop, seconds)

    def close(self, grace: float = GRACE) -> None:
        """Begin nothing more, and wait so many seconds for running handlers; for blocking style.

        See `aclose`. At the end of a process it is called with the default.
        """
        if isinstance(self._lifecycle, LoopLifecycle):
            raise ConfigurationError("This receiver is of event-loop style: await hooks.aclose().")
        self._lifecycle.stop(checked_seconds("grace", grace))

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        if self.is_asynchronous:
            raise ConfigurationError("This receiver is of event-loop style: async with hooks.")
        drive(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"WebhookReceiver({self._source!r}, mode={self._core.mode!r}, name={self.name!r})"

    # For mounts

    async def receive_anywhere(self, body: bytes, headers: Signature) -> Reply:
        """Take one delivery in an event loop, whatever the style: in blocking style in a thread."""
        if self.is_asynchronous:
            return await self._receive(body, headers)
        return await asyncio.to_thread(drive, self._receive(body, headers))

    async def start_anywhere(self) -> None:
        """Begin in an event loop, whatever the style."""
        await self._start()

    def refuse(self, status: int, why: str, **headers: str) -> Reply:
        """Return the answer to a request that is no delivery, and count it; for mounts."""
        return self._core.refuse(status, why, headers)

    # Inside

    @property
    def is_asynchronous(self) -> bool:
        """Whether the receiver is of event-loop style, as its source is."""
        return bool(self._runtime.style == "async")

    def _in_style(self, work: Coroutine[Any, Any, R]) -> Any:
        return work if self.is_asynchronous else drive(work)

    async def _receive(self, body: bytes, headers: Signature) -> Reply:
        if not await self._start(reopen=False):
            return self._core.refuse(503, CLOSED, {"retry-after": "5"})
        return await self._core.receive(body, headers, self._lifecycle.submit)

    async def _handle(self, event: Any) -> None:
        work = await self._core.work(event)
        while (after := await self._core.handlers.run(work)) is not None:
            await self._runtime.sleep(after)

    async def _start(self, *, reopen: bool = True) -> bool:
        if isinstance(self._lifecycle, LoopLifecycle):
            return await self._lifecycle.start(reopen=reopen)
        return self._lifecycle.start(reopen=reopen)

    async def _started(self) -> None:
        await self._start()

    def _loop_workers(self) -> LoopWorkers:
        from webex.webhooks.loop_workers import LoopWorkers

        return LoopWorkers(self._core, self._upkeep(), self._concurrency, self.alongside, self.at_start)

    def _thread_workers(self) -> ThreadWorkers:
        from webex.webhooks.thread_workers import ThreadWorkers

        return ThreadWorkers(self._core, self._upkeep(), self._concurrency)

    def _upkeep(self) -> Upkeep:
        """Be another worker than before: than the process that this was forked from, than in the last event loop."""
        self._core.renew()
        return Upkeep(self._core, self._keeper, self._heartbeat, self._lease)

    async def _catch_up(self, user: Any, since: datetime | float | None) -> list[CaughtUp]:
        if not await self._start(reopen=False):
            raise ConfigurationError("The receiver is closed: start it first.")
        now = self._runtime.clock.time()
        begin = begin_of(since, await self._heartbeat.since(), now)
        if user is not None:
            client = self._client(user)
            return [await self._caught_up(client, await self._keeper.kept_for(client), begin)]
        kept: dict[Any, tuple[Any, list[Kept]]] = {}
        async for each in self._keeper.kept():
            kept.setdefault(each.client.user_key or id(each.client), (each.client, []))[1].append(each)
        if not kept and isinstance(self._source, AsyncWebex | Webex):
            kept[None] = self._source, []
        found: list[CaughtUp] = []
        for client, wanted in kept.values():
            try:
                found.append(await self._caught_up(client, wanted, begin))
            except WebexError as error:
                _logger.warning("what a user's webhooks missed could not be listed (%s)", type(error).__name__)
                found.append(CaughtUp(0, begin, complete=False, user_key=client.user_key, error=error))
        # A user who has to sign in again does not keep the beginning of the pause for all.
        if all(each.error is None or isinstance(each.error, _SIGN_IN) for each in found):
            await self._heartbeat.caught_up()
        return found

    async def _caught_up(self, client: Any, kept: list[Kept], begin: datetime) -> CaughtUp:
        wanted = [what for each in kept for what in each.wanted] if kept else None
        found = await catch_up(self._core, session_of(client), wanted, begin, self._lifecycle.submit)
        of_org = any(each.owned_by == "org" for each in kept)
        return replace(found, complete=found.complete and not of_org, user_key=client.user_key)

    def _core_of(self) -> Core:
        return self._core

    def _client(self, user: Any) -> Any:
        if isinstance(user, AsyncWebex | Webex):
            source_of(user, self._app)  # refuses one of the other style
            return user
        if user is None and isinstance(self._source, AsyncWebex | Webex):
            return self._source
        if isinstance(user, str) and user and isinstance(self._source, AsyncIntegration | Integration):
            return self._source.user(user)
        raise ConfigurationError(f"reconcile takes the key of a user of the integration, or a client, not {user!r}.")

    async def _client_of(self, event: Any) -> Any:
        if isinstance(self._source, AsyncWebex | Webex):
            return self._source
        key = getattr(event, "user_key", None)
        if key is None:
            owner = event.created_by
            person = person_uuid(owner) if isinstance(owner, str) and owner else "unknown"
            key = await self._keeper.owner(person)
        return self._source.user(key)


async def _nothing() -> None:
    return None
