"""List activities by conversation, by address, by what they answer, and by the people they mention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

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
    """Return activities of a conversation: the latest, those since a moment, or those around one; in order."""
    person = call.person()
    url = (call.arg("conversationUrl") or "").rstrip("/")
    room = room_of(call, person, call.path.get("id") or call.arg("conversationId") or url.rpartition("/")[2])
    return _window(call, _heard(call, person, room.id))


def _window(call: Call, found: list[Activity]) -> Reply:
    """Those of these activities that the query asks for: since, before or around a moment, page by page."""
    since, until = moment_of(call.arg("sinceDate")), moment_of(call.arg("maxDate"))
    around = moment_of(call.arg("midDate"))
    limit = limit_of(call, "limit", 100, 1000) if call.arg("limit") is not None else _activities_limit(call)
    if since is not None:
        found = _since(found, since)
    if until is not None:
        found = [each for each in found if each.published < until]
    following = ""
    if around is not None:
        earlier = [each for each in found if int(each.published * 1000) <= int(around * 1000)]
        rest = found[len(earlier) :]
        before = max(limit - limit // 2, limit - len(rest))
        found = [*earlier[len(earlier) - min(before, len(earlier)) :], *rest][:limit]
    else:
        found, following = _page(call, found, limit, forward=since is not None)
    if call.arg("lastActivityFirst") == "true":
        found.reverse()
    reply = _items(call, found)
    if following:
        reply.headers["link"] = _next_link(call, following)
    return reply


def _next_link(call: Call, cursor: str) -> str:
    query = {name: values[-1] for name, values in call.query.items() if name != "cursor"}
    return f'<{call.base}{call.url_path}?{urlencode({**query, "cursor": cursor})}>; rel="next"'


def _offset_page(call: Call, items: list[dict[str, Any]], limit: int) -> Reply:
    """One page of a list whose cursor is the number of the first item on it."""
    start = limit_of(call, "cursor", 0, 1_000_000)
    reply = Reply(200, {"items": items[start : start + limit]})
    if limit and start + limit < len(items):
        reply.headers["link"] = _next_link(call, str(start + limit))
    return reply


def _page(call: Call, found: list[Activity], limit: int, *, forward: bool) -> tuple[list[Activity], str]:
    """One page, the first or the last of the list, and what names the next one."""
    cursor = call.arg("cursor")
    if cursor is not None and cursor.isdecimal() and len(cursor) <= 18:
        found = [each for each in found if (each.sequence > int(cursor)) == forward and each.sequence != int(cursor)]
    page = found[:limit] if forward else found[max(len(found) - limit, 0) :]
    if not page or len(page) == len(found):
        return page, ""
    return page, str(page[-1 if forward else 0].sequence)


def get(call: Call) -> Reply:
    """One activity."""
    person = call.person()
    found = _activity(call, person, call.path["activityId"])
    shown = activity_json(call.cloud, found, call.base)
    room = call.state.rooms.get(found.room_id)
    kinds = ("reactionSummary", "reactionSelfSummary")
    children = [
        {"type": kind, "activity": summary}
        for kind in kinds
        if room is not None
        for summary in _summary(call, person, room, found.id, kind)
    ]
    if children:
        shown["children"] = children
    return Reply(200, shown)


def bulk(call: Call) -> Reply:
    """Several activities by their addresses."""
    person = call.person()
    results = []
    given = call.json().get("activityUrls")
    for url in given if isinstance(given, list) else ():
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
    """Return the replies to, edits of, or reactions to one activity, in order."""
    person = call.person()
    room = room_of(call, person, call.path["id"])
    parent_id, kind = call.path["activityId"].lower(), call.arg("activityType")
    if kind in ("reactionSummary", "reactionSelfSummary"):
        return Reply(200, {"items": _summary(call, person, room, parent_id, kind)})
    found = [
        activity
        for activity in _heard(call, person, room.id)
        if activity.parent is not None
        and activity.parent["id"] == parent_id
        and kind in (None, activity.parent["type"])
    ]
    shown = [activity_json(call.cloud, each, call.base) for each in found]
    return _offset_page(call, shown, limit_of(call, "limit", 100, 1000))


def _summary(call: Call, person: Person, room: Room, parent_id: str, kind: str) -> list[dict[str, Any]]:
    """Summarize the reactions of all, or of the caller, to an activity: one child, none without reactions."""
    users: dict[str, list[str]] = {}
    proofs: dict[str, Any] = {}
    for each in _heard(call, person, room.id):
        reaction = each.content.get("objectType") == "reaction2" and (each.parent or {}).get("id") == parent_id
        if reaction and (kind == "reactionSummary" or each.actor_id == person.id):
            name = str(each.content.get("displayName"))
            users.setdefault(name, []).append(each.actor_id)
            proofs.setdefault(name, each.content.get("hmac"))
    if not users:
        return []
    key = call.cloud.kms.room_key(room)
    cipher = call.cloud.kms.cipher(key.uri)
    reactions = [
        {"displayName": cipher.encrypt(name.encode()), "hmac": proofs[name], "count": len(who), "users": who}
        for name, who in users.items()
    ]
    summed = "reaction2Summary" if kind == "reactionSummary" else "reaction2SelfSummary"
    shown = {
        "objectType": "activity",
        "type": kind,
        "object": {"objectType": summed, "reactions": reactions},
        "parent": {"id": parent_id, "type": kind},
        "encryptionKeyUrl": key.uri,
    }
    return [shown]


def mentions(call: Call) -> Reply:
    """Return the messages that mention the caller, or all, in all conversations; in order."""
    person = call.person()
    found = [
        activity
        for room_id in _rooms(call, person)
        for activity in _heard(call, person, room_id)
        if activity.actor_id != person.id and {person.id, "all"} & set(activity.mentions or ())
    ]
    return _window(call, sorted(found, key=lambda activity: activity.sequence))


def threads(call: Call) -> Reply:
    """Return the threads of all conversations: what was answered, and the answers."""
    person = call.person()
    items = []
    since = moment_of(call.arg("sinceDate"))
    for room_id in _rooms(call, person):
        answers: dict[str, list[Activity]] = {}
        for activity in _heard(call, person, room_id):
            if activity.parent is not None and activity.parent["type"] == "reply":
                answers.setdefault(str(activity.parent["id"]), []).append(activity)
        for parent_id, found in answers.items():
            if since is not None and found[-1].published < since:
                continue
            shown = {
                "parentActivityId": parent_id,
                "childType": "reply",
                "conversationId": room_id,
                "actorId": found[0].actor_id,
                "conversation": conversation_json(call.cloud, call.state.rooms[room_id], call.base),
                "childActivities": [activity_json(call.cloud, each, call.base) for each in found],
            }
            items.append((found[-1].sequence, shown))
    items.sort(key=lambda item: item[0], reverse=True)
    limit = limit_of(call, "limit" if call.arg("limit") is not None else "threadsLimit", 100, 1000)
    return _offset_page(call, [shown for _, shown in items], limit)


def latest(call: Call, person: Person, room: Room, limit: int) -> list[dict[str, Any]]:
    """Return the last activities of a conversation, as they stand inside of it."""
    found = _last(_heard(call, person, room.id), limit)
    return [activity_json(call.cloud, each, call.base) for each in found]


def _activities_limit(call: Call) -> int:
    # The JS SDK asks every list for `activitiesLimit=0`, and expects the activities where they are what is listed.
    return limit_of(call, "activitiesLimit", 100, 1000) or 100


def _heard(call: Call, person: Person, room_id: str) -> list[Activity]:
    found = [call.state.activities[each] for each in call.state.room_activities.get(room_id, ())]
    found = [each for each in found if each.verb != "acknowledge"]  # read receipts are not listed
    return [each for each in found if call.cloud.conversations.may_receive(person, each)]


def _last(found: list[Activity], limit: int) -> list[Activity]:
    return found[max(len(found) - limit, 0) :]


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
    if not call.cloud.conversations.may_receive(person, found):
        raise Problem(404, "The activity was not found.")
    return found
