"""What the resources of one view work with: the pipeline, and the token of that view."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar
from urllib.parse import quote

from webex.api.operation import UNSET, Operation
from webex.api.services import find_service
from webex.errors import ConfigurationError, DeadlineError
from webex.http.codec import encode_query, well_formed
from webex.http.types import CallOptions, Request, Response
from webex.models.base import Model, from_json, page_of

if TYPE_CHECKING:
    from webex.api.listen import Listens
    from webex.http.pipeline import Pipeline, StreamedResponse
    from webex.http.types import TokenSource
    from webex.runtime.protocol import Runtime
    from webex.storage import StorageAccess

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True)
class RawResponse(Generic[T]):
    """A method's result, and the answer that it was made of."""

    model: T
    status: int
    headers: Mapping[str, str] = field(repr=False)
    tracking_id: str | None
    content: bytes = field(repr=False)
    attempts: int = 1


@dataclass(slots=True)
class Session:
    """One view's way to the cloud. `seen` collects answers for `with_raw_response`."""

    runtime: Runtime
    pipeline: Pipeline
    tokens: TokenSource | None
    seen: list[Response] | None = None
    listens: Listens | None = None  # the client, for `listen()`
    options: CallOptions = field(default_factory=CallOptions)  # of every call of this view
    access: StorageAccess | None = None  # the client's storage, where helpers take turns and keep what they made

    async def send(self, request: Request, *, shared: bool = False) -> Response:
        """Send, with this view's token; `shared`: equal calls at the same time are one request."""
        request = self.applied(request)
        if shared and self.tokens is not None:
            response = await self._shared(request, self.tokens)
        else:
            if request.service != "hydra":
                await find_service(self, request)
            response = await self.pipeline.send(request, self.tokens)
        if self.seen is not None:
            self.seen.append(response)
        return response

    async def _shared(self, request: Request, tokens: TokenSource) -> Response:
        """Join an equal call of the same token that is under way."""
        clock = self.runtime.clock
        timeout = self.pipeline.timeout_of(request)
        deadline = clock.monotonic() + timeout
        token = sha256((await tokens.access_token(deadline=deadline)).encode("utf-8", "surrogatepass")).digest()
        options = tuple(getattr(request, name) for name in CallOptions.__annotations__)
        key = ("shared", id(self.pipeline), token, request.method, request.url, encode_query(request.params), options)
        left = deadline - clock.monotonic()
        waited = left < 0.9 * timeout  # for the token, which is part of the call
        if waited:
            request.timeout = max(left, 0.001)
        try:
            return await self.runtime.single_flight(key, lambda: self.pipeline.send(request, tokens), abandon=True)
        except DeadlineError as error:
            if waited:
                error.timeout = timeout  # the caller's own
            raise

    async def stream(self, request: Request) -> StreamedResponse:
        """Send, and leave the answer's body to be read."""
        request = self.applied(request)
        if request.service != "hydra":
            await find_service(self, request)
        return await self.pipeline.stream(request, self.tokens)

    def applied(self, request: Request) -> Request:
        """Return the request with this view's options, where it has none of its own."""
        for name, value in self.options.items():
            if getattr(request, name) is None:
                setattr(request, name, value)
        return request

    async def execute(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Carry out one operation; the model of its answer, a list of models, or None."""
        response = await self.send(
            Request(
                operation.method,
                fill_path(operation.path, path or {}),
                params=wire_query(query) if query else None,
                json=wire_body(body) if body is not None else None,
                timeout=timeout,
                template=operation.path,
            ),
            shared=operation.shared,
        )
        if operation.items is not None:
            return page_of(operation.items, response.content, response)
        if operation.returns is None or (response.status == 204 and not response.content):
            return None
        if not response.content:
            raise response.unreadable("The answer is empty; 0 bytes came.")
        return from_json(operation.returns, response.content, response)


def python_name(wire: str) -> str:
    """Return the Python name of an argument: `roomId` on the wire is `room_id`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", wire).lower()


def fill_path(template: str, parameters: Mapping[str, str]) -> str:
    """Return the path with its parameters percent-encoded; `ConfigurationError` for one that is empty or no text."""
    for name, value in parameters.items():
        _refuse_model(value, name)
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{python_name(name)} must be text that is not empty, not {value!r}.")
        if value in (".", ".."):
            raise ConfigurationError(f"{python_name(name)} can't be {value!r}.")
        if value != value.strip():
            raise ConfigurationError(f"{python_name(name)} begins or ends with white space: strip what was read.")
        if name == "personId" and "@" in value:
            raise ConfigurationError("person_id takes an id, not an address: people.list(email=…) finds people by it.")
        template = template.replace("{" + name + "}", quote(well_formed(value, python_name(name)), safe=""))
    return template


def wire_query(query: Mapping[str, Any]) -> dict[str, Any]:
    """Convert arguments to the query of the wire."""
    given = {name: value for name, value in query.items() if value is not UNSET and value is not None}
    for name, value in given.items():
        if not isinstance(value, str | int | float | datetime) and not _is_list(value):
            _refuse_model(value, name)
            if isinstance(value, date):
                raise ConfigurationError(f"{python_name(name)} must be a moment, not a day: a datetime, or text.")
            raise ConfigurationError(f"{python_name(name)} can't be a {type(value).__name__}: give text or a list.")
    return {name: _not_too_deep(value, name) for name, value in given.items()}


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview)


