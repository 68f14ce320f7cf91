"""What was said and done: activities by conversation, by address, by what they answer, and by whom they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webex.emulator.conversation.access import BASE, limit_of, moment_of, room_of
from webex.emulator.conversation.render import activity_json, conversation_json
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Activity, Person, Room
    from webex.emulator.wire import Call

_KINDS = ("reply", "edit", "reaction")


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", f"{BASE}/conversations/{{id}}/activities", history)
    table.add("GET", f"{BASE}/activities", history)
    table.add("GET", f"{BASE}/activities/{{activityId}}", get)
    table.add("GET", f"{BASE}/conversations/{{id}}/activities/{{activityId}}", get)
    table.add("GET", f"{BASE}/conversations/{{id}}/parents", parents)
    table.add("GET", f"{BASE}/conversations/{{id}}/parents/{{activityId}}", children)
    table.add("GET", f"{BASE}/mentions", mentions)
    table.add("GET", f"{BASE}/threads", threads)
    table.add("POST", f"{BASE}/bulk_activities_fetch", bulk)


def history(call: Call) -> Reply:
    """The activities of a conversation: the latest ones, or those since a moment; in their order."""
    person = call.person()
    room = room_of(call, person, call.path.get("id") or call.arg("conversationId") or "")
    found = _heard(call, person, room.id)
    since, until = moment_of(call.arg("sinceDate")), moment_of(call.arg("maxDate"))
    limit = limit_of(call, "activitiesLimit", 100, 1000)
    if since is not None:
        found = _since(found, since)
    if until is not None:
        found = [each for each in found if each.published < until]
    found = found[:limit] if since is not None else found[-limit:]
    if call.arg("lastActivityFirst") == "true":
        found.reverse()
    return _items(call, found)


def get(call: Call) -> Reply:
    """One activity."""
    person = call.person()
    return Reply(200, activity_json(call.cloud, _activity(call, person, call.path["activityId"]), call.base))


def bulk(call: Call) -> Reply:
    """Several activities by their addresses."""
    person = call.person()
    results = []
    for url in call.json().get("activityUrls") or ():
        try:
            found = _activity(call, person, str(url).rsplit("/", 1)[-1])
            results.append({"status": "200", "data": {"activity": activity_json(call.cloud, found, call.base)}})
        except Problem as problem:
            results.append({"status": str(problem.status), "data": {}})
    return Reply(200, {"multistatus": results})


def parents(call: Call) -> Reply:
    """Which activities of a conversation have replies, edits or reactions: their ids by kind."""
    person = call.person()
    room = room_of(call, person, call.path["id"])
    found: dict[str, list[str]] = {kind: [] for kind in _KINDS if call.arg("activityType") in (None, kind)}
    for activity in _heard(call, person, room.id):
        parent = activity.parent or {}
        ids = found.get(str(parent.get("type")))
        if ids is not None and parent["id"] not in ids:
            ids.append(str(parent["id"]))
    return Reply(200, found)


def children(call: Call) -> Reply:
    """The replies to, edits of, or reactions to one activity, in their order."""
    person = call.person()
    room = room_of(call, person, call.path["id"])
    parent_id, kind = call.path["activityId"].lower(), call.arg("activityType")
    found = [
        activity
        for activity in _heard(call, person, room.id)
        if activity.parent is not None
        and activity.parent["id"] == parent_id
        and kind in (None, activity.parent["type"])
    ]
    return _items(call, found)


def mentions(call: Call) -> Reply:
    """The messages that name the caller, or everybody, in all conversations; in their order."""
    person = call.person()
    since = moment_of(call.arg("sinceDate"))
    found = [
        activity
        for room_id in _rooms(call, person)
        for activity in _heard(call, person, room_id)
        if activity.actor_id != person.id and {person.id, "all"} & set(activity.mentions or ())
    ]
    if since is not None:
        found = _since(found, since)
    found.sort(key=lambda activity: activity.sequence)
    return _items(call, found[-limit_of(call, "activitiesLimit", 100, 1000) :])


def threads(call: Call) -> Reply:
    """The threads of all conversations: what was answered, and the answers."""
    person = call.person()
    items = []
    for room_id in _rooms(call, person):
        answers: dict[str, list[Activity]] = {}
        for activity in _heard(call, person, room_id):
            if activity.parent is not None and activity.parent["type"] == "reply":
                answers.setdefault(str(activity.parent["id"]), []).append(activity)
        for parent_id, found in answers.items():
            shown = {
                "parentActivityId": parent_id,
                "childType": "reply",
                "conversation": conversation_json(call.cloud, call.state.rooms[room_id], call.base),
                "childActivities": [activity_json(call.cloud, each, call.base) for each in found],
            }
            items.append((found[-1].sequence, shown))
    items.sort(key=lambda item: item[0], reverse=True)
    return Reply(200, {"items": [shown for _, shown in items]})


def latest(call: Call, person: Person, room: Room, limit: int) -> list[dict[str, Any]]:
    """The last activities of a conversation, as they stand inside of it."""
    found = _heard(call, person, room.id)[-limit:] if limit else []
    return [activity_json(call.cloud, each, call.base) for each in found]


def _heard(call: Call, person: Person, room_id: str) -> list[Activity]:
    found = [call.state.activities[each] for each in call.state.room_activities.get(room_id, ())]
    return [each for each in found if call.cloud.conversations.may_hear(person, each)]


def _since(found: list[Activity], moment: float) -> list[Activity]:
    # To the millisecond, as the service writes moments.
    return [each for each in found if int(each.published * 1000) >= int(moment * 1000)]


def _rooms(call: Call, person: Person) -> Iterable[str]:
    return [each.room_id for each in call.state.memberships.values() if each.person_id == person.id]


def _items(call: Call, found: list[Activity]) -> Reply:
    return Reply(200, {"items": [activity_json(call.cloud, each, call.base) for each in found]})


def _activity(call: Call, person: Person, activity_id: str) -> Activity:
    found = call.state.activities.get(activity_id.lower())
    if found is None or f"{person.id}:{found.room_id}" not in call.state.memberships:
        raise Problem(404, "The activity was not found.")
    if not call.cloud.conversations.may_hear(person, found):
        raise Problem(404, "The activity was not found.")
    return found
