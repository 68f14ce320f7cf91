"""Rooms as the console shows them: what was said and done, opened, as one of the members sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator.conversation.render import activity_json
from webex.emulator.rest.render import message_json, room_id
from webex.emulator.wire import Problem
from webex.ids import to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.state import Activity, Message, Room, StoredFile
    from webex.emulator.wire import Call

_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_MOST: Final = 200  # activities that are shown of a room


def listed(cloud: Cloud, call: Call) -> list[dict[str, Any]]:
    """Show the rooms, the latest activity first."""
    counts: dict[str, int] = {}
    members: dict[str, int] = {}
    for message in cloud.state.messages.values():
        counts[message.room_id] = counts.get(message.room_id, 0) + 1
    for membership in cloud.state.memberships.values():
        members[membership.room_id] = members.get(membership.room_id, 0) + 1
    found = sorted(cloud.state.rooms.values(), key=lambda room: room.last_activity, reverse=True)
    return [
        {**_room(cloud, room), "messages": counts.get(room.id, 0), "members": members.get(room.id, 0)} for room in found
    ]


def room(cloud: Cloud, call: Call) -> dict[str, Any]:
    """Show a room with its members and its latest activities; with `as`, those that this member receives."""
    state = cloud.state
    found = state.rooms.get(call.arg("id", "") or "")
    if found is None:
        raise Problem(404, "There is no such room.")
    viewer = state.people.get(call.arg("as", "") or "")
    activities = [state.activities[each] for each in state.room_activities.get(found.id, ())]
    if viewer is not None:
        activities = [each for each in activities if cloud.conversations.may_receive(viewer, each)]
    members = [m for m in state.memberships.values() if m.room_id == found.id]
    return {
        **_room(cloud, found),
        "key_uri": found.key_uri,
        "more": max(len(activities) - _MOST, 0),
        "members": [
            {
                "id": member.person_id,
                "name": state.people[member.person_id].display_name,
                "email": state.people[member.person_id].email,
                "kind": state.people[member.person_id].kind,
                "moderator": member.is_moderator,
                "last_seen": member.last_seen,
            }
            for member in members
        ],
        "activities": [_activity(cloud, each) for each in activities[-_MOST:]],
    }


def activity(cloud: Cloud, call: Call) -> dict[str, Any]:
    """Show an activity as the cloud sends it, as it is once opened, and the message of the REST API."""
    found = cloud.state.activities.get(call.arg("id", "") or "")
    if found is None:
        raise Problem(404, "There is no such activity.")
    message = _message_of(cloud, found)
    return {
        "raw": activity_json(cloud, found, cloud.url),
        "opened": found.content,
        "message": message_json(message, cloud.state, cloud.url) if message is not None else None,
    }


def title_of(cloud: Cloud, room: Room) -> str:
    """Return a room's title; a direct room is called after its people."""
    if room.type != "direct":
        return room.title
    state = cloud.state
    names = [state.people[m.person_id].display_name for m in state.memberships.values() if m.room_id == room.id]
    return " and ".join(names) or "Direct"


def is_picture(file: StoredFile) -> bool:
    """Return whether a file may be shown in the page: SVG and html may not."""
    return file.content_type.split(";")[0].strip().lower() in _PICTURES


def _room(cloud: Cloud, room: Room) -> dict[str, Any]:
    return {
        "id": room.id,
        "public_id": room_id(room),
        "title": title_of(cloud, room),
        "type": room.type,
        "locked": room.is_locked,
        "last_activity": room.last_activity,
    }


def _activity(cloud: Cloud, activity: Activity) -> dict[str, Any]:
    state = cloud.state
    actor = state.people.get(activity.actor_id)
    shown: dict[str, Any] = {
        "id": activity.id,
        "verb": activity.verb,
        "time": activity.published,
        "by": {"id": activity.actor_id, "name": actor.display_name, "kind": actor.kind} if actor is not None else None,
        "encrypted": activity.key_uri is not None,
        "parent": activity.parent,
        "object": activity.content.get("objectType"),
    }
    message = _message_of(cloud, activity)
    if message is not None and activity.id == message.id:
        shown["message"] = {
            "id": message.id,
            "public_id": to_hydra_id("MESSAGE", message.id),
            "text": message.text or "",
            "html": bool(message.html),
            "edits": message.edits,
            "cards": len(message.attachments),
            "files": [_file(cloud, each) for each in message.files if each in state.files],
        }
    else:
        shown["about"] = _about(cloud, activity)
    return shown


def _message_of(cloud: Cloud, activity: Activity) -> Message | None:
    found = cloud.state.messages.get(activity.id)
    if found is None and activity.parent is not None and activity.parent.get("type") == "edit":
        found = cloud.state.messages.get(str(activity.parent.get("id")))
    return found


def _about(cloud: Cloud, activity: Activity) -> str:
    """Say in a few words what an activity that is no message is about."""
    content = activity.content
    if content.get("objectType") == "person":
        person = cloud.state.people.get(str(content.get("id")))
        return person.display_name if person is not None else ""
    return str(content.get("displayName") or "")[:200]


def _file(cloud: Cloud, file_id: str) -> dict[str, Any]:
    file = cloud.state.files[file_id]
    return {"id": file.id, "name": file.name, "size": file.size, "picture": is_picture(file)}
