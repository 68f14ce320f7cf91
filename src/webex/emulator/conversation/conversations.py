"""`/conversations`: rooms, through the conversation service's door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webex.emulator.clock import iso
from webex.emulator.conversation.access import BASE, limit_of, moment_of, refuse_sealed, room_of
from webex.emulator.conversation.history import latest
from webex.emulator.conversation.render import conversation_json
from webex.emulator.rest.messages import direct_room
from webex.emulator.rest.render import room_json
from webex.emulator.rest.rooms import join, make_room
from webex.emulator.rest.rules import tell
from webex.emulator.wire import Problem, Reply
from webex.encryption.jose import BadTokenError

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person, Room
    from webex.emulator.wire import Call


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", f"{BASE}/conversations", list_conversations)
    table.add("GET", f"{BASE}/conversationsSummary", list_conversations)
    table.add("GET", f"{BASE}/conversations/left", left)
    table.add("POST", f"{BASE}/conversations", create)
    table.add("GET", f"{BASE}/conversations/{{id}}", get)
    table.add("GET", f"{BASE}/conversations/user/{{personId}}", with_person)
    table.add("POST", f"{BASE}/conversations/{{id}}/status/typing", typing)
    table.add("POST", f"{BASE}/status/typing", typing)


def list_conversations(call: Call) -> Reply:
    """One's own conversations, those with the latest activity first."""
    person = call.person()
    since = moment_of(call.arg("sinceDate"))
    mine = {m.room_id for m in call.state.memberships.values() if m.person_id == person.id}
    rooms = [call.state.rooms[each] for each in mine]
    if since is not None:
        rooms = [room for room in rooms if _latest(call, room) >= since]
    rooms.sort(key=lambda room: (_latest(call, room), room.id), reverse=True)
    participants = call.arg("includeParticipants") == "true" or call.arg("participantsLimit") not in (None, "0")
    rooms = rooms[: limit_of(call, "conversationsLimit", 100, 1000)]
    return Reply(
        200, {"items": [conversation_json(call.cloud, room, call.base, participants=participants) for room in rooms]}
    )


def left(call: Call) -> Reply:
    """The conversations that one is no longer in, and until when one could read them; they can't be read any more."""
    person = call.person()
    since = moment_of(call.arg("sinceDate"))
    state = call.state
    mine = {m.room_id for m in state.memberships.values() if m.person_id == person.id}
    ends = {
        activity.room_id: activity.published
        for activity in state.activities.values()
        if activity.verb == "leave" and activity.content.get("id") == person.id and activity.room_id not in mine
    }
    items = [
        {**conversation_json(call.cloud, state.rooms[room_id], call.base), "lastReadableActivityDate": iso(end)}
        for room_id, end in ends.items()
        if room_id in state.rooms and (since is None or end >= since)
    ]
    return Reply(200, {"items": items})


def get(call: Call) -> Reply:
    """One conversation."""
    person = call.person()
    room = room_of(call, person, call.path["id"])
    participants = call.arg("includeParticipants") == "true" or call.arg("participantsLimit") is not None
    shown = latest(call, person, room, limit_of(call, "activitiesLimit", 0, 100))
    return Reply(200, conversation_json(call.cloud, room, call.base, participants=participants, activities=shown))


def with_person(call: Call) -> Reply:
    """The direct conversation with somebody."""
    person = call.person()
    other = call.state.people.get(call.path["personId"].lower())
    room = direct_room(call, person, other) if other is not None else None
    if room is None:
        raise Problem(404, "There is no direct conversation with this person.")
    return Reply(200, conversation_json(call.cloud, room, call.base, participants=True))


def create(call: Call) -> Reply:
    """A new conversation, with the key that the client made and bound."""
    person = call.person()
    body = call.json()
    people = _people(call, body, person)
    named = bool(body.get("displayName")) or call.arg("forceCreate") == "true"
    direct = "ONE_ON_ONE" in (body.get("tags") or ()) or (len(people) == 2 and not named)
    if direct and len(people) == 2:
        existing = direct_room(call, person, people[1])
        if existing is not None:
            raise Problem(409, "There is a direct conversation already.")
    cloud = call.cloud
    key_url = body.get("defaultActivityEncryptionKeyUrl") or body.get("encryptionKeyUrl")
    sealed_answer: str | None = None
    answer: dict[str, Any] = {}
    if isinstance(body.get("kmsMessage"), str):
        sealed_answer, answer = cloud.kms.relay(person.id, body["kmsMessage"])
        if answer.get("status", 500) >= 400:
            refuse_sealed(call, person, body["kmsMessage"], answer)
    title = ""
    if body.get("displayName"):
        try:
            title = cloud.kms.cipher(str(key_url)).open(body["displayName"]).decode()
        except (LookupError, BadTokenError, UnicodeDecodeError):
            raise Problem(400, "The title can't be opened with the key that is named.") from None
    room = make_room(cloud, person, title or people[-1].display_name, type="direct" if direct else "group")
    for other in people[1:]:
        join(cloud, room, other)
    resource = answer.get("resource")
    if isinstance(key_url, str) and isinstance(resource, dict):
        room.key_uri, room.resource_uri = key_url, str(resource["uri"])
    tell(call, "rooms", "created", room_json(room, call.state, person), person, room)
    made = conversation_json(cloud, room, call.base, participants=True)
    if sealed_answer is not None:
        made["kmsMessage"] = sealed_answer
    return Reply(201, made)


def typing(call: Call) -> Reply:
    """Tell the others that somebody types, or has stopped."""
    from webex.emulator.conversation.render import person_json

    person = call.person()
    body = call.json()
    room = room_of(call, person, call.path.get("id") or str(body.get("conversationId")))
    kind = body.get("eventType")
    if kind not in ("status.start_typing", "status.stop_typing"):
        raise Problem(400, "eventType is status.start_typing or status.stop_typing.")
    others = [m.person_id for m in call.state.memberships.values() if m.room_id == room.id and m.person_id != person.id]
    data = {"eventType": kind, "actor": person_json(call.cloud, person), "conversationId": room.id}
    call.cloud.mercury.push(others, data, keep=False)
    return Reply(204)


def _people(call: Call, body: dict[str, Any], person: Person) -> list[Person]:
    """Who is named in the activities of a new conversation, the caller first."""
    found = [person.id]
    listed = [*((body.get("participants") or {}).get("items") or ())]
    for activity in (body.get("activities") or {}).get("items") or ():
        if isinstance(activity, dict) and activity.get("verb") == "add":
            listed.append(activity.get("object") or {})
    for entry in listed:
        name = str(entry.get("entryUUID") or entry.get("id") or "").lower()
        if name not in call.state.people:
            raise Problem(404, "A participant was not found.")
        if name not in found:
            found.append(name)
    return [call.state.people[each] for each in found]


def _latest(call: Call, room: Room) -> float:
    ids = call.state.room_activities.get(room.id)
    return call.state.activities[ids[-1]].published if ids else room.last_activity
