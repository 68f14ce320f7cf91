"""What a start asks of the storage and of Webex: as many as the simulation of a large fleet counts, and in turns."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import start_load
from benchmarks.start_load import Load
from tests.fleet.test_fleet import QUICK, Site
from tests.realtime.helpers import client_of, run, until
from tests.realtime.test_hub import APP
from webex import AsyncIntegration
from webex.config import Config
from webex.emulator.cloud import Cloud
from webex.errors import MissingKeyError
from webex.fleet import Fleet
from webex.realtime import watch
from webex.realtime.mercury.socket import MercurySocket
from webex.realtime.pace import Turns
from webex.storage import SQLiteStorage

PEOPLE = 3


class Counting(SQLiteStorage):
    """Counts the trips for the records of users; one that finds the file busy is repeated, and counts once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.trips: list[tuple[str, str]] = []

    def bind(self, namespace: str) -> Any:
        return _Counted(super().bind(namespace), namespace, self.trips)

    def bind_nonwaiting(self, namespace: str) -> Any:
        return _Counted(super().bind_nonwaiting(namespace), namespace, self.trips)


class _Counted:
    def __init__(self, binding: Any, namespace: str, trips: list[tuple[str, str]]) -> None:
        self._binding, self._namespace, self._trips = binding, namespace, trips

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._binding, name)
        if not callable(method) or self._namespace not in ("credentials", "realtime"):
            return method

        @functools.wraps(method)
        def counted(*arguments: Any, **options: Any) -> Any:
            try:
                result = method(*arguments, **options)
            except MissingKeyError:
                self._trips.append((self._namespace, name))
                raise
            if name != "keys":  # the listing of the users
                self._trips.append((self._namespace, name))
            if name == "try_lease" and result is not None:
                self._trips.append((self._namespace, "release"))
            return result

        return counted


class MeasuredSite(Site):
    """A site whose people have refresh tokens."""

    async def sign_in(self, count: int) -> None:
        async with self.integration() as integration:
            for _ in range(count):
                email = f"user{len(self.people)}@example.com"
                self.cloud.add_person(email)
                login = await integration.begin_login(scope="spark:all spark:kms")
                url = self.cloud.sign_in(login.url, as_=email)
                signed_in = await integration.finish_login(url, browser=login.browser)
                self.people.append(signed_in.user.key)
                self.emails[signed_in.user.key] = email

    async def expire(self) -> None:
        """Let the tokens of all people run out."""
        async with self.integration() as integration:
            for key in self.people:
                record = await integration._app.tokens.record(key)
                assert record is not None
                now = time.time()
                await integration.adopt(
                    key,
                    {
                        "access_token": f"expired-{key}",
                        "refresh_token": record.tokens.refresh_token,
                        "issued_at": now - 1000.0,
                        "expires_at": now - 10.0,
                        "refresh_token_expires_at": now + 90 * 86400.0,
                        "scope": record.tokens.scope,
                    },
                )

    @asynccontextmanager
    async def counted(self, name: str, **options: Any) -> AsyncIterator[Counter]:
        storage = Counting(self.path)
        # On a busy machine, too: nothing runs out, and no sign-in is read again but where a test says so.
        settings = {**APP, "emulator_url": self.cloud.url, "credential_max_age": 3600.0}
        async with AsyncIntegration(**settings, storage=storage) as integration:
            fleet = Fleet(integration, worker=name, publisher=self.log.of(name), **{**QUICK, "lease": 60.0, **options})
            counter = Counter(self, storage, fleet)
            counter.load()
            try:
                await fleet.start()
                await fleet.wait_until_connected()
                yield counter
            finally:
                await fleet.stop()


class Counter:
    """A worker, and what it has asked since the last question."""

    def __init__(self, site: MeasuredSite, storage: Counting, fleet: Fleet) -> None:
        self._site, self._storage, self.fleet = site, storage, fleet

    def load(self) -> Load:
        """Return what was asked since the last call, of all people together."""
        asked, people = self._site.cloud.requests, set(self._site.people)
        routes = [each.route or each.path for each in asked if each.person_id in people or each.grant_type]
        found = Load(
            storage=len(self._storage.trips),
            token=asked.count(grant_type="refresh_token"),
            u2c=sum("/u2c/" in each for each in routes),
            wdm=sum("/wdm/" in each for each in routes),
            people=sum(each.endswith("/people/me") for each in routes),
            kms=sum("/kms/" in each for each in routes),
        )
        self._storage.trips.clear()
        asked.clear()
        return found

    async def settled(self, expected: Load) -> Load:
        """Return the load when there were as many trips as expected, and no more for a moment."""
        with contextlib.suppress(TimeoutError):  # the caller shows what differs
            await until(lambda: len(self._storage.trips) >= expected.storage, 3.0)
        await asyncio.sleep(0.2)
        return self.load()

    async def close_sockets(self, code: int) -> None:
        """Close all sockets, with sign-ins that were read long ago, and wait until they are made anew."""
        for each in self._site.people:
            self.fleet.integration._app.tokens.forget(each)
        before = self.connections()
        self._site.cloud.mercury.drop(code=code)
        await until(lambda: self.connections() >= before + len(self._site.people))

    def connections(self) -> int:
        hub = self.fleet._hub
        assert hub is not None
        return sum(health.connections for each in self.fleet.users if (health := hub.health(each)))


