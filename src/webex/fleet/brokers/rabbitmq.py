"""RabbitMQ: `RabbitPublisher`, `rabbit_events`. Needs `webex[rabbitmq]` (aio-pika)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Literal

from webex.extras import needed_by
from webex.fleet.consumer import BrokerEvents
from webex.fleet.envelope import CONTENT_TYPES, address_of, check_envelope, check_template, encode, event_id

if TYPE_CHECKING:
    from webex.fleet.envelope import Envelope
    from webex.realtime.kinds import RealtimeEvent

with needed_by("RabbitMQ", extra="rabbitmq"):
    import aio_pika
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractIncomingMessage

__all__ = ["RabbitEvents", "RabbitPublisher", "rabbit_events"]


class RabbitPublisher:
    """Publish to a topic exchange; `publish` returns when RabbitMQ has confirmed the event.

    url: of the server. exchange: its name; it is declared, durable. queue: a durable queue that is declared and bound
    to everything, so that nothing is lost before a consumer comes; None: none. routing_key: a template with the fields
    {resource}, {event}, {room}, {user}, {org}. An event that no queue takes is an error, and published again.
    `message_id` is the event's id; RabbitMQ does not drop repetitions. timeout: seconds for a confirmation.
    """

    def __init__(
        self,
        url: str = "amqp://guest:guest@127.0.0.1:5672/",
        *,
        exchange: str = "webex",
        queue: str | None = "webex",
        routing_key: str = "webex.{resource}.{event}",
        envelope: Envelope = "webex",
        timeout: float = 5.0,
    ) -> None:
        self._url, self._exchange_name, self._queue, self._timeout = url, exchange, queue, timeout
        self._routing_key = check_template("routing_key", routing_key)
        self._envelope: Envelope = check_envelope(envelope)
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None
        self._lock = asyncio.Lock()

    async def publish(self, event: RealtimeEvent) -> None:
        """Publish one event; return when the server has confirmed it."""
        exchange = await self._connected()
        message = aio_pika.Message(
            encode(event, self._envelope),
            message_id=event_id(event),
            content_type=CONTENT_TYPES[self._envelope],
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await exchange.publish(message, address_of(self._routing_key, event), mandatory=True, timeout=self._timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):  # it is away already
                await connection.close()

    async def _connected(self) -> AbstractExchange:
        async with self._lock:
            # Not a robust connection: a publish that fails is repeated by the fleet, on a new one.
            if self._connection is not None and not self._connection.is_closed:
                if self._exchange is not None and self._channel is not None and not self._channel.is_closed:
                    return self._exchange
                await self._connection.close()
            self._connection = await aio_pika.connect(self._url, timeout=self._timeout)
            channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            self._channel = channel
            exchange = await channel.declare_exchange(self._exchange_name, aio_pika.ExchangeType.TOPIC, durable=True)
            if self._queue is not None:
                await (await channel.declare_queue(self._queue, durable=True)).bind(exchange, "#")
            self._exchange = exchange
            return exchange


class RabbitEvents(BrokerEvents["AbstractIncomingMessage"]):
    """See `rabbit_events`."""

    def __init__(self, url: str, queue: str, ack: Literal["auto", "manual"], prefetch: int) -> None:
        super().__init__(ack)
        self._url, self._queue_name, self._prefetch = url, queue, prefetch
        self._connection: AbstractConnection | None = None
        self._iterator: Any = None

    async def _open(self) -> None:
        self._connection = await aio_pika.connect_robust(self._url)
        channel = await self._connection.channel()
        await channel.set_qos(prefetch_count=self._prefetch)
        queue = await channel.declare_queue(self._queue_name, durable=True)
        self._iterator = queue.iterator()

    async def _take(self) -> tuple[AbstractIncomingMessage, bytes]:
        message: AbstractIncomingMessage = await anext(self._iterator)
        return message, message.body

    def _is_redelivered(self, message: AbstractIncomingMessage) -> bool:
        return bool(message.redelivered)

    async def _acknowledge(self, message: AbstractIncomingMessage) -> None:
        await message.ack()

    async def _give_back(self, message: AbstractIncomingMessage, after: float) -> None:
        await asyncio.sleep(after)  # RabbitMQ puts it back at once
        await message.nack(requeue=True)

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def rabbit_events(
    url: str = "amqp://guest:guest@127.0.0.1:5672/",
    *,
    queue: str = "webex",
    ack: Literal["auto", "manual"] = "auto",
    prefetch: int = 50,
) -> RabbitEvents:
    """Return the events of a durable queue, shared by all its consumers.

    `prefetch` messages are sent ahead; with `ack="manual"` no more than these may be unacknowledged. An event that is
    not acknowledged comes again when the connection ends.
    """
    return RabbitEvents(url, queue, ack, prefetch)
