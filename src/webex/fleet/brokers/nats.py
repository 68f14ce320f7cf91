"""NATS JetStream: `NatsPublisher`, `nats_events`. Needs `webex[nats]`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, Literal

from webex.extras import needed_by
from webex.fleet.consumer import BrokerEvents
from webex.fleet.envelope import CONTENT_TYPES, address_of, check_envelope, check_template, encode, event_id

if TYPE_CHECKING:
    from webex.fleet.envelope import Envelope
    from webex.realtime.kinds import RealtimeEvent

with needed_by("NATS", extra="nats"):
    import nats
    from nats.aio.client import Client
    from nats.errors import TimeoutError as NatsTimeoutError
    from nats.js import JetStreamContext
    from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig
    from nats.js.errors import NotFoundError

__all__ = ["NatsEvents", "NatsPublisher", "nats_events"]

_FETCH: Final = 5.0  # seconds that one request for messages waits
_LOOK: Final = 0.5  # seconds between two looks for a stream that is not there yet
_logger = logging.getLogger("webex.fleet")


class NatsPublisher:
    """Publish to a stream of JetStream; `publish` returns when the stream has stored the event.

    servers: a URL or several, or a connected `nats.aio.client.Client`, which stays open.
    stream: the stream; one that is not there is made, with all subjects below the first part of `subject`, and
        `duplicates` seconds in which it drops repetitions by their `Nats-Msg-Id`. None: make none.
    subject: a template with the fields {resource}, {event}, {room}, {user}, {org}.
    per: what counts as a repetition. "user": each user's event is stored; "event": of an event that several users of
        the fleet received, one. timeout: seconds for a confirmation.
    """

    def __init__(
        self,
        servers: str | list[str] | Client = "nats://127.0.0.1:4222",
        *,
        stream: str | None = "webex",
        subject: str = "webex.{resource}.{event}",
        envelope: Envelope = "webex",
        duplicates: float = 120.0,
        per: Literal["user", "event"] = "user",
        timeout: float = 5.0,
        **options: Any,
    ) -> None:
        self._servers, self._options = servers, options
        self._stream, self._duplicates, self._timeout = stream, duplicates, timeout
        self._subject = check_template("subject", subject)
        self._envelope: Envelope = check_envelope(envelope)
        self._per = per
        self._client: Client | None = servers if isinstance(servers, Client) else None
        self._jetstream: JetStreamContext | None = None
        self._lock = asyncio.Lock()

    async def publish(self, event: RealtimeEvent) -> None:
        """Publish one event; return when the stream has stored it, or had it already."""
        jetstream = self._jetstream or await self._connect()
        number = event_id(event)
        headers = {
            "Nats-Msg-Id": number if self._per == "user" else number.partition("/")[2],
            "Content-Type": CONTENT_TYPES[self._envelope],
        }
        await jetstream.publish(
            address_of(self._subject, event),
            encode(event, self._envelope),
            timeout=self._timeout,
            headers=headers,
        )

    async def aclose(self) -> None:
        """Close the connection that this publisher made."""
        client, self._client, self._jetstream = self._client, None, None
        if client is not None and client is not self._servers:
            with contextlib.suppress(Exception):  # it is away already
                await client.close()

    async def _connect(self) -> JetStreamContext:
        async with self._lock:
            if self._jetstream is not None:
                return self._jetstream
            if self._client is None:
                self._client = await _connected(self._servers, self._options)
            jetstream = self._client.jetstream()
            if self._stream is not None:
                try:
                    await jetstream.stream_info(self._stream)
                except NotFoundError:
                    root = self._subject.partition(".")[0].partition("{")[0]
                    subjects = [f"{root}.>"] if root else [">"]
                    await jetstream.add_stream(
                        StreamConfig(name=self._stream, subjects=subjects, duplicate_window=self._duplicates)
                    )
            self._jetstream = jetstream
            return jetstream


class NatsEvents(BrokerEvents[Any]):
    """See `nats_events`."""

    def __init__(
        self,
        servers: str | list[str] | Client,
        stream: str,
        durable: str,
        subject: str,
        ack: Literal["auto", "manual"],
        ack_wait: float,
        options: dict[str, Any],
    ) -> None:
        super().__init__(ack)
        self._servers, self._stream, self._durable, self._subject = servers, stream, durable, subject
        self._ack_wait, self._options = ack_wait, options
        self._client: Client | None = None
        self._pulling: JetStreamContext.PullSubscription | None = None

    async def _open(self) -> None:
        self._client = (
            self._servers if isinstance(self._servers, Client) else await _connected(self._servers, self._options)
        )
        try:
            self._pulling = await self._subscribed(self._client.jetstream())
        except BaseException:
            await self._close()
            raise

    async def _subscribed(self, jetstream: JetStreamContext) -> JetStreamContext.PullSubscription:
        """Subscribe as soon as the stream is there: a publisher makes it when it has something to publish."""
        told = False
        while True:
            try:
                return await jetstream.pull_subscribe(
                    self._subject,
                    durable=self._durable,
                    stream=self._stream,
                    config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=self._ack_wait),
                )
            except NotFoundError:
                if not told:
                    told = True
                    _logger.warning("the stream %r is not there yet: waiting for its publisher", self._stream)
                await asyncio.sleep(_LOOK)

    async def _take(self) -> tuple[Any, bytes]:
        assert self._pulling is not None
        while True:
            try:
                message = (await self._pulling.fetch(1, timeout=_FETCH))[0]
            except NatsTimeoutError:  # none came
                continue
            return message, message.data

    def _is_redelivered(self, message: Any) -> bool:
        return bool(message.metadata.num_delivered > 1)

    async def _acknowledge(self, message: Any) -> None:
        await message.ack_sync(timeout=5.0)

    async def _give_back(self, message: Any, after: float) -> None:
        await message.nak(delay=after or None)

    async def _close(self) -> None:
        if self._client is not None and self._client is not self._servers:
            await self._client.close()


def nats_events(
    servers: str | list[str] | Client = "nats://127.0.0.1:4222",
    *,
    stream: str = "webex",
    durable: str = "webex",
    subject: str = ">",
    ack: Literal["auto", "manual"] = "auto",
    ack_wait: float = 30.0,
    **options: Any,
) -> NatsEvents:
    """Return the events of a stream, shared by all consumers with the same `durable` name.

    A stream that is not there yet is waited for. `subject` chooses among those of the stream. An event that is not
    acknowledged within `ack_wait` seconds comes again, perhaps to another consumer. `options` are those of
    `nats.connect`.
    """
    return NatsEvents(servers, stream, durable, subject, ack, ack_wait, options)


async def _connected(servers: str | list[str] | Client, options: dict[str, Any]) -> Client:
    assert not isinstance(servers, Client)
    ours = {
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.2,
        "disconnected_cb": _tell_lost,
        "reconnected_cb": _tell_back,
        "error_cb": _tell_error,  # the client's own prints a traceback for each attempt
    }
    return await nats.connect(servers, **{**ours, **options})


async def _tell_lost() -> None:
    _logger.info("the connection to NATS has ended")


async def _tell_back() -> None:
    _logger.info("NATS is connected again")


async def _tell_error(error: Exception) -> None:
    _logger.debug("NATS: %s: %s", type(error).__name__, error)
