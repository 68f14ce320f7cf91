"""What the SDK does, as plain data: told to the standard library's loggers and to the hooks of a client.

Silent by default, and free without listeners: a place that has something to tell first asks `wants(kind)`, which is
one dictionary look-up and one cached level check. An event carries names, counts, times and statuses, never a token, a
code, a key, a body or a query: `short_path` cuts ids and drops the query.

| logger | INFO | DEBUG | WARNING |
| --- | --- | --- | --- |
| `webex.http` | a wait before a repeat, a wait for a rate limit | each call, attempt and redirect | a call given up |
| `webex.auth` | a refresh, a wait for another worker's | | a refused refresh |
| `webex.realtime` | connected, disconnected, caught up | each event handled, the end of a connection | a gap |
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from webex.errors import ConfigurationError
from webex.errors.base import one_line

__all__ = [
    "AttemptFailed",
    "CatchUpFinished",
    "CatchUpStarted",
    "Connected",
    "ConnectionEnded",
    "Disconnected",
    "EventHandled",
    "GapReported",
    "LeaseWaited",
    "RateLimited",
    "Redirected",
    "RequestFinished",
    "RequestGivenUp",
    "RequestStarted",
    "RetryScheduled",
    "Telemetry",
    "TelemetryEvent",
    "TokenRefreshFinished",
    "TokenRefreshRefused",
    "TokenRefreshStarted",
    "configure_logging",
    "short_path",
]

F = TypeVar("F", bound=Callable[..., object])
RefreshReason = Literal["stale", "expired", "rejected", "asked"]


class TelemetryEvent(msgspec.Struct, frozen=True):
    """Something that happened. `as_dict()` gives its fields for a structured log."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, and the name of the event under `event`."""
        return {"event": type(self).__name__, **msgspec.structs.asdict(self)}


class RequestStarted(TelemetryEvent, frozen=True):
    """A call begins. `path` has its ids cut and no query; `template` is the operation's own, `/rooms/{roomId}`.

    `host` is the address with its port, where it names one; `user_key` that of a stored user.
    """

    method: str
    path: str
    tracking_id: str | None
    host: str = ""
    template: str | None = None
    user_key: str | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path} started [{self.tracking_id}]"


class AttemptFailed(TelemetryEvent, frozen=True):
    """One attempt of a call brought a status that is repeated or an error. `seconds` is its own time."""

    method: str
    path: str
    tracking_id: str | None
    attempt: int
    seconds: float
    cause: str  # a status, or the name of an error

    def __str__(self) -> str:
        return (
            f"{self.method} {self.path} attempt {self.attempt} failed: {self.cause} "
            f"after {_ms(self.seconds)} [{self.tracking_id}]"
        )


class RetryScheduled(TelemetryEvent, frozen=True):
    """A call is repeated after `wait` seconds. `asked` says that the service asked for that wait (Retry-After)."""

    method: str
    path: str
    tracking_id: str | None
    attempt: int  # the one that failed
    wait: float
    cause: str
    asked: bool

    def __str__(self) -> str:
        why = "Retry-After" if self.asked else "backoff"
        return (
            f"{self.method} {self.path} again in {self.wait:.2f} s ({self.cause}, {why}, "
            f"attempt {self.attempt}) [{self.tracking_id}]"
        )


class RateLimited(TelemetryEvent, frozen=True):
    """A call waits because an earlier one of the same token, host and resource was answered with 429.

    `by` says who was answered: this client (`service`), or another worker that wrote it into the storage (`worker`).
    `client` is a wait for the client's own limit (`calls_per_second`).
    """

    method: str
    path: str
    tracking_id: str | None
    wait: float
    by: Literal["service", "worker", "client"]

    def __str__(self) -> str:
        whose = {"worker": " that another worker met", "client": " of this client"}.get(self.by, "")
        return f"{self.method} {self.path} waits {self.wait:.2f} s for a rate limit{whose} [{self.tracking_id}]"


class Redirected(TelemetryEvent, frozen=True):
    """A call goes on to another address; `host` is where."""

    method: str
    path: str
    tracking_id: str | None
    status: int
    host: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} redirected to {self.host} ({self.status}) [{self.tracking_id}]"


class RequestFinished(TelemetryEvent, frozen=True):
    """A call ended with a status or with an error. `seconds` counts all attempts and waits."""

    method: str
    path: str
    tracking_id: str | None
    status: int | None
    error: str | None
    attempts: int
    seconds: float
    host: str = ""
    template: str | None = None
    user_key: str | None = None

    def __str__(self) -> str:
        came = self.status if self.error is None else self.error
        tries = "" if self.attempts == 1 else f", {self.attempts} attempts"
        return f"{self.method} {self.path} {came} in {_ms(self.seconds)}{tries} [{self.tracking_id}]"


