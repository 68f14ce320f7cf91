"""Workers of one fleet in one process, each with an integration of its own over one file."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.helpers import client_of, run, until
from tests.realtime.test_hub import APP
from webex import AsyncIntegration, AsyncWebex
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError
from webex.fleet import Fleet, announce_sign_ins, delivery
from webex.realtime import RealtimeMessageEvent
from webex.storage import MemoryStorage, SQLiteStorage

QUICK: dict[str, Any] = {
    "lease": 60.0,  # no test waits for its end, and a machine that stands still does not let it lapse
    "poll": 0.05,
    "look_for_users": 0.2,
    "first_pause": 0.05,
    "connects_per_second": 500.0,
    "shards": 16,
}


class Log:
    """A publisher that keeps what it confirmed."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, str]] = []  # user, key, text
        self.workers: list[str] = []
        self.before: Callable[[str], Awaitable[None]] | None = None

    def of(self, worker: str) -> _Publisher:
        return _Publisher(self, worker)

    def texts(self, user: str | None = None) -> list[str]:
        return [text for whose, _, text in self.published if user in (None, whose)]


class _Publisher:
    def __init__(self, log: Log, worker: str) -> None:
        self._log, self._worker = log, worker

    async def publish(self, event: Any) -> None:
        if self._log.before is not None:
            await self._log.before(event.raw.get("text", ""))
        if event.resource == "messages":
            self._log.published.append((event.user_key, event.key, event.data.text))
            self._log.workers.append(self._worker)


class Site:
    """People, and workers over one storage."""

    def __init__(self, cloud: Cloud, path: Path, alice: AsyncWebex) -> None:
        self.cloud, self.path, self.alice = cloud, path, alice
        self.log = Log()
        self.people: list[str] = []
        self.emails: dict[str, str] = {}

    @asynccontextmanager
    async def integration(self) -> AsyncIterator[AsyncIntegration]:
        async with AsyncIntegration(**APP, emulator_url=self.cloud.url, storage=SQLiteStorage(self.path)) as made:
            yield made

    @asynccontextmanager
    async def worker(self, name: str, **options: Any) -> AsyncIterator[Fleet]:
        async with self.integration() as integration:
            fleet = Fleet(integration, worker=name, publisher=self.log.of(name), **{**QUICK, **options})
            try:
                await fleet.start()
                yield fleet
            finally:
                await fleet.stop()

    async def sign_in(self, count: int) -> None:
        async with self.integration() as integration:
            for _ in range(count):
                email = f"user{len(self.people)}@example.com"
                person = self.cloud.add_person(email)
                await integration.adopt(person.id, self.cloud.token_for(email))
                self.people.append(person.id)
                self.emails[person.id] = email

    async def write(self, text: str, *people: str) -> None:
        for person in people or self.people:
            await self.alice.messages.create(to_person_email=self.emails[person], text=text)

    async def published(self, count: int) -> None:
        await until(lambda: len(self.log.published) >= count)


@asynccontextmanager
async def site_of(cloud: Cloud, tmp_path: Path, people: int) -> AsyncIterator[Site]:
    async with client_of(cloud) as alice:
        site = Site(cloud, tmp_path / "s.db", alice)
        await site.sign_in(people)
        yield site


def test_one_worker_publishes_what_all_users_receive(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 5) as site, site.worker("a") as fleet:
            await until(lambda: len(fleet.users) == 5 and not fleet.health.connecting)
            await site.write("hello")
            await site.published(5)
            assert sorted(user for user, _, _ in site.log.published) == sorted(site.people)
            assert fleet.health.ready
            await until(lambda: fleet.counts.delivered >= 5)
        assert not fleet.health.ready
        assert webex_cloud.mercury.connections() == 0

    run(main())


def test_workers_share_the_users_and_a_worker_that_leaves_hands_over(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 12) as site, site.worker("a") as first:
            await until(lambda: len(first.users) == 12)
            async with site.worker("b") as second:
                await until(lambda: len(first.shards) == len(second.shards) == 8)
                await until(lambda: len(first.users) + len(second.users) == 12 and not second.health.connecting)
                assert first.users
                assert second.users
                assert not set(first.users) & set(second.users)
                await site.write("both")
                await site.published(12)
                assert set(site.log.workers) == {"a", "b"}
            await until(lambda: len(first.users) == 12 and not first.health.connecting)
            await site.write("one")
            await site.published(24)
            assert sorted(site.log.texts()) == ["both"] * 12 + ["one"] * 12

    run(main())


