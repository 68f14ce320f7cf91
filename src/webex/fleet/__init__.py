"""Listen for all users of an app with any number of workers, and hand their events to handlers or to a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.fleet.bots import FleetBot
    from webex.fleet.brokers.faststream import FastStreamPublisher
    from webex.fleet.brokers.nats import NatsPublisher, nats_events
    from webex.fleet.brokers.rabbitmq import RabbitPublisher, rabbit_events
    from webex.fleet.brokers.redis import RedisStreamPublisher, redis_events
    from webex.fleet.consumer import BrokerEvents
    from webex.fleet.delivery import Counts
    from webex.fleet.directory import announce_sign_ins
    from webex.fleet.envelope import Envelope, decode, encode, event_id
    from webex.fleet.fleet import Fleet, Mode, Publisher
    from webex.fleet.health import FleetHealth
    from webex.fleet.probes import Probes
    from webex.fleet.status import FleetStatus, WorkerStatus

__all__ = [
    "BrokerEvents",
    "Counts",
    "Envelope",
    "FastStreamPublisher",
    "Fleet",
    "FleetBot",
    "FleetHealth",
    "FleetStatus",
    "Mode",
    "NatsPublisher",
    "Probes",
    "Publisher",
    "RabbitPublisher",
    "RedisStreamPublisher",
    "WorkerStatus",
    "announce_sign_ins",
    "decode",
    "encode",
    "event_id",
    "nats_events",
    "rabbit_events",
    "redis_events",
]

_LAZY_EXPORTS = {
    "BrokerEvents": "consumer",
    "Counts": "delivery",
    "Envelope": "envelope",
    "FastStreamPublisher": "brokers.faststream",
    "Fleet": "fleet",
    "FleetBot": "bots",
    "FleetHealth": "health",
    "FleetStatus": "status",
    "Probes": "probes",
    "WorkerStatus": "status",
    "Mode": "fleet",
    "NatsPublisher": "brokers.nats",
    "Publisher": "fleet",
    "RabbitPublisher": "brokers.rabbitmq",
    "RedisStreamPublisher": "brokers.redis",
    "announce_sign_ins": "directory",
    "decode": "envelope",
    "encode": "envelope",
    "event_id": "envelope",
    "nats_events": "brokers.nats",
    "rabbit_events": "brokers.rabbitmq",
    "redis_events": "brokers.redis",
}


def __getattr__(name: str) -> Any:
    home = _LAZY_EXPORTS.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
