"""How many events per second the publishers send, beside the bare clients with the same bytes.

    python -m benchmarks.fleet_publishers [--events 3000]

Each is measured one event after the other, and with 50 in flight as a fleet has them; the median of five rounds, in
which the bare client and the publisher take turns. Names on the brokers are the run's own, and are removed.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import aio_pika
import nats
import redis.asyncio

from webex.fleet import NatsPublisher, RabbitPublisher, RedisStreamPublisher, encode, event_id
from webex.ids import to_hydra_id
from webex.realtime.event import Audience, Event, Occurrence
from webex.realtime.kinds import make_event

NATS: Final = "nats://127.0.0.1:4222"
REDIS: Final = "redis://127.0.0.1:6379/0"
RABBIT: Final = "amqp://guest:guest@127.0.0.1:5672/"
IN_FLIGHT: Final = 50
ROUNDS: Final = 5
_UUID: Final = "11111111-2222-4333-8444-555555555555"

Publish = Callable[[Event[Any]], Awaitable[Any]]


def event_of(number: int) -> Event[Any]:
    """Return a message as users receive them."""
    data = {
        "id": to_hydra_id("MESSAGE", _UUID),
        "roomId": to_hydra_id("ROOM", _UUID),
        "roomType": "group",
        "text": f"message {number} " + "x" * 200,
        "personId": to_hydra_id("PEOPLE", _UUID),
        "personEmail": "alice@example.com",
        "created": "2024-01-01T00:00:00.000Z",
    }
    audience = Audience(to_hydra_id("PEOPLE", _UUID), to_hydra_id("ORGANIZATION", _UUID), datetime.now(UTC), _UUID)
    activity = {"id": secrets.token_hex(16), "published": "2024-01-01T00:00:00.000Z"}
    return make_event(Occurrence("messages", "created", _UUID, data), audience, activity)


async def rate(publish: Publish, events: int, in_flight: int) -> float:
    """Return the events per second."""
    made = [event_of(number) for number in range(events)]
    following = iter(made)
    began = time.perf_counter()

    async def work() -> None:
        for event in following:
            await publish(event)

    await asyncio.gather(*(work() for _ in range(in_flight)))
    return events / (time.perf_counter() - began)


async def nats_pair(name: str) -> tuple[Publish, Any, Callable[[], Awaitable[None]]]:
    """Return the bare publish, the publisher, and what removes the stream."""
    publisher = NatsPublisher(NATS, stream=name, subject=f"{name}.{{resource}}.{{event}}")
    await publisher.publish(event_of(0))  # type: ignore[arg-type]  # it is a message
    client = await nats.connect(NATS)
    jetstream = client.jetstream()

    async def bare(event: Event[Any]) -> None:
        await jetstream.publish(f"{name}.messages.created", encode(event), headers={"Nats-Msg-Id": event_id(event)})

    async def remove() -> None:
        await jetstream.delete_stream(name)
        await client.close()

    return bare, publisher, remove


async def redis_pair(name: str) -> tuple[Publish, Any, Callable[[], Awaitable[None]]]:
    """Return the bare publish, the publisher, and what removes the stream."""
    client = redis.asyncio.Redis.from_url(REDIS)

    async def bare(event: Event[Any]) -> None:
        await client.xadd(name, {"id": event_id(event), "body": encode(event)}, maxlen=1_000_000, approximate=True)

    async def remove() -> None:
        await client.delete(name)
        await client.aclose()

    return bare, RedisStreamPublisher(REDIS, stream=name), remove


async def rabbit_pair(name: str) -> tuple[Publish, Any, Callable[[], Awaitable[None]]]:
    """Return the bare publish, the publisher, and what removes queue and exchange."""
    publisher = RabbitPublisher(RABBIT, exchange=name, queue=name)
    await publisher.publish(event_of(0))  # type: ignore[arg-type]  # it is a message
    connection = await aio_pika.connect(RABBIT)
    channel = await connection.channel(publisher_confirms=True)
    exchange = await channel.get_exchange(name)

    async def bare(event: Event[Any]) -> None:
        message = aio_pika.Message(
            encode(event), message_id=event_id(event), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
        )
        await exchange.publish(message, "webex.messages.created")

    async def remove() -> None:
        await channel.queue_delete(name)
        await channel.exchange_delete(name)
        await connection.close()

    return bare, publisher, remove


async def measure(events: int) -> list[tuple[str, int, float, float]]:
    """Return broker, events in flight, and the rates of the bare client and of the publisher."""
    rows = []
    for broker, pair in (("NATS JetStream", nats_pair), ("Redis streams", redis_pair), ("RabbitMQ", rabbit_pair)):
        bare, publisher, remove = await pair(f"webex-bench-{secrets.token_hex(5)}")
        try:
            for in_flight in (1, IN_FLIGHT):
                rates: tuple[list[float], list[float]] = ([], [])
                for number in range(ROUNDS + 1):
                    for place, publish in enumerate((bare, publisher.publish)):
                        found = await rate(publish, events, in_flight)
                        if number:  # the first round warms up
                            rates[place].append(found)
                rows.append((broker, in_flight, statistics.median(rates[0]), statistics.median(rates[1])))
        finally:
            await publisher.aclose()
            await remove()
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet_publishers")
    parser.add_argument("--events", type=int, default=3000)
    options = parser.parse_args(arguments)
    print("| broker | in flight | bare client, events/s | publisher, events/s | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for broker, in_flight, bare, ours in asyncio.run(measure(options.events)):
        print(f"| {broker} | {in_flight} | {bare:,.0f} | {ours:,.0f} | {ours / bare:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
