"""Events of calls: what loggers and hooks receive, in which level, and that nothing secret is among it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

import webex
from webex import Integration, Webex, telemetry
from webex.emulator import Cloud, accounts
from webex.errors import ApiError, ConfigurationError, TransportError
from webex.http import Hooks


class Recorder(Hooks):
    """Keeps all that it is told."""

    def __init__(self) -> None:
        self.events: list[telemetry.TelemetryEvent] = []
        self.attempts: list[telemetry.AttemptFailed] = []
        self.retries: list[telemetry.RetryScheduled] = []

    def on_event(self, event: telemetry.TelemetryEvent) -> None:
        self.events.append(event)

    def on_attempt(self, event: telemetry.AttemptFailed) -> None:
        self.attempts.append(event)

    def on_retry(self, event: telemetry.RetryScheduled) -> None:
        self.retries.append(event)


@pytest.fixture
def script_logging() -> Iterator[logging.Logger]:
    """The logger of the SDK, put back as it was."""
    logger = logging.getLogger("webex")
    level, handlers = logger.level, list(logger.handlers)
    yield logger
    logger.setLevel(level)
    logger.handlers[:] = handlers


def client(cloud: Cloud, *hooks: Any) -> Webex:
    return Webex(accounts.ALICE_TOKEN, emulator_url=cloud.url, hooks=hooks)


def test_retried_call_is_reported_per_attempt(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add("/v1/people/me", count=1, status=503)
    recorder = Recorder()
    with client(webex_cloud, recorder) as alice:
        alice.people.me()
    kinds = [type(event).__name__ for event in recorder.events]
    assert kinds == ["RequestStarted", "AttemptFailed", "RetryScheduled", "RequestFinished"]
    assert [(each.attempt, each.cause) for each in recorder.attempts] == [(1, "503")]
    assert [(each.cause, each.asked, each.wait > 0) for each in recorder.retries] == [("503", False, True)]
    last = recorder.events[-1]
    assert isinstance(last, telemetry.RequestFinished)
    assert (last.status, last.attempts, last.error) == (200, 2, None)
    assert len({event.as_dict()["tracking_id"] for event in recorder.events}) == 1


def test_wait_requested_by_the_service_is_marked(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add("/v1/people/me", count=1, status=429, headers={"Retry-After": "0.2"})
    recorder = Recorder()
    with client(webex_cloud, recorder) as alice:
        alice.people.me()
    assert [(each.cause, each.asked) for each in recorder.retries] == [("429", True)]


@pytest.mark.parametrize("status", [404, 400])
def test_refused_call_is_finished_not_failed(webex_cloud: Cloud, status: int) -> None:
    webex_cloud.faults.add("/v1/people/me", count=1, status=status)
    recorder = Recorder()
    with client(webex_cloud, recorder) as alice, pytest.raises(ApiError):
        alice.people.me()
    assert [type(event).__name__ for event in recorder.events] == ["RequestStarted", "RequestFinished"]


def test_failed_call_is_a_warning(webex_cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    webex_cloud.faults.add("/v1/people/me", status=503)
    with Webex(accounts.ALICE_TOKEN, emulator_url=webex_cloud.url, max_retries=1) as alice:
        caplog.set_level(logging.WARNING, "webex")
        with pytest.raises(ApiError):
            alice.people.me()
    told = [record for record in caplog.records if record.name == "webex.http" and record.levelno >= logging.WARNING]
    assert [record.getMessage().split(" [")[0].rsplit(" in ", 1)[0] for record in told] == [
        "GET /v1/people/me given up: 503 after 2 attempts"
    ]


def test_failed_connection_is_a_warning_with_the_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "webex")
    with (
        Webex("token", emulator_url="http://127.0.0.1:9", max_retries=0) as nobody,
        pytest.raises(TransportError),
    ):
        nobody.people.me()
    (record,) = [record for record in caplog.records if record.name == "webex.http"]
    assert "given up: ConnectError after 1 attempt" in record.getMessage()
    event = record.webex  # type: ignore[attr-defined]  # given as `extra`
    assert event.as_dict()["event"] == "RequestGivenUp"


def test_log_level_selects_the_events(webex_cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    def lines(level: int) -> list[str]:
        caplog.clear()
        webex_cloud.faults.add("/v1/people/me", count=1, status=503)
        with client(webex_cloud) as alice:
            caplog.set_level(level, "webex")
            alice.people.me()
        return [type(record.webex).__name__ for record in caplog.records if hasattr(record, "webex")]

    assert lines(logging.WARNING) == []
    assert lines(logging.INFO) == ["RetryScheduled"]
    assert lines(logging.DEBUG) == ["RequestStarted", "AttemptFailed", "RetryScheduled", "RequestFinished"]


def test_raising_hook_does_not_affect_the_call(webex_cloud: Cloud) -> None:
    class Broken(Hooks):
        def on_event(self, event: telemetry.TelemetryEvent) -> None:
            raise RuntimeError("a mistake in the app")

    with client(webex_cloud, Broken()) as alice:
        assert alice.people.me().display_name


def test_hooks_need_no_base_class_and_only_the_used_methods(webex_cloud: Cloud) -> None:
    class Counter:
        seen = 0

        def on_event(self, event: telemetry.TelemetryEvent) -> None:
            self.seen += 1

    counter = Counter()
    with client(webex_cloud, counter) as alice:
        alice.people.me()
    assert counter.seen == 2


def test_paths_in_a_log_have_short_ids_and_no_query(webex_cloud: Cloud) -> None:
    recorder = Recorder()
    with client(webex_cloud, recorder) as alice:
        room = alice.rooms.create(title="A title that is nobody's business")
        alice.rooms.get(room.id)
        alice.messages.list(room_id=room.id, limit=1).to_list()
    text = " ".join(str(event) for event in recorder.events)
    assert room.id not in text
    assert room.id[:8] + "…" in text
    assert "?" not in text
    assert accounts.ALICE_TOKEN not in text + repr(recorder.events)


def test_rate_limit_is_per_bot_and_shared_by_views(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add("/v1/people/me", count=1, status=429, headers={"Retry-After": "1"})
    recorder = Recorder()
    app = {
        "client_id": accounts.CLIENT_ID,
        "client_secret": accounts.CLIENT_SECRET,
        "redirect_uri": accounts.REDIRECT_URIS[0],
    }
    with Integration(**app, emulator_url=webex_cloud.url, hooks=[recorder], max_retries=0) as integration:
        with pytest.raises(ApiError):
            integration.client_for(accounts.ALICE_TOKEN).people.me()
        for _ in range(20):  # views are made and dropped: an address in memory is used again
            integration.client_for(accounts.BOB_TOKEN).people.me()
        assert not [event for event in recorder.events if isinstance(event, telemetry.RateLimited)]
        integration.client_for(accounts.ALICE_TOKEN).people.me()
    (waited,) = [event for event in recorder.events if isinstance(event, telemetry.RateLimited)]
    assert 0 < waited.wait <= 1


def test_redirect_is_reported_with_its_host(webex_cloud: Cloud) -> None:
    webex_cloud.faults.add(
        "/v1/people/me", count=1, status=307, headers={"Location": f"{webex_cloud.url}/v1/people/me?x=1"}
    )
    recorder = Recorder()
    with client(webex_cloud, recorder) as alice:
        alice.people.me()
    (told,) = [event for event in recorder.events if isinstance(event, telemetry.Redirected)]
    assert (told.status, told.host) == (307, "127.0.0.1")


def test_client_without_logging_creates_no_events(monkeypatch: pytest.MonkeyPatch, webex_cloud: Cloud) -> None:
    logging.getLogger("webex.http").setLevel(logging.CRITICAL)
    told: list[object] = []
    monkeypatch.setattr(telemetry.Telemetry, "tell", lambda _, event: told.append(event))
    try:
        with client(webex_cloud) as alice:
            alice.people.me()
    finally:
        logging.getLogger("webex.http").setLevel(logging.NOTSET)
    assert told == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://webexapis.com/v1/rooms?max=3", "/v1/rooms"),
        ("/v1/people/me", "/v1/people/me"),
        ("https://webexapis.com", "/"),
        ("/v1/rooms/" + "Y2lzY29zcGFyazovL3VzL1JPT00v" * 2, "/v1/rooms/Y2lzY29z…"),
        ("/v1/rooms/8fa8f2d0-2b7c-11ee-b9d1-0242ac120002/meetingInfo", "/v1/rooms/8fa8f2d0…/meetingInfo"),
        ("/v1/a%20b/" + "%20" * 20, "/v1/a%20b/%20%20%2…"),
    ],
)
def test_short_path(url: str, shown: str) -> None:
    assert telemetry.short_path(url) == shown


def test_configure_logging_writes_to_stderr(
    script_logging: logging.Logger, capsys: pytest.CaptureFixture[str], webex_cloud: Cloud
) -> None:
    webex.configure_logging("debug")
    webex.configure_logging("debug")  # the second replaces the first
    with client(webex_cloud) as alice:
        alice.people.me()
    lines = [line for line in capsys.readouterr().err.splitlines() if "GET /v1/people/me 200" in line]
    assert len(lines) == 1
    assert "DEBUG" in lines[0]
    assert "webex.http" in lines[0]


@pytest.mark.parametrize("name", ["WEBEX_LOG_LEVEL", "CISCOSPARK_LOG_LEVEL"])
def test_configure_logging_takes_its_level_from_the_environment(
    name: str, script_logging: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBEX_LOG_LEVEL", raising=False)
    monkeypatch.setenv(name, " info ")
    webex.configure_logging()
    assert script_logging.level == logging.INFO


def test_configure_logging_without_a_level_changes_nothing(
    script_logging: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBEX_LOG_LEVEL", raising=False)
    monkeypatch.delenv("CISCOSPARK_LOG_LEVEL", raising=False)
    before = (script_logging.level, list(script_logging.handlers))
    webex.configure_logging()
    assert (script_logging.level, list(script_logging.handlers)) == before


@pytest.mark.parametrize("level", ["loud", "", "None", True, 1.5])
def test_configure_logging_lists_the_known_levels(level: Any, script_logging: logging.Logger) -> None:
    with pytest.raises(ConfigurationError, match="DEBUG, INFO, WARNING"):
        webex.configure_logging(level)
