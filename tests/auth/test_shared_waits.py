"""What a 429 taught one worker holds for all workers of the same user: written on a 429, read with the credential."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.auth.conftest import ROOT, sign_in
from webex import AsyncIntegration, Integration
from webex.emulator import Cloud
from webex.errors import RateLimitError, StorageError
from webex.http import Hooks
from webex.http.limits import AskedWait
from webex.storage import MemoryStorage, SQLiteStorage
from webex.telemetry import RateLimited, TelemetryEvent
from webex.view import app_of

WORKER = """
import json, sys
from webex import Integration
from webex.errors import RateLimitError
from webex.http import Hooks
from webex.storage import SQLiteStorage
from webex.telemetry import RateLimited

told = []

class Told(Hooks):
    def on_event(self, event):
        if isinstance(event, RateLimited):
            told.append([event.by, event.path])

database, key = sys.argv[1:]
with Integration(storage=SQLiteStorage(database), hooks=[Told()], max_retries=0) as integration:
    try:
        integration.user(key).rooms.list(limit=1).to_list()
        status = 200
    except RateLimitError as error:
        status = error.status
print(json.dumps([status, told]))
"""


class Told(Hooks):
    """Keeps what is told of rate limits."""

    def __init__(self) -> None:
        self.waits: list[RateLimited] = []

    def on_event(self, event: TelemetryEvent) -> None:
        if isinstance(event, RateLimited):
            self.waits.append(event)


class Counting(MemoryStorage):
    """Counts the calls of each method on the credentials."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.broken = False

    def bind(self, namespace: str) -> Any:
        binding = super().bind(namespace)
        if namespace != "credentials":
            return binding
        outer = self

        class Counted:
            def __getattr__(self, name: str) -> Any:
                method = getattr(binding, name)
                if not callable(method):
                    return method

                def counted(*args: Any, **options: Any) -> Any:
                    outer.calls.append(name)
                    if outer.broken and name == "put_if_version":
                        raise StorageError("away")
                    return method(*args, **options)

                return counted

        return Counted()


def limited(cloud: Cloud, seconds: float = 1) -> None:
    cloud.faults.add("/v1/rooms", count=1, status=429, retry_after=seconds)


def rooms(cloud: Cloud) -> list[int | None]:
    return [each.status for each in cloud.requests if each.path == "/v1/rooms"]


def test_other_worker_waits_without_asking(cloud: Cloud, database: str) -> None:
    told = Told()
    with (
        Integration(storage=SQLiteStorage(database), max_retries=0) as one,
        Integration(storage=SQLiteStorage(database), hooks=[told]) as other,
    ):
        key = sign_in(one, cloud)
        limited(cloud)
        with pytest.raises(RateLimitError):
            one.user(key).rooms.list(limit=1).to_list()
        other.user(key).rooms.list(limit=1).to_list()
        assert rooms(cloud) == [429, 200]
        assert [(each.by, each.path) for each in told.waits] == [("worker", "/v1/rooms")]
        assert 0 < told.waits[0].wait <= 1
        other.user(key).people.me()  # another kind of call
        other.user(key).rooms.list(limit=1).to_list()  # and it is over
        assert len(told.waits) == 1


def test_other_worker_waits_without_asking_in_an_event_loop(cloud: Cloud, database: str) -> None:
    told = Told()
    with Integration(storage=SQLiteStorage(database)) as integration:
        key = sign_in(integration, cloud)

    async def main() -> None:
        async with AsyncIntegration(storage=SQLiteStorage(database), max_retries=0) as one:
            limited(cloud)
            with pytest.raises(RateLimitError):
                await one.user(key).rooms.list(limit=1).to_list()
        async with AsyncIntegration(storage=SQLiteStorage(database), hooks=[told]) as other:
            await asyncio.gather(*(other.user(key).rooms.list(limit=1).to_list() for _ in range(5)))

    asyncio.run(main())
    assert rooms(cloud) == [429, *[200] * 5]
    assert {each.by for each in told.waits} == {"worker", "service"}


