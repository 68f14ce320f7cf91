"""Tokens of users who do not come are renewed before their refresh tokens end, by one worker at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.auth.conftest import sign_in
from tests.support.plain_storage import Plain
from webex import AsyncIntegration, Integration
from webex.auth.keep_alive import NAMESPACE
from webex.emulator import Cloud, accounts
from webex.errors import ConfigurationError, StorageError
from webex.storage import MemoryStorage, path

DAY = 86_400


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def people(integration: Integration, cloud: Cloud, count: int) -> list[str]:
    """Sign people in, and give their keys."""
    keys = []
    for number in range(count):
        email = f"user{number}@example.com"
        cloud.add_person(email, f"User {number}")
        keys.append(sign_in(integration, cloud, email))
    return keys


def see(integration: Integration, cloud: Cloud, days: float) -> None:
    """Let days go by, and let the client see it: its token clock follows that of the emulator."""
    cloud.clock.advance(days * DAY)
    integration.client_for(accounts.BOT_TOKEN).people.me()
    cloud.requests.clear()


@pytest.mark.parametrize("rotation", ["off", "grace", "strict"])
def test_refresh_tokens_that_end_soon_are_renewed(cloud: Cloud, storage: MemoryStorage, rotation: str) -> None:
    cloud.set(rotation=rotation)
    with Integration(storage=storage) as integration:
        keys = people(integration, cloud, 3)
        assert integration.keep_alive().due == 0
        see(integration, cloud, 80)
        late = sign_in(integration, cloud, "bob@example.com")
        report = integration.keep_alive(per_second=1000)
        assert (report.state, report.due, report.renewed, report.extended) == ("finished", 3, 3, 3)
        assert not report.resumed
        assert cloud.requests.refreshes == 3
        assert integration.keep_alive(per_second=1000).due == 0
        see(integration, cloud, 80)  # later than the first refresh tokens would have ended
        for key in (*keys, late):
            integration.user(key).people.me()


def test_fixed_lifetimes_are_reported_and_refreshed_once_a_day(cloud: Cloud, storage: MemoryStorage) -> None:
    cloud.set(refresh_lifetime_slides=False)
    with Integration(storage=storage) as integration:
        people(integration, cloud, 2)
        see(integration, cloud, 80)
        report = integration.keep_alive(per_second=1000)
        assert (report.due, report.renewed, report.extended) == (2, 2, 0)
        assert integration.keep_alive(per_second=1000).due == 0  # refreshed within a day
        see(integration, cloud, 1.5)
        assert integration.keep_alive(per_second=1000).due == 2


def test_event_loop_style_does_the_same(cloud: Cloud, storage: MemoryStorage) -> None:
    with Integration(storage=storage) as integration:
        people(integration, cloud, 2)
        see(integration, cloud, 80)

    async def main() -> Any:
        async with AsyncIntegration(storage=storage) as later:
            await later.client_for(accounts.BOT_TOKEN).people.me()
            return await asyncio.gather(*(later.keep_alive(per_second=1000) for _ in range(3)))

    reports = asyncio.run(main())
    assert sorted(report.state for report in reports) == ["elsewhere", "elsewhere", "finished"]
    assert sum(report.renewed for report in reports) == 2
    assert cloud.requests.refreshes == 2


def test_withdrawn_consent_is_counted_and_emitted(cloud: Cloud, storage: MemoryStorage) -> None:
    with Integration(storage=storage) as integration:
        told: list[Any] = []
        for hook in (integration.events.consent_withdrawn, integration.events.reauthorization_required):
            hook(told.append)
        keys = people(integration, cloud, 2)
        see(integration, cloud, 80)
        cloud.revoke_consent("user0@example.com")
        report = integration.keep_alive(per_second=1000)
        assert (report.due, report.renewed, report.sign_in_again, dict(report.failed)) == (2, 1, 1, {})
        assert {(event.kind, event.user_key) for event in told} == {
            ("reauthorization_required", keys[0]),
            ("consent_withdrawn", keys[0]),
        }
        again = integration.keep_alive(per_second=1000)
        assert (again.due, again.sign_in_again) == (0, 1)


def test_expired_refresh_token_is_not_withdrawn_consent(cloud: Cloud, storage: MemoryStorage) -> None:
    with Integration(storage=storage) as integration:
        told: list[Any] = []
        integration.events.consent_withdrawn(told.append)
        people(integration, cloud, 1)
        see(integration, cloud, 91)
        assert integration.keep_alive(per_second=1000).sign_in_again == 1
        assert told == []


def test_repeatedly_failing_walk_is_resumed(cloud: Cloud, storage: MemoryStorage) -> None:
    with Integration(storage=storage, refresh_deadline=0.5) as integration:
        people(integration, cloud, 25)
        see(integration, cloud, 80)
        outage = cloud.faults.add("*", grant_type="refresh_token", status=400, body={"error": "invalid_request"})
        report = integration.keep_alive(per_second=10_000)
        assert report.state == "interrupted"
        assert dict(report.failed) == {"InvalidRequestError": 20}
        assert storage.bind(NAMESPACE).get(path(str(integration.config.client_id), "walk"))["due"] == 20
        cloud.faults.clear()
        assert outage is not None
    with Integration(storage=storage) as another:
        another.client_for(accounts.BOT_TOKEN).people.me()
        report = another.keep_alive(per_second=10_000)
        assert (report.state, report.resumed, report.renewed, report.due) == ("finished", True, 25, 45)
        assert list(storage.bind(NAMESPACE).keys()) in ([], [[]])


def test_lost_lease_ends_the_walk(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        moment = 0.0

        def monotonic(self) -> float:
            return self.moment

    clock = Clock()
    storage = MemoryStorage(clock=clock)
    with Integration(storage=storage) as integration:
        people(integration, cloud, 3)
        see(integration, cloud, 80)
        real = integration._app.runtime.clock
        passed = 0.0

        class Later:
            def time(self) -> float:
                return real.time()

            def monotonic(self) -> float:
                return real.monotonic() + passed

        monkeypatch.setattr(integration._app.runtime, "clock", Later())

        @integration.events.token_refreshed
        def pause(event: object) -> None:
            nonlocal passed
            passed, clock.moment = 100.0, 100.0  # longer than the lease

        report = integration.keep_alive(per_second=1000)
        assert (report.state, report.renewed) == ("interrupted", 1)
        assert integration.keep_alive(per_second=1000).renewed == 3


def test_rate_is_bounded_and_spread(cloud: Cloud, storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    with Integration(storage=storage) as integration:
        people(integration, cloud, 4)
        see(integration, cloud, 80)
        runtime = integration._app.runtime
        real, slept = runtime.clock, [0.0]

        class Virtual:
            def time(self) -> float:
                return real.time()

            def monotonic(self) -> float:
                return 1000.0 + sum(slept)

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        monkeypatch.setattr(runtime, "clock", Virtual())
        monkeypatch.setattr(runtime, "sleep", sleep)
        report = integration.keep_alive(per_second=2, over=80)
        assert report.renewed == 4
        assert report.seconds == pytest.approx(60.0)  # four in 80 s: three pauses of 20 s


@pytest.mark.parametrize("wrong", [{"days": 0}, {"per_second": 0}, {"per_second": True}, {"over": -1}, {"days": "14"}])
def test_wrong_numbers_are_refused(cloud: Cloud, storage: MemoryStorage, wrong: dict[str, Any]) -> None:
    with Integration(storage=storage) as integration, pytest.raises(ConfigurationError, match=next(iter(wrong))):
        integration.keep_alive(**wrong)


def test_storage_without_scan_is_refused(cloud: Cloud) -> None:
    with Integration(storage=Plain()) as integration, pytest.raises(StorageError, match="list its keys"):
        integration.keep_alive()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"days": 0}, "days of keep_alive is a number above zero, not 0"),
        ({"days": True}, "days of keep_alive"),
        ({"per_second": 0.0}, "per_second of keep_alive is a number above zero"),
        ({"per_second": float("nan")}, "per_second of keep_alive"),
        ({"over": -0.5}, "over of keep_alive is a number, 0 or more, not -0.5"),
        ({"over": float("inf")}, "over of keep_alive"),
    ],
)
def test_numbers_that_are_none_are_refused(cloud: Cloud, wrong: dict[str, Any], told: str) -> None:
    with Integration(storage=MemoryStorage()) as integration, pytest.raises(ConfigurationError, match=told):
        integration.keep_alive(**wrong)
