"""`FastStreamPublisher`: Kafka by FastStream's broker in memory, NATS and RabbitMQ with their servers."""

from __future__ import annotations

import asyncio
from typing import Any

import aio_pika
import nats
import pytest
from faststream.kafka import KafkaBroker, KafkaMessage, TestKafkaBroker
from faststream.nats import NatsBroker
from faststream.rabbit import RabbitBroker

from tests.fleet.test_brokers import broker_of, number
from tests.fleet.test_envelope import ROOM, made
from tests.realtime.helpers import run
from webex.errors import ConfigurationError, TransportError
from webex.fleet import FastStreamPublisher, decode, event_id
from webex.fleet.envelope import CONTENT_TYPES, Envelope


@pytest.mark.parametrize("envelope", CONTENT_TYPES)
def test_kafka_gets_events_in_order_with_their_room_as_key(envelope: Envelope) -> None:
    async def main() -> None:
        broker = KafkaBroker()
        got: list[KafkaMessage] = []

        @broker.subscriber("webex.messages")
        async def take(message: KafkaMessage) -> None:
            got.append(message)

        async with TestKafkaBroker(broker):
            publisher = FastStreamPublisher(broker, topic="webex.{resource}", envelope=envelope)
            events = [made(data={"id": f"m{of}", "roomId": ROOM, "text": str(of)}) for of in range(5)]
            for event in events:
                await publisher.publish(event)
            await publisher.publish(made("rooms"))  # another topic
            await publisher.publish(made(data={"id": "m"}))
            await publisher.aclose()
        for event, message in zip(events, got, strict=False):
            raw: Any = message.raw_message
            assert raw.key == ROOM.encode()
            assert message.headers["id"] == message.correlation_id == event_id(event)
            assert message.content_type == CONTENT_TYPES[envelope]
            assert event_id(decode(message.body)) == event_id(event)
        assert [decode(each.body).to_dict()["data"].get("text") for each in got] == [*map(str, range(5)), None]
        raw = got[-1].raw_message
        assert raw.key == (events[0].user_key or "").encode()  # it has no room

    run(main())


def test_event_that_the_broker_refuses_is_not_confirmed() -> None:
    async def main() -> None:
        broker = KafkaBroker()

        @broker.subscriber("webex")
        async def refuse(message: KafkaMessage) -> None:
            raise ConnectionError("no leader for the partition")

        async with TestKafkaBroker(broker):
            publisher = FastStreamPublisher(broker)
            with pytest.raises(ConnectionError):
                await publisher.publish(number(1))

    run(main())


@pytest.mark.parametrize("stops", [True, False])
def test_broker_is_stopped_unless_the_app_does_that(stops: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        broker = KafkaBroker()
        stopped = asyncio.Event()

        async def stop() -> None:
            stopped.set()

        async with TestKafkaBroker(broker):
            publisher = FastStreamPublisher(broker, stop_broker=stops)
            await publisher.publish(number(1))
            with monkeypatch.context() as patch:
                patch.setattr(broker, "stop", stop)
                await publisher.aclose()
            assert stopped.is_set() == stops

    run(main())


def test_what_would_not_be_confirmed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="stream="):
        FastStreamPublisher(NatsBroker())
    with pytest.raises(ConfigurationError, match="no_confirm"):
        FastStreamPublisher(KafkaBroker(), no_confirm=True)
    with pytest.raises(ConfigurationError, match="a broker of FastStream"):
        FastStreamPublisher(object())  # type: ignore[arg-type]  # it is none
    with pytest.raises(ConfigurationError, match="topic"):
        FastStreamPublisher(KafkaBroker(), topic="{nothing}")


@pytest.mark.services
def test_jetstream_stores_events_once() -> None:
    async def main() -> None:
        async with broker_of("nats") as place:
            client = await nats.connect(place.url)
            await client.jetstream().add_stream(name=place.name, subjects=[f"{place.name}.>"])
            await client.close()
            publisher = FastStreamPublisher(
                NatsBroker(place.url), topic=f"{place.name}.{{resource}}", stream=place.name, timeout=60
            )
            for of in (1, 2, 2, 3):
                await publisher.publish(number(of))
            await publisher.aclose()
            async with place.events() as events:
                assert [(await anext(events)).raw["text"] for _ in range(3)] == ["1", "2", "3"]

    run(main())


@pytest.mark.services
def test_rabbitmq_confirms_what_a_queue_has_taken() -> None:
    async def main() -> None:
        async with broker_of("rabbitmq") as place:
            publisher = FastStreamPublisher(RabbitBroker(place.url), topic=place.name, timeout=60)
            with pytest.raises(TransportError, match="no queue"):
                await publisher.publish(number(1))
            async with await aio_pika.connect(place.url) as connection:
                await (await connection.channel()).declare_queue(place.name, durable=True)
            await publisher.publish(number(2))
            await publisher.aclose()
            async with place.events() as events:
                assert (await anext(events)).raw["text"] == "2"

    run(main())
