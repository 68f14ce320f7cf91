"""Look up conversations and activities at the conversation service, and read what it lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from webex.errors import DecodeError
from webex.realtime.given_ids import uuid_of
from webex.realtime.wire import Activity, is_activity

if TYPE_CHECKING:
    from webex.realtime.service_client import ServiceClient
    from webex.realtime.user_connection import UserConnection


async def room_url(connection: UserConnection, room: str) -> str:
    """Return the URL of a conversation, by its UUID."""
    return f"{await connection.services.url_of('conversation')}/conversations/{room}"


async def conversation_of(connection: UserConnection, room: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return one conversation, by its UUID; `NotFoundError` where the user is not in it."""
    found = (await connection.services.send("GET", await room_url(connection, room), params=params)).json()
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        raise DecodeError("The conversation service's answer is no conversation.")
    return found


async def activity_of(connection: UserConnection, activity_id: str) -> Activity:
    """Return one activity, as it is on the wire; `NotFoundError` where the user may not see it."""
    base = await connection.services.url_of("conversation")
    found = (await connection.services.send("GET", f"{base}/activities/{uuid_of(activity_id)}")).json()
    if not is_activity(found):
        raise DecodeError("The conversation service's answer is no activity.")
    return found


async def list_conversations(services: ServiceClient, params: Mapping[str, Any]) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the conversations of a user, one list for each cluster that has some; a list has no cluster twice."""
    urls = [f"{await services.url_of('conversation')}/conversations"]
    for url in urls:  # it grows: each list names those of other clusters
        listed = (await services.send("GET", url, params=params)).json()
        yield items_of(listed)
        others = listed.get("additionalUrls")
        for other in others if isinstance(others, list) else ():
            bare = other.partition("?")[0] if isinstance(other, str) else ""
            if bare and bare not in urls:
                urls.append(bare)


def items_of(data: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; `DecodeError` where it is none."""
    items = data.get("items") if isinstance(data, dict) else None
    if not isinstance(items, list):
        raise DecodeError("A list came without its items.", path="items")
    return [item for item in items if isinstance(item, dict)]


def room_uuid(activity: Activity) -> str:
    """Return the UUID of the conversation that an activity belongs to."""
    place = activity.get("target") or activity.get("object")
    uuid = place.get("id") if isinstance(place, dict) else None
    if not isinstance(uuid, str):
        raise DecodeError("An activity came without its conversation.")
    return uuid


def cluster_of(conversation: Any, by_url: Callable[[str], str]) -> str:
    """Return the cluster for the public ids of a conversation and what is in it; `by_url` is that of the catalog."""
    url = conversation.get("url") if isinstance(conversation, Mapping) else None
    return by_url(url) if isinstance(url, str) else "us"
