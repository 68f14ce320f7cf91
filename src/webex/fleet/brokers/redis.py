"""Redis streams: `RedisStreamPublisher`, `redis_events`. Needs `webex[redis]`, and Redis or Valkey from 6.2."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from webex.errors import ConfigurationError
from webex.extras import needed_by
from webex.fleet.consumer import BrokerEvents
from webex.fleet.envelope import address_of, check_envelope, check_template, encode, event_id
from webex.runtime.cancellation import heeding

if TYPE_CHECKING:
    from webex.fleet.envelope import Envelope
    from webex.realtime.kinds import RealtimeEvent

with needed_by("Redis streams", extra="redis"):
    from redis.asyncio import Redis
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import ResponseError

__all__ = ["RedisEvents", "RedisStreamPublisher", "redis_events"]

_BLOCK: Final = 2.0  # seconds that one request for messages waits


class RedisStreamPublisher:
    """Add events to a Redis stream; `publish` returns when Redis has taken the event.

    url: of the server, or a `redis.asyncio.Redis`, which stays open.
    stream: a template with the fields {resource}, {event}, {room}, {user}, {org}; each stream keeps its order.
    most: how many entries a stream keeps, about; None: all.
    replicas: how many replicas have to confirm each event (`WAIT`); 0 for none.

    A server that loses what it confirmed (no `appendonly`, a failover without `replicas`) loses events. It does not
    drop repetitions: a consumer tells them by the field `id`.
    """

    def __init__(
        self,
        url: str | Redis = "redis://127.0.0.1:6379/0",
        *,
        stream: str = "webex",
        envelope: Envelope = "webex",
        most: int | None = 1_000_000,
        replicas: int = 0,
        timeout: float = 5.0,
    ) -> None:
        self._owned = isinstance(url, str)
        self._redis: Redis = Redis.from_url(url, socket_timeout=timeout) if isinstance(url, str) else url
        self._stream = check_template("stream", stream)
        self._envelope: Envelope = check_envelope(envelope)
        self._most, self._replicas, self._timeout = most, replicas, timeout

    async def publish(self, event: RealtimeEvent) -> None:
        """Add one event; return when the server, and `replicas` of its replicas, have it."""
        await heeding(
            self._redis.xadd(
                address_of(self._stream, event),
                {"id": event_id(event), "body": encode(event, self._envelope)},
                maxlen=self._most,
                approximate=True,
            )
        )
        if self._replicas:
            have = await self._redis.wait(self._replicas, int(self._timeout * 1000))
            if have < self._replicas:
                raise RedisConnectionError(f"{have} of {self._replicas} replicas have confirmed the event")

    async def aclose(self) -> None:
        """Close the connection that this publisher made."""
        if self._owned:
            await self._redis.aclose()


class _Entry(NamedTuple):
    """Where a message stands, and whether a consumer had it before."""

    stream: str
    number: bytes
    is_claimed: bool


class RedisEvents(BrokerEvents[_Entry]):
    """See `redis_events`."""

    def __init__(
        self, url: str | Redis, streams: list[str], group: str, ack: Literal["auto", "manual"], ack_wait: float
    ) -> None:
        super().__init__(ack)
        if not streams:
            raise ConfigurationError("redis_events needs the name of a stream.")
        self._owned = isinstance(url, str)
        self._redis: Redis = Redis.from_url(url) if isinstance(url, str) else url
        self._streams, self._group, self._ack_wait = streams, group, ack_wait
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._place = 0

    async def _open(self) -> None:
        for stream in self._streams:
            try:
                await self._redis.xgroup_create(stream, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def _take(self) -> tuple[_Entry, bytes]:
        while True:
            found: Any
            for stream in self._streams:  # what another consumer has left for too long
                found = await heeding(
                    self._redis.xautoclaim(stream, self._group, self._consumer, int(self._ack_wait * 1000), count=1)
                )
                for number, fields in found[1]:
                    if fields:
                        return _Entry(stream, number, is_claimed=True), fields[b"body"]
            wanted: Any = dict.fromkeys(self._streams, ">")
            block = int(min(_BLOCK, self._ack_wait) * 1000)
            found = await heeding(self._redis.xreadgroup(self._group, self._consumer, wanted, count=1, block=block))
            for name, entries in found or ():
                for number, fields in entries:
                    return _Entry(name.decode(), number, is_claimed=False), fields[b"body"]

    def _is_redelivered(self, message: _Entry) -> bool:
        return message.is_claimed

    async def _acknowledge(self, message: _Entry) -> None:
        await self._redis.xack(message.stream, self._group, message.number)

    async def _give_back(self, message: _Entry, after: float) -> None:
        # It stays pending, and is claimed when it was idle for `ack_wait`: its idle time is set to what is missing.
        idle = max(int((self._ack_wait - after) * 1000), 0)
        await self._redis.xclaim(
            message.stream, self._group, self._consumer, 0, [message.number], idle=idle, justid=True
        )

    async def _close(self) -> None:
        if self._owned:
            await self._redis.aclose()


def redis_events(
    url: str | Redis = "redis://127.0.0.1:6379/0",
    *streams: str,
    group: str = "webex",
    ack: Literal["auto", "manual"] = "auto",
    ack_wait: float = 30.0,
) -> RedisEvents:
    """Return the events of streams (default: `webex`), shared by all consumers of the same `group`.

    An event that is not acknowledged within `ack_wait` seconds comes again, perhaps to another consumer.
    """
    return RedisEvents(url, list(streams) or ["webex"], group, ack, ack_wait)
