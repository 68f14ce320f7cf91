"""A storage or a broker that is away is told in a few lines, however many shards and users there are."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from webex.app_storage import AsyncAppStorage
from webex.errors import StorageError
from webex.fleet import gathered
from webex.fleet.membership import Membership
from webex.fleet.news import NewsBoard


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "webex.fleet"]


class Lease:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def renew(self, ttl: float) -> bool:
        self._storage.check()
        return True

    async def release(self) -> None:
        self._storage.check()


class Storage:
    """A storage that is away at times, and remembers nothing but generations."""

    is_away = False

    def check(self) -> None:
        if self.is_away:
            raise StorageError("away")

    async def hold(self, *_: Any) -> Lease:
        self.check()
        return Lease(self)

    async def update(self, namespace: str, key: str, change: Any, **_: Any) -> Any:
        self.check()
        return change(None)

    async def get_many(self, *_: Any) -> dict[str, Any]:
        self.check()
        return {}

    async def put(self, *_: Any, **__: Any) -> None:
        self.check()

    notify = put

    async def keys(self, namespace: str) -> Any:
        self.check()
        for key in ():
            yield key


def membership(storage: Storage, *, lease: float) -> Membership:
    async def nothing(*_: Any) -> None:
        return None

    shared = cast("AsyncAppStorage", storage)
    board = NewsBoard(shared, "fleet")
    ignore: Any = lambda *_: None  # noqa: E731  # three callbacks that do nothing
    return Membership(
        shared,
        board,
        fleet="fleet",
        worker="one",
        shards=64,
        lease=lease,
        taken=ignore,
        lost=ignore,
        drain=nothing,
        is_idle=lambda _: True,
        resharded=nothing,
        details=dict,
    )


def test_lapsed_leases_are_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        storage = Storage()
        member = membership(storage, lease=0.3)
        await member.look()
        assert len(member.held) == 64
        storage.is_away = True
        await asyncio.sleep(0.3)
        await member.renew()
        assert not member.held
        await member.close()

    asyncio.run(main())
    assert told(caplog) == ["the lease of a shard has lapsed: this worker no longer listens for it (64 shards)"]


def test_shards_that_could_not_be_given_back_are_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        storage = Storage()
        member = membership(storage, lease=30.0)
        await member.look()
        storage.is_away = True
        await member.leave()

    asyncio.run(main())
    assert told(caplog) == ["a shard could not be given back (StorageError): its lease runs out (64 shards)"]


def test_warnings_are_written_within_a_second_and_one_is_not_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered, "_WITHIN", 0.01)

    async def main() -> None:
        warnings = gathered.GatheredWarnings(logging.getLogger("webex.fleet"), "users")
        for text in ("a", "b", "a", "a"):
            warnings.add(text)
        assert not told(caplog)
        await asyncio.sleep(0.1)
        assert told(caplog) == ["a (3 users)", "b"]

    asyncio.run(main())