class RequestGivenUp(RequestFinished, frozen=True):
    """A call ended without an answer, or with an error status although it was repeated."""

    def __str__(self) -> str:
        came = self.status if self.error is None else self.error
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f"{self.method} {self.path} given up: {came} after {tries} in {_ms(self.seconds)} [{self.tracking_id}]"


class TokenRefreshStarted(TelemetryEvent, frozen=True):
    """A worker begins to refresh a user's token."""

    user_key: str
    reason: RefreshReason

    def __str__(self) -> str:
        return f"token of {one_line(self.user_key)}: refresh started ({_REASONS.get(self.reason, self.reason)})"


class TokenRefreshFinished(TelemetryEvent, frozen=True):
    """New tokens are saved; `expires_in` is the seconds that the access token lives."""

    user_key: str
    seconds: float
    expires_in: float | None

    def __str__(self) -> str:
        lives = "" if self.expires_in is None else f", valid for {self.expires_in:.0f} s"
        return f"token of {one_line(self.user_key)}: refreshed in {_ms(self.seconds)}{lives}"


class TokenRefreshRefused(TelemetryEvent, frozen=True):
    """The user has to sign in again; `reason` is that of `ReauthorizationRequiredError`."""

    user_key: str
    reason: str

    def __str__(self) -> str:
        return f"token of {one_line(self.user_key)}: refresh refused ({self.reason}), the user has to sign in again"


class LeaseWaited(TelemetryEvent, frozen=True):
    """A caller waited while another worker refreshed the token."""

    user_key: str
    seconds: float

    def __str__(self) -> str:
        return f"token of {one_line(self.user_key)}: waited {_ms(self.seconds)} for another worker's refresh"


class Connected(TelemetryEvent, frozen=True):
    """A user's Mercury socket is open and authorized; `again` says that it was open before."""

    user: str
    again: bool
    device: str = ""  # the device name of `listen()`

    def __str__(self) -> str:
        return f"socket of {one_line(self.user)}: {'reconnected' if self.again else 'connected'}"


class Disconnected(TelemetryEvent, frozen=True):
    """A user's Mercury socket closed or could not be opened; `action` is what follows, after `wait` seconds.

    `code` is the close code, None when the connection was cut or never was; `reason` the server's text, `HTTP` and the
    status of a refused upgrade, or the name of an error.
    """

    user: str
    code: int | None
    reason: str
    action: str
    wait: float
    device: str = ""

    def __str__(self) -> str:
        code = "no close code" if self.code is None else f"code {self.code}"
        reason = f" {self.reason!r}" if self.reason else ""
        when = f" in {self.wait:.2f} s" if self.wait else ""
        return f"socket of {one_line(self.user)}: closed ({code}{reason}), {self.action}{when}"


class ConnectionEnded(TelemetryEvent, frozen=True):
    """A user's connection was ended by the app, or by a sign-out."""

    user: str
    device: str

    def __str__(self) -> str:
        return f"socket of {one_line(self.user)}: ended"


class EventHandled(TelemetryEvent, frozen=True):
    """All subscriptions are done with an event; `lag` is the seconds since it was published, by the cloud's clock."""

    user: str
    lag: float

    def __str__(self) -> str:
        return f"socket of {one_line(self.user)}: an event was handled {self.lag:.2f} s after it was published"


class CatchUpStarted(TelemetryEvent, frozen=True):
    """What was missed since `since` (ISO 8601) is listed from the history."""

    user: str
    since: str

    def __str__(self) -> str:
        return f"socket of {one_line(self.user)}: catching up since {self.since or 'the beginning'}"


class CatchUpFinished(TelemetryEvent, frozen=True):
    """What was missed is on its way to the subscriptions, in order."""

    user: str
    events: int
    seconds: float

    def __str__(self) -> str:
        events = "1 event" if self.events == 1 else f"{self.events} events"
        return f"socket of {one_line(self.user)}: caught up with {events} in {_ms(self.seconds)}"


class GapReported(TelemetryEvent, frozen=True):
    """Events may be missing, and the subscriptions were told so by a `gap` event."""

    user: str
    reason: str

    def __str__(self) -> str:
        return f"socket of {one_line(self.user)}: events may be missing ({self.reason})"


