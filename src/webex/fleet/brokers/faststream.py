"""Any broker that FastStream speaks to, such as Kafka: `FastStreamPublisher`. Needs `webex[faststream]`.

FastStream calls the same thing otherwise for each broker: where a message goes, what keeps the order, where its id is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from webex.errors import ConfigurationError, TransportError
from webex.fleet.delivery import room_of
from webex.fleet.envelope import CONTENT_TYPES, address_of, check_envelope, check_template, encode, event_id

if TYPE_CHECKING:
    from webex.fleet.envelope import Envelope
    from webex.realtime.kinds import RealtimeEvent

__all__ = ["FastStreamBroker", "FastStreamPublisher"]

# What the broker's `publish` calls the address.
_ADDRESSES: Final = {
    "kafka": "topic",
    "confluent": "topic",
    "nats": "subject",
    "rabbit": "routing_key",
    "redis": "stream",
    "mqtt": "topic",
}
# Without these a message would not be confirmed.
_CONFIRMS: Final = {
    "nats": ("stream", "the name of the JetStream stream that stores it"),
    "mqtt": ("qos", "QoS.AT_LEAST_ONCE or QoS.EXACTLY_ONCE"),
}


class FastStreamBroker(Protocol):
    """What a broker of FastStream has that is used here."""

    @property
    def connect(self) -> Callable[..., Awaitable[Any]]:
        """Connect; does nothing when it is connected."""
        ...

    @property
    def publish(self) -> Callable[..., Awaitable[Any]]:
        """Publish one message."""
        ...

    @property
    def stop(self) -> Callable[..., Awaitable[Any]]:
        """Disconnect."""
        ...


class FastStreamPublisher:
    """Publish by a broker of FastStream; `publish` returns when that broker says that it is done.

    broker: a `faststream.kafka.KafkaBroker`, or one of `faststream.confluent`, `.rabbit`, `.nats`, `.redis` or `.mqtt`.
        It is connected at the first event, and stopped when the fleet stops; with `stop_broker=False` it stays as it
        is, for an app that starts and stops it.
    topic: a template with the fields {resource}, {event}, {room}, {user}, {org}: the topic of Kafka and MQTT, the
        subject of NATS, the routing key of RabbitMQ, the stream of Redis.
    timeout: seconds for a confirmation.
    options: further arguments of the broker's `publish`, the same for each event: `stream=` is needed with NATS, `qos=`
        with MQTT, where a message would not be confirmed otherwise; `exchange=` with RabbitMQ, `maxlen=` with Redis.

    With Kafka the key is the room, so that the events of a room are in one partition and keep their order; a
    `KafkaBroker` with `acks="all"` and `enable_idempotence=True` confirms what all its replicas in sync have. Headers
    are `id`, by which a consumer tells repetitions, and `content-type`; `correlation_id` is the event's id too.

    Raises `ConfigurationError` for what is no such broker.
    """

    def __init__(
        self,
        broker: FastStreamBroker,
        *,
        topic: str = "webex",
        envelope: Envelope = "webex",
        timeout: float = 30.0,
        stop_broker: bool = True,
        **options: Any,
    ) -> None:
        self._broker, self._kind, self._timeout = broker, _kind_of(broker), timeout
        self._topic = check_template("topic", topic)
        self._envelope: Envelope = check_envelope(envelope)
        self._options, self._stops = options, stop_broker
        needed, what = _CONFIRMS.get(self._kind, ("", ""))
        if needed and not options.get(needed):
            raise ConfigurationError(f"FastStreamPublisher with {self._kind} needs {needed}=, {what}: nothing confirms")
        if options.get("no_confirm"):
            raise ConfigurationError("FastStreamPublisher has to wait for confirmations: leave out no_confirm.")
        self._is_connected = False
        self._lock = asyncio.Lock()

    async def publish(self, event: RealtimeEvent) -> None:
        """Publish one event; return when the broker has confirmed it, as far as it does."""
        number = event_id(event)
        content_type = CONTENT_TYPES[self._envelope]
        more: dict[str, Any] = {"headers": {"id": number, "content-type": content_type}}
        if self._kind in ("kafka", "confluent"):
            more["key"] = (room_of(event) or event.user_key or "").encode() or None
        elif self._kind == "nats":
            more["headers"]["Nats-Msg-Id"] = number
        elif self._kind == "rabbit":
            more |= {"message_id": number, "content_type": content_type, "persist": True, "mandatory": True}
        more[_ADDRESSES[self._kind]] = address_of(self._topic, event)
        async with asyncio.timeout(self._timeout):
            await self._connect()
            answer = await self._broker.publish(
                encode(event, self._envelope), correlation_id=number, **more, **self._options
            )
        if type(getattr(answer, "delivery", None)).__name__ == "Return":  # RabbitMQ has confirmed that none has it
            raise TransportError("RabbitMQ returned an event: no queue takes it. Bind one to the exchange.")

    async def aclose(self) -> None:
        """Stop the broker, unless that is the app's to do."""
        if self._stops and self._is_connected:
            self._is_connected = False
            await self._broker.stop()

    async def _connect(self) -> None:
        async with self._lock:
            if not self._is_connected:
                await self._broker.connect()
                self._is_connected = True


def _kind_of(broker: object) -> str:
    for base in type(broker).__mro__:
        package, _, rest = base.__module__.partition(".")
        kind = rest.partition(".")[0]
        if package == "faststream" and kind in _ADDRESSES:
            return kind
    raise ConfigurationError(
        f"FastStreamPublisher takes a broker of FastStream ({', '.join(_ADDRESSES)}), not {type(broker).__name__}."
    )
