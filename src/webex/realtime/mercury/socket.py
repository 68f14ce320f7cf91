"""Run one Mercury connection, from the upgrade to its close (mercury §3).

It authorizes, waits for the state frame, sends pings, checks sequence numbers and hands every other frame to its owner,
which reconnects and decrypts.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import uuid4

import msgspec

from webex.errors import ConnectError, DeadlineError, TransportError
from webex.http.codec import without_lone_surrogates
from webex.http.timing import parse_retry_after
from webex.realtime.wire import is_event

if TYPE_CHECKING:
    from webex.realtime.mercury.connection import Connection, Data
    from webex.realtime.mercury.timers import Timer, TimerWheel
    from webex.realtime.wire import EventFrame, Frame

_logger = logging.getLogger("webex.realtime")

PING_INTERVAL: Final = 15.0
PONG_TIMEOUT: Final = 14.0
READY_TIMEOUT: Final = 30.0
_REORDER_PATIENCE: Final = 0.25  # seconds that a frame may be overtaken by
_MOST_AHEAD: Final = 256
_LARGEST_FRAME: Final = 64 * 1024 * 1024
_GATHER_ACKS: Final = 0.01  # seconds in which acknowledgements are gathered: each write is a system call
_READY: Final = ("mercury.buffer_state", "mercury.registration_status")

_decode = cast("Callable[[Data], Frame]", msgspec.json.Decoder(dict[str, Any]).decode)  # no field is checked
_encode = msgspec.json.encode
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


class Owner(Protocol):
    """Take the frames of a socket. None of these may block or raise."""

    def on_event(self, socket: MercurySocket, envelope: EventFrame) -> None:
        """Take a frame with data; acknowledge it with `socket.ack(envelope["id"])`."""
        ...

    def on_gap(self, socket: MercurySocket, actual: int, expected: int) -> None:
        """Note that frames are missing."""
        ...

    def on_shutdown(self, socket: MercurySocket) -> None:
        """Open another socket: the server is about to go, and this one stays until then."""
        ...


class Closed(Exception):
    """The socket has closed: `code` (None: cut) and `reason`, or the HTTP status of a refused upgrade."""

    def __init__(self, code: int | None, reason: str = "", *, ready: bool, refused: int | None = None) -> None:
        super().__init__(f"closed with {code if refused is None else f'HTTP {refused}'} {reason}".strip())
        self.code: int | None = code
        self.reason: str = reason
        self.ready: bool = ready
        self.refused: int | None = refused
        self.retry_after: float | None = None


def socket_url(url: str, *, multiple: bool = False) -> str:
    """Return the URL to connect to: that of WDM, with the query parameters that Mercury expects."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query |= {"outboundWireFormat": "text", "bufferStates": "true", "aliasHttpStatus": "true"}
    if multiple:
        query["multipleConnections"] = "true"
    query["clientTimestamp"] = str(int(time.time() * 1000))
    return urlunsplit(parts._replace(query=urlencode(query)))


