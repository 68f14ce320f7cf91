"""What was missed: listed from the conversation service, or where that fails from REST.

The conversation service lists everything, deletes as tombstones. REST lists messages only, so whoever comes by it is
told that there was a gap (realtime-protocol §3.6).
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from webex.errors import ApiError, ConfigurationError, DecodeError, TransportError
from webex.http.types import Response
from webex.ids import parse_id
from webex.realtime.closing import is_passing

_logger = logging.getLogger("webex.realtime")

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ROOMS: Final = 1000
_PAGE: Final = 200
_MOST: Final = 100_000  # activities of one catch-up


class CatchUpDoor(Protocol):
    """How requests go out for one user."""

    async def url_of(self, service: str) -> str: ...

    async def send(self, method: str, url: str, **options: Any) -> Response: ...


@dataclass(slots=True)
class Missed:
    """What was found: activities by the time they were published, and whether that is all there was."""

    activities: list[dict[str, Any]]
    complete: bool


async def find_missed(door: CatchUpDoor, since: str, *, is_bot: bool, by_rest: bool = False) -> Missed:
    """Everything since a moment (ISO 8601), the oldest first.

    A conversation service that is out of order for a moment raises `TransportError` or `ApiError`, unless `by_rest`
    says that REST is to be asked then; one that can't list at all is replaced by REST at once.
    """
    try:
        found, complete = await _from_conversations(door, since)
        # Whoever lists the deletion itself need not be told by the stone in the message's place.
        deleted = {(each.get("object") or {}).get("id") for each in found if each.get("verb") == "delete"}
        found = [each for each in found if each.get("verb") != "tombstone" or each["id"] not in deleted]
    except (ApiError, TransportError, ConfigurationError, DecodeError) as error:
        if is_passing(error) and not by_rest:
            raise
        _logger.info("the conversation service can't list what was missed (%s); asking REST", type(error).__name__)
        found = [activity async for activity in _from_rest(door, since, is_bot=is_bot)]
        complete = False
    found = [activity for activity in found if isinstance(activity.get("id"), str)]
    found.sort(key=published_at)
    return Missed(found, complete)


async def _from_conversations(door: CatchUpDoor, since: str) -> tuple[list[dict[str, Any]], bool]:
    """What the conversation service lists, of every cluster, and whether that is all."""
    base = await door.url_of("conversation")
    params = {
        "sinceDate": _millis(since),
        "conversationsLimit": _ROOMS,
        "activitiesLimit": 0,
        "participantsLimit": 0,
        "personRefresh": "true",
        "uuidEntryFormat": "true",
    }
    found: list[dict[str, Any]] = []
    complete = True
    lists, asked = [f"{base}/conversations"], set[str]()
    while lists:
        url = lists.pop()
        asked.add(url)
        listed = (await door.send("GET", url, params=params)).json()
        conversations = _items(listed)
        complete = complete and len(conversations) < _ROOMS
        others = listed.get("additionalUrls")
        for other in others if isinstance(others, list) else ():
            if isinstance(other, str) and other.partition("?")[0] not in asked:
                lists.append(other.partition("?")[0])
        for conversation in conversations:
            more, whole = await _activities(door, _url_of(conversation), since)
            found += more
            complete = complete and whole
    return found, complete and not await _was_left(door, base, since)


async def _was_left(door: CatchUpDoor, base: str, since: str) -> bool:
    """Whether this person may have left a conversation meanwhile: what happened there nobody lists any more."""
    listed = (await door.send("GET", f"{base}/conversations/left", params={"sinceDate": _millis(since)})).json()
    return any(
        not isinstance(when := conversation.get("lastReadableActivityDate"), str) or when >= since
        for conversation in _items(listed)
    )


async def _activities(door: CatchUpDoor, url: str, since: str) -> tuple[list[dict[str, Any]], bool]:
    """All activities of one conversation since a moment, in pages that go forward, and whether that is all."""
    found: dict[str, dict[str, Any]] = {}
    start = since
    while len(found) < _MOST:
        params = {"sinceDate": _millis(start), "activitiesLimit": _PAGE, "lastActivityFirst": "false"}
        page = _items((await door.send("GET", f"{url}/activities", params=params)).json())
        fresh = {item["id"]: item for item in page if isinstance(item.get("id"), str) and item["id"] not in found}
        found |= fresh
        newest = max(map(published_at, page), default="")
        if not fresh:
            return list(found.values()), True
        if newest <= start and len(page) > 1:
            return list(found.values()), False  # more happened in one millisecond than a page holds
        start = max(start, newest)
    return list(found.values()), False


async def _from_rest(door: CatchUpDoor, since: str, *, is_bot: bool) -> AsyncIterator[dict[str, Any]]:
    hydra = await door.url_of("hydra")
    rooms = (await door.send("GET", f"{hydra}/rooms", params={"sortBy": "lastactivity", "max": _ROOMS})).json()
    for room in _items(rooms):
        if not isinstance(room.get("id"), str):
            continue
        if str(room.get("lastActivity") or since) < since:
            break
        params: dict[str, Any] = {"roomId": room["id"], "max": _PAGE}
        if is_bot and room.get("type") == "group":
            params["mentionedPeople"] = "me"
        while True:
            page = _items((await door.send("GET", f"{hydra}/messages", params=params)).json())
            for message in page:
                if str(message.get("created", "")) >= since:
                    yield as_activity(message, room)
            if (
                not page
                or str(page[-1].get("created", "")) < since
                or page[-1].get("id") == params.get("beforeMessage")
            ):
                break
            params["beforeMessage"] = page[-1]["id"]


def as_activity(message: dict[str, Any], room: dict[str, Any]) -> dict[str, Any]:
    """A message of the REST API as the activity that it came from; its text is in the clear."""
    person = parse_id(message["personId"]).id
    room_uuid = parse_id(message["roomId"]).id
    content: dict[str, Any] = {"objectType": "comment", "displayName": message.get("text")}
    if message.get("html"):
        content["content"] = message["html"]
    if message.get("mentionedPeople"):
        content["mentions"] = {"items": [{"id": parse_id(who).id} for who in message["mentionedPeople"]]}
    if message.get("mentionedGroups"):
        content["groupMentions"] = {"items": [{"groupType": group} for group in message["mentionedGroups"]]}
    if message.get("files"):
        content["files"] = {"items": [{"objectType": "file"} for _ in message["files"]]}
    if message.get("attachments"):
        content["cards"] = [attachment.get("content") for attachment in message["attachments"]]
    activity: dict[str, Any] = {
        "id": parse_id(message["id"]).id,
        "objectType": "activity",
        "verb": "post",
        "published": message.get("created"),
        "actor": {"id": person, "entryUUID": person, "entryEmail": message.get("personEmail")},
        "object": content,
        "target": {
            "id": room_uuid,
            "objectType": "conversation",
            "tags": ["ONE_ON_ONE"] if room.get("type") == "direct" else [],
        },
    }
    if message.get("parentId"):
        activity["parent"] = {"id": parse_id(message["parentId"]).id, "type": "reply"}
    return activity


def published_at(activity: Mapping[str, Any]) -> str:
    """When it happened; empty where that can't be read."""
    text = activity.get("published")
    return text if isinstance(text, str) and _MOMENT.fullmatch(text) is not None else ""


def _url_of(conversation: dict[str, Any]) -> str:
    url = conversation.get("url")
    if not isinstance(url, str):
        raise DecodeError("A conversation came without its URL.")
    return url


def _items(data: Any) -> list[dict[str, Any]]:
    items = data.get("items") if isinstance(data, dict) else None
    if not isinstance(items, list):
        raise DecodeError("A list came without its items.", path="items")
    return [item for item in items if isinstance(item, dict)]


def _millis(moment: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(moment).timestamp() * 1000)
