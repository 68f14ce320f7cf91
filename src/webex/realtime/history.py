"""What was said and done before: activities of the conversation service, decrypted on this machine, as events.

Pages are fetched as a loop goes on. The service lists by moments, to the millisecond: a page begins where the one
before ended, and what both have is left out.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NoReturn, TypeAlias, TypeVar

from webex.errors import ConfigurationError, DecodeError
from webex.http.links import parse_link_header
from webex.ids import public_id
from webex.realtime.catchup import published_at
from webex.realtime.event import Event
from webex.realtime.given_ids import uuid_of
from webex.realtime.lookup import activity_of, cluster_of, items_of, room_url
from webex.realtime.opening import events_of
from webex.realtime.wire import Activity, is_activity
from webex.runtime import drive_iter
from webex.runtime.unpicklable import Unpicklable

if TYPE_CHECKING:
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.user_connection import UserConnection

T = TypeVar("T")
Order: TypeAlias = Literal["newest", "oldest"]
Moment: TypeAlias = "datetime | str"
Run: TypeAlias = "Callable[[Callable[[ConversationService], Awaitable[Any]]], Awaitable[Any]]"
PagesOf: TypeAlias = Callable[[Run], AsyncIterator[list[T]]]

_PAGE: Final = 100
_LARGEST: Final = 1_000


@dataclass(slots=True)
class Thread:
    """A thread: the message that was answered, its room, and the answers that the service lists, the oldest first.

    `client.conversations.activity(thread.message_id)` is the event of the message.
    """

    room_id: str
    message_id: str
    replies: list[Event[Any]] = field(default_factory=list)


class _History(Unpicklable, Generic[T]):
    _instead = "Pass event.to_dict() of its events on."
    _misused = ""  # how this style is used

    def __init__(self, run: Run, pages: PagesOf[T]) -> None:
        self._run, self._make = run, pages

    def _pages(self) -> AsyncIterator[list[T]]:
        return self._make(self._run)

    def __len__(self) -> int:  # noqa: PLE0303  # it never returns
        self._refuse("has no length before it is fetched")

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__}; {self._misused}>"

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(f"{type(self).__name__} {what}: {self._misused}.")


class AsyncHistory(_History[T]):
    """`async for event in history`, fetched as you go; each loop begins anew. `pages()` gives page after page."""

    _misused = "use `async for event in history` or `await history.to_list()`"

    def __aiter__(self) -> AsyncIterator[T]:
        return self._items()

    def __iter__(self) -> NoReturn:
        self._refuse("can't be iterated with a plain `for`")

    def pages(self) -> AsyncIterator[list[T]]:
        """Return page after page."""
        return self._pages()

    async def to_list(self) -> list[T]:
        """Return everything, as a list."""
        return [item async for item in self]

    async def _items(self) -> AsyncIterator[T]:
        async for page in self._pages():
            for item in page:
                yield item


class History(_History[T]):
    """`for event in history`, fetched as you go; each loop begins anew. `pages()` gives page after page."""

    _misused = "use `for event in history` or `history.to_list()`"

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page

    def __aiter__(self) -> NoReturn:
        self._refuse("belongs to a blocking client and can't be iterated with `async for`")

    def pages(self) -> Iterator[list[T]]:
        """Return page after page."""
        return drive_iter(self._pages())

    def to_list(self) -> list[T]:
        """Return everything, as a list."""
        return list(self)


@dataclass(frozen=True, slots=True)
class _Window:
    """Which activities to list: of a room, or (without one) the mentions. Moments are milliseconds since the epoch."""

    room: str | None
    since: int | None
    until: int | None
    around: int | None
    order: Order
    limit: int | None
    page_size: int


def read_window(
    room_id: str | None,
    *,
    since: Moment | None = None,
    until: Moment | None = None,
    around: Moment | None = None,
    order: Order = "newest",
    limit: int | None = None,
    page_size: int | None = None,
) -> PagesOf[Event[Any]]:
    """Return what reads the pages of a room, or of the mentions; `ConfigurationError` for what can't be meant."""
    if order not in ("newest", "oldest"):
        raise ConfigurationError(f"order is {order!r}; it is 'newest' or 'oldest', the one that comes first.")
    if around is not None and (since is not None or until is not None):
        raise ConfigurationError("around= goes without since= and until=.")
    size = _number("page_size", page_size, 1)
    asked = _Window(
        None if room_id is None else uuid_of(room_id),
        _millis("since", since),
        _millis("until", until),
        _millis("around", around),
        order,
        _number("limit", limit, 0),
        min(size or _PAGE, _LARGEST),
    )
    if asked.since is not None and asked.until is not None and asked.since > asked.until:
        raise ConfigurationError(f"since is {since!r}, which is after until, {until!r}.")
    return partial(_pages, asked=asked)


async def _pages(run: Run, asked: _Window) -> AsyncIterator[list[Event[Any]]]:
    left, deleted = asked.limit, set[str]()
    if left == 0:
        return
    async for found in _activity_pages(run, asked):
        events = []
        for event in await run(partial(_opened, activities=found)):
            if event.event == "deleted" and event.resource != "memberships":
                if event.key in deleted:
                    continue  # both that it was deleted and what is left of it are listed
                deleted.add(event.key)
            events.append(event)
        if left is not None:
            events = events[:left] if asked.around is None else _nearest(events, asked.around, left, asked.order)
            left -= len(events)
        if events:
            yield events
        if left == 0:
            return


