"""Why a token was refreshed, how long it took, and who waited."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from webex import Integration, telemetry
from webex.emulator import Cloud
from webex.errors import ReauthorizationRequiredError
from webex.http import Hooks
from webex.storage import MemoryStorage

AuthEvents = list[telemetry.TelemetryEvent]
_KINDS = (
    telemetry.TokenRefreshStarted,
    telemetry.TokenRefreshFinished,
    telemetry.TokenRefreshRefused,
    telemetry.LeaseWaited,
)


class Recorder(Hooks):
    def __init__(self) -> None:
        self.events: AuthEvents = []

    def on_event(self, event: telemetry.TelemetryEvent) -> None:
        if isinstance(event, _KINDS):
            self.events.append(event)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def integration(cloud: Cloud, recorder: Recorder) -> Iterator[Integration]:
    with Integration(storage=MemoryStorage(), hooks=[recorder]) as made:
        yield made


@pytest.fixture
def key(integration: Integration, cloud: Cloud) -> str:
    login = integration.begin_login()
    return integration.finish_login(cloud.sign_in(login.url, as_="alice"), browser=login.browser).user.key


def started(recorder: Recorder) -> list[str]:
    return [event.reason for event in recorder.events if isinstance(event, telemetry.TokenRefreshStarted)]


def test_expired_token_is_refreshed_because_it_expired(
    integration: Integration, key: str, cloud: Cloud, recorder: Recorder
) -> None:
    cloud.clock.advance(15 * 86400)
    integration.user(key).people.me()
    assert started(recorder) == ["rejected"]  # the client learns the time from the answer
    cloud.clock.advance(15 * 86400)
    integration.user(key).people.me()
    integration.user(key).people.me()
    finished = [event for event in recorder.events if isinstance(event, telemetry.TokenRefreshFinished)]
    assert len(finished) == 2
    assert all(event.user_key == key and event.seconds >= 0 for event in finished)
    assert finished[0].expires_in is not None
    assert finished[0].expires_in == pytest.approx(14 * 86400, abs=60)


def test_stale_token_is_refreshed_because_it_is_stale(
    integration: Integration, key: str, cloud: Cloud, recorder: Recorder
) -> None:
    cloud.clock.advance(13 * 86400 + 3600)
    for _ in range(3):
        integration.user(key).people.me()
    assert started(recorder) == ["stale"]


def test_refresh_requested_by_the_app_has_that_reason(integration: Integration, key: str, recorder: Recorder) -> None:
    integration.user(key).refresh()
    assert started(recorder) == ["asked"]


def test_refused_refresh_is_a_warning_with_its_reason(
    integration: Integration, key: str, cloud: Cloud, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.revoke_consent("alice")
    caplog.set_level(logging.WARNING, "webex")
    with pytest.raises(ReauthorizationRequiredError):
        integration.user(key).people.me()
    (refused,) = [event for event in recorder.events if isinstance(event, telemetry.TokenRefreshRefused)]
    assert (refused.user_key, refused.reason) == (key, "refused")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "webex.auth"]
    assert line == f"token of {key}: refresh refused (refused), the user has to sign in again"


def test_log_of_a_refresh_shows_no_token(
    integration: Integration, key: str, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "webex")
    client = integration.user(key)
    before = client.get_user_token()
    client.refresh()
    after = client.get_user_token()
    assert before != after
    text = caplog.text
    assert "refreshed in" in text
    assert before not in text
    assert after not in text


class Announcer(Hooks):
    """Sets an event when a refresh begins."""

    def __init__(self) -> None:
        self.began = threading.Event()

    def on_event(self, event: telemetry.TelemetryEvent) -> None:
        if isinstance(event, telemetry.TokenRefreshStarted):
            self.began.set()


def test_waiting_for_another_worker_is_reported(cloud: Cloud, recorder: Recorder) -> None:
    storage, announcer = MemoryStorage(), Announcer()
    with (
        Integration(storage=storage, hooks=[announcer]) as first,
        Integration(storage=storage, hooks=[recorder]) as second,
    ):
        login = first.begin_login()
        key = first.finish_login(cloud.sign_in(login.url, as_="alice"), browser=login.browser).user.key
        token = first.user(key).get_user_token()
        cloud.faults.add("*/access_token", latency=1.0, count=1)
        refreshing = threading.Thread(target=lambda: first.user(key).refresh())
        refreshing.start()
        assert announcer.began.wait(60)
        second.user(key).refresh()
        refreshing.join()
        assert second.user(key).get_user_token() == first.user(key).get_user_token() != token
    assert [type(event) for event in recorder.events] == [telemetry.LeaseWaited]