@asynccontextmanager
async def measured(cloud: Cloud, tmp_path: Path, people: int = PEOPLE) -> AsyncIterator[MeasuredSite]:
    async with client_of(cloud) as alice:
        made = MeasuredSite(cloud, tmp_path / "s.db", alice)
        await made.sign_in(people)
        yield made


def times(load: Load) -> Load:
    return start_load.times(load, PEOPLE)


def assert_within(found: Load, expected: Load) -> None:
    """A renewed token may be read from the storage twice more, or be known already when the socket is opened."""
    spare = 2 * PEOPLE if expected.token else 0
    assert expected.storage - spare <= found.storage <= expected.storage
    assert replace(found, storage=0) == replace(expected, storage=0)


def test_simulated_numbers_are_those_of_starts_reconnections_and_take_overs(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with measured(webex_cloud, tmp_path) as site:
            async with site.counted("a") as worker:
                expected = times(start_load.FIRST_START) + start_load.CATALOG
                assert await worker.settled(expected) == expected
                for code, more in (
                    (1001, Load()),
                    (4404, start_load.RENEWED_DEVICE),
                    (4401, start_load.RENEWED_TOKEN),
                ):
                    expected = times(start_load.RECONNECT + more)
                    await worker.close_sockets(code)
                    assert_within(await worker.settled(expected), expected)
            assert worker.load() == times(start_load.LEAVING)
            async with site.counted("b") as worker:
                expected = times(start_load.TAKE_OVER) + start_load.CATALOG
                assert await worker.settled(expected) == expected
            await site.expire()
            async with site.counted("c") as worker:
                expected = times(start_load.TAKE_OVER + start_load.RENEWED_TOKEN) + start_load.CATALOG
                assert_within(await worker.settled(expected), expected)
            assert worker.load() == times(start_load.LEAVING)

    run(main())


def test_simulated_numbers_are_those_of_the_first_event(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with measured(webex_cloud, tmp_path) as site:
            async with site.counted("a"):
                await site.write("one")  # which also makes the rooms
                await site.published(PEOPLE)
            await site.write("two")
            async with site.counted("b") as worker:
                await until(lambda: worker.fleet.counts.delivered >= PEOPLE and not worker.fleet.health.in_hand)
                expected = times(start_load.TAKE_OVER + start_load.FIRST_EVENT) + start_load.CATALOG
                assert await worker.settled(expected) == expected
            assert worker.load() == times(start_load.LEAVING)

    run(main())


def test_sign_ins_are_watched_as_often_as_simulated() -> None:
    assert watch._AT_ONCE == start_load.WATCHED_TOGETHER
    assert Config().credential_max_age * watch._EARLY == pytest.approx(start_load.WATCHED_EVERY)


@pytest.mark.parametrize(("code", "asked"), [(4404, {"method": "PUT"}), (4401, {"grant_type": "refresh_token"})])
def test_renewals_after_all_sockets_were_closed_wait_for_their_turn(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, asked: dict[str, str]
) -> None:
    people, waiting = 3, []

    async def main() -> None:
        async with measured(webex_cloud, tmp_path, people) as site, site.counted("a") as worker:
            before, may_go, next_turn = worker.connections(), asyncio.Event(), Turns.next

            async def turn(turns: Turns) -> None:
                waiting.append(turns)
                await may_go.wait()
                await next_turn(turns)

            monkeypatch.setattr(Turns, "next", turn)
            webex_cloud.requests.clear()
            webex_cloud.mercury.drop(code=code)
            await until(lambda: len(waiting) >= people)
            assert webex_cloud.requests.find(**asked) == []
            may_go.set()
            await until(lambda: worker.connections() >= before + people)
            assert len(webex_cloud.requests.find(**asked)) == people

    run(main())


def test_sockets_that_cannot_be_replaced_before_a_shutdown_are_tried_in_turns(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    next_turn = Turns.next

    async def turn(turns: Turns) -> None:
        await next_turn(turns)
        happened.append("turn")

    async def refuse(*_: object, **__: object) -> None:
        happened.append("socket")
        raise OSError("refused")

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            async with alice.messages.listen(first_pause=0.01, connects_per_second=500.0):
                monkeypatch.setattr(Turns, "next", turn)
                monkeypatch.setattr(MercurySocket, "open", refuse)
                webex_cloud.mercury.shutdown()
                await until(lambda: happened.count("socket") >= 4)
        assert happened[:8] == ["turn", "socket"] * 4

    run(main())