def _nearest(events: list[Event[Any]], moment: int, limit: int, order: Order) -> list[Event[Any]]:
    """Return the `limit` events around a moment, half of them before it where there are as many."""
    in_time = events if order == "oldest" else events[::-1]
    until = sum(1 for each in in_time if each.published is None or each.published.timestamp() * 1000 <= moment)
    earlier, later = in_time[:until], in_time[until:]
    before = min(len(earlier), max(limit - limit // 2, limit - len(later)))
    kept = [*earlier[len(earlier) - before :], *later[: limit - before]]
    return kept if order == "oldest" else kept[::-1]


def read_threads(since: Moment | None, limit: int | None) -> PagesOf[Thread]:
    """Return what reads the pages of threads."""
    moment, most = _millis("since", since), _number("limit", limit, 0)

    async def pages(run: Run) -> AsyncIterator[list[Thread]]:
        left, url = most, ""
        params: dict[str, Any] | None = {"limit": min(_PAGE, most or _PAGE)}
        if moment is not None and params is not None:
            params["sinceDate"] = moment
        seen = set[str]()
        while left != 0 and url not in seen:
            seen.add(url)
            threads, following = await run(partial(_threads, url=url, params=params))
            if left is not None:
                del threads[left:]
                left -= len(threads)
            if threads:
                yield threads
            if following is None:
                return
            url, params = following, None

    return pages


async def read_activity(service: ConversationService, activity_id: str) -> Event[Any] | None:
    """Return the event of one activity; None where it is nothing that `listen()` tells of."""
    wanted = uuid_of(activity_id)
    connection = await service.connected()
    (events,) = await events_of(connection, [await activity_of(connection, wanted)])
    return events[0] if events else None


# How it is done


async def _activity_pages(run: Run, asked: _Window) -> AsyncIterator[list[Activity]]:
    """Yield what the service lists, each activity once, in the order that was asked for."""
    forward = asked.order == "oldest" and asked.around is None
    edge = (asked.since or 0) if forward else asked.until
    size, seen = asked.page_size, set[str]()
    while True:
        page = await run(partial(_page, asked=asked, edge=edge, size=size, forward=forward))
        fresh = [each for each in page if each["id"] not in seen]
        seen |= {each["id"] for each in fresh}
        moments = [moment for each in page if (moment := _published(each)) is not None]
        inside = [each for each in fresh if _is_inside(each, asked)]
        if inside:
            yield inside
        if asked.around is not None or not moments:
            return
        reached = max(moments) if forward else min(moments) + 1
        if forward and asked.until is not None and reached >= asked.until:
            return
        if not forward and asked.since is not None and reached <= asked.since:
            return
        if fresh and reached != edge:
            size = asked.page_size
        elif len(page) < size:
            return  # nothing more
        elif size < _LARGEST:
            size = min(size * 2, _LARGEST)  # more happened in one millisecond than a page holds
        else:
            reached += 1 if forward else -1
        edge = reached


async def _page(
    service: ConversationService, asked: _Window, edge: int | None, size: int, *, forward: bool
) -> list[Activity]:
    connection = await service.connected()
    if asked.room is None:
        url = f"{await connection.services.url_of('conversation')}/mentions"
    else:
        url = f"{await room_url(connection, asked.room)}/activities"
    params: dict[str, Any] = {"limit": size, "lastActivityFirst": "false"}
    if asked.around is not None:
        params |= {"midDate": asked.around, "limit": min(asked.limit or size, _LARGEST)}
    elif edge is not None:
        params["sinceDate" if forward else "maxDate"] = edge
    listed = (await connection.services.send("GET", url, params=params)).json()
    found = [each for each in items_of(listed) if is_activity(each)]
    if len(found) > 1 and published_at(found[-1]) < published_at(found[0]):
        found.reverse()
    found.sort(key=published_at)
    return found if asked.order == "oldest" else found[::-1]


async def _opened(service: ConversationService, activities: list[Activity]) -> list[Event[Any]]:
    connection = await service.connected()
    return [event for events in await events_of(connection, activities) for event in events]


async def _threads(
    service: ConversationService, url: str, params: dict[str, Any] | None
) -> tuple[list[Thread], str | None]:
    connection = await service.connected()
    url = url or f"{await connection.services.url_of('conversation')}/threads"
    response = await connection.services.send("GET", url, params=params)
    threads = [await _thread(connection, each) for each in items_of(response.json())]
    return threads, parse_link_header(response.headers.get("link")).get("next")


async def _thread(connection: UserConnection, listed: dict[str, Any]) -> Thread:
    parent, room, answers = (listed.get(name) for name in ("parentActivityId", "conversationId", "childActivities"))
    if not isinstance(parent, str) or not isinstance(room, str):
        raise DecodeError("A thread came without the message that was answered.")
    whole = [each for each in answers or () if is_activity(each)]
    replies = [event for events in await events_of(connection, sorted(whole, key=published_at)) for event in events]
    cluster = cluster_of(listed.get("conversation"), (await connection.services.catalog()).cluster_of)
    return Thread(public_id("ROOM", room, cluster), public_id("MESSAGE", parent, cluster), replies)


def _is_inside(activity: Activity, asked: _Window) -> bool:
    moment = _published(activity)
    if moment is None:
        return True
    return (asked.since is None or moment >= asked.since) and (asked.until is None or moment < asked.until)


def _published(activity: Activity) -> int | None:
    text = published_at(activity)
    return round(datetime.fromisoformat(text).timestamp() * 1000) if text else None


def _millis(name: str, moment: Any) -> int | None:
    if moment is None:
        return None
    try:
        parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return math.floor(parsed.timestamp() * 1000)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise ConfigurationError(f"{name} is {moment!r}; it takes a datetime or a moment in ISO 8601.") from None


def _number(name: str, value: Any, least: int) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise ConfigurationError(f"{name} is {value!r}; it is a whole number, {least} or more.")
    return value
