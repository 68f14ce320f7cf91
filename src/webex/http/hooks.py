"""What an app may see of its calls, and add to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from webex.errors import RequestInfo
from webex.telemetry import AttemptFailed, RetryScheduled, TelemetryEvent, empty


@dataclass(slots=True)
class Call:
    """A call that is about to be sent. `headers` may be added to; the token is not among them."""

    request: RequestInfo
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A call that came to its end: with a status, or with an error. `elapsed` is seconds for all attempts."""

    request: RequestInfo
    status: int | None
    headers: Mapping[str, str] = field(repr=False)
    attempts: int
    elapsed: float
    error: BaseException | None = None


class Hooks:
    """Override what you want to see. `on_request` and `on_response` may be `async def` for event-loop clients.

    An exception in `on_request` ends the call; one in `on_response` is raised after the call has ended. `on_attempt`,
    `on_retry` and `on_event` are plain functions that return quickly; their exceptions are logged and cost nothing.
    """

    def on_request(self, call: Call) -> object:
        """Before the first attempt."""
        return None

    def on_response(self, outcome: Outcome) -> object:
        """After the last attempt."""
        return None

    @empty
    def on_attempt(self, event: AttemptFailed) -> object:
        """After an attempt that brought an error or a status that is repeated."""
        return None

    @empty
    def on_retry(self, event: RetryScheduled) -> object:
        """Before the wait for a repetition."""
        return None

    @empty
    def on_event(self, event: TelemetryEvent) -> object:
        """On everything that the client tells: calls, refreshes, sockets (`webex.telemetry`)."""
        return None