def test_other_process_waits_without_asking(cloud: Cloud, database: str, tmp_path: Path) -> None:
    with Integration(storage=SQLiteStorage(database)) as integration:
        key = sign_in(integration, cloud)
    limited(cloud, 3)
    script = tmp_path / "worker.py"
    script.write_text(WORKER)

    def run() -> Any:
        ended = subprocess.run(
            [sys.executable, str(script), database, key],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(ended.stdout)

    assert run() == [429, []]
    record = stored(database, key)
    (kind,) = record["waits"]
    assert kind == f"{cloud.url.partition('://')[2]}/v1/rooms"
    # It still holds when the second process begins, however long that takes to start.
    with SQLiteStorage(database) as storage:
        binding = storage.bind("credentials")
        (name,) = next(iter(binding.keys()))
        binding.put(name, {**record, "waits": {kind: [record["waits"][kind][0] + 3600, 1.0]}})
    assert run() == [200, [["worker", "/v1/rooms"]]]
    assert rooms(cloud) == [429, 200]


def stored(database: str, key: str) -> Any:
    with SQLiteStorage(database) as storage:
        binding = storage.bind("credentials")
        (name,) = next(iter(binding.keys()))
        assert key in name
        return binding.get(name)


def test_a_call_makes_no_trip_more_and_a_429_one_write(cloud: Cloud) -> None:
    storage = Counting()
    with Integration(storage=storage, max_retries=0, credential_max_age=0) as integration:
        key = sign_in(integration, cloud)
        client = integration.user(key)
        storage.calls.clear()
        client.rooms.list(limit=1).to_list()
        assert storage.calls == ["get_versioned"]
        limited(cloud)
        storage.calls.clear()
        with pytest.raises(RateLimitError):
            client.rooms.list(limit=1).to_list()
        assert storage.calls == ["get_versioned", "get_versioned", "put_if_version"]
        storage.calls.clear()
        client.rooms.list(limit=1).to_list()
        assert storage.calls == ["get_versioned"]


def test_storage_that_fails_costs_the_call_nothing(cloud: Cloud) -> None:
    storage = Counting()
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        limited(cloud)
        storage.broken = True
        integration.user(key).rooms.list(limit=1).to_list()  # repeated after the wait
    assert "put_if_version" in storage.calls
    assert rooms(cloud) == [429, 200]


def test_a_refresh_under_way_and_a_wait_keep_each_other(cloud: Cloud, database: str, expired: str) -> None:
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=0.2)
    wait = AskedWait(4e9, 60.0)

    async def main() -> None:
        async with AsyncIntegration(storage=SQLiteStorage(database)) as integration:
            call = asyncio.create_task(integration.user(expired).people.me())
            while not cloud.faults.as_list()[0]["hits"]:
                await asyncio.sleep(0.01)
            before = stored(database, expired)["tokens"]["access_token"]
            await app_of(integration).tokens.waits.tell(expired, "api.example.com/v1/rooms", wait)
            await call
            record = stored(database, expired)
            assert record["tokens"]["access_token"] != before
            assert record["waits"] == {"api.example.com/v1/rooms": [4e9, 60.0]}
            assert "attempt" not in record

    asyncio.run(main())
    assert cloud.requests.refreshes == 1


def test_a_writer_with_a_clock_ahead_delays_no_longer_than_was_asked(cloud: Cloud, database: str) -> None:
    told = Told()
    with Integration(storage=SQLiteStorage(database), hooks=[told]) as integration:
        key = sign_in(integration, cloud)
        kind = f"{cloud.url.partition('://')[2]}/v1/rooms"
        waits = app_of(integration).tokens.waits
        from webex.runtime import drive

        drive(waits.tell(key, kind, AskedWait(4e9, 0.6)))
        client = integration.user(key)
        client.rooms.list(limit=1).to_list()
        client.rooms.list(limit=1).to_list()  # the same entry is not waited for again
    assert [each.by for each in told.waits] == ["worker"]
    assert told.waits[0].wait <= 0.6


def test_few_waits_are_kept_and_those_that_are_over_go(cloud: Cloud, database: str) -> None:
    with Integration(storage=SQLiteStorage(database)) as integration:
        from webex.runtime import drive

        key = sign_in(integration, cloud)
        waits = app_of(integration).tokens.waits
        drive(waits.tell(key, "over", AskedWait(1.0, 60.0)))
        for number in range(30):
            drive(waits.tell(key, f"kind {number}", AskedWait(4e9 + number, 60.0)))
        drive(waits.tell(key, "kind 29", AskedWait(4e9 + 29.5, 60.0)))  # about what is there
    kept = stored(database, key)["waits"]
    assert sorted(kept) == sorted(f"kind {number}" for number in range(10, 30))
    assert kept["kind 29"] == [4e9 + 29, 60.0]
