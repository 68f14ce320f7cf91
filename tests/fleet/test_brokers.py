"""Publishers and consumers with the brokers of this machine, under names of the test's own."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
import aio_pika.exceptions
import nats
import pytest
import redis.asyncio

from tests.fleet.test_envelope import made
from tests.realtime.helpers import client_of, run, until
from tests.realtime.test_hub import APP
from tests.support.services import need
from webex import AsyncIntegration
from webex.bots import Bot, Context, allow
from webex.emulator.accounts import BOT_TOKEN
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError
from webex.fleet import (
    BrokerEvents,
    Fleet,
    NatsPublisher,
    RabbitPublisher,
    RedisStreamPublisher,
    event_id,
    nats_events,
    rabbit_events,
    redis_events,
)
from webex.storage import MemoryStorage, SQLiteStorage

pytestmark = pytest.mark.services

BROKERS = ("nats", "redis", "rabbitmq")


@dataclass
class Broker:
    """One broker, with a stream or queue of the test's own."""

    kind: str
    url: str
    name: str

    def publisher(self, **options: Any) -> Any:
        if self.kind == "nats":
            return NatsPublisher(self.url, stream=self.name, subject=f"{self.name}.{{resource}}.{{event}}", **options)
        if self.kind == "redis":
            return RedisStreamPublisher(self.url, stream=self.name, **options)
        return RabbitPublisher(self.url, exchange=self.name, queue=self.name, **options)

    def events(self, **options: Any) -> BrokerEvents[Any]:
        if self.kind == "nats":
            return nats_events(self.url, stream=self.name, durable="test", **options)
        if self.kind == "redis":
            return redis_events(self.url, self.name, group="test", **options)
        return rabbit_events(self.url, queue=self.name, **options)

    async def put(self, body: bytes) -> None:
        """Put a message there that is none of ours."""
        if self.kind == "nats":
            client = await nats.connect(self.url)
            await client.jetstream().publish(f"{self.name}.strange", body)
            await client.close()
        elif self.kind == "redis":
            async with redis.asyncio.Redis.from_url(self.url) as client:
                await client.xadd(self.name, {"body": body})
        else:
            async with await aio_pika.connect(self.url) as connection:
                exchange = await (await connection.channel()).get_exchange(self.name)
                await exchange.publish(aio_pika.Message(body), "strange")

    async def remove(self) -> None:
        if self.kind == "nats":
            client = await nats.connect(self.url)
            await client.jetstream().delete_stream(self.name)
            await client.close()
        elif self.kind == "redis":
            async with redis.asyncio.Redis.from_url(self.url) as client:
                await client.delete(self.name)
        else:
            async with await aio_pika.connect(self.url) as connection:
                channel = await connection.channel()
                await channel.queue_delete(self.name)
                await channel.exchange_delete(self.name)


@asynccontextmanager
async def broker_of(kind: str) -> AsyncIterator[Broker]:
    host, port = need(kind).address
    url = {
        "nats": f"nats://{host}:{port}",
        "redis": f"redis://{host}:{port}/0",
        "rabbitmq": f"amqp://guest:guest@{host}:{port}/",
    }[kind]
    broker = Broker(kind, url, f"webex-test-{secrets.token_hex(6)}")
    try:
        yield broker
    finally:
        await broker.remove()


def number(of: int) -> Any:
    return made(data={"id": f"m{of}", "roomId": "r", "text": str(of)})


@pytest.mark.parametrize("envelope", ["webex", "cloudevents"])
@pytest.mark.parametrize("kind", BROKERS)
def test_events_come_back_typed_and_in_order(kind: str, envelope: str) -> None:
    async def main() -> None:
        async with broker_of(kind) as broker:
            publisher = broker.publisher(envelope=envelope)
            for of in range(20):
                await publisher.publish(number(of))
            await publisher.aclose()
            async with broker.events() as events:
                texts = []
                async for event in events:
                    assert event.resource == "messages"
                    assert event_id(event) == event_id(number(int(event.data.text or "")))
                    texts.append(event.data.text)
                    if len(texts) == 20:
                        break
            assert texts == [str(of) for of in range(20)]

    run(main())


def test_consumer_of_nats_may_start_before_the_publisher(caplog: pytest.LogCaptureFixture) -> None:
    async def consume(broker: Broker) -> str | None:
        async with broker.events() as events:
            return (await anext(events)).data.text

    async def main() -> None:
        async with broker_of("nats") as broker:
            consumer = asyncio.create_task(consume(broker))
            await until(lambda: "is not there yet" in caplog.text or consumer.done(), 60.0)
            publisher = broker.publisher()
            await publisher.publish(number(1))
            await publisher.aclose()
            assert await consumer == "1"

    run(main())


