"""What a service of the emulator sees of a request, what it gives back, and how it says no."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.state import Person, State, Token


MALFORMED: Final = "The request could not be understood by the server due to malformed syntax."
NOT_FOUND: Final = "The requested resource could not be found."
REFUSED: Final = (
    "The server understood the request, but refused to fulfill it because the access token is missing required scopes "
    "or the user is missing required roles or licenses."
)


def text_of(octets: bytes) -> str:
    """Decode a header: UTF-8, else Latin-1 (RFC 9110 §5.5)."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


class Problem(Exception):
    """An error answer. Services raise it; the app turns it into the cloud's error body with a tracking id.

    `message` is the cloud's text where one is known; `hint`, the emulator's explanation, follows it in `errors`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: list[str] | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
        code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code  # the service's own number of the error
        self.message = message  # as the cloud writes it: programs match on it
        self.errors: list[str] = errors if errors is not None else [message, *([hint] if hint else ())]
        self.headers: dict[str, str] = dict(headers or {})


class OAuthProblem(Exception):
    """An error answer of an OAuth endpoint: RFC 6749 §5.2."""

    def __init__(
        self, error: str, description: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})


@dataclass(slots=True)
class Upload:
    """A file that came in a multipart body."""

    name: str
    content_type: str
    data: bytes = field(repr=False)


@dataclass(slots=True)
class Call:
    """One request. `path` has the parameters of the matched route; header names are lower case."""

    cloud: Cloud
    method: str
    url_path: str
    path: dict[str, str]
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = field(repr=False)
    base: str = ""  # scheme and host that the client used: every URL in an answer is built from it
    tracking_id: str = ""
    token: Token | None = None  # of the Authorization header, when it is a live one

    @property
    def state(self) -> State:
        """Return the cloud's state."""
        return self.cloud.state

    def arg(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def json(self) -> dict[str, Any]:
        """Decode the JSON object of the body; 400 when it is none, or the content type says something else."""
        content_type = self.headers.get("content-type", "application/json").split(";")[0].strip().lower()
        if content_type not in ("application/json", ""):
            raise Problem(
                400, MALFORMED, hint=f"Content type {content_type!r} is not supported here; send application/json."
            )
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Problem(400, MALFORMED, hint="The request body is not valid JSON.") from None
        if not isinstance(value, dict):
            raise Problem(400, MALFORMED, hint="The request body must be a JSON object.")
        return value

    def form(self) -> dict[str, str]:
        """Parse the fields of a form body; `OAuthProblem` when it is none, or repeats a field (RFC 6749 §3.2)."""
        content_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type != "application/x-www-form-urlencoded":
            raise OAuthProblem("invalid_request", "The body must be application/x-www-form-urlencoded.")
        pairs = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise OAuthProblem("invalid_request", "A parameter is given more than once.")
        return fields

    def person(self, *scopes: str) -> Person:
        """Return the person of the token: 401 without one, 403 when the token has none of the scopes named."""
        token = self.token
        if token is None:
            raise Problem(
                401,
                "The request requires a valid access token set in the Authorization request header.",
            )
        if scopes and not any(token.allows(scope) for scope in scopes):
            raise Problem(403, REFUSED, hint=f"The token lacks a required scope: {' or '.join(scopes)}.")
        return self.state.people[token.person_id]


@dataclass(slots=True)
class Reply:
    """One answer. `body` is bytes, or plain data that becomes JSON; `stream` gives the bytes piece by piece."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    stream: AsyncIterator[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened that a webhook may tell of. `data` is the public record, as a REST answer would show it."""

    resource: str  # rooms | messages | memberships | attachmentActions | …
    event: str  # created | updated | deleted | …
    data: Mapping[str, Any]
    actor_id: str  # whose doing it was: the bare UUID of a person
    org_id: str = ""
    room_id: str | None = None  # bare UUID, where it happened in a room
    app_id: str | None = None


Handler = Callable[[Call], "Reply | Awaitable[Reply]"]
