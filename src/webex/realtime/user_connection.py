"""Keep one user's Mercury connection open: register the device, reconnect, order events, trigger catch-up.

The reader of the socket never waits: it hands each frame to the dispatcher. No event is acknowledged before it is
handled, and none that was handled is delivered again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from webex.auth.sources import StaticToken
from webex.auth.store import STANDALONE_KEY
from webex.encryption.channel import KMSChannel
from webex.encryption.keys import UserKeys
from webex.errors import (
    ApiError,
    ConfigurationError,
    DecodeError,
    NotSignedInError,
    RealtimeError,
    ReauthorizationRequiredError,
    TransportError,
    WebexError,
)
from webex.ids import to_hydra_id
from webex.realtime.checkpoint import Checkpoint
from webex.realtime.dispatcher import Dispatcher
from webex.realtime.event import Audience
from webex.realtime.events import Reader
from webex.realtime.health import Health
from webex.realtime.incoming import take_frame
from webex.realtime.kms_transport import ServiceKMSTransport
from webex.realtime.mercury.brief import BriefConnections
from webex.realtime.mercury.close_codes import CloseAction, after_close, after_refusal, fatal_error, is_permanent
from webex.realtime.mercury.device import Device, Devices, check_socket_host
from webex.realtime.mercury.pauses import ReconnectPauses
from webex.realtime.mercury.socket import Closed, MercurySocket
from webex.realtime.options import ConnectionOptions
from webex.realtime.records import checkpoint_owner
from webex.realtime.service_client import UserServiceClient
from webex.realtime.tasks import Tasks, end, observed
from webex.telemetry import Connected, ConnectionEnded, Disconnected

if TYPE_CHECKING:
    from webex.http.types import TokenSource
    from webex.realtime.manager import ConnectionManager
    from webex.realtime.mercury.timers import Timer
    from webex.realtime.subscription import Subscription
    from webex.realtime.wire import EventFrame

_logger = logging.getLogger("webex.realtime")
T = TypeVar("T")

_MOST_ROOM_KEYS: Final = 1_000
_LEFT_BEHIND: Final = 30.0  # seconds that an old socket may still bring frames after a switch-over
_REFRESH_AGAIN: Final = 60.0  # seconds until a refresh of the device that failed is tried again
_FATAL: Final = (NotSignedInError, ReauthorizationRequiredError, ConfigurationError, RealtimeError)


class UserConnection:
    """Run the connection of one user and device name, shared by all its subscriptions."""

    def __init__(
        self,
        manager: ConnectionManager,
        tokens: TokenSource,
        user_key: str | None,
        device_name: str,
        *,
        sending: bool = False,
        **options: Any,
    ) -> None:
        self.manager: ConnectionManager = manager
        self.tokens: TokenSource = tokens
        self.user_key: str | None = user_key
        self._telemetry = manager.pipeline.telemetry
        self.services: UserServiceClient = UserServiceClient(manager, tokens)
        self.options: ConnectionOptions = ConnectionOptions(**options)
        self._remembers = user_key is not None and not sending  # keeps a checkpoint beyond this process
        self.login_id: str | None = None  # of the sign-in that was last seen in the storage
        self._owner = (manager.config.client_id or "", user_key or "", device_name)
        self.checkpoint: Checkpoint = Checkpoint(
            manager.storage, durable=manager.durable and self._remembers, fenced=self.options.fenced
        )
        ttl = 1800 if self.options.ephemeral or not self.checkpoint.durable else None
        self.devices: Devices = Devices(self.services, manager.storage, self._owner, name=device_name, ttl=ttl)
        self._multiple = ttl is not None
        self._kms_transport = ServiceKMSTransport(self)
        self.channel: KMSChannel = KMSChannel(self._kms_transport, roots=manager.kms_roots)
        kept = manager.key_storage if user_key is not None else None
        self.keys: UserKeys = UserKeys("", self.channel, manager.keys, kept, client_id=self._owner[0])
        self.health: Health = Health(user_key)
        self.dispatcher: Dispatcher = Dispatcher(
            self.checkpoint,
            self.keys,
            self.health,
            self.services,
            ack=self._ack,
            again=self._again,
            caught_up=self._caught_up,
            now=manager.now,
            catch_up_limit=86400.0 if self.options.catch_up is True else float(self.options.catch_up),
            telemetry=self._telemetry,
        )
        self.room_keys: dict[str, tuple[str, str]] = {}  # conversation → key URL and resource, for sending
        self._kept_open = False
        self._refreshing: Timer | None = None
        self._pauses = ReconnectPauses(self.options.first_pause)
        self._resumed = False  # a socket was ready since this listener started
        self._task: asyncio.Task[None] | None = None
        self._up: asyncio.Future[None] | None = None
        self._socket: MercurySocket | None = None
        self._reader: asyncio.Task[None] | None = None  # the reader of the present socket
        self._switching: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._offered = ""  # the token that the socket was opened with
        self._fault: str | None = None  # why the next connection has to catch up
        self._lock = asyncio.Lock()

    def keep_room_key(self, room: str, key: tuple[str, str]) -> None:
        """Remember the key of a conversation; the oldest make room."""
        self.room_keys[room] = key
        if len(self.room_keys) > _MOST_ROOM_KEYS:
            del self.room_keys[next(iter(self.room_keys))]

    # Subscriptions

    async def attach(self, subscription: Subscription[Any]) -> None:
        """Add a subscription; the first one starts the connection."""
        self.dispatcher.subscriptions.append(subscription)
        try:
            await self.ensure()
        except BaseException:
            await self.detach(subscription)
            raise
        self.dispatcher.attached()

    async def detach(self, subscription: Subscription[Any]) -> None:
        """Remove a subscription; the last one ends the connection."""
        if subscription in self.dispatcher.subscriptions:
            self.dispatcher.subscriptions.remove(subscription)
            self.dispatcher.drained()
        if not self.dispatcher.subscriptions and not self._kept_open:
            await self.stop()

    async def keep_open(self) -> None:
        """Stay connected until the app closes, for sending."""
        self._kept_open = True
        await self.ensure()

    @property
    def is_running(self) -> bool:
        """Whether the connection is open, or being opened."""
        return self._task is not None and not self._task.done()

    @property
    def user_id(self) -> str:
        """The UUID of the person; known once connected."""
        return self._kms_transport.user_id

    async def ensure(self) -> None:
        """Connect; raises what makes it impossible."""
        async with self._lock:
            if not self.is_running:
                self._up = asyncio.get_running_loop().create_future()
                self._up.add_done_callback(observed)
                self._resumed = False
                self.dispatcher.begin()
                self._task = asyncio.get_running_loop().create_task(self._run())
                self.manager.watch.begin()
        if self._up is not None:
            await asyncio.shield(self._up)

    async def stop(self, error: WebexError | None = None) -> None:
        """End the connection and keep what a later start needs. Waiting callers get `error`."""
        if error is not None:
            self._fail(error)
        # To the end, also when who waits for it is cancelled.
        ending = asyncio.ensure_future(self._stop(unless_used=error is None))
        ending.add_done_callback(observed)
        await asyncio.shield(ending)

    async def sign_out(self, error: WebexError, token: str | None = None) -> None:
        """Stop because the user is signed out: store nothing more, and delete the device while `token` works."""
        await self.checkpoint.close()
        self.keys.forget()
        if token is not None:
            self.services.tokens = StaticToken(token)
            self._multiple = True
        await self.stop(error)

    async def _stop(self, *, unless_used: bool) -> None:
        async with self._lock:
            if unless_used and self.dispatcher.subscriptions:
                return  # a subscription came while the last one went
            task, self._task = self._task, None
            if task is None:
                return
            # The next start reads what another process has stored meanwhile, and waits for no close that hangs.
            with self.manager.dropped(self) if self.options.fenced else nullcontext():
                await end((task,))
                await self._close()

    async def _close(self) -> None:
        self._telemetry.tell(ConnectionEnded(self.dispatcher.user, self._owner[2]))
        if self._refreshing is not None:
            self._refreshing.cancel()
        await self._tasks.close()
        await self.dispatcher.close()
        await self.keys.close()
        await self.channel.close()
        if self._remembers:
            try:
                await self.checkpoint.flush()
            except WebexError as failure:
                _logger.warning("the checkpoint could not be stored: %s", type(failure).__name__)
        if self._up is not None and not self._up.done():
            self._up.set_exception(RealtimeError("Listening was ended before it had begun."))
        if self._multiple:
            try:
                await self.devices.unregister()
            except WebexError as failure:
                _logger.info("the device could not be deleted: %s", type(failure).__name__)

    # The connection

    async def _run(self) -> None:
        brief, clock, verdict = BriefConnections(), asyncio.get_running_loop().time, CloseAction.RECONNECT
        self._pauses = ReconnectPauses(self.options.first_pause)
        while True:
            error: BaseException | None = None
            await self.manager.turn_to_connect(self.options.connects_per_second)
            try:
                await self._recover(verdict)  # in its turn, too: the cloud may have closed the sockets of all users
            except _FATAL as fatal:
                self.end(fatal)
                return
            except WebexError as failure:
                _logger.info("recovering failed: %s", type(failure).__name__)
            verdict, code, reason, retry_after = CloseAction.RECONNECT, None, "", None
            began = clock()
            try:
                await self._connect_and_serve()
            except Closed as closed:
                if closed.refused is not None:
                    verdict = after_refusal(closed.refused)
                else:
                    verdict = after_close(closed.code, closed.reason, ready=closed.ready)
                retry_after = closed.retry_after
                code, reason = closed.code, closed.reason if closed.refused is None else f"HTTP {closed.refused}"
                error = fatal_error(verdict, closed.code)
            except _FATAL as fatal:
                error, reason = fatal, type(fatal).__name__
            except (WebexError, OSError) as failure:
                reason = type(failure).__name__
                if isinstance(failure, TransportError):
                    self.services.refresh_catalog()
                if isinstance(failure, ApiError):
                    retry_after = failure.retry_after
                if is_permanent(failure) and self._up is not None and not self._up.done():
                    error = failure  # before the first connection the caller is told; later it is retried
            except Exception:  # whatever it is: subscriptions must not wait for ever
                _logger.exception("the connection failed; it is made anew")
            finally:
                self.health.connected_since = None
                self._socket = None
            if error is not None:
                action = verdict.value if verdict.is_final else "stop"
                self._tell(Disconnected(self.dispatcher.user, code, reason, action, 0.0, self._owner[2]))
                self.end(error)
                return
            lived, pause = clock() - began, self._pauses.ended(clock())
            wait = max(retry_after or 0.0, 0.0 if lived > pause and self._up is not None and self._up.done() else pause)
            verdict = brief.judge(verdict, lived, closed=code is not None)
            self._tell(Disconnected(self.dispatcher.user, code, reason, verdict.value, wait, self._owner[2]))
            await asyncio.sleep(wait)

    async def _recover(self, verdict: CloseAction) -> None:
        if verdict is CloseAction.REFRESH_TOKEN:
            if await self.tokens.replace(self._offered) is None:
                raise RealtimeError("Mercury refuses the token, and there is no other.", code=4401)
        elif verdict is CloseAction.REFRESH_DEVICE:
            before = self.devices.current
            after = await self.devices.refresh()
            if before is not None and before.url != after.url:
                self._fault = self._fault or "the device had expired"

    def end(self, error: BaseException) -> None:
        """End listening with this error."""
        self._fail(error)
        if isinstance(error, NotSignedInError | ReauthorizationRequiredError):
            self.manager.watch.lost(self, error)

    def _fail(self, error: BaseException) -> None:
        if self._up is not None and not self._up.done():
            self._up.set_exception(error)
        for subscription in tuple(self.dispatcher.subscriptions):
            subscription.fail(error)

    async def _connect_and_serve(self) -> None:
        device = await self._prepare()
        socket = self._new_socket()
        await self._open(socket, device)
        self._socket = socket
        try:
            self.health.connected_since = datetime.now(UTC)
            self._opened()
            await self._resume(socket, device)
            self._reader = asyncio.ensure_future(socket.run())
            self._refresh_later(self.devices.refresh_after)
            if self._up is not None and not self._up.done():
                self._up.set_result(None)
            await self._serve()
        finally:
            if self._switching is not None:  # nor may another socket open now
                await end((self._switching,))
            present, self._socket = self._socket, None
            if present is not None:
                await present.close()
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.gather(self._reader, return_exceptions=True)

    async def _open(self, socket: MercurySocket, device: Device) -> None:
        url = device.socket_url
        check_socket_host(url, self.manager.config, self.manager.pipeline.hosts)
        self._offered = await self.tokens.access_token()
        await socket.open(url, self._offered, multiple=self._multiple)

    async def _serve(self) -> None:
        while True:
            run = self._reader
            if run is None:
                return
            await asyncio.wait({run})
            if run is not self._reader:
                continue  # another socket took over
            if self._switching is not None and not self._switching.done():
                await asyncio.wait({self._switching})
                if run is not self._reader:
                    continue
            try:
                run.result()
            except Closed as closed:
                if self._switching is not None and closed.code in (4000, 4001):
                    raise Closed(None, "replaced by a socket of ours", ready=True) from None
                raise

    async def _prepare(self) -> Device:
        device = await self.devices.ensure()
        self.services.device_url = device.url
        self._kms_transport.device_url, self._kms_transport.user_id = device.url, device.user_id
        self.keys.user = device.user_id
        self.dispatcher.user = device.user_id if self.user_key in (None, STANDALONE_KEY) else self.user_key
        client_id, user_key, device_name = self._owner
        if self._remembers:
            owner = checkpoint_owner(client_id, user_key, device.user_id, device_name)
            await self.checkpoint.load(owner, (client_id, device.user_id, device_name))
        dispatcher = self.dispatcher
        if not dispatcher.audience.person_id:
            hydra = await self.services.url_of("hydra")
            person = (await self.services.send("GET", f"{hydra}/people/me")).json()
            catalog = await self.services.catalog()
            if not isinstance(person, dict):
                raise DecodeError("The answer to people/me is no JSON object.")
            dispatcher.is_bot = person.get("type") == "bot"
            dispatcher.reader = Reader(hydra, catalog.cluster_of)
            dispatcher.audience = Audience(
                to_hydra_id("PEOPLE", device.user_id), str(person.get("orgId") or ""), datetime.now(UTC), self.user_key
            )
        return device

    def _new_socket(self) -> MercurySocket:
        manager, device = self.manager, self.devices.current
        secure = device is not None and device.socket_url.startswith("wss:")
        return MercurySocket(
            self,
            manager.wheel,
            tls=manager.tls if secure else None,
            proxy_for=manager.config.proxy_for,
            ping_interval=self.options.ping_interval,
            pong_timeout=self.options.pong_timeout,
            on_latency=self.health.took,
        )

    async def _resume(self, socket: MercurySocket, device: Device) -> None:
        """Decide whether the cloud still holds what was missed, or it has to be listed."""
        checkpoint, dispatcher = self.checkpoint, self.dispatcher
        if socket.cloud_time is not None:
            dispatcher.clock_offset = socket.cloud_time - self.manager.now()
        known = socket.buffer_state.get("conversation") not in (None, "UNKNOWN")
        because: str | None = None
        if not checkpoint.watermark:
            await checkpoint.start(dispatcher.cloud_moment())
            await self.devices.caught_up()
        elif self._fault is not None or device.fresh or not known:
            because = self._fault or "the cloud did not confirm that nothing was missed"
        elif not self._resumed and dispatcher.is_long_ago(checkpoint.watermark):
            because = "it was long ago that everything had been handled"
        self._fault, self._resumed = None, True
        dispatcher.reconnected(because)
        self.channel.reconnected()

    def _caught_up(self) -> None:
        if self.devices.current is not None and self.devices.current.fresh:
            self._tasks.start(self.devices.caught_up())

    def _refresh_later(self, seconds: float | None) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        if seconds is not None:
            self._refreshing = self.manager.wheel.after(seconds, self._keep_device_soon)

    def _keep_device_soon(self) -> None:
        self._tasks.start(self._keep_device())

    async def _keep_device(self) -> None:
        before = self.devices.current
        try:
            after = await self.devices.refresh()
        except WebexError as error:
            _logger.info("the device could not be refreshed: %s", type(error).__name__)
            self._refresh_later(_REFRESH_AGAIN)
            return
        self._refresh_later(self.devices.refresh_after)
        if before is not None and before.url != after.url:
            self._fault = "the device had expired"
            self._again()  # the socket of a registration that is gone brings nothing

    def _opened(self) -> None:
        self._pauses.opened(asyncio.get_running_loop().time())
        self.health.connections += 1
        self._tell(Connected(self.dispatcher.user, self.health.connections > 1, self._owner[2]))

    def _tell(self, notice: Connected | Disconnected) -> None:
        self._telemetry.tell(notice)
        self.dispatcher.tell(notice)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine that ends with the connection at the latest."""
        return self._tasks.start(work)

    # What the socket brings

    def on_event(self, socket: MercurySocket, envelope: EventFrame) -> None:
        """Take one frame; see `webex.realtime.mercury.socket.Owner`."""
        take_frame(self, socket, envelope)

    def on_gap(self, socket: MercurySocket, actual: int, expected: int) -> None:
        """Start a catch-up for the missing frames."""
        self.health.gaps_found += 1
        _logger.warning("frames %d to %d are missing; catching up", expected, actual - 1)
        self.dispatcher.catch_up("frames were missing")

    def on_shutdown(self, socket: MercurySocket) -> None:
        """Open another socket before this one closes: the server is about to go."""
        if socket is self._socket and (self._switching is None or self._switching.done()):
            self._switching = self._tasks.start(self._switch_over())

    async def _switch_over(self) -> None:
        if (device := self.devices.current) is None:
            return
        pauses, clock = self._pauses, asyncio.get_running_loop().time
        wait = 0.0 if pauses.is_proven(clock()) else pauses.ended(clock())
        while True:
            await asyncio.sleep(wait)
            if self._reader is None or self._reader.done():
                return  # the old one is gone: the ordinary way connects anew
            await self.manager.turn_to_connect(self.options.connects_per_second)
            socket = self._new_socket()
            try:
                await self._open(socket, device)
                break
            except (Closed, WebexError, OSError):
                wait = pauses.ended(clock())
        old_socket, old_run, self._socket = self._socket, self._reader, socket
        self._reader = asyncio.ensure_future(socket.run())
        self._opened()
        self.dispatcher.reconnected(None)
        self.channel.reconnected()
        if old_run is not None and old_socket is not None:
            self._tasks.own(old_run)
            self.manager.wheel.after(_LEFT_BEHIND, lambda: self._close_later(old_socket))

    def _close_later(self, socket: MercurySocket) -> None:
        self._tasks.start(socket.close())

    def _ack(self, message_id: str) -> None:
        if self._socket is not None:
            self._socket.ack(message_id)

    def _again(self) -> None:
        """Reconnect, so that the cloud sends what is not acknowledged."""
        if self._socket is not None:
            self._tasks.start(self._socket.close(1000, "Idle"))