_REASONS: Final = {
    "stale": "it expires soon",
    "expired": "it has expired",
    "rejected": "the cloud answered 401",
    "asked": "the app asked for it",
}
_HTTP, _AUTH, _REALTIME = "webex.http", "webex.auth", "webex.realtime"
_CHANNELS: Final[Mapping[type[TelemetryEvent], tuple[logging.Logger, int]]] = {
    kind: (logging.getLogger(name), level)
    for kind, name, level in (
        (RequestStarted, _HTTP, logging.DEBUG),
        (AttemptFailed, _HTTP, logging.DEBUG),
        (RetryScheduled, _HTTP, logging.INFO),
        (RateLimited, _HTTP, logging.INFO),
        (Redirected, _HTTP, logging.DEBUG),
        (RequestFinished, _HTTP, logging.DEBUG),
        (RequestGivenUp, _HTTP, logging.WARNING),
        (TokenRefreshStarted, _AUTH, logging.INFO),
        (TokenRefreshFinished, _AUTH, logging.INFO),
        (TokenRefreshRefused, _AUTH, logging.WARNING),
        (LeaseWaited, _AUTH, logging.INFO),
        (Connected, _REALTIME, logging.INFO),
        (Disconnected, _REALTIME, logging.INFO),
        (ConnectionEnded, _REALTIME, logging.DEBUG),
        (EventHandled, _REALTIME, logging.DEBUG),
        (CatchUpStarted, _REALTIME, logging.INFO),
        (CatchUpFinished, _REALTIME, logging.INFO),
        (GapReported, _REALTIME, logging.WARNING),
    )
}
_root = logging.getLogger("webex")
_installed: list[object] = []  # hooks of every client
_root.addHandler(logging.NullHandler())


def install(hook: object) -> None:
    """Give a hook to every client that is made from now on, after its own; once, however often this is called."""
    if hook not in _installed:
        _installed.append(hook)


def uninstall(hook: object) -> None:
    """Take a hook back from clients that are made from now on."""
    if hook in _installed:
        _installed.remove(hook)


def installed_hooks() -> tuple[object, ...]:
    """Return the hooks of every client."""
    return tuple(_installed)


class Telemetry:
    """Where one client's events go: the loggers, and the `on_event`, `on_attempt`, `on_retry` of its hooks.

    Hooks here are plain functions that must return quickly; an exception of one is logged and costs the call nothing.
    """

    __slots__ = ("_receivers",)

    def __init__(self, hooks: Iterable[object] = ()) -> None:
        self._receivers: tuple[tuple[type[TelemetryEvent], Callable[[Any], object]], ...] = tuple(
            (kind, receive)
            for hook in hooks
            for name, kind in (
                ("on_event", TelemetryEvent),
                ("on_attempt", AttemptFailed),
                ("on_retry", RetryScheduled),
            )
            if (receive := _overridden(hook, name)) is not None
        )

    def wants(self, kind: type[TelemetryEvent]) -> bool:
        """Whether anything receives events of this kind now."""
        logger, level = _CHANNELS[kind]
        return bool(self._receivers) or logger.isEnabledFor(level)

    def tell(self, event: TelemetryEvent) -> None:
        """Give an event to its logger and to the hooks."""
        logger, level = _CHANNELS[type(event)]
        if logger.isEnabledFor(level):
            logger.log(level, "%s", event, extra={"webex": event})
        for kind, receive in self._receivers:
            if isinstance(event, kind):
                try:
                    receive(event)
                except Exception as error:
                    logger.error("a telemetry hook failed with %s", type(error).__name__)


SILENT: Final = Telemetry()  # for parts that are used without a client: loggers only


def short_path(url: str) -> str:
    """Return the path of a URL for a log: ids cut to eight characters, no host, query or fragment."""
    return _LONG.sub(lambda found: found[0][:8] + "…", urlsplit(url).path) or "/"


def configure_logging(level: str | int | None = None) -> None:
    """Write the SDK's log to stderr, for scripts: one line an event, with time, level and logger.

    `level` is a name such as `"INFO"` or a number of `logging`; without one it comes from `WEBEX_LOG_LEVEL` (or
    `CISCOSPARK_LOG_LEVEL`), and without those nothing happens. Changes the logger `webex` only, never the root logger;
    a second call replaces the first. Raises `ConfigurationError` for a level that is none.
    """
    origin = "level"
    if level is None:
        for origin in ("WEBEX_LOG_LEVEL", "CISCOSPARK_LOG_LEVEL"):
            level = os.environ.get(origin, "").strip() or None
            if level is not None:
                break
        else:
            return
    number = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
    if isinstance(level, str) and level.isdigit():
        number = int(level)
    if number is None or isinstance(number, bool) or not isinstance(number, int):
        raise ConfigurationError(f"{origin} is {level!r}: give DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    for handler in list(_root.handlers):
        if getattr(handler, "webex_script", False):
            _root.removeHandler(handler)
    handler = logging.StreamHandler()
    handler.webex_script = True  # type: ignore[attr-defined]  # to find it again
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    _root.addHandler(handler)
    _root.setLevel(number)


_LONG: Final = re.compile(r"[A-Za-z0-9_=.~%-]{24,}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def empty(method: F) -> F:
    """Mark the method of a base class as one that receives nothing, so that it costs nothing."""
    method.is_empty = True  # type: ignore[attr-defined]  # read by `_overridden`
    return method


def _overridden(hook: object, name: str) -> Callable[[Any], object] | None:
    """Return the method of a hook, unless it is the empty one of the base class."""
    method = getattr(hook, name, None)
    if not callable(method) or getattr(getattr(type(hook), name, None), "is_empty", False):
        return None
    return method  # type: ignore[no-any-return]  # the hook is the app's
