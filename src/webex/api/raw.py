"""Calls that no resource models, in both styles: `request`, `request_pages`, and answers that are read in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

from webex.errors import ConfigurationError, UnknownArgumentError
from webex.runtime import drive, drive_iter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webex.api.paging import AsyncPages, Pages
    from webex.api.session import Session
    from webex.errors import RequestInfo
    from webex.http.pipeline import StreamedResponse
    from webex.http.types import Request, RequestOptions, Response


def checked_request(method: str, url: str, options: dict[str, Any]) -> Request:
    """Return the request of a method, a URL and options; `ConfigurationError` for what can't be one."""
    from webex.config.spelling import nearest
    from webex.http.options import checked_options
    from webex.http.types import CallOptions, Request, RequestOptions

    known = [*RequestOptions.__annotations__]
    for name in options:
        if name not in known:
            close = nearest(name, known)
            hint = f" Did you mean {close!r}?" if close else ""
            raise UnknownArgumentError(f"request() has no option {name!r}.{hint} Known: {', '.join(sorted(known))}.")
    if not isinstance(method, str) or not method.isalpha():
        raise ConfigurationError(f"method must be the name of a method such as 'GET', not {method!r}.")
    if not isinstance(url, str) or not url:
        raise ConfigurationError(f"url must be a path such as '/rooms' or a URL, not {url!r}.")
    given = {name: value for name, value in options.items() if value is not None}
    checked_options({name: value for name, value in given.items() if name in CallOptions.__annotations__})
    _check_types(given)
    return Request(method, url, **given)


def _check_types(given: dict[str, Any]) -> None:
    from collections.abc import Mapping

    from webex.config.shapes import check_function

    for name in ("params", "form", "headers"):
        if name in given and not isinstance(given[name], Mapping):
            raise ConfigurationError(f"{name} must be a mapping, not {type(given[name]).__name__}.")
    for name, value in given.get("headers", {}).items():
        if not isinstance(name, str) or not isinstance(value, str) or set(f"{name}{value}") & set("\r\n\0"):
            raise ConfigurationError(f"headers[{name!r}] must be text in one line.")
    if "on_progress" in given:
        check_function("on_progress", given["on_progress"])
    if given.get("auth", "token") not in ("token", "none"):
        raise ConfigurationError("auth must be 'token' or 'none'.")
    content = given.get("content")
    if content is not None and not isinstance(content, bytes) and not hasattr(content, "__aiter__"):
        raise ConfigurationError(f"content must be bytes, not {type(content).__name__}; json= and form= take data.")
    bodies = [name for name in ("json", "form", "content") if name in given]
    if len(bodies) > 1:
        raise ConfigurationError(f"Give one of json=, form= and content=, not {' and '.join(bodies)}.")
    if "content_type" in given and "content" not in given:
        raise ConfigurationError("content_type goes with content=.")


class StreamedAnswer:
    """An answer in blocking style whose body is read piece by piece: `for piece in answer`, in a `with`."""

    def __init__(self, inner: StreamedResponse) -> None:
        self._inner = inner
        self.status: int = inner.status
        self.headers: Mapping[str, str] = inner.headers
        self.request: RequestInfo = inner.request

    def __iter__(self) -> Iterator[bytes]:
        return drive_iter(self._inner.chunks())

    def read(self) -> bytes:
        """All of the body that is left; the connection is free afterwards."""
        with self:
            return b"".join(self)

    def close(self) -> None:
        """Let go of the connection, however much was read."""
        drive(self._inner.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncRequests:
    """`request` and `request_pages` of a client in event-loop style."""

    __slots__ = ()

    _session: Session

    @overload
    async def request(
        self, method: str, url: str, *, stream: Literal[True], **options: Unpack[RequestOptions]
    ) -> StreamedResponse: ...

    @overload
    async def request(
        self, method: str, url: str, *, stream: Literal[False] = ..., **options: Unpack[RequestOptions]
    ) -> Response: ...

    async def request(
        self, method: str, url: str, *, stream: bool = False, **options: Unpack[RequestOptions]
    ) -> Response | StreamedResponse:
        """Call what is not modelled: `await client.request("GET", "/meetings", params={"max": 10})`.

        `url` is a path below the REST API (or below `service`), or absolute. The answer's JSON is `response.json()`.
        Options: `params`, one of `json`, `form` and `content` (with `content_type`), `headers`, `service` (any of
        `service_urls` or of the organization's catalog), `auth`, `idempotent`, `on_progress`, `timeout`, `max_retries`,
        `idle_timeout`, `max_response_size`, `max_download_size`, `priority`. With `stream=True` the body is still to be
        read: `async with await client.request(…, stream=True) as answer: async for piece in answer: …`. Errors are
        those of every other call; an unknown option is refused.
        """
        request = checked_request(method, url, {**options})
        return await (self._session.stream(request) if stream else self._session.send(request))

    def request_pages(
        self,
        method: str,
        url: str,
        *,
        key: str = "items",
        limit: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> AsyncPages[dict[str, Any]]:
        """List what is not modelled, along `Link` headers: `async for item in client.request_pages("GET", "/a"): …`.

        Items are plain data, those under `key` in each answer. `page_size` is `max` in the query; other options are
        those of `request`.
        """
        from webex.api.paging import AsyncPages

        request = checked_request(method, url, {**options})
        return AsyncPages.over(self._session, request, key=key, limit=limit, page_size=page_size, after=after)


class Requests:
    """`request` and `request_pages` of a client in blocking style."""

    __slots__ = ()

    _session: Session

    @overload
    def request(
        self, method: str, url: str, *, stream: Literal[True], **options: Unpack[RequestOptions]
    ) -> StreamedAnswer: ...

    @overload
    def request(
        self, method: str, url: str, *, stream: Literal[False] = ..., **options: Unpack[RequestOptions]
    ) -> Response: ...

    def request(
        self, method: str, url: str, *, stream: bool = False, **options: Unpack[RequestOptions]
    ) -> Response | StreamedAnswer:
        """Call what is not modelled; see `AsyncWebex.request`.

        With `stream=True`: `with client.request(…, stream=True) as answer: for piece in answer: …`.
        """
        request = checked_request(method, url, {**options})
        if stream:
            return StreamedAnswer(drive(self._session.stream(request)))
        return drive(self._session.send(request))

    def request_pages(
        self,
        method: str,
        url: str,
        *,
        key: str = "items",
        limit: int | None = None,
        page_size: int | None = None,
        after: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> Pages[dict[str, Any]]:
        """List what is not modelled, along `Link` headers; see `AsyncWebex.request_pages`."""
        from webex.api.paging import Pages

        request = checked_request(method, url, {**options})
        return Pages.over(self._session, request, key=key, limit=limit, page_size=page_size, after=after)
