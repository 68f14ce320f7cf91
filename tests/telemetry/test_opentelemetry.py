"""Spans and metrics, read by the in-memory exporters of the OpenTelemetry SDK."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from webex import AsyncWebex, Integration, Webex
from webex.emulator import Cloud, accounts
from webex.errors import ConnectError, NotFoundError, RateLimitError
from webex.opentelemetry import OpenTelemetryHooks, WebexInstrumentor, hash_of_user, instrument, uninstrument
from webex.storage import MemoryStorage

ROOT = Path(__file__).resolve().parents[2]


class Collected:
    """What was exported."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._reader])

    def hooks(self, **options: Any) -> OpenTelemetryHooks:
        return OpenTelemetryHooks(self.tracers, self.meters, **options)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def metric(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """The points of an instrument: attributes, and the sum (of a counter) or count (of a histogram)."""
        data = self._reader.get_metrics_data()
        found = []
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            value = point.value if hasattr(point, "value") else point.count
                            found.append((dict(point.attributes or {}), value))
        return found

    def close(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()


@pytest.fixture
def collected() -> Iterator[Collected]:
    made = Collected()
    yield made
    made.close()


def client(cloud: Cloud, *hooks: Any, **settings: Any) -> Webex:
    return Webex(accounts.ALICE_TOKEN, emulator_url=cloud.url, hooks=hooks, **settings)


def of_http(span: ReadableSpan) -> dict[str, Any]:
    return {name: value for name, value in (span.attributes or {}).items() if not name.startswith("webex.")}


def test_a_call_is_a_client_span_with_the_attributes_of_http(webex_cloud: Cloud, collected: Collected) -> None:
    host, _, port = webex_cloud.url.partition("://")[2].partition(":")
    with client(webex_cloud, collected.hooks()) as alice:
        room = alice.rooms.create(title="one")
        alice.rooms.get(room.id)
        with pytest.raises(NotFoundError):
            alice.rooms.get("missing")
    created, got, missing = collected.spans
    assert [span.name for span in collected.spans] == ["POST /rooms", "GET /rooms/{roomId}", "GET /rooms/{roomId}"]
    assert got.kind is SpanKind.CLIENT
    server = {"server.address": host, "server.port": int(port), "url.template": "/rooms/{roomId}"}
    assert of_http(got) == {"http.request.method": "GET", "http.response.status_code": 200, **server}
    assert of_http(missing) == {
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "error.type": "404",
        **server,
    }
    assert (got.status.status_code, missing.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    tracking = {(span.attributes or {})["webex.tracking_id"] for span in collected.spans}
    assert tracking == {each.headers["trackingid"] for each in webex_cloud.requests}
    assert created.instrumentation_scope is not None
    assert created.instrumentation_scope.name == "webex"
    durations = collected.metric("http.client.request.duration")
    assert sorted(value for _, value in durations) == [1, 1, 1]
    assert {**server, "http.request.method": "GET", "http.response.status_code": 200} in [each for each, _ in durations]


def test_repetitions_and_waits_are_events_of_the_span(webex_cloud: Cloud, collected: Collected) -> None:
    webex_cloud.faults.add("/v1/people/me", count=1, status=429, retry_after=0.1)
    with client(webex_cloud, collected.hooks()) as alice:
        alice.people.me()
    (span,) = collected.spans
    assert [event.name for event in span.events] == ["attempt failed", "retry"]
    retry = dict(span.events[1].attributes or {})
    assert (retry["webex.cause"], retry["webex.asked"], retry["webex.attempt"]) == ("429", True, 1)
    assert of_http(span)["http.request.resend_count"] == 1
    assert collected.metric("webex.client.retries") == [({"error.type": "429"}, 1)]
    webex_cloud.faults.add("/v1/rooms", count=1, status=429, retry_after=0.1)
    with client(webex_cloud, collected.hooks(), max_retries=0) as alice:
        with pytest.raises(RateLimitError):
            alice.rooms.list(limit=1).to_list()
        alice.rooms.list(limit=1).to_list()
    assert collected.metric("webex.client.rate_limit.wait.duration") == [({"webex.rate_limit.by": "service"}, 1)]
    assert [event.name for event in collected.spans[-1].events] == ["rate limit"]


def test_a_call_without_an_answer_has_the_error_as_its_type(collected: Collected) -> None:
    with Webex("token", emulator_url="http://127.0.0.1:9", hooks=[collected.hooks()], max_retries=0) as alice:
        with pytest.raises(ConnectError):
            alice.people.me()
    (span,) = collected.spans
    assert of_http(span)["error.type"] == "ConnectError"
    assert "http.response.status_code" not in (span.attributes or {})
    assert span.status.status_code is StatusCode.ERROR


def test_calls_are_children_of_the_present_span(webex_cloud: Cloud, collected: Collected) -> None:
    tracer = collected.tracers.get_tracer("app")

    async def main() -> None:
        async with AsyncWebex(accounts.ALICE_TOKEN, emulator_url=webex_cloud.url, hooks=[collected.hooks()]) as alice:
            with tracer.start_as_current_span("request") as outer:
                await asyncio.gather(alice.people.me(), alice.rooms.list(limit=1).to_list())
            assert outer.is_recording() is False

    asyncio.run(main())
    by_name = {span.name: span for span in collected.spans}
    assert set(by_name) == {"request", "GET /people/me", "GET /rooms"}
    request = by_name["request"].context
    assert request is not None
    for name in ("GET /people/me", "GET /rooms"):
        parent = by_name[name].parent
        assert parent is not None
        assert parent.span_id == request.span_id


def test_user_is_hashed_and_no_secret_is_exported(webex_cloud: Cloud, collected: Collected) -> None:
    app = {
        "client_id": accounts.CLIENT_ID,
        "client_secret": accounts.CLIENT_SECRET,
        "redirect_uri": accounts.REDIRECT_URIS[0],
        "scope": "spark:all",
    }
    with Integration(
        **app, emulator_url=webex_cloud.url, storage=MemoryStorage(), hooks=[collected.hooks()]
    ) as integration:
        login = integration.begin_login()
        user = integration.finish_login(webex_cloud.sign_in(login.url), browser=login.browser).user
        webex_cloud.clock.advance(15 * 86400)
        integration.user(user.key).people.me()
    me = collected.spans[-1]
    refresh = next(span for span in collected.spans[::-1] if span.name.startswith("POST"))
    assert (me.attributes or {})["user.hash"] == hash_of_user(user.key)
    assert refresh.parent is not None
    assert me.context is not None
    assert refresh.parent.span_id == me.context.span_id  # within the call that needed it
    assert "user.hash" not in (refresh.attributes or {})
    told = "".join(span.to_json() for span in collected.spans)
    assert user.key not in told
    assert accounts.CLIENT_SECRET not in told
    assert "code=" not in told
    assert collected.metric("webex.token.refreshes") == [({"webex.refresh.reason": "rejected"}, 1)]
    assert [value for _, value in collected.metric("webex.token.refresh.duration")] == [1]


def test_user_hash_can_be_another_or_none(webex_cloud: Cloud, collected: Collected) -> None:
    storage = MemoryStorage()
    for choice in (None, str.upper):
        with Integration(
            client_id="app",
            emulator_url=webex_cloud.url,
            storage=storage,
            hooks=[collected.hooks(user_hash=choice)],
        ) as integration:
            integration.adopt("my-user", accounts.ALICE_TOKEN)
            integration.user("my-user").people.me()
    first, second = collected.spans
    assert "user.hash" not in (first.attributes or {})
    assert (second.attributes or {})["user.hash"] == "MY-USER"


def test_sockets_lag_and_closes_are_counted(webex_cloud: Cloud, collected: Collected) -> None:
    async def main() -> None:
        async with AsyncWebex(
            webex_cloud.token_for("bob"), emulator_url=webex_cloud.url, hooks=[collected.hooks()]
        ) as bob:
            async with bob.messages.listen(first_pause=0.01) as events:
                assert collected.metric("webex.sockets") == [({}, 1)]
                webex_cloud.mercury.drop("bob", 1011)
                async with AsyncWebex(accounts.ALICE_TOKEN, emulator_url=webex_cloud.url) as alice:
                    await alice.messages.create(to_person_email="bob@example.com", text="hello")
                event = await anext(events)
                event.ack()
                assert collected.metric("webex.sockets") == [({}, 1)]
        assert collected.metric("webex.sockets") == [({}, 0)]

    asyncio.run(main())
    assert collected.metric("webex.socket.closes") == [
        ({"webex.socket.code": "1011", "webex.socket.action": "reconnect"}, 1)
    ]
    assert [value for _, value in collected.metric("webex.event.lag")] == [1]


def test_instrument_covers_clients_made_afterwards(webex_cloud: Cloud, collected: Collected) -> None:
    with client(webex_cloud) as before:
        instrument(collected.tracers, collected.meters)
        instrument(collected.tracers, collected.meters)  # a second time changes nothing
        try:
            before.people.me()
            with client(webex_cloud) as after:
                after.people.me()
        finally:
            uninstrument()
    with client(webex_cloud) as later:
        later.people.me()
    assert len(collected.spans) == 1


def test_entry_point_is_what_auto_instrumentation_calls(webex_cloud: Cloud, collected: Collected) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    ((name, value),) = declared["opentelemetry_instrumentor"].items()
    made = EntryPoint(name, value, "opentelemetry_instrumentor").load()()
    assert isinstance(made, WebexInstrumentor)
    made.instrument(
        skip_dep_check=True, tracer_provider=collected.tracers, meter_provider=collected.meters, another_option=1
    )
    try:
        with client(webex_cloud) as alice:
            alice.people.me()
    finally:
        made.uninstrument()
    assert [span.name for span in collected.spans] == ["GET /people/me"]


def test_without_it_nothing_of_opentelemetry_is_imported(webex_cloud: Cloud) -> None:
    code = (
        "import sys, webex\n"
        f"with webex.Webex({accounts.ALICE_TOKEN!r}, emulator_url={webex_cloud.url!r}) as client:\n"
        "    client.people.me()\n"
        "print(sorted(name for name in sys.modules if 'opentelemetry' in name))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_without_the_package_the_extra_is_named() -> None:
    code = "import sys\nsys.modules['opentelemetry'] = None\nimport webex.opentelemetry\n"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'webex[opentelemetry]'" in ended.stderr