def _refuse_model(value: Any, name: str) -> None:
    if isinstance(value, Model):
        kind = type(value).__name__
        raise ConfigurationError(f"{python_name(name)} takes an id, not a {kind}: give the {kind.lower()}'s .id.")


def wire_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Convert arguments to the body of the wire; None is sent as null."""
    return {name: _not_too_deep(value, name) for name, value in body.items() if value is not UNSET}


def _not_too_deep(value: Any, name: str) -> Any:
    try:
        return wire_value(value, name)
    except RecursionError:
        raise ConfigurationError(f"{python_name(name)} is nested too deeply.") from None


def wire_value(value: Any, name: str = "") -> Any:
    """Moments as the cloud writes them (a naive one is UTC); lists item by item; texts without lone surrogates."""
    if name.endswith("Id"):
        _refuse_model(value, name)
    if isinstance(value, str):
        return value if value.isascii() else well_formed(value, python_name(name))
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [wire_value(item, name) for item in value]
    return value


def _listening(method: Callable[..., Any]) -> tuple[Callable[..., Any], list[Response]]:
    owner = getattr(method, "__self__", None)
    session = getattr(owner, "_session", None)
    if owner is None or not isinstance(session, Session):
        raise ConfigurationError(
            "with_raw_response takes a method of a resource: with_raw_response(client.rooms.get, id)."
        )
    seen: list[Response] = []
    observed = object.__new__(type(owner))
    for name, value in getattr(owner, "__dict__", {}).items():
        setattr(observed, name, value)
    observed._session = replace(session, seen=seen)
    return getattr(observed, method.__name__), seen


def _raw(model: T, seen: list[Response]) -> RawResponse[T]:
    if not seen:
        raise ConfigurationError(
            "This method makes no call by itself, or leaves its answer to be read in pieces. "
            "Of a list, see the answer of a page: with_raw_response(client.rooms.list().first_page)."
        )
    last = seen[-1]
    return RawResponse(model, last.status, last.headers, last.tracking_id, last.content, last.attempts)


async def with_raw_response(method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
    """Call a resource's method and see its answer too."""
    bound, seen = _listening(method)
    result = bound(*args, **kwargs)
    return _raw(await result if isinstance(result, Coroutine) else result, seen)


def with_raw_response_blocking(method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
    """Call a resource's method and see its answer too."""
    bound, seen = _listening(method)
    return _raw(bound(*args, **kwargs), seen)
