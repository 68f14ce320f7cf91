"""Calling the cloud without a socket: nine times faster a request, and the same application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class ConnectionDroppedError(ConnectionError):
    """A fault closed the connection before the answer was whole."""


@dataclass(slots=True)
class Answer:
    """What came back. Header names are lower case; a repeated header is joined with `, `."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list, repr=False)
    broken: bool = False  # the connection was dropped in the middle of the body

    @property
    def content(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)

    def json(self) -> Any:
        """Return the body as plain data."""
        return msgspec.json.decode(self.content)


async def send(
    cloud: Cloud,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | AsyncIterator[bytes] | None = None,
    sleep: Sleep | None = None,
) -> Answer:
    """Send one request; `ConnectionDroppedError` when a fault drops it before it was answered.

    Never suspends outside an event loop (`sleep` must not either), so that `coroutine.send(None)` runs it to its end.
    """
    parts = urlsplit(url)
    lower = {name.lower(): value for name, value in headers.items()}
    lower.setdefault("host", parts.netloc)
    answer = Answer()
    dropped = False

    def drop() -> None:
        nonlocal dropped
        dropped = True

    scope: MutableMapping[str, Any] = {
        "type": "http",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(parts.path) or "/",
        "raw_path": (parts.path or "/").encode("ascii", "replace"),
        "query_string": parts.query.encode("ascii", "replace"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lower.items()],
        "webex.drop": drop,
        "webex.sleep": sleep or (asyncio.sleep if _in_loop() else _block),
    }

    async def receive() -> MutableMapping[str, Any]:
        if body is None or isinstance(body, bytes):
            return {"type": "http.request", "body": body or b"", "more_body": False}
        return {"type": "http.request", "body": b"".join([piece async for piece in body]), "more_body": False}

    async def keep(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            for name, value in message["headers"]:
                key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                answer.headers[key] = f"{answer.headers[key]}, {text}" if key in answer.headers else text
        elif message.get("body"):
            answer.pieces.append(message["body"])

    await cloud.app(scope, receive, keep)
    if dropped and not answer.status:
        raise ConnectionDroppedError("The emulator dropped the connection, as a fault told it to.")
    answer.broken = dropped
    return answer


def call(
    cloud: Cloud,
    method: str,
    path: str,
    *,
    token: str | None = None,
    json: Any = None,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    base: str = "http://localhost",
) -> Answer:
    """Send one request and wait for its answer: for seeds and tests. `path` begins with a slash."""
    from urllib.parse import urlencode

    given = {name.lower(): value for name, value in (headers or {}).items()}
    body: bytes | None = None
    if json is not None:
        given.setdefault("content-type", "application/json")
        body = msgspec.json.encode(json)
    elif form is not None:
        given.setdefault("content-type", "application/x-www-form-urlencoded")
        body = urlencode(form).encode()
    if token is not None:
        given["authorization"] = f"Bearer {token}"
    return run(send(cloud, method, f"{base}{path}", headers=given, body=body, sleep=_block))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, and return its result."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    raise RuntimeError("An in-process call waited for an event loop.")


async def _block(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - there is no event loop here


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
