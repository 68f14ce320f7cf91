"""Lists that fetch as you go, along the `Link` header (RFC 8288).

`limit` is how many items in all, `page_size` how many a page. Filters that a `next` link has lost are put back, a
`max=null` in it is corrected, and one that leads to a host that may have no token is not followed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar
from urllib.parse import unquote_plus, urljoin, urlsplit, urlunsplit

from webex.api.operation import Operation
from webex.api.session import wire_query
from webex.errors import ConfigurationError, DecodeError, RedirectError
from webex.http.codec import encode_query, without_secrets
from webex.http.links import parse_link_header
from webex.http.types import Request
from webex.models.base import Model, html_table, page_of
from webex.runtime import drive, drive_iter
from webex.runtime.unpicklable import Unpicklable

if TYPE_CHECKING:
    from webex.api.session import Session
    from webex.http.types import Response

T = TypeVar("T")

_CURSORS = ("cursor", "before", "beforeMessage", "start", "offset", "page")


@dataclass(slots=True)
class Page(Generic[T]):
    """One page. `next_url` is where the next one is, None on the last."""

    items: list[T]
    next_url: str | None = field(default=None, repr=False)
    is_cut: bool = field(default=False, repr=False)  # by `limit`: items of it are missing

    @property
    def cursor(self) -> str | None:
        """What `list(after=…)` takes to go on behind this page, also in another process; None on the last page.

        `ConfigurationError` where `limit` cut the page: what it left out would be skipped. Use `page_size`.
        """
        if self.is_cut:
            raise ConfigurationError(
                "limit= cut this page, so no cursor leads on behind its last item. Use page_size=."
            )
        return self.next_url

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]

    def _repr_html_(self) -> str:
        models = [item for item in self.items if isinstance(item, Model)]
        return html_table(models, f"{len(self.items)} items")


class _Paging(Unpicklable, Generic[T]):
    _instead = "Pass its items on: pages.to_list()."
    _misused = ""  # how this style is used

    def __init__(
        self,
        session: Session,
        operation: Operation,
        *,
        query: Mapping[str, Any] | None = None,
        after: str | None = None,
        limit: int | None = None,
        page_size: int | None = None,
        timeout: float | None = None,
    ) -> None:
        for name, value in (("limit", limit), ("page_size", page_size)):
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ConfigurationError(f"{name} must be a whole number, 0 or more, not {value!r}.")
        if page_size == 0:
            raise ConfigurationError("page_size must be 1 or more.")
        self._session = session
        self._kind: type[Any] | None = operation.items
        self._key = "items"
        self._query = wire_query(query or {})
        self._limit = limit
        if page_size is not None:
            self._query["max"] = page_size if limit is None else max(min(page_size, limit), 1)
        # The first page's request; those of others differ in the URL.
        self._begin = Request(operation.method, operation.path, timeout=timeout, template=operation.path)
        self._after = self._checked_cursor(after)

    @classmethod
    def over(
        cls,
        session: Session,
        request: Request,
        *,
        key: str,
        limit: int | None,
        page_size: int | None,
        after: str | None,
    ) -> Self:
        """Pages of what no operation describes: the items are plain data."""
        operation = Operation(request.method, request.url)
        made = cls(session, operation, query=request.params, limit=limit, page_size=page_size, after=after)
        made._begin, made._key = request, key
        return made

    def _checked_cursor(self, after: Any) -> str | None:
        if after is None:
            return None
        if not isinstance(after, str) or not after:
            raise ConfigurationError(f"after must be the cursor of a page (page.cursor), not {after!r}.")
        if "://" not in after:
            self._query["cursor"] = after
            return None
        path = self._begin.url.partition("?")[0].rstrip("/")
        try:
            same = urlsplit(after).path.rstrip("/").endswith(urlsplit(path).path)
        except ValueError:
            same = False
        if not same or not self._session.pipeline.hosts.may_receive_token(after):
            raise ConfigurationError(f"after must be the cursor of a page of the same list ({path}).")
        return after

    async def _pages(self) -> AsyncIterator[Page[T]]:
        if self._limit == 0:
            return
        left = self._limit
        seen: set[str] = set()
        if self._after is None:
            request = replace(self._begin, params=self._query)
        else:
            request = replace(self._begin, url=self._after, params=None)
        while True:
            response = await self._session.send(request)
            page = self._page(response)
            if left is not None:
                page.is_cut = len(page.items) > left
                del page.items[left:]
                left -= len(page.items)
            yield page
            if page.next_url is None or left == 0:
                return
            if page.next_url in seen:
                raise DecodeError("The pages lead in a circle: a next link came twice.", request=response.request)
            seen.add(page.next_url)
            request = replace(self._begin, url=page.next_url, params=None)

    def _items_of(self, response: Response) -> list[T]:
        if self._kind is not None:
            return page_of(self._kind, response.content, response)
        data = response.json()
        items = data.get(self._key) if isinstance(data, dict) else data
        if not isinstance(items, list):
            raise response.unreadable(f"The answer has no list {self._key!r}: key= names another.", path=self._key)
        return items

    def _page(self, response: Response) -> Page[T]:
        items = self._items_of(response)
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
        """Add the filters that the next link lost, and keep what it has as it is written."""
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

    def __repr__(self) -> str:
        kind = "items" if self._kind is None else self._kind.__name__
        return f"<{type(self).__name__} of {kind}, {self._begin.method} {self._begin.url}; {self._misused}>"

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(f"{type(self).__name__} {what}: {self._misused}.")

    def __len__(self) -> int:  # noqa: PLE0303  # it never returns
        self._refuse("has no length before it is fetched")

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, index: Any) -> NoReturn:
        self._refuse("can't be indexed before it is fetched")

    def __next__(self) -> NoReturn:
        self._refuse("is no iterator")

    def __await__(self) -> NoReturn:
        self._refuse("can't be awaited")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            hint = "" if name.startswith("_") else f"; {self._misused}"
            raise AttributeError(f"{text}{hint}", name=name, obj=self)


class AsyncPages(_Paging[T]):
    """`async for item in …`; each loop begins anew. `pages()` gives page after page, `first_page()` one."""

    _misused = "use `async for item in pages`, `await pages.to_list()` or `await pages.first_page()`"

    def __aiter__(self) -> AsyncIterator[T]:
        return self._items()

    def __iter__(self) -> NoReturn:
        self._refuse("can't be iterated with a plain `for`")

    def __contains__(self, item: object) -> NoReturn:
        self._refuse("can't be searched with `in`")

    def pages(self) -> AsyncIterator[Page[T]]:
        """Page after page."""
        return self._pages()

    async def first_page(self) -> Page[T]:
        """Return the first page."""
        return await self._first()

    async def to_list(self) -> list[T]:
        """All items, as a list."""
        return [item async for item in self]

    async def to_pandas(self) -> Any:
        """All items, as a `pandas.DataFrame` with a column for each field; needs pandas."""
        return tables().to_pandas(await self.to_list(), self._kind)

    async def to_arrow(self) -> Any:
        """All items, as a `pyarrow.Table` with a column for each field; needs pyarrow."""
        return tables().to_arrow(await self.to_list(), self._kind)


class Pages(_Paging[T]):
    """`for item in …`; each loop begins anew. `pages()` gives page after page, `first_page()` one."""

    _misused = "use `for item in pages`, `pages.to_list()` or `pages.first_page()`"

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items

    def __aiter__(self) -> NoReturn:
        self._refuse("belongs to a blocking client and can't be iterated with `async for`")

    def pages(self) -> Iterator[Page[T]]:
        """Page after page."""
        return drive_iter(self._pages())

    def first_page(self) -> Page[T]:
        """Return the first page."""
        return drive(self._first())

    def to_list(self) -> list[T]:
        """All items, as a list."""
        return [item for page in self.pages() for item in page.items]

    def to_pandas(self) -> Any:
        """All items, as a `pandas.DataFrame` with a column for each field; needs pandas."""
        return tables().to_pandas(self.to_list(), self._kind)

    def to_arrow(self) -> Any:
        """All items, as a `pyarrow.Table` with a column for each field; needs pyarrow."""
        return tables().to_arrow(self.to_list(), self._kind)


def tables() -> Any:
    """Load the module that makes tables, and return it."""
    from webex.api import tables as module

    return module
