"""Listen for all users of an integration with any number of workers: `Fleet(integration, publisher=…)`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self, Unpack

from webex.errors import ConfigurationError, StorageError
from webex.fleet.bots import FleetBot, FleetBots
from webex.fleet.connections import Connections
from webex.fleet.delivery import Counts, Delivery
from webex.fleet.directory import Directory
from webex.fleet.handlers import TRIES, Handlers
from webex.fleet.health import FleetHealth
from webex.fleet.membership import Membership
from webex.fleet.news import NAMESPACE, NewsBoard
from webex.fleet.probes import probes_app
from webex.fleet.shards import MOST_SHARDS
from webex.fleet.status import FleetStatus, read_status
from webex.fleet.wakeups import be_woken
from webex.ids import person_uuid
from webex.realtime.hub import RealtimeHub
from webex.realtime.resources import RESOURCES
from webex.realtime.tasks import Tasks
from webex.runtime.signals import handled_by_loop
from webex.runtime.unpicklable import Unpicklable
from webex.storage.boot_clock import boot_time

if TYPE_CHECKING:
    from webex.app_storage import AsyncAppStorage
    from webex.auth.events import AuthEvent
    from webex.client import AsyncWebex
    from webex.integration import AsyncIntegration
    from webex.realtime.event import Event
    from webex.realtime.kinds import RealtimeEvent
    from webex.realtime.options import ListenOptions

__all__ = ["Fleet", "Mode", "Publisher"]

_logger = logging.getLogger("webex.fleet")

Mode = Literal["shards", "leader", "all"]
_CONNECTS_PER_SECOND: Final = 50.0
_REST: Final = 0.05  # seconds between two looks at what other workers tell, at the least
_AGAIN: Final = 0.5  # seconds until the next look after one that failed, at the most
_IN_HAND: Final = 500  # events of all users together that may be unacknowledged


class Publisher(Protocol):
    """What events go out by: a broker, or anything else that confirms.

    `publish` returns when the broker has confirmed the event; the event is acknowledged then, and not before. An
    exception means that it was not confirmed: the same event is published again, with the same id. A method
    `aclose`, where there is one, is called when the fleet stops.
    """

    async def publish(self, event: RealtimeEvent) -> None:
        """Publish one event; return when it is confirmed."""
        ...


class Fleet(Handlers, Unpicklable):
    """Listen for all users of an `AsyncIntegration`, together with other workers that have the same storage.

        fleet = Fleet(integration, publisher=NatsPublisher("nats://127.0.0.1:4222"))
        await fleet.run()

    Users are hashed onto `shards` (1 to 1,024, the same in all workers), and each shard is held by one worker by a
    lease of `lease` seconds in the storage. A worker that is killed is replaced within that time, one that stops
    hands over within a second. Each event is delivered at least once, with the same `event.key` each time, and in the
    order of its room; it is acknowledged when `publisher.publish(event)`, or all handlers (`@fleet.on`), have returned.

    mode: "shards"; "leader", one worker listens for all users; "all", every worker does, with a device of its own.
    name: of the fleet in the storage; two fleets of one app need two. worker: the name of this worker, unique.
    bots: bots whose own accounts it listens for too (`webex.bots.Bot(token, integration=…)`); each is given its events,
        which are not published. All workers have the same ones. With bots alone no user is listened for.
    users: which users it listens for, by their keys; default: all who are signed in.
    resources: those to listen to. Further options are those of `client.listen`; `connects_per_second` is 50 here, so
        that neither a take-over nor a restart of the cloud makes a worker open more sockets per second.
    poll: seconds between two looks at what other workers tell; where the storage has notifications (`RedisStorage`,
        `PostgresStorage`), each is also looked at as soon as it is told.
    grace: seconds that events in hand have at the end.
    look_for_users: seconds between two listings of the users, by one worker; with notifications sign-ins and sign-outs
        are seen at once.

    Raises `ConfigurationError` for a storage that other workers can't share, unless `mode` is "all".
    """

    _instead = "Make a fleet in each process, with the same storage."

    def __init__(
        self,
        integration: AsyncIntegration,
        *,
        publisher: Publisher | None = None,
        bots: Sequence[FleetBot] = (),
        shards: int = 64,
        mode: Mode = "shards",
        lease: float = 15.0,
        name: str = "fleet",
        worker: str | None = None,
        users: Callable[[str], bool] | None = None,
        resources: Sequence[str] = RESOURCES,
        poll: float = 0.5,
        grace: float = 25.0,
        look_for_users: float = 3.0,
        **listen: Unpack[ListenOptions],
    ) -> None:
        if not hasattr(integration, "user") or not hasattr(integration, "aclose"):
            raise ConfigurationError("Fleet takes an AsyncIntegration: the asynchronous one.")
        if mode not in ("shards", "leader", "all"):
            raise ConfigurationError(f"mode is {mode!r}; it is 'shards', 'leader' or 'all'.")
        if isinstance(shards, bool) or not isinstance(shards, int) or not 1 <= shards <= MOST_SHARDS:
            raise ConfigurationError(f"shards is {shards!r}; it is a whole number, 1 to {MOST_SHARDS:,}.")
        for what, value in (
            ("lease", lease),
            ("poll", poll),
            ("grace", grace),
            ("look_for_users", look_for_users),
        ):
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ConfigurationError(f"{what} is {value!r}; it is a number above zero.")
        if bots and mode == "all":
            raise ConfigurationError("With mode='all' each worker would answer for a bot: take 'shards' or 'leader'.")
        if listen.get("ack", "manual") != "manual":
            raise ConfigurationError("A fleet acknowledges what was delivered: leave out ack.")
        super().__init__()
        self.integration: AsyncIntegration = integration
        self.publisher: Publisher | None = publisher
        self.mode: Mode = mode
        self.name: str = name
        self.worker: str = worker or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.grace: float = grace
        self._bots = FleetBots(bots)
        self._shards = 1 if mode == "leader" else shards
        self._ttl, self._poll, self._look_for_users = lease, poll, look_for_users
        self._wanted, self._resources = users, tuple(resources)
        self._options: ListenOptions = {
            "max_in_hand": _IN_HAND,
            "connects_per_second": _CONNECTS_PER_SECOND,
            **listen,
            "ack": "manual",
        }
        if mode == "all":
            self._options = {"device_name": f"webex-{name}-{self.worker}", "ephemeral": True, **self._options}
        else:
            self._options = {"device_name": f"webex-{name}", **self._options, "fenced": True}
        self._started_at: float | None = None
        self._stopping = asyncio.Event()
        self._woken = asyncio.Event()
        self._ready = False
        self._draining = False
        self._connections: Connections | None = None
        self._tasks = Tasks()
        self._hub: RealtimeHub | None = None
        self._membership: Membership | None = None
        self._board: NewsBoard | None = None
        self._directory: Directory | None = None
        self._delivery: Delivery | None = None
        self._failure: BaseException | None = None

    def client(self, event: Event[Any]) -> AsyncWebex:
        """Return the client of the user who received an event."""
        if event.user_key is None:
            raise ConfigurationError("This event belongs to no user of the integration.")
        return self.integration.user(event.user_key)

    # Running

    async def run(self) -> None:
        """Work until the process is asked to end (SIGTERM, SIGINT) or `stop()` is called, then hand over."""
        with handled_by_loop(self._stopping.set):
            try:
                await self.start()
                await self._stopping.wait()
            finally:
                await self.stop()
        if self._failure is not None:
            raise self._failure

    async def start(self) -> None:
        """Join the other workers; returns when this one has looked for its first shards."""
        if self._started_at is not None:
            return
        if self._draining:
            raise ConfigurationError("This fleet was stopped: make another one.")
        if self.publisher is None and not self.has_handlers and not self._bots:
            raise ConfigurationError("A fleet needs a publisher, a handler (@fleet.on) or bots: events would be lost.")
        storage = self.integration.storage
        if self.mode != "all" and not storage.can_share:
            raise ConfigurationError(
                f"{storage!r} can't be shared by workers: a fleet needs leases, compare-and-swap, expiry and a listing "
                "of keys that other processes see, as SQLiteStorage, PostgresStorage and RedisStorage have."
            )
        await self._bots.join(self.integration, self._resources)
        self._started_at = time.time()
        try:
            await self._begin(storage)
        except BaseException:
            await self.stop(0.0)
            raise

    async def _begin(self, storage: AsyncAppStorage) -> None:
        self._board = NewsBoard(storage, self.name)
        self._directory = Directory(
            self.integration,
            self._board,
            fleet=self.name,
            shards=self._shards,
            every=self._look_for_users,
            wanted=self._wants,
        )
        self._membership = Membership(
            storage,
            self._board,
            fleet=self.name,
            worker=self.worker,
            shards=self._shards,
            lease=self._ttl,
            taken=self._shard_taken,
            lost=self._shard_lost,
            drain=self._shard_drained,
            is_idle=self._is_shard_idle,
            resharded=self._shards_changed,
            details=self._details,
        )
        self._delivery = Delivery(self._deliver, self._may, tries=TRIES if self.has_handlers else None)
        share = self._options.get(
            "max_in_hand", _IN_HAND
        )  # of each account, so that a slow bot leaves the others theirs
        self._hub = RealtimeHub(
            self.integration, self._resources, most_in_hand=share * (1 + len(self._bots)), **self._options
        )
        self._connections = Connections(self.integration, self._hub, self._delivery, self._may)
        self.integration.events.signed_in(self._signed_in)
        self.integration.events.signed_out(self._signed_out)
        await self._board.read()
        joined, _ = await self._directory.list_all()
        for key in joined:
            self._directory.add(key)
        self._tasks.start(self._guarded(self._consume()))
        if self.mode == "all":
            for key in joined:
                self._connections.join(key)
        else:
            await self._membership.begin()
            await self._membership.look()
        self._tasks.start(self._guarded(self._follow()))
        self._tasks.start(self._guarded(be_woken(lambda: storage.notifications(NAMESPACE), self._told)))
        self._tasks.start(self._guarded(self._directory.watch()))
        self._tasks.start(self._guarded(self._connections.look_after_refused()))
        self._ready = True

    async def wait_until_connected(self) -> None:
        """Return when no user of this worker waits to be connected; for scripts and tests."""
        if self._connections is not None:
            await self._connections.settled()

    async def stop(self, grace: float | None = None) -> None:
        """Take no more events, finish those in hand within `grace` seconds, and hand the shards over."""
        self._stopping.set()
        if self._started_at is None or self._membership is None or self._hub is None or self._delivery is None:
            return
        self.integration.events.off("signed_in", self._signed_in)
        self.integration.events.off("signed_out", self._signed_out)
        self._ready, self._draining = False, True
        membership, hub, delivery = self._membership, self._hub, self._delivery
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.grace if grace is None else grace):
                if self.mode == "all":
                    await delivery.drain(hub.users)
                else:
                    await membership.leave()
        if self._connections is not None:
            await self._connections.close()
        await self._tasks.close()
        await membership.close()
        await delivery.close()
        await hub.aclose()
        if self.mode != "all":
            await membership.release()
        close = getattr(self.publisher, "aclose", None)
        if close is not None:
            await close()
        await self._bots.aclose()
        self._started_at = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # State

    async def status(self) -> FleetStatus:
        """Return what all workers have told last: who holds what, and how each does."""
        return await read_status(self.integration.storage, self.name)

    @property
    def probes(self) -> Callable[..., Awaitable[None]]:
        """An ASGI app that answers `/livez` and `/readyz` for this worker, to be mounted in an app of the process."""
        return probes_app(lambda: self.health)

    @property
    def counts(self) -> Counts:
        """What this worker has done since it started."""
        return Counts() if self._delivery is None else self._delivery.counts

    @property
    def users(self) -> list[str]:
        """The users that this worker listens for, once each is connected: from then on their events are delivered."""
        return [] if self._hub is None else self._hub.users

    @property
    def shards(self) -> frozenset[int]:
        """The shards that this worker holds."""
        return frozenset() if self._membership is None else self._membership.held

    @property
    def health(self) -> FleetHealth:
        """How this worker does; what the endpoints `/livez` and `/readyz` tell."""
        membership = self._membership
        renewed_at = None if membership is None else membership.renewed_at
        return FleetHealth(
            worker=self.worker,
            live=self._failure is None,
            ready=self._ready and not self._draining and (renewed_at is None or boot_time() - renewed_at < self._ttl),
            draining=self._draining,
            shards=len(self.shards),
            users=len(self.users),
            connecting=0 if self._connections is None else self._connections.connecting,
            refused=0 if self._connections is None else len(self._connections.refused),
            in_hand=0 if self._delivery is None else self._delivery.in_hand,
            counts=self.counts,
        )

    def _details(self) -> dict[str, Any]:
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": self._started_at,
            "told": time.time(),
            **self.health.to_dict(),
        }

    # Shards and users

    def _wants(self, user: str) -> bool:
        """Return whether the fleet listens for a user: bots always, people where their events go somewhere."""
        if self._bots.of(user) is not None:
            return True
        return (self.publisher is not None or self.has_handlers) and (self._wanted is None or self._wanted(user))

    def _may(self, user: str) -> bool:
        if self._directory is None or self._membership is None or user not in self._directory:
            return False
        return self.mode == "all" or self._membership.holds(self._directory.shard(user))

    def _shard_taken(self, shard: int) -> None:
        if self._directory is not None and self._connections is not None:
            for user in self._directory.of(shard):
                self._connections.join(user)

    def _shard_lost(self, shard: int) -> None:
        if self._directory is not None and self._connections is not None:
            for user in self._directory.of(shard):
                self._tasks.start(self._connections.leave(user))

    async def _shard_drained(self, shard: int) -> None:
        if self._directory is None or self._connections is None:
            return
        await self._connections.drain(self._directory.of(shard))

    def _is_shard_idle(self, shard: int) -> bool:
        if self._directory is None or self._connections is None:
            return True
        return all(self._connections.is_joining(user) for user in self._directory.of(shard))

    async def _shards_changed(self, shards: int) -> None:
        if self._directory is not None:
            self._directory.reshard(shards)

    async def _signed_in(self, event: AuthEvent) -> None:
        await self._tell(event.user_key, "joined")

    async def _signed_out(self, event: AuthEvent) -> None:
        await self._tell(event.user_key, "left")

    async def _tell(self, user_key: str, what: Literal["joined", "left"]) -> None:
        if self._board is None or self._started_at is None:
            return
        with contextlib.suppress(StorageError):
            await self._board.tell([(what, person_uuid(user_key))])
            self._woken.set()

    def _told(self, key: str | None) -> None:
        """Look at once when others have told something, or may have."""
        if key is None or (self._board is not None and key == self._board.key):
            self._woken.set()

    def _user_joined(self, user: str) -> None:
        if self._directory is None or not self._directory.add(user):
            return
        if self._connections is not None and self._may(user):
            self._connections.join(user)

    # Loops

    async def _guarded(self, work: Awaitable[None]) -> None:
        """End the fleet when one of its loops fails: a worker that only seems to work is worse than none."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            _logger.exception("the fleet's worker failed; it stops")
            self._failure = error
            self._stopping.set()

    async def _consume(self) -> None:
        if self._hub is None or self._delivery is None:
            return
        async for event in self._hub.events():
            self._delivery.take(event)

    async def _follow(self) -> None:
        """Read what other workers tell, and look at the fleet when something changed or enough time has passed."""
        loop = asyncio.get_running_loop()
        soonest = loop.time()
        next_look = soonest + min(self._poll, self._ttl / 10)
        changed = False
        while self._board is not None and self._membership is not None and self._directory is not None:
            # Several that tell at the same time, and many workers that are told, are not a look each.
            await asyncio.sleep(min(self._poll, max(_REST, self._membership.rest / 10)))
            pause = math.inf if self.mode == "all" else (soonest if changed else next_look) - loop.time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(min(self._poll, pause), 0.0)):
                    await self._woken.wait()
            self._woken.clear()
            try:
                news = await self._board.read()
                if not news.complete:
                    joined, left = await self._directory.list_all()
                    for user in joined:
                        self._user_joined(user)
                    for user in left:
                        self._user_left(user)
                for kind, value in news.messages:
                    if kind == "joined":
                        self._user_joined(value)
                    elif kind == "left":
                        self._user_left(value)
                changed = changed or not news.complete or any(kind == "changed" for kind, _ in news.messages)
                now = loop.time()
                if self.mode != "all" and (now >= next_look or (changed and now >= soonest)):
                    changed = False
                    next_look = loop.time() + await self._membership.look()
                    soonest = loop.time() + self._membership.rest
            except StorageError as error:
                _logger.warning("the fleet's records could not be read: %s", type(error).__name__)
                next_look = soonest = loop.time() + min(self._poll, _AGAIN)

    def _user_left(self, user: str) -> None:
        if self._directory is not None and self._connections is not None and user in self._directory:
            self._directory.remove(user)
            self._tasks.start(self._connections.leave(user))  # not awaited: other news must not wait for its end

    async def _deliver(self, event: Event[Any]) -> None:
        bot = self._bots.of(event.user_key)
        if bot is not None:
            await bot.take(event)
            return
        if self.publisher is not None:
            await self.publisher.publish(event)  # type: ignore[arg-type]  # of one of the kinds
        await self.call_handlers(event)
