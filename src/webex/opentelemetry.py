"""Spans and metrics of the SDK for OpenTelemetry, over `opentelemetry-api` only (`webex[opentelemetry]`).

`instrument()` covers every client that is made afterwards; under `opentelemetry-instrument` that happens by itself. Or
give `OpenTelemetryHooks()` to single clients. What becomes of the spans and metrics is decided by the OpenTelemetry SDK
that the app sets up; without one they cost little and go nowhere.

| instrument | kind | attributes |
| --- | --- | --- |
| span `GET /rooms/{roomId}` | client | those of HTTP, `webex.tracking_id`, `user.hash` |
| `http.client.request.duration` | histogram, s | those of HTTP |
| `webex.client.retries` | counter | `error.type` |
| `webex.client.rate_limit.wait.duration` | histogram, s | `webex.rate_limit.by` |
| `webex.token.refreshes` | counter | `webex.refresh.reason` |
| `webex.token.refresh.duration` | histogram, s | |
| `webex.token.refusals` | counter | `webex.refusal.reason` |
| `webex.lease.wait.duration` | histogram, s | |
| `webex.sockets` | up-down counter | |
| `webex.socket.closes` | counter | `webex.socket.code`, `webex.socket.action` |
| `webex.event.lag` | histogram, s | |
| `webex.event.gaps` | counter | |
| `webex.catch_up.events` | counter | |

Those of HTTP: `http.request.method`, `http.response.status_code`, `error.type`, `server.address`, `server.port`,
`url.template`, and in spans `http.request.resend_count`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from webex import telemetry
from webex.extras import needed_by
from webex.version import __version__

with needed_by("webex.opentelemetry", "opentelemetry"):
    from opentelemetry import context, metrics, trace

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["OpenTelemetryHooks", "WebexInstrumentor", "instrument", "uninstrument"]

_NAME: Final = "webex"
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.37.0"
# The advice of the HTTP conventions for durations.
_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_LAGS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 86400)
_KNOWN: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


def hash_of_user(user_key: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a user key: equal for one user, and not the key."""
    return hashlib.sha256(user_key.encode("utf-8", "replace")).hexdigest()[:16]


