"""What the resources of one view work with: the pipeline, and the token of that view."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar
from urllib.parse import quote

from webex.api.models import from_json, page_of
from webex.api.operation import UNSET, Operation
from webex.errors import ConfigurationError
from webex.http.codec import decode_json
from webex.http.types import Request, Response

if TYPE_CHECKING:
    from webex.api.listening import Listens
    from webex.http.pipeline import Pipeline, StreamedResponse
    from webex.http.types import TokenSource
    from webex.runtime.protocol import Runtime

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

    async def send(self, request: Request) -> Response:
        """Send, with this view's token."""
        response = await self.pipeline.send(request, self.tokens)
        if self.seen is not None:
            self.seen.append(response)
        return response

    async def stream(self, request: Request) -> StreamedResponse:
        """Send, and leave the answer's body to be read."""
        return await self.pipeline.stream(request, self.tokens)

    async def request(self, method: str, url: str, **options: Any) -> Response:
        """Call what is not modelled."""
        return await self.send(Request(method, url, **options))

    async def execute(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Carry out one operation; the model of its answer, a list of models, or None."""
        response = await self.send(
            Request(
                operation.method,
                fill_path(operation.path, path or {}),
                params=wire_query(query) if query else None,
                json=wire_body(body) if body is not None else None,
            )
        )
        if operation.items is not None:
            return page_of(operation.items, response.content, response.request)
        if operation.returns is None or (response.status == 204 and not response.content):
            return None
        if not response.content:
            decode_json(response.content, response.request)  # says that it is empty
        return from_json(operation.returns, response.content, response.request)


def fill_path(template: str, parameters: Mapping[str, str]) -> str:
    """The path with its parameters percent-encoded; `ConfigurationError` for one that is empty or no text."""
    for name, value in parameters.items():
        if not isinstance(value, str) or not value:
            raise ConfigurationError(f"{name} must be text that is not empty, not {value!r}.")
        if value in (".", ".."):
            raise ConfigurationError(f"{name} can't be {value!r}.")
        template = template.replace("{" + name + "}", quote(value, safe=""))
    return template


def wire_query(query: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, as the wire has it."""
    return {name: wire_value(value) for name, value in query.items() if value is not UNSET and value is not None}


def wire_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, as the wire has it; None is sent as null."""
    return {name: wire_value(value) for name, value in body.items() if value is not UNSET}


def wire_value(value: Any) -> Any:
    """Moments as the cloud writes them (a naive one is UTC); lists item by item."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [wire_value(item) for item in value]
    return value


def _listening(method: Callable[..., Any]) -> tuple[Callable[..., Any], list[Response]]:
    owner = getattr(method, "__self__", None)
    session = getattr(owner, "_session", None)
    if owner is None or not isinstance(session, Session):
        raise ConfigurationError(
            "with_raw_response takes a method of a resource: with_raw_response(client.rooms.get, id)."
        )
    seen: list[Response] = []
    ears = copy(owner)
    ears._session = replace(session, seen=seen)
    return getattr(ears, method.__name__), seen


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
    return _raw(await result if isinstance(result, Awaitable) else result, seen)


def with_raw_response_blocking(method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
    """Call a resource's method and see its answer too."""
    bound, seen = _listening(method)
    return _raw(bound(*args, **kwargs), seen)
