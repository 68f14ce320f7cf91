"""`/conversations`: rooms, through the conversation service's door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from webex.emulator.clock import iso
from webex.emulator.conversation.access import BASE, limit_of, moment_of, refuse_encrypted, room_of
from webex.emulator.conversation.activities import change_tags, items_of, new_message, save
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

_SYSTEM_TAGS: Final = frozenset({"ONE_ON_ONE", "FAVORITE", "LOCKED", "HIDDEN", "TEAM", "ANNOUNCEMENT", "MUTED"})


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", f"{BASE}/conversations", list_conversations)
    table.add("GET", f"{BASE}/conversationsSummary", list_conversations)
    table.add("GET", f"{BASE}/conversations/left", left)
    table.add("POST", f"{BASE}/conversations", create)
    table.add("GET", f"{BASE}/conversations/{{id}}", get)
    table.add("GET", f"{BASE}/conversations/user/{{personId}}", with_person)
    table.add("GET", f"{BASE}/conversations/{{id}}/healed", heal)
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
    participants = participants or call.arg("participantAckFilter") is not None
    limit, start = limit_of(call, "conversationsLimit", 100, 1000), limit_of(call, "cursor", 0, 1_000_000)
    activities = limit_of(call, "activitiesLimit", 0, 100)
    shown = [
        conversation_json(
            call.cloud,
            room,
            call.base,
            person,
            participants=participants,
            activities=latest(call, person, room, activities),
            computed_title=call.arg("computeTitleIfEmpty") == "true",
        )
        for room in rooms[start : start + limit]
    ]
    headers = {}
    if call.arg("paginate") == "true" and limit and start + limit < len(rooms):
        query = {name: values[-1] for name, values in call.query.items() if name != "cursor"}
        following = urlencode({**query, "cursor": start + limit})
        headers["link"] = f'<{call.base}{call.url_path}?{following}>; rel="next"'
    return Reply(200, {"items": shown}, headers)


def left(call: Call) -> Reply:
    """Return the conversations that the caller has left, and when; they can't be read any more."""
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
    participants = (
        call.arg("includeParticipants") == "true"
        or call.arg("participantAckFilter") is not None
        or call.arg("participantsLimit") not in (None, "0")
    )
    shown = latest(call, person, room, limit_of(call, "activitiesLimit", 0, 100))
    if person.id not in room.key_known:
        room.key_known = [*room.key_known, person.id]
    found = conversation_json(
        call.cloud,
        room,
        call.base,
        person,
        participants=participants,
        activities=shown,
        computed_title=call.arg("computeTitleIfEmpty") == "true",
    )
    return Reply(200, found)


def heal(call: Call) -> Reply:
    """Ask for a new key (`resetKey=true`): the next message needs one."""
    person = call.person()
    room = room_of(call, person, call.path["id"])
    room.rotate = room.rotate or call.arg("resetKey") == "true"
    return Reply(200, conversation_json(call.cloud, room, call.base, person))


def with_person(call: Call) -> Reply:
    """Return the direct conversation with a person."""
    person = call.person()
    other = call.state.people.get(call.path["personId"].lower())
    if other is not None and other.deleted and call.arg("includeConvWithDeletedUserUUID") != "true":
        other = None
    room = direct_room(call.state, person, other) if other is not None else None
    if room is None:
        raise Problem(404, "There is no direct conversation with this person.")
    return Reply(200, conversation_json(call.cloud, room, call.base, person, participants=True))


def create(call: Call) -> Reply:
    """Create a conversation with the key that the client made and bound."""
    person = call.person()
    body = call.json()
    people = _people(call, body, person)
    given = body.get("tags")
    tags = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
    direct = "ONE_ON_ONE" in tags
    if direct and len(people) != 2:
        raise Problem(400, "A direct conversation has two participants.")
    if direct:
        existing = direct_room(call.state, person, people[1])
        if existing is not None:
            raise Problem(409, "There is a direct conversation already.")
    cloud = call.cloud
    key_url = body.get("defaultActivityEncryptionKeyUrl") or body.get("encryptionKeyUrl")
    encrypted_answer: str | None = None
    answer: dict[str, Any] = {}
    if isinstance(body.get("kmsMessage"), str):
        encrypted_answer, answer = cloud.kms.relay(person.id, body["kmsMessage"])
        if answer.get("status", 500) >= 400:
            refuse_encrypted(call, person, body["kmsMessage"], answer)
    title = _opened(call, key_url, body.get("displayName")) or ""
    first = [each for each in items_of(body.get("activities")) if each.get("verb") in ("post", "favorite")]
    said = [_said(call, key_url, each) for each in first if each["verb"] == "post"]
    room = make_room(cloud, person, title or people[-1].display_name, type="direct" if direct else "group")
    for other in people[1:]:
        join(cloud, room, other)
    resource = answer.get("resource")
    if isinstance(key_url, str) and isinstance(resource, dict):
        room.key_uri, room.resource_uri = key_url, str(resource["uri"])
    room.tags = [each for each in tags if each not in _SYSTEM_TAGS]
    if any(each["verb"] == "favorite" for each in first) or "FAVORITE" in tags:
        change_tags(call.state.memberships[f"{person.id}:{room.id}"], ["FAVORITE"], "favorite")
    tell(call, "rooms", "created", room_json(room, call.state, person), person, room)
    for text, html in said:
        message = new_message(call, person, room, {})
        message.text, message.html = text, html
        save(call, person, room, message)
    shown = latest(call, person, room, 10)
    made = conversation_json(cloud, room, call.base, person, participants=True, activities=shown)
    if encrypted_answer is not None:
        made["kmsMessage"] = encrypted_answer
    return Reply(201, made)


def typing(call: Call) -> Reply:
    """Tell the others that a person types, or has stopped."""
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
    listed = items_of(body.get("participants"))
    for activity in items_of(body.get("activities")):
        if activity.get("verb") == "add" and isinstance(activity.get("object"), dict):
            listed.append(activity["object"])
    for entry in listed:
        name = str(entry.get("entryUUID") or entry.get("id") or "").lower()
        if name not in call.state.people or call.state.people[name].deleted:
            if "true" in (call.arg("forceCreate"), call.arg("allowPartialCreation")):
                continue
            raise Problem(404, "A participant was not found.")
        if name not in found:
            found.append(name)
    return [call.state.people[each] for each in found]


def _opened(call: Call, key_url: Any, text: Any) -> str | None:
    if not text:
        return None
    try:
        return call.cloud.kms.cipher(str(key_url)).decrypt(text).decode()
    except (LookupError, BadTokenError, UnicodeDecodeError, TypeError, AttributeError):
        raise Problem(400, "A text can't be opened with the key that is named.") from None


def _said(call: Call, key_url: Any, activity: dict[str, Any]) -> tuple[str | None, str | None]:
    """Decrypt the text and the HTML of a message that comes with a new conversation."""
    content = activity.get("object")
    content = content if isinstance(content, dict) else {}
    url = activity.get("encryptionKeyUrl") or key_url
    text, html = (_opened(call, url, content.get(name)) for name in ("displayName", "content"))
    if not text:
        raise Problem(400, "A post has a displayName.")
    return text, html


def _latest(call: Call, room: Room) -> float:
    ids = call.state.room_activities.get(room.id)
    return call.state.activities[ids[-1]].published if ids else room.last_activity