class OpenTelemetryHooks:
    """A hook that makes spans and metrics of what a client tells: `AsyncIntegration(hooks=[OpenTelemetryHooks()])`.

    `tracer_provider` and `meter_provider` are the global ones by default. `user_hash` gives the `user.hash` of a user
    key; None leaves it out. A span is a whole call with its repetitions, which are events in it, and the present span
    while the call runs.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        user_hash: Callable[[str], str] | None = hash_of_user,
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider, schema_url=_SCHEMA)
        self._user_hash = user_hash
        self._open: dict[str | None, deque[tuple[Span, Any]]] = {}  # by tracking id, which two calls may share
        self._sockets: set[tuple[str, str]] = set()
        meter = metrics.get_meter(_NAME, __version__, meter_provider, schema_url=_SCHEMA)
        self._duration = meter.create_histogram(
            "http.client.request.duration", "s", "Duration of calls", explicit_bucket_boundaries_advisory=_BOUNDS
        )
        self._retries = meter.create_counter("webex.client.retries", "{retry}", "Repetitions of calls")
        self._waits = meter.create_histogram(
            "webex.client.rate_limit.wait.duration", "s", "Waits for a rate limit before a call"
        )
        self._refreshes = meter.create_counter("webex.token.refreshes", "{refresh}", "Refreshes that were begun")
        self._refresh_duration = meter.create_histogram("webex.token.refresh.duration", "s", "Duration of refreshes")
        self._refusals = meter.create_counter("webex.token.refusals", "{refusal}", "Refreshes that were refused")
        self._lease_waits = meter.create_histogram(
            "webex.lease.wait.duration", "s", "Waits for another worker's refresh"
        )
        self._open_sockets = meter.create_up_down_counter("webex.sockets", "{socket}", "Sockets that are open")
        self._closes = meter.create_counter("webex.socket.closes", "{close}", "Sockets that closed or did not open")
        self._lag = meter.create_histogram(
            "webex.event.lag", "s", "From publication to handling", explicit_bucket_boundaries_advisory=_LAGS
        )
        self._gaps = meter.create_counter("webex.event.gaps", "{gap}", "Gaps that were reported")
        self._caught_up = meter.create_counter("webex.catch_up.events", "{event}", "Events of catch-ups")
        self._receivers: dict[type[telemetry.TelemetryEvent], Callable[[Any], None]] = {
            telemetry.RequestStarted: self._started,
            telemetry.RequestFinished: self._finished,
            telemetry.RequestGivenUp: self._finished,
            telemetry.AttemptFailed: self._failed,
            telemetry.RetryScheduled: self._repeated,
            telemetry.RateLimited: self._limited,
            telemetry.Redirected: self._redirected,
            telemetry.TokenRefreshStarted: lambda e: self._refreshes.add(1, {"webex.refresh.reason": e.reason}),
            telemetry.TokenRefreshFinished: lambda e: self._refresh_duration.record(e.seconds),
            telemetry.TokenRefreshRefused: lambda e: self._refusals.add(1, {"webex.refusal.reason": e.reason}),
            telemetry.LeaseWaited: lambda e: self._lease_waits.record(e.seconds),
            telemetry.Connected: self._connected,
            telemetry.Disconnected: self._disconnected,
            telemetry.ConnectionEnded: self._ended,
            telemetry.EventHandled: lambda e: self._lag.record(max(e.lag, 0.0)),
            telemetry.GapReported: lambda e: self._gaps.add(1),
            telemetry.CatchUpFinished: lambda e: self._caught_up.add(e.events),
        }

    def on_event(self, event: telemetry.TelemetryEvent) -> None:
        """Take one event; an unknown kind is passed over."""
        receive = self._receivers.get(type(event))
        if receive is not None:
            receive(event)

    # Calls

    def _started(self, event: telemetry.RequestStarted) -> None:
        attributes: dict[str, Any] = _of_call(event)
        if event.tracking_id is not None:
            attributes["webex.tracking_id"] = event.tracking_id
        if event.user_key is not None and self._user_hash is not None:
            attributes["user.hash"] = self._user_hash(event.user_key)
        if event.template is None:
            attributes["url.path"] = event.path  # its ids are cut
        method = attributes["http.request.method"]
        name = "HTTP" if method == "_OTHER" else method
        span = self._tracer.start_span(
            name if event.template is None else f"{name} {event.template}",
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
        )
        token = context.attach(trace.set_span_in_context(span))
        self._open.setdefault(event.tracking_id, deque()).append((span, token))

    def _finished(self, event: telemetry.RequestFinished) -> None:
        outcome: dict[str, Any] = {}
        if event.status is not None:
            outcome["http.response.status_code"] = event.status
        failed = event.error or (str(event.status) if event.status is not None and event.status >= 400 else None)
        if failed is not None:
            outcome["error.type"] = failed
        self._duration.record(event.seconds, {**_of_call(event), **outcome})
        calls = self._open.get(event.tracking_id)
        if not calls:
            return  # it began before this hook was there
        span, token = calls.pop()
        if not calls:
            del self._open[event.tracking_id]
        context.detach(token)
        for name, value in outcome.items():
            span.set_attribute(name, value)
        if event.attempts > 1:
            span.set_attribute("http.request.resend_count", event.attempts - 1)
        if failed is not None:
            span.set_status(trace.StatusCode.ERROR)
        span.end()

    def _failed(self, event: telemetry.AttemptFailed) -> None:
        self._note(event.tracking_id, "attempt failed", attempt=event.attempt, seconds=event.seconds, cause=event.cause)

    def _repeated(self, event: telemetry.RetryScheduled) -> None:
        self._retries.add(1, {"error.type": event.cause})
        self._note(
            event.tracking_id, "retry", attempt=event.attempt, wait=event.wait, cause=event.cause, asked=event.asked
        )

    def _limited(self, event: telemetry.RateLimited) -> None:
        self._waits.record(event.wait, {"webex.rate_limit.by": event.by})
        self._note(event.tracking_id, "rate limit", wait=event.wait, by=event.by)

    def _redirected(self, event: telemetry.Redirected) -> None:
        self._note(event.tracking_id, "redirect", status=event.status, host=event.host)

    def _note(self, tracking_id: str | None, name: str, **attributes: Any) -> None:
        calls = self._open.get(tracking_id)
        if calls:
            calls[-1][0].add_event(name, {f"webex.{key}": value for key, value in attributes.items()})

    # Sockets

    def _connected(self, event: telemetry.Connected) -> None:
        self._count((event.user, event.device), is_open=True)

    def _disconnected(self, event: telemetry.Disconnected) -> None:
        code = "none" if event.code is None else str(event.code)
        self._closes.add(1, {"webex.socket.code": code, "webex.socket.action": event.action})
        self._count((event.user, event.device), is_open=False)

    def _ended(self, event: telemetry.ConnectionEnded) -> None:
        self._count((event.user, event.device), is_open=False)

    def _count(self, socket: tuple[str, str], *, is_open: bool) -> None:
        if is_open and socket not in self._sockets:
            self._sockets.add(socket)
            self._open_sockets.add(1)
        elif not is_open and socket in self._sockets:
            self._sockets.discard(socket)
            self._open_sockets.add(-1)


def _of_call(event: telemetry.RequestStarted | telemetry.RequestFinished) -> dict[str, Any]:
    """Return the attributes of the HTTP conventions that a span and the duration have in common."""
    address, _, port = event.host.partition(":") if not event.host.startswith("[") else event.host.rpartition(":")
    method = event.method if event.method in _KNOWN else "_OTHER"
    attributes: dict[str, Any] = {"http.request.method": method, "server.address": address.strip("[]")}
    attributes["server.port"] = int(port) if port.isdigit() else 443
    if event.template is not None:
        attributes["url.template"] = event.template
    return attributes


_hooks: OpenTelemetryHooks | None = None


def instrument(
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    *,
    user_hash: Callable[[str], str] | None = hash_of_user,
) -> None:
    """Make spans and metrics of all clients that are made from now on. A second call changes nothing."""
    global _hooks  # noqa: PLW0603  # instrumentation is the process's
    if _hooks is None:
        _hooks = OpenTelemetryHooks(tracer_provider, meter_provider, user_hash=user_hash)
        telemetry.install(_hooks)


def uninstrument() -> None:
    """Undo `instrument()` for clients that are made from now on."""
    global _hooks  # noqa: PLW0603  # see above
    if _hooks is not None:
        telemetry.uninstall(_hooks)
        _hooks = None


class WebexInstrumentor:
    """What `opentelemetry-instrument` finds by the entry point `opentelemetry_instrumentor` of this package."""

    def instrument(self, **options: Any) -> None:
        """Call `instrument` with the providers among the options; others are for other libraries."""
        instrument(options.get("tracer_provider"), options.get("meter_provider"))

    def uninstrument(self, **options: Any) -> None:
        """Call `uninstrument`."""
        uninstrument()