@pytest.mark.parametrize("kind", BROKERS)
def test_what_was_not_acknowledged_comes_again(kind: str) -> None:
    async def main() -> None:
        async with broker_of(kind) as broker:
            publisher = broker.publisher()
            for of in range(3):
                await publisher.publish(number(of))
            await publisher.aclose()
            wait = {} if kind == "rabbitmq" else {"ack_wait": 0.5}
            async with broker.events(**wait) as events:
                assert (await anext(events)).data.text == "0"
                assert (await anext(events)).data.text == "1"  # acknowledges the first
            seen = []
            async with broker.events(ack="manual", **wait) as events:
                for _ in range(3):
                    event = await anext(events)
                    seen.append(event.data.text)
                    if len(seen) == 1:
                        event.nack()
                    else:
                        event.ack()
            assert sorted(set(seen)) == ["1", "2"]
            assert len(seen) == 3

    run(main())


@pytest.mark.parametrize("kind", BROKERS)
def test_message_that_is_no_event_is_left_out(kind: str) -> None:
    async def main() -> None:
        async with broker_of(kind) as broker:
            publisher = broker.publisher()
            await publisher.publish(number(0))
            await broker.put(b"something else")
            await broker.put(json.dumps({"resource": "x"}).encode())
            await publisher.publish(number(1))
            await publisher.aclose()
            async with broker.events() as events:
                assert [(await anext(events)).data.text for _ in range(2)] == ["0", "1"]

    run(main())


def test_jetstream_drops_repetitions() -> None:
    async def main() -> None:
        async with broker_of("nats") as broker:
            publisher = broker.publisher()
            for _ in range(3):
                await publisher.publish(number(0))
            await publisher.publish(number(1))
            client = await nats.connect(broker.url)
            state = (await client.jetstream().stream_info(broker.name)).state
            await client.close()
            await publisher.aclose()
            assert state.messages == 2

    run(main())


def test_rabbitmq_refuses_what_no_queue_takes() -> None:
    async def main() -> None:
        async with broker_of("rabbitmq") as broker:
            publisher = RabbitPublisher(broker.url, exchange=broker.name, queue=None)
            with pytest.raises(aio_pika.exceptions.PublishError, match="NO_ROUTE"):
                await publisher.publish(number(0))
            await publisher.aclose()

    run(main())


@pytest.mark.parametrize("kind", BROKERS)
def test_publisher_goes_on_after_its_connection_was_cut(kind: str) -> None:
    async def main() -> None:
        async with broker_of(kind) as broker:
            publisher = broker.publisher()
            await publisher.publish(number(0))
            await publisher.aclose()
            await publisher.publish(number(1))
            await asyncio.gather(*(publisher.publish(number(of)) for of in range(2, 12)))
            await publisher.aclose()
            async with broker.events() as events:
                assert {(await anext(events)).data.text for _ in range(12)} == {str(of) for of in range(12)}

    run(main())


def test_cancelled_wait_for_an_event_of_a_stream_ends() -> None:
    async def main() -> None:
        async with broker_of("redis") as broker, broker.events() as events:
            for steps in range(60):
                waiting = asyncio.ensure_future(anext(events))
                for _ in range(steps % 20):
                    await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait({waiting})
                assert waiting.cancelled()

    run(main())


@pytest.mark.parametrize("kind", BROKERS)
def test_bot_answers_what_a_fleet_has_published_and_a_killed_one_had_in_hand(
    kind: str, webex_cloud: Cloud, tmp_path: Path
) -> None:
    begun, said = asyncio.Event(), []

    def bot_that(hangs: bool) -> Bot:
        bot = Bot(
            BOT_TOKEN, storage=MemoryStorage(), allow=allow.everyone(), settings={"emulator_url": webex_cloud.url}
        )

        @bot.command("say")
        async def say(ctx: Context, number: int) -> str:
            begun.set()
            if hangs:
                await asyncio.Event().wait()
            said.append((number, ctx.redelivered, ctx.happening.door))
            return f"said {number}"

        return bot

    async def main() -> None:
        storage = SQLiteStorage(tmp_path / "s.db")
        wait = {} if kind == "rabbitmq" else {"ack_wait": 0.5}
        async with (
            broker_of(kind) as broker,
            AsyncIntegration(**APP, emulator_url=webex_cloud.url, storage=storage) as integration,
            client_of(webex_cloud) as alice,
        ):
            await integration.bot(BOT_TOKEN).people.me()  # which stores it
            async with Fleet(integration, publisher=broker.publisher(), shards=4, lease=60.0, poll=0.05) as fleet:
                await until(lambda: fleet.users == ["bot"] and not fleet.health.connecting)
                await alice.messages.create(to_person_email="bot@example.com", text="say 1")
                await until(lambda: fleet.counts.delivered)  # so that the stream or queue is there
                killed, bot = bot_that(hangs=True), bot_that(hangs=False)
                async with broker.events(**wait) as events:
                    with pytest.raises(ConfigurationError, match="manual"):
                        await bot.consume(events)
                async with broker.events(ack="manual", **wait) as events:
                    consuming = asyncio.create_task(killed.consume(events))
                    await begun.wait()
                    await killed.stop(0.0)
                    await consuming
                async with broker.events(ack="manual", **wait) as events:
                    consuming = asyncio.create_task(bot.consume(events))
                    await until(lambda: bot.health.handled)
                    assert said == [(1, True, "handle")]
                    await bot.stop()
                    await consuming
                await killed.aclose()
                await bot.aclose()

    run(main())
