"""List what was missed, from the conversation service or, where that fails, from REST.

The conversation service lists everything, deletes as tombstones. REST lists messages only, so
a `gap` event is told where it is used (mercury §3.6).
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webex.errors import ApiError, ConfigurationError, DecodeError, TransportError
from webex.ids import parse_id
from webex.realtime.lookup import items_of, list_conversations
from webex.realtime.mercury.close_codes import is_transient
from webex.realtime.wire import Activity, is_activity

if TYPE_CHECKING:
    from webex.realtime.service_client import ServiceClient

_logger = logging.getLogger("webex.realtime")

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ROOMS: Final = 1000
_PAGE: Final = 200
_MOST: Final = 100_000  # activities of one catch-up


@dataclass(slots=True)
class Missed:
    """What was found: activities by the time they were published, and whether that is all there was.

    `gone` are the ids of activities whose deletion was found, too: of them nothing is left.
    """

    activities: list[Activity]
    complete: bool
    gone: Collection[str] = ()


async def find_missed(services: ServiceClient, since: str, *, is_bot: bool, by_rest: bool = False) -> Missed:
    """Return every activity since a moment (ISO 8601), the oldest first.

    A temporary failure of the conversation service raises `TransportError` or `ApiError`, unless `by_rest`
    says that REST is to be asked then; one that can't list at all is replaced by REST at once.
    """
    gone: Collection[str] = ()
    try:
        found, complete = await _from_conversations(services, since)
        # Where the deletion itself is listed, the tombstone tells nothing new.
        deleted = {(each.get("object") or {}).get("id") for each in found if each.get("verb") == "delete"}
        gone = {str(each["id"]) for each in found if each.get("verb") == "tombstone" and each["id"] in deleted}
        found = [each for each in found if each["id"] not in gone]
    except (ApiError, TransportError, ConfigurationError, DecodeError) as error:
        if is_transient(error) and not by_rest:
            raise
        _logger.info("the conversation service can't list what was missed (%s); asking REST", type(error).__name__)
        found = [activity async for activity in _from_rest(services, since, is_bot=is_bot)]
        complete = False
    found.sort(key=published_at)
    return Missed(found, complete, gone)


async def _from_conversations(services: ServiceClient, since: str) -> tuple[list[Activity], bool]:
    """Return what the conversation service lists, of every cluster, and whether that is all."""
    params = {
        "sinceDate": _millis(since),
        "conversationsLimit": _ROOMS,
        "activitiesLimit": 0,
        "participantsLimit": 0,
        "personRefresh": "true",
        "uuidEntryFormat": "true",
    }
    found: list[Activity] = []
    complete, seen = True, set[str]()
    async for conversations in list_conversations(services, params):
        complete = complete and len(conversations) < _ROOMS
        for url in map(_url_of, conversations):
            if url not in seen:
                seen.add(url)
                more, whole = await _activities(services, url, since)
                found += more
                complete = complete and whole
    return found, complete and not await _was_left(services, since)


async def _was_left(services: ServiceClient, since: str) -> bool:
    """Return whether this person may have left a conversation meanwhile, whose history can't be listed any more."""
    base = await services.url_of("conversation")
    listed = (await services.send("GET", f"{base}/conversations/left", params={"sinceDate": _millis(since)})).json()
    return any(
        not isinstance(when := conversation.get("lastReadableActivityDate"), str) or when >= since
        for conversation in items_of(listed)
    )


async def _activities(services: ServiceClient, url: str, since: str) -> tuple[list[Activity], bool]:
    """Return all activities of one conversation since a moment, page by page, and whether that is all."""
    found: dict[str, Activity] = {}
    start = since
    while len(found) < _MOST:
        params = {"sinceDate": _millis(start), "activitiesLimit": _PAGE, "lastActivityFirst": "false"}
        listed = items_of((await services.send("GET", f"{url}/activities", params=params)).json())
        page = [item for item in listed if is_activity(item)]
        fresh = {item["id"]: item for item in page if item["id"] not in found}
        found |= fresh
        newest = max(map(published_at, page), default="")
        if not fresh:
            return list(found.values()), True
        if newest <= start and len(page) > 1:
            return list(found.values()), False  # more happened in one millisecond than a page holds
        start = max(start, newest)
    return list(found.values()), False


async def _from_rest(services: ServiceClient, since: str, *, is_bot: bool) -> AsyncIterator[Activity]:
    hydra = await services.url_of("hydra")
    rooms = (await services.send("GET", f"{hydra}/rooms", params={"sortBy": "lastactivity", "max": _ROOMS})).json()
    for room in items_of(rooms):
        if not isinstance(room.get("id"), str):
            continue
        if str(room.get("lastActivity") or since) < since:
            break
        params: dict[str, Any] = {"roomId": room["id"], "max": _PAGE}
        if is_bot and room.get("type") == "group":
            params["mentionedPeople"] = "me"
        while True:
            page = items_of((await services.send("GET", f"{hydra}/messages", params=params)).json())
            for message in page:
                activity = _activity_of(message, room) if str(message.get("created", "")) >= since else None
                if activity is not None:
                    yield activity
            if (
                not page
                or str(page[-1].get("created", "")) < since
                or page[-1].get("id") == params.get("beforeMessage")
            ):
                break
            params["beforeMessage"] = page[-1]["id"]


def _activity_of(message: dict[str, Any], room: dict[str, Any]) -> Activity | None:
    """Return the activity of a message; None for a message that can't be read, which hides no other."""
    try:
        return as_activity(message, room)
    except (ValueError, KeyError, TypeError, AttributeError):
        _logger.debug("a message can't be read", exc_info=True)
        return None


def as_activity(message: dict[str, Any], room: dict[str, Any]) -> Activity:
    """Return a message of the REST API as the activity that it came from; its text is not encrypted."""
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
    activity: Activity = {
        "id": parse_id(message["id"]).id,
        "objectType": "activity",
        "verb": "post",
        "actor": {"id": person, "entryUUID": person, "entryEmail": message.get("personEmail")},
        "object": content,
        "target": {
            "id": room_uuid,
            "objectType": "conversation",
            "tags": ["ONE_ON_ONE"] if room.get("type") == "direct" else [],
        },
    }
    if isinstance(message.get("created"), str):
        activity["published"] = message["created"]
    if message.get("parentId"):
        activity["parent"] = {"id": parse_id(message["parentId"]).id, "type": "reply"}
    return activity


def published_at(activity: Mapping[str, Any]) -> str:
    """Return when an activity was published; empty where that can't be read."""
    text = activity.get("published")
    return text if isinstance(text, str) and _MOMENT.fullmatch(text) is not None else ""


def _url_of(conversation: dict[str, Any]) -> str:
    url = conversation.get("url")
    if not isinstance(url, str):
        raise DecodeError("A conversation came without its URL.")
    return url


def _millis(moment: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(moment).timestamp() * 1000)