def test_sign_in_and_sign_out_are_followed(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 1) as site, site.worker("a") as fleet:
            await until(lambda: len(fleet.users) == 1)
            await site.sign_in(2)  # found by listing
            await until(lambda: len(fleet.users) == 3 and not fleet.health.connecting)
            await site.write("all", *site.people)
            await site.published(3)
            async with site.integration() as other:
                await other.sign_out(site.people[0])
            await until(lambda: site.people[0] not in fleet.users)

    run(main())


def test_announced_sign_ins_need_no_listing(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 0) as site, site.worker("a", look_for_users=600.0) as fleet:
            async with site.integration() as web_app:
                announce_sign_ins(web_app)
                person = webex_cloud.add_person("new@example.com")
                await web_app.adopt(person.id, webex_cloud.token_for("new@example.com"))
                await until(lambda: fleet.users == [person.id] and not fleet.health.connecting)
                await web_app.sign_out(person.id)
                await until(lambda: fleet.users == [])

    run(main())


def test_nothing_is_acknowledged_before_the_publisher_has_confirmed(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 1) as site:
            never = asyncio.Event()
            begun = asyncio.Event()

            async def hang(text: str) -> None:
                if text == "two":
                    begun.set()
                    await never.wait()

            site.log.before = hang
            async with site.worker("a", grace=0.1) as fleet:
                await until(lambda: len(fleet.users) == 1 and not fleet.health.connecting)
                await site.write("one")
                await site.write("two")
                await site.write("three")
                await begun.wait()
                assert site.log.texts() == ["one"]
            site.log.before = None
            async with site.worker("b"):
                await site.published(3)
            assert site.log.texts() == ["one", "two", "three"]

    run(main())


def test_a_publisher_that_fails_gets_the_same_event_again_and_the_order_stays(
    webex_cloud: Cloud, tmp_path: Path
) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 2) as site:
            failures = {"two": 3}

            async def fail(text: str) -> None:
                if failures.get(text):
                    failures[text] -= 1
                    raise ConnectionError("the broker is away")

            site.log.before = fail
            async with site.worker("a") as fleet:
                await until(lambda: len(fleet.users) == 2 and not fleet.health.connecting)
                for text in ("one", "two", "three"):
                    await site.write(text)
                await site.published(6)
                for person in site.people:
                    assert site.log.texts(person) == ["one", "two", "three"]
                assert fleet.counts.failed == 3
                assert fleet.counts.last_error == "ConnectionError"

    run(main())


def test_an_event_that_the_broker_refuses_does_not_hold_its_room_up_for_ever(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LONGEST_PAUSE", 0.05)

    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 2) as site:

            async def refuse(text: str) -> None:
                if text == "too large":
                    raise ValueError("the broker takes no such thing")

            site.log.before = refuse
            async with site.worker("a") as fleet:
                await until(lambda: len(fleet.users) == 2 and not fleet.health.connecting)
                await site.write("too large", site.people[0])
                await site.write("after it", site.people[0])
                while not site.log.texts(site.people[0]):
                    await site.write("another one", site.people[1])
                assert site.log.texts(site.people[0]) == ["after it"]
                assert len(site.log.texts(site.people[1])) >= 20
            site.log.before = None
            async with site.worker("b"):
                await until(lambda: len(site.log.texts(site.people[0])) == 2)
            assert site.log.texts(site.people[0]) == ["after it", "too large"]

    run(main())


def test_order_of_a_room_holds_when_the_broker_is_away_twice(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_LONGEST_PAUSE", 0.01)

    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 2) as site:
            attempts = 0

            async def be_away_twice(text: str) -> None:
                nonlocal attempts
                if text == "one" and attempts < 12:
                    attempts += 1
                    if attempts == 9:  # it goes on while the broker is back, and fails when it is away again
                        await until(lambda: len(site.log.texts(site.people[1])) == 20)
                    raise ConnectionError("the broker is away")

            site.log.before = be_away_twice
            async with site.worker("a") as fleet:
                await until(lambda: len(fleet.users) == 2 and not fleet.health.connecting)
                await site.write("one", site.people[0])
                await site.write("two", site.people[0])
                await until(lambda: attempts == 9)
                for number in range(20):
                    await site.write(str(number), site.people[1])
                await site.published(22)
                assert site.log.texts(site.people[0]) == ["one", "two"]

    run(main())


