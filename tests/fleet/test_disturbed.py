"""A fleet of processes that are killed, stopped, cut off and restarted: short forms of the long run."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from benchmarks.fleet import Run, rolling_restart, run
from tests.support.rabbit_server import RabbitServer
from tests.support.services import NatsServer, RedisServer, need


async def some_faults(played: Run, _: float) -> None:
    """Two kills, a stop past the lease, and all sockets closed."""
    for fault in (played.kill, played.stop_and_continue, played.close_sockets, played.kill):
        await asyncio.sleep(0.5)
        await fault()


def test_nothing_is_lost_or_disordered_over_kills_and_a_stop_past_the_lease() -> None:
    outcome = run(people=12, workers=3, seconds=8.0, per_second=30.0, faults=some_faults, lease=2.0, seed=3)
    assert outcome.faults["kill"] == 2
    assert outcome.faults["stop"] == 1
    assert outcome.expected > 100
    assert outcome.is_clean, str(outcome)


def test_rolling_restart_loses_and_repeats_nothing() -> None:
    outcome = run(people=12, workers=3, seconds=12.0, per_second=30.0, faults=rolling_restart, lease=10.0, seed=4)
    assert outcome.faults["restart"] == 3
    assert outcome.is_clean, str(outcome)
    assert outcome.repeats == 0, str(outcome)


@pytest.mark.services
@pytest.mark.parametrize(("storage", "broker"), [("redis", "nats"), ("postgres", "rabbitmq")])
def test_nothing_is_lost_with_servers(storage: str, broker: str) -> None:
    outcome = run(people=60, seconds=20.0, storage=address_of(storage), broker=address_of(broker), lease=2.0, seed=5)
    assert outcome.faults == {"kill": 3, "stop": 1, "sockets closed": 1, "storage cut": 1, "cloud cut": 1}
    assert outcome.expected > 300
    assert outcome.is_clean, str(outcome)


@pytest.mark.services
@pytest.mark.parametrize("kind", ["nats", "redis", "rabbitmq"])
def test_nothing_is_lost_when_the_broker_is_restarted_under_load(kind: str) -> None:
    made = {
        "nats": NatsServer,
        "redis": partial(RedisServer, "appendonly yes", "appendfsync always"),
        "rabbitmq": RabbitServer,
    }[kind]()

    async def restart(played: Run, seconds: float) -> None:
        for kill in (False, True):
            await asyncio.sleep(seconds / 6)
            await asyncio.to_thread(made.stop, kill=kill)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(made.start)
            played.outcome.faults["broker restarted"] += 1

    with made as server:
        outcome = run(people=12, seconds=9.0, faults=restart, broker=server.url, lease=5.0, seed=6)
    assert outcome.faults["broker restarted"] == 2
    assert outcome.is_clean, str(outcome)


def address_of(service: str) -> str:
    host, port = need(service).address
    return {
        "redis": f"redis://{host}:{port}/0",
        "postgres": f"postgresql://postgres@{host}:{port}/test",
        "nats": f"nats://{host}:{port}",
        "rabbitmq": f"amqp://guest:guest@{host}:{port}/",
    }[service]
