"""One user, heard: a device, a socket that is always there again, events in order, gaps filled.

Frames come in on the reader, which never waits: what can be opened at once goes out at once; what needs a key waits in
a lane of its room, and only that room waits. Nothing is acknowledged before it was handled, and nothing that was
handled is given out again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from webex.config import is_loopback_host
from webex.encryption.channel import KMSChannel
from webex.encryption.keys import UserKeys
from webex.errors import (
    ApiError,
    ConfigurationError,
    ConnectionReplacedError,
    DecodeError,
    NotSignedInError,
    RealtimeError,
    ReauthorizationRequiredError,
    TransportError,
    WebexError,
)
from webex.ids import to_hydra_id
from webex.realtime.closing import Next, after_close, after_refusal, is_in_vain
from webex.realtime.device import Device, Devices
from webex.realtime.event import Audience
from webex.realtime.events import Reader
from webex.realtime.health import Health
from webex.realtime.intake import Intake
from webex.realtime.journal import Journal
from webex.realtime.link import Link
from webex.realtime.options import ConnectionOptions
from webex.realtime.overrides import override
from webex.realtime.socket import Closed, MercurySocket
from webex.realtime.tasks import Tasks

if TYPE_CHECKING:
    from webex.http.types import TokenSource
    from webex.realtime.listening import Listening
    from webex.realtime.machine import Machine
    from webex.realtime.timers import Timer

_logger = logging.getLogger("webex.realtime")

_LONGEST_PAUSE: Final = 32.0
_MOST_ROOM_KEYS: Final = 1_000
_LEFT_BEHIND: Final = 30.0  # seconds that an old socket may still bring frames after a switch-over
_REFRESH_AGAIN: Final = 60.0  # seconds until a refresh of the device that failed is tried again
_FATAL: Final = (NotSignedInError, ReauthorizationRequiredError, ConfigurationError, RealtimeError)


class Listener:
    """The one connection of a user and device name, shared by all subscriptions."""

    def __init__(
        self,
        machine: Machine,
        tokens: TokenSource,
        user_key: str | None,
        device_name: str,
        *,
        sending: bool = False,
        **options: Any,
    ) -> None:
        from webex.realtime.machine import UserDoor

        self.machine, self.tokens, self.user_key = machine, tokens, user_key
        self.door = UserDoor(machine, tokens)
        self.options = opt = ConnectionOptions(**options)
        self._remembers = user_key is not None and not sending  # what it heard, beyond this process
        self._owner = (machine.config.client_id or "", user_key or "", device_name)
        self.journal = Journal(machine.storage, durable=machine.durable and self._remembers)
        ttl = 1800 if opt.ephemeral or not self.journal.durable else None
        self.devices = Devices(self.door, machine.storage, self._owner, name=device_name, ttl=ttl)
        self._multiple = ttl is not None
        self._link = Link(self)
        self.channel = KMSChannel(self._link, roots=machine.kms_roots)
        kept = machine.key_storage if user_key is not None else None
        self.keys = UserKeys("", self.channel, machine.keys, kept)
        self.health = Health(user_key)
        self.intake = Intake(
            self.journal,
            self.keys,
            self.health,
            self.door,
            ack=self._ack,
            again=self._again,
            caught_up=self._caught_up,
            now=machine.now,
            catch_up_limit=86400.0 if opt.catch_up is True else float(opt.catch_up),
        )
        self.room_keys: dict[str, tuple[str, str]] = {}  # conversation → key URL and resource, for sending
        self._kept_open = False
        self._refreshing: Timer | None = None
        self._resumed = False  # a socket was ready since this listener started
        self._task: asyncio.Task[None] | None = None
        self._up: asyncio.Future[None] | None = None
        self._socket: MercurySocket | None = None
        self._run: asyncio.Task[None] | None = None  # the reader of the present socket
        self._switching: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._fault: str | None = None  # why the next connection has to catch up
        self._lock = asyncio.Lock()

    def keep_room_key(self, room: str, key: tuple[str, str]) -> None:
        """Remember the key of a conversation; the oldest make room."""
        self.room_keys[room] = key
        if len(self.room_keys) > _MOST_ROOM_KEYS:
            del self.room_keys[next(iter(self.room_keys))]

    # Subscriptions

    async def attach(self, subscription: Listening[Any]) -> None:
        """Let a subscription hear; starts the connection when it is the first."""
        self.intake.subscriptions.append(subscription)
        try:
            await self.ensure()
        except BaseException:
            await self.detach(subscription)
            raise
        self.intake.attached()

    async def detach(self, subscription: Listening[Any]) -> None:
        """A subscription hears no more; the last one ends the connection."""
        if subscription in self.intake.subscriptions:
            self.intake.subscriptions.remove(subscription)
            self.intake.drained()
        if not self.intake.subscriptions and not self._kept_open:
            await self.stop()

    async def keep_open(self) -> None:
        """Be connected until the app closes, whether somebody listens or not: for sending."""
        self._kept_open = True
        await self.ensure()

    @property
    def is_running(self) -> bool:
        """Whether it is connected, or tries to be."""
        return self._task is not None and not self._task.done()

    @property
    def user_id(self) -> str:
        """The UUID of the person; known once connected."""
        return self._link.user_id

    async def ensure(self) -> None:
        """Be connected; raises what makes it impossible."""
        async with self._lock:
            if not self.is_running:
                self._up = asyncio.get_running_loop().create_future()
                self._up.add_done_callback(_seen)
                self._resumed = False
                self.intake.begin()
                self._task = asyncio.get_running_loop().create_task(self._live())
        if self._up is not None:
            await asyncio.shield(self._up)

    async def stop(self, error: WebexError | None = None) -> None:
        """End the connection and everything under way; keep what a later start needs. Who waits gets `error`."""
        if error is not None:
            self._end(error)
        # To the end, also when who waits for it is cancelled.
        ending = asyncio.ensure_future(self._stop(unless_heard=error is None))
        ending.add_done_callback(_seen)
        await asyncio.shield(ending)

    async def _stop(self, *, unless_heard: bool) -> None:
        async with self._lock:
            if unless_heard and self.intake.subscriptions:
                return  # somebody came while the last one went
            task, self._task = self._task, None
            if task is None:
                return
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if self._refreshing is not None:
                self._refreshing.cancel()
            await self._tasks.close()
            await self.intake.close()
            await self.keys.close()
            await self.channel.close()
            if self._remembers:
                try:
                    await self.journal.flush()
                except WebexError as failure:
                    _logger.warning("how listening stood could not be stored: %s", type(failure).__name__)
            if self._up is not None and not self._up.done():
                self._up.set_exception(RealtimeError("Listening was ended before it had begun."))
            if self._multiple:
                try:
                    await self.devices.unregister()
                except WebexError as failure:
                    _logger.info("the device could not be deleted: %s", type(failure).__name__)

    # The connection

    async def _live(self) -> None:
        pause = self.options.first_pause
        while True:
            error: BaseException | None = None
            verdict = Next.RECONNECT
            began = asyncio.get_running_loop().time()
            retry_after: float | None = None
            try:
                await self._connect_and_serve()
            except Closed as closed:
                if closed.refused is not None:
                    verdict = after_refusal(closed.refused)
                else:
                    verdict = after_close(closed.code, closed.reason, ready=closed.ready)
                retry_after = closed.retry_after
                _logger.info("the socket %s: %s", closed, verdict.value)
                error = self._fatal(verdict, closed)
                if closed.ready:
                    pause = self.options.first_pause
            except _FATAL as fatal:
                error = fatal
            except (WebexError, OSError) as failure:
                _logger.info("no connection: %s", type(failure).__name__)
                if isinstance(failure, TransportError):
                    self.door.refresh_catalog()
                if isinstance(failure, ApiError):
                    retry_after = failure.retry_after
                if is_in_vain(failure) and self._up is not None and not self._up.done():
                    error = failure  # whoever waits for the first connection is told; one that stood comes back
            except Exception:  # whatever it is, who listens must not wait for nothing
                _logger.exception("the connection failed; it is made anew")
            finally:
                self.health.connected_since = None
                self._socket = None
            if error is not None:
                self._end(error)
                return
            try:
                await self._mend(verdict)
            except _FATAL as fatal:
                self._end(fatal)
                return
            except WebexError as failure:
                _logger.info("mending failed: %s", type(failure).__name__)
            lived = asyncio.get_running_loop().time() - began
            wait = 0.0 if lived > pause and self._up is not None and self._up.done() else pause
            await asyncio.sleep(max(retry_after or 0.0, wait * random.uniform(0.5, 1.0)))  # noqa: S311  # jitter
            pause = self.options.first_pause if lived > _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)

    def _fatal(self, verdict: Next, closed: Closed) -> RealtimeError | None:
        if verdict is Next.REPLACED:
            return ConnectionReplacedError(
                "Another socket has taken this device: give each process a device_name of its own.", code=closed.code
            )
        if verdict is Next.REFUSED:
            return RealtimeError("Webex refuses to let this account listen.", code=closed.code)
        return None

    async def _mend(self, verdict: Next) -> None:
        if verdict is Next.REFRESH_TOKEN:
            if await self.tokens.replace(await self.tokens.access_token()) is None:
                raise RealtimeError("Mercury refuses the token, and there is no other.", code=4401)
        elif verdict is Next.REFRESH_DEVICE:
            before = self.devices.current
            after = await self.devices.refresh()
            if before is not None and before.url != after.url:
                self._fault = self._fault or "the device had expired"

    def _end(self, error: BaseException) -> None:
        if self._up is not None and not self._up.done():
            self._up.set_exception(error)
        for subscription in tuple(self.intake.subscriptions):
            subscription.fail(error)

    async def _connect_and_serve(self) -> None:
        device = await self._prepare()
        socket = self._new_socket()
        await self._open(socket, device)
        self._socket = socket
        try:
            self.health.connected_since = datetime.now(UTC)
            self.health.connections += 1
            await self._resume(socket, device)
            self._run = asyncio.ensure_future(socket.run())
            self._refresh_later(self.devices.refresh_after)
            if self._up is not None and not self._up.done():
                self._up.set_result(None)
            await self._serve()
        finally:
            if self._switching is not None:  # nor may another socket open now
                self._switching.cancel()
                await asyncio.gather(self._switching, return_exceptions=True)
            present, self._socket = self._socket, None
            if present is not None:
                await present.close()
            if self._run is not None:
                self._run.cancel()
                await asyncio.gather(self._run, return_exceptions=True)

    async def _open(self, socket: MercurySocket, device: Device) -> None:
        url = device.socket_url
        config, host = self.machine.config, urlsplit(url).hostname
        beside_emulator = config.emulator_url is not None and (is_loopback_host(host) or host in config.emulator_hosts)
        if not url.startswith(("wss:", "ws:")) or not (
            beside_emulator or self.machine.pipeline.hosts.may_receive_token(f"http{url[2:]}")
        ):
            raise RealtimeError(
                f"The registration names a socket at {host!r}, which may not receive a token: "
                "it is no service of the catalog. allowed_domains is the setting, if it should be."
            )
        await socket.open(url, await self.tokens.access_token(), multiple=self._multiple)

    async def _serve(self) -> None:
        while True:
            run = self._run
            if run is None:
                return
            await asyncio.wait({run})
            if run is not self._run:
                continue  # another socket took over
            if self._switching is not None and not self._switching.done():
                await asyncio.wait({self._switching})
                if run is not self._run:
                    continue
            try:
                run.result()
            except Closed as closed:
                if self._switching is not None and closed.code in (4000, 4001):
                    raise Closed(None, "replaced by a socket of ours", ready=True) from None
                raise

    async def _prepare(self) -> Device:
        device = await self.devices.ensure()
        self.door.device_url = device.url
        self._link.device_url, self._link.user_id = device.url, device.user_id
        self.keys.user = device.user_id
        client_id, _, device_name = self._owner
        if self._remembers:
            await self.journal.load((client_id, device.user_id, device_name))
        intake = self.intake
        if not intake.audience.person_id:
            hydra = await self.door.url_of("hydra")
            person = (await self.door.send("GET", f"{hydra}/people/me")).json()
            catalog = await self.door.catalog()
            if not isinstance(person, dict):
                raise DecodeError("The answer to people/me is no JSON object.")
            intake.is_bot = person.get("type") == "bot"
            intake.reader = Reader(hydra, catalog.cluster_of)
            intake.audience = Audience(
                to_hydra_id("PEOPLE", device.user_id), str(person.get("orgId") or ""), datetime.now(UTC), self.user_key
            )
        return device

    def _new_socket(self) -> MercurySocket:
        machine = self.machine
        device = self.devices.current
        secure = device is not None and device.socket_url.startswith("wss:")
        return MercurySocket(
            self,
            machine.wheel,
            tls=machine.tls if secure else None,
            proxy=machine.config.proxy,
            ping_interval=self.options.ping_interval,
            pong_timeout=self.options.pong_timeout,
            on_latency=self.health.took,
        )

    async def _resume(self, socket: MercurySocket, device: Device) -> None:
        """Decide whether the cloud still holds what we missed, or it has to be listed."""
        journal, intake = self.journal, self.intake
        if socket.cloud_time is not None:
            intake.clock_offset = socket.cloud_time - self.machine.now()
        known = socket.buffer_state.get("conversation") not in (None, "UNKNOWN")
        because: str | None = None
        if not journal.watermark:
            await journal.start(intake.cloud_moment())
            await self.devices.caught_up()
        elif self._fault is not None or device.fresh or not known:
            because = self._fault or "the cloud could not vouch for continuity"
        elif not self._resumed and intake.is_long_ago(journal.watermark):
            because = "it was long ago that everything had been handled"
        self._fault, self._resumed = None, True
        intake.reconnected(because)
        self.channel.reconnected()

    def _caught_up(self) -> None:
        if self.devices.current is not None and self.devices.current.fresh:
            self._tasks.start(self.devices.caught_up())

    # The device has to be refreshed before its time

    def _refresh_later(self, seconds: float | None) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        if seconds is not None:
            self._refreshing = self.machine.wheel.after(seconds, lambda: _started(self._tasks, self._keep_device()))

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

    # What the socket brings

    def on_event(self, socket: MercurySocket, envelope: dict[str, Any]) -> None:
        """Take one frame; see `webex.realtime.socket.Owner`."""
        data = envelope["data"]
        kind = data.get("eventType")
        if kind == "conversation.activity":
            message_id = envelope.get("id")
            if "headers" in envelope or "headers" in data:
                override(envelope)
            activity = data.get("activity")
            known = message_id if isinstance(message_id, str) else None
            if isinstance(activity, dict) and isinstance(activity.get("id"), str):
                self.intake.take(activity, known)
            elif known is not None:
                socket.ack(known)
            return
        if isinstance(envelope.get("id"), str):
            socket.ack(envelope["id"])
        if kind == "encryption.kms_message":
            encryption = data.get("encryption")
            messages = encryption.get("kmsMessages") if isinstance(encryption, dict) else None
            self.channel.receive(messages or data.get("kmsMessages") or data.get("encryption.kmsMessages"))
        elif kind in ("status.start_typing", "status.stop_typing"):
            self.intake.typing(data, kind)

    def on_gap(self, socket: MercurySocket, actual: int, expected: int) -> None:
        """Frames are missing: list what they held."""
        self.health.gaps_found += 1
        _logger.warning("frames %d to %d are missing; catching up", expected, actual - 1)
        self.intake.catch_up("frames were missing")

    def on_shutdown(self, socket: MercurySocket) -> None:
        """The server goes: open another socket before this one closes."""
        if socket is self._socket and (self._switching is None or self._switching.done()):
            self._switching = self._tasks.start(self._switch_over())

    async def _switch_over(self) -> None:
        device = self.devices.current
        if device is None:
            return
        pause = self.options.first_pause
        while True:
            socket = self._new_socket()
            try:
                await self._open(socket, device)
            except (Closed, WebexError, OSError):
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
                pause = min(pause * 2, _LONGEST_PAUSE)
                if self._run is None or self._run.done():
                    return  # the old one is gone: the ordinary way connects anew
                continue
            break
        old_socket, old_run = self._socket, self._run
        self._socket = socket
        self._run = asyncio.ensure_future(socket.run())
        self.health.connections += 1
        self.intake.reconnected(None)
        self.channel.reconnected()
        if old_run is not None and old_socket is not None:
            self._tasks.own(old_run)
            self.machine.wheel.after(_LEFT_BEHIND, lambda: self._close_later(old_socket))

    def _close_later(self, socket: MercurySocket) -> None:
        self._tasks.start(socket.close())

    def _ack(self, message_id: str) -> None:
        if self._socket is not None:
            self._socket.ack(message_id)

    def _again(self) -> None:
        """Come back, so that the cloud sends what is not acknowledged."""
        if self._socket is not None:
            self._tasks.start(self._socket.close(1000, "Idle"))


def _started(tasks: Tasks, work: Coroutine[Any, Any, None]) -> None:
    tasks.start(work)


def _seen(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