def test_handlers_are_called_by_resource_and_event(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 1) as site, site.integration() as integration:
            fleet = Fleet(integration, **QUICK)
            heard: list[str] = []

            @fleet.on("messages", "created")
            async def answer(event: RealtimeMessageEvent) -> None:
                heard.append(f"{event.data.text} {(await fleet.client(event).people.me()).id == event.created_by}")

            @fleet.on("messages", "deleted")
            def never(event: RealtimeMessageEvent) -> None:
                heard.append("deleted")

            async with fleet:
                await until(lambda: len(fleet.users) == 1 and not fleet.health.connecting)
                await site.write("hello")
                await until(lambda: heard)
            assert heard == ["hello True"]

    run(main())


def test_leader_listens_for_all_and_another_worker_takes_over(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 3) as site:
            async with site.worker("a", mode="leader") as first:
                await until(lambda: len(first.users) == 3)
                async with site.worker("b", mode="leader") as second:
                    await first.stop()
                    await until(lambda: len(second.users) == 3 and not second.health.connecting)
                    await site.write("hello")
                    await site.published(3)
                    assert set(site.log.workers) == {"b"}

    run(main())


def test_in_mode_all_every_worker_receives_everything(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 2) as site:
            async with site.worker("a", mode="all") as first, site.worker("b", mode="all") as second:
                for fleet in (first, second):
                    await until(lambda fleet=fleet: len(fleet.users) == 2 and not fleet.health.connecting)
                await site.write("hello")
                await site.published(4)
                assert sorted(site.log.workers) == ["a", "a", "b", "b"]

    run(main())


def test_number_of_shards_is_changed_by_a_worker_that_starts_with_another(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 6) as site, site.worker("a") as first:
            await until(lambda: len(first.users) == 6)
            async with site.worker("b", shards=40) as second:
                await until(lambda: len(first.shards) == len(second.shards) == 20)
                await until(lambda: len(first.users) + len(second.users) == 6 and not second.health.connecting)
                await site.write("hello")
                await site.published(6)
                assert sorted(user for user, _, _ in site.log.published) == sorted(site.people)

    run(main())


@pytest.mark.parametrize(
    "options",
    [
        {"shards": 0},
        {"shards": 1025},
        {"shards": True},
        {"mode": "some"},
        {"lease": 0},
        {"poll": float("nan")},
        {"ack": "auto"},
    ],
    ids=str,
)
def test_wrong_options_are_refused(webex_cloud: Cloud, options: Any) -> None:
    integration = AsyncIntegration(**APP, emulator_url=webex_cloud.url)
    with pytest.raises(ConfigurationError):
        Fleet(integration, **options)


def test_storage_that_no_other_worker_sees_is_refused(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with AsyncIntegration(**APP, emulator_url=webex_cloud.url, storage=MemoryStorage()) as integration:
            with pytest.raises(ConfigurationError, match="SQLiteStorage"):
                await Fleet(integration, publisher=Log().of("a")).start()
            with pytest.raises(ConfigurationError, match="publisher"):
                await Fleet(integration).start()

    run(main())


def test_stopped_fleet_is_told_of_no_more_sign_ins_and_is_let_go(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 0) as site, site.integration() as integration:
            stopped = []
            for number in range(2):  # one after the other, as in a process that begins anew
                fleet = Fleet(integration, worker=f"w{number}", publisher=site.log.of("w"), **QUICK)
                await fleet.start()
                await fleet.stop()
                stopped.append(weakref.ref(fleet))
            del fleet
            gc.collect()
            assert [each() for each in stopped] == [None, None]

    run(main())


def test_fleet_that_could_not_start_leaves_nothing_behind(webex_cloud: Cloud, tmp_path: Path) -> None:
    def fail(user: str) -> bool:
        raise RuntimeError(user)

    async def main() -> None:
        async with site_of(webex_cloud, tmp_path, 1) as site, site.integration() as integration:
            before = asyncio.all_tasks()
            fleet = Fleet(integration, publisher=site.log.of("w"), users=fail, **QUICK)
            with pytest.raises(RuntimeError):
                await fleet.start()
            await until(lambda: asyncio.all_tasks() <= before)
            with pytest.raises(ConfigurationError, match="was stopped"):
                await fleet.start()
            kept = weakref.ref(fleet)
            del fleet
            gc.collect()
            assert kept() is None

    run(main())
