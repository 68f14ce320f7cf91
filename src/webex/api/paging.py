"""Lists that fetch as you go, along the `Link` header (RFC 8288).

`limit` is how many items in all, `page_size` how many a page. Filters that a `next` link has lost are put back, a
`max=null` in it is mended, and one that leads to a host that may have no token is not followed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import unquote_plus, urljoin, urlsplit, urlunsplit

from webex.api.models import page_of
from webex.api.session import wire_query
from webex.errors import ConfigurationError, DecodeError, RedirectError
from webex.http.codec import encode_query, without_secrets
from webex.http.links import parse_link_header
from webex.http.types import Request
from webex.runtime import drive, drive_iter

if TYPE_CHECKING:
    from webex.api.operation import Operation
    from webex.api.session import Session
    from webex.http.types import Response

T = TypeVar("T")

_CURSORS = ("cursor", "before", "beforeMessage", "start", "offset", "page")


@dataclass(slots=True)
class Page(Generic[T]):
    """One page. `next_url` is where the next one is, None on the last."""

    items: list[T]
    next_url: str | None = field(default=None, repr=False)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class _Paging(Generic[T]):
    def __init__(
        self,
        session: Session,
        operation: Operation,
        *,
        query: Mapping[str, Any] | None = None,
        limit: int | None = None,
        page_size: int | None = None,
    ) -> None:
        for name, value in (("limit", limit), ("page_size", page_size)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ConfigurationError(f"{name} must be a whole number, 0 or more, not {value!r}.")
        if page_size == 0:
            raise ConfigurationError("page_size must be 1 or more.")
        self._session = session
        self._operation = operation
        self._query = wire_query(query or {})
        self._limit = limit
        if page_size is not None:
            self._query["max"] = page_size if limit is None else max(min(page_size, limit), 1)

    async def _pages(self) -> AsyncIterator[Page[T]]:
        if self._limit == 0:
            return
        left = self._limit
        seen: set[str] = set()
        request = Request(self._operation.method, self._operation.path, params=self._query)
        while True:
            response = await self._session.send(request)
            page = self._page(response)
            if left is not None:
                del page.items[left:]
                left -= len(page.items)
            yield page
            if page.next_url is None or left == 0:
                return
            if page.next_url in seen:
                raise DecodeError("The pages lead in a circle: a next link came twice.", request=response.request)
            seen.add(page.next_url)
            request = Request(self._operation.method, page.next_url)

    def _page(self, response: Response) -> Page[T]:
        assert self._operation.items is not None
        items: list[T] = page_of(self._operation.items, response.content, response.request)
        target = parse_link_header(response.headers.get("link")).get("next")
        if target is None:
            return Page(items)
        url = self._mended(target, response)
        if not self._session.pipeline.hosts.may_receive_token(url):
            raise RedirectError(
                f"The next page is said to be at {without_secrets(url)}, which is no host of the cloud.",
                request=response.request,
            )
        return Page(items, url)

    def _mended(self, target: str, response: Response) -> str:
        """The next link with the filters that it lost; what it has is kept as it is written."""
        try:
            parts = urlsplit(urljoin(response.request.url, target))
        except ValueError:
            raise DecodeError("The next link is no URL.", request=response.request) from None
        kept = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[2] != "null"]
        have = {unquote_plus(pair.partition("=")[0]) for pair in kept}
        lost = {name: value for name, value in self._query.items() if name not in have and name not in _CURSORS}
        query = "&".join(text for text in (*kept, encode_query(lost)) if text)
        return urlunsplit(parts._replace(query=query, fragment=""))

    async def _items(self) -> AsyncIterator[T]:
        pages = self._pages()
        try:
            async for page in pages:
                for item in page.items:
                    yield item
        finally:
            await pages.aclose()  # type: ignore[attr-defined]  # it is an asynchronous generator

    async def _first(self) -> Page[T]:
        pages = self._pages()
        try:
            async for page in pages:
                return page
            return Page([])
        finally:
            await pages.aclose()  # type: ignore[attr-defined]  # it is an asynchronous generator


class AsyncPages(_Paging[T]):
    """`async for item in …`; each loop begins anew. `pages()` gives page after page, `first_page()` one."""

    def __aiter__(self) -> AsyncIterator[T]:
        return self._items()

    def pages(self) -> AsyncIterator[Page[T]]:
        """Page after page."""
        return self._pages()

    async def first_page(self) -> Page[T]:
        """The first page."""
        return await self._first()

    async def to_list(self) -> list[T]:
        """All items, as a list."""
        return [item async for item in self]


class Pages(_Paging[T]):
    """`for item in …`; each loop begins anew. `pages()` gives page after page, `first_page()` one."""

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[T]]:
        """Page after page."""
        return drive_iter(self._pages())

    def first_page(self) -> Page[T]:
        """The first page."""
        return drive(self._first())

    def to_list(self) -> list[T]:
        """All items, as a list."""
        return list(self)