class MercurySocket:
    """Run one connection: `open`, then `run` until it raises `Closed`."""

    def __init__(
        self,
        owner: Owner,
        wheel: TimerWheel,
        *,
        tls: ssl.SSLContext | None = None,
        proxy_for: Callable[[str], str | None] = lambda url: None,
        user_agent: str = "webex-python-sdk",
        ping_interval: float = PING_INTERVAL,
        pong_timeout: float = PONG_TIMEOUT,
        on_latency: Callable[[float], None] | None = None,  # seconds that a ping and its pong took
    ) -> None:
        self._owner, self._wheel = owner, wheel
        self._tls, self._proxy_for, self._user_agent = tls, proxy_for, user_agent
        self._ping_interval, self._pong_timeout = ping_interval, pong_timeout
        self._on_latency = on_latency
        self._connection: Connection | None = None
        self._expected: int | None = None  # the next sequence number
        self._ahead: dict[int, Frame] = {}  # frames that overtook one that is missing
        self._overtaken: Timer | None = None
        self._ping_id: str | None = None
        self._pinged = 0.0
        self._timer: Timer | None = None
        self._outbox: list[bytes] = []
        self._early: list[Data] | None = []  # what comes before `run`
        self._state: asyncio.Future[None] | None = None  # the state frame
        self._close_reason: tuple[int, str] | None = None  # why we closed it ourselves
        self.ready: bool = False
        self.buffer_state: dict[str, Any] = {}
        self.cloud_time: float | None = None  # seconds since the epoch, by the state frame

    async def open(self, url: str, token: str, *, multiple: bool = False, timeout: float = READY_TIMEOUT) -> None:
        """Connect, authorize, and wait for the state frame; `Closed`, `TransportError` or `DeadlineError` otherwise."""
        from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

        from webex.realtime.mercury.connection import Connecting, Connection

        address = socket_url(url, multiple=multiple)
        secure = address.startswith("wss:")
        proxy = self._proxy_for(address)
        tunnel: dict[str, Any] = (
            {"proxy_ssl": self._tls} if proxy is not None and proxy.startswith("https:") and self._tls else {}
        )
        try:
            async with asyncio.timeout(timeout):
                try:
                    connection = await Connecting(
                        address,
                        ssl=self._tls if secure else None,
                        proxy=proxy,
                        ping_interval=None,
                        compression=None,
                        max_size=_LARGEST_FRAME,
                        open_timeout=None,
                        close_timeout=2,
                        user_agent_header=self._user_agent,
                        logger=_quiet,
                        **tunnel,
                        create_connection=partial(Connection, self._arrived),  # type: ignore[arg-type]  # a factory
                    )
                    self._connection = cast("Connection", connection)
                except InvalidStatus as error:
                    closed = Closed(None, ready=False, refused=error.response.status_code)
                    asked = error.response.headers.get("Retry-After")
                    closed.retry_after = parse_retry_after(asked, time.time())
                    raise closed from None
                except (InvalidHandshake, WebSocketException) as error:
                    raise TransportError(
                        f"{urlsplit(address).hostname} (Mercury) did not shake hands ({type(error).__name__})."
                    ) from None
                except OSError as error:
                    raise ConnectError(
                        f"No connection to {urlsplit(address).hostname} (Mercury) was made ({type(error).__name__})."
                    ) from None
                await self._authorize(token)
        except TimeoutError:
            await self.close()
            raise DeadlineError(f"{urlsplit(url).hostname} (Mercury) was not ready within {timeout:g} s.") from None
        except BaseException:
            await self.close()
            raise

    async def run(self) -> None:
        """Take frames until the socket closes; always raises `Closed`."""
        connection = self._require()
        early, self._early = self._early or [], None
        for message in early:
            self._arrived(message)
        self._ping()
        await connection.wait_closed()
        raise self._closed(connection)

    def ack(self, message_id: str) -> None:
        """Acknowledge a frame, soon and together with others; does nothing on a closed socket."""
        if self._connection is None or self._close_reason is not None:
            return
        if not self._outbox:
            asyncio.get_running_loop().call_later(_GATHER_ACKS, self._flush)
        self._outbox.append(b'{"messageId":%b,"type":"ack"}' % _encode(message_id))

    def send(self, text: str) -> None:
        """Send a frame now, after the acknowledgements that wait."""
        if self._connection is not None and self._close_reason is None:
            self._outbox.append(text.encode())
            self._flush()

    async def close(self, code: int = 1000, reason: str = "Done") -> None:
        """Close, and wait until it is closed. Safe to call twice."""
        self._flush()
        self._close_reason = self._close_reason or (code, reason)
        self._stop_timer()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close(code, reason)

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if outbox and self._connection is not None:
            self._connection.send_all(outbox)

    async def _authorize(self, token: str) -> None:
        connection = self._require()
        state = self._state = asyncio.get_running_loop().create_future()
        moment = int(time.time() * 1000)
        frame = {
            "id": str(uuid4()),
            "type": "authorization",
            "data": {"token": f"Bearer {token}"},
            "trackingId": f"{self._user_agent}_{uuid4()}_{moment}",
        }
        connection.send_all([msgspec.json.encode(frame)])
        if self.ready:
            return  # the state came with the handshake
        closed = asyncio.ensure_future(connection.wait_closed())
        try:
            await asyncio.wait({closed, state}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()
        if not self.ready:
            raise self._closed(connection)

    def _closed(self, connection: Connection) -> Closed:
        self._stop_timer()
        self._give_up_waiting()
        if self._close_reason is not None:
            return Closed(*self._close_reason, ready=self.ready)
        if connection.was_cut:
            return Closed(None, "cut", ready=self.ready)
        return Closed(connection.close_code, connection.close_reason or "", ready=self.ready)

    def _arrived(self, message: Data) -> None:
        """Take one message; called by the connection, in order."""
        try:
            if self._early is None:
                self._take(message)
            else:
                self._early.append(message)
                if not self.ready:
                    self._look_for_state(message)
        except Exception:  # a fault of ours must not end the connection; the frame stays unacknowledged
            _logger.exception("a frame could not be taken")

    def _look_for_state(self, message: Data) -> None:
        envelope = self._read(message)
        data = envelope.get("data") if envelope is not None else None
        if isinstance(data, dict) and data.get("eventType") in _READY:
            self.ready = True
            state = data.get("bufferState")
            self.buffer_state = state if isinstance(state, dict) else {}
            moment = envelope.get("timestamp") if envelope is not None else None
            self.cloud_time = moment / 1000 if type(moment) is int else None
            if self._state is not None:
                self._state.set_result(None)

    def _read(self, message: Data) -> Frame | None:
        """Return the envelope; None for what is no JSON object, which is neither acknowledged nor fatal."""
        try:
            return _decode(message)
        except _UNREADABLE:
            repaired = without_lone_surrogates(bytes(message))
        try:
            return None if repaired is None else _decode(repaired)
        except _UNREADABLE:
            return None
        finally:
            _logger.debug("a frame that is no JSON was %s", "ignored" if repaired is None else "repaired")

    def _take(self, message: Data) -> None:
        """Take one message in the order of its number; waits a moment for one that was overtaken."""
        envelope = self._read(message)
        if envelope is None:
            return
        number = envelope.get("sequenceNumber")
        expected = self._expected
        if type(number) is not int:
            self._handle(envelope)
        elif number == expected or expected is None:
            self._expected = number + 1
            self._handle(envelope)
            if self._ahead:
                self._catch_up_with_numbers()
        elif number > expected:
            self._ahead[number] = envelope
            if len(self._ahead) >= _MOST_AHEAD:
                self._give_up_waiting()
            elif self._overtaken is None:
                self._overtaken = self._wheel.after(_REORDER_PATIENCE, self._give_up_waiting)
        else:
            self._handle(envelope)  # late, or a repeat: the owner drops what it had

    def _catch_up_with_numbers(self) -> None:
        while self._ahead and self._expected in self._ahead:
            envelope = self._ahead.pop(self._expected)
            self._expected += 1
            self._handle(envelope)
        if not self._ahead and self._overtaken is not None:
            self._overtaken.cancel()
            self._overtaken = None

    def _give_up_waiting(self) -> None:
        """Report the missing numbers as a gap, and continue behind it."""
        if self._overtaken is not None:
            self._overtaken.cancel()
            self._overtaken = None
        while self._ahead:
            actual = min(self._ahead)
            if self._expected is not None and actual != self._expected:
                self._owner.on_gap(self, actual, self._expected)
            self._expected = actual
            self._catch_up_with_numbers()

    def _handle(self, envelope: Frame) -> None:
        kind = envelope.get("type")
        if kind == "pong":
            self._ack_of(envelope.get("id"))
            self._pong(envelope.get("id"))
        elif kind == "shutdown":
            self._ack_of(envelope.get("id"))
            self._owner.on_shutdown(self)
        elif not is_event(envelope) or envelope["data"].get("eventType") in _READY:
            self._ack_of(envelope.get("id"))
        else:
            self._owner.on_event(self, envelope)

    def _ack_of(self, message_id: object) -> None:
        if isinstance(message_id, str):
            self.ack(message_id)

    # Ping and pong

    def _ping(self) -> None:
        self._ping_id = str(uuid4())
        self._pinged = time.monotonic()
        self.send(f'{{"id":"{self._ping_id}","type":"ping"}}')
        self._timer = self._wheel.after(self._pong_timeout, self._missed)

    def _pong(self, ping_id: Any) -> None:
        if self._ping_id is None:
            return
        self._stop_timer()
        if ping_id != self._ping_id:
            self._abandon("Pong mismatch")
            return
        self._ping_id = None
        if self._on_latency is not None:
            self._on_latency(time.monotonic() - self._pinged)
        self._timer = self._wheel.after(self._ping_interval, self._ping)

    def _missed(self) -> None:
        self._abandon("Pong not received")

    def _abandon(self, reason: str) -> None:
        self._flush()
        self._close_reason = (1000, reason)
        connection = self._connection
        if connection is not None:
            task = asyncio.ensure_future(connection.close(1000, reason))
            task.add_done_callback(_seen)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _require(self) -> Connection:
        if self._connection is None:
            raise Closed(None, "not open", ready=False)
        return self._connection


def _seen(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()


# The library would log whole frames at debug level, and the first one holds the token.
# It stands in no registry: `logging.config.dictConfig` would enable a disabled logger of the registry again.
_quiet = logging.Logger("webex.realtime.wire", level=logging.CRITICAL + 1)  # noqa: LOG001  # as said above
