"""What was asked of the cloud, for tests to assert on. No token, code, secret or password is kept."""

from __future__ import annotations

import contextlib
from base64 import b64decode
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

REDACTED: Final = "…"
_SECRETS: Final = frozenset(
    (
        *("access_token", "accesstoken", "refresh_token", "refreshtoken", "id_token", "id_token_hint", "token"),
        *("code", "code_verifier", "device_code", "client_secret", "clientsecret", "client_assertion", "assertion"),
        *(
            "secret",
            "password",
            "verificationtoken",
            "onetimepassword",
            "jwt",
            "authorization",
            "cookie",
            "proxy-authorization",
            "set-cookie",
        ),
    )
)
_LARGEST_BODY_READ: Final = 256 * 1024


@dataclass(slots=True)
class LoggedRequest:
    """One request and how it was answered. `status` is 0 when the connection was dropped on purpose."""

    method: str
    path: str
    route: str = ""  # the template that matched: `/v1/rooms/{roomId}`
    status: int = 0
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None  # of a form or JSON, without its secrets
    body_size: int = 0
    grant_type: str | None = None
    person_id: str | None = None
    client_id: str | None = None
    tracking_id: str = ""
    time: float = 0.0
    fault: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for the control API."""
        return asdict(self)


class RequestLog:
    """The latest requests, oldest first; `len`, iteration and indexing work as with a list."""

    def __init__(self, limit: int = 10_000) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=limit)

    def add(self, entry: LoggedRequest) -> None:
        """Add a request; the oldest make room."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget everything so far."""
        self._entries.clear()

    def find(self, **wanted: Any) -> list[LoggedRequest]:
        """Return the requests whose fields equal the given ones; in `path` and `route`, `*` stands for anything.

        `find(path="/v1/rooms*", status=200)`, `find(grant_type="refresh_token")`.
        """
        unknown = wanted.keys() - LoggedRequest.__dataclass_fields__.keys()
        if unknown:
            raise TypeError(f"requests have no field {sorted(unknown)[0]!r}")
        return [entry for entry in tuple(self._entries) if all(_fits(entry, *item) for item in wanted.items())]

    def count(self, **wanted: Any) -> int:
        """How many requests `find` would give."""
        return len(self.find(**wanted))

    @property
    def refreshes(self) -> int:
        """How many times a token was refreshed with success."""
        return self.count(grant_type="refresh_token", status=200)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LoggedRequest]:
        return iter(tuple(self._entries))

    def __getitem__(self, index: int) -> LoggedRequest:
        return self._entries[index]


def read_request(entry: LoggedRequest, headers: dict[str, str], query_string: str, body: bytes) -> None:
    """Fill an entry from a request, leaving out what is secret."""
    entry.headers = {name: REDACTED if name in _SECRETS else value for name, value in headers.items()}
    if query_string:
        entry.query = _without_secrets(dict(parse_qsl(query_string, keep_blank_values=True)))
    entry.body_size = len(body)
    kind, _, encoded = headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError):
            entry.client_id = b64decode(encoded).decode().partition(":")[0]
    if not body or len(body) > _LARGEST_BODY_READ:
        return
    content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type == "application/x-www-form-urlencoded":
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        entry.grant_type, entry.client_id = form.get("grant_type"), form.get("client_id") or entry.client_id
        entry.body = _without_secrets(form)
    elif content_type == "application/json":
        try:
            entry.body = _without_secrets(msgspec.json.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            entry.body = None


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: REDACTED if name.lower() in _SECRETS and item is not None else _without_secrets(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value


def _fits(entry: LoggedRequest, name: str, wanted: Any) -> bool:
    value = getattr(entry, name)
    if name in ("path", "route") and isinstance(wanted, str) and "*" in wanted:
        return fnmatchcase(value, wanted)
    return bool(value == wanted)
