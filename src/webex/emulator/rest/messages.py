"""`/messages`: write, read, edit, delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.rest import markup
from webex.emulator.rest.given_html import read_html
from webex.emulator.rest.paging import bound, paged
from webex.emulator.rest.render import message_json, room_json
from webex.emulator.rest.rooms import join, make_room
from webex.emulator.rest.rules import (
    hears,
    inner_id,
    is_moderator,
    membership_of,
    moment_in,
    room_for,
    someone,
    tell,
    text_of,
)
from webex.emulator.rest.uploads import read_multipart
from webex.emulator.state import Message, StoredFile
from webex.emulator.wire import Problem, Reply, Upload
from webex.ids import to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person, Room, State
    from webex.emulator.wire import Call

MOST_BYTES: Final = 7439
_MOST_EDITS: Final = 10
_UNKNOWN: Final = "Unable to get message."
_CARD: Final = "application/vnd.microsoft.card.adaptive"


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", "/v1/messages", list_messages)
    table.add("POST", "/v1/messages", create)
    table.add("GET", "/v1/messages/direct", list_direct)
    table.add("GET", "/v1/messages/{messageId}", get)
    table.add("PUT", "/v1/messages/{messageId}", update)
    table.add("DELETE", "/v1/messages/{messageId}", delete)


def list_messages(call: Call) -> Reply:
    """List the messages of a room, the newest first; a bot in a group room gets those that mention it."""
    person = call.person("spark:messages_read")
    if call.arg("roomId") is None:
        raise Problem(400, "Required String parameter 'roomId' is not present")
    room = room_for(call, person, call.arg("roomId"))
    mentioned = call.arg("mentionedPeople")
    if person.kind == "bot" and room.type == "group" and mentioned != "me":
        hint = "A bot may only list the messages of a group space that mention it: mentionedPeople=me."
        raise Problem(403, "Failed to get activity.", hint=hint)
    bound(call, 50, 1000)
    found = [message for message in call.state.messages.values() if message.room_id == room.id]
    if mentioned is not None:
        wanted = {person.id if part == "me" else inner_id(part, "PEOPLE") for part in mentioned.split(",") if part}
        found = [message for message in found if wanted & set(message.mentioned_people)]
    return _listed(call, found, person)


def list_direct(call: Call) -> Reply:
    """List the messages between two people, the newest first."""
    person = call.person("spark:messages_read")
    other = someone(call, {name: call.arg(name) for name in ("personId", "personEmail")})
    room = direct_room(call.state, person, other)
    if room is None:
        raise Problem(404, "Failed to get one on one conversation", hint="The two have no direct space.")
    found = [message for message in call.state.messages.values() if message.room_id == room.id]
    return _listed(call, found, person)


def _listed(call: Call, found: list[Message], person: Person) -> Reply:
    parent = call.arg("parentId")
    if parent is not None:
        parent_id = inner_id(parent, "MESSAGE")
        found = [message for message in found if message.parent_id == parent_id]
    before = call.arg("before")
    if before is not None:
        moment = moment_in(call, "before")
        found = [message for message in found if message.created < moment]
    before_message = call.arg("beforeMessage")
    if before_message is not None:
        last_id = inner_id(before_message, "MESSAGE", _UNKNOWN)
        # A message that was deleted while its room is paged through still has its place.
        last = call.state.messages.get(last_id) or call.state.activities.get(last_id)
        if last is None:
            raise Problem(404, _UNKNOWN, hint="The message of beforeMessage was not found.")
        found = [message for message in found if message.sequence < last.sequence]
    found = [message for message in found if hears(call.state, person, message)]
    found.sort(key=lambda message: message.sequence, reverse=True)
    return paged(
        call,
        found,
        lambda message: message.id,
        lambda message: message_json(message, call.state, call.base),
        default=50,
        link=lambda kept, last: _link(
            kept, to_hydra_id("MESSAGE", last.id, cluster=call.state.rooms[last.room_id].cluster)
        ),
    )


def _link(kept: dict[str, str], last: str) -> dict[str, str]:
    """Name the next page by its last message, as the cloud does (recorded in 2017 and 2019)."""
    others = {name: value for name, value in kept.items() if name not in ("cursor", "max", "beforeMessage")}
    return {**others, "max": kept["max"], "beforeMessage": last}


def create(call: Call) -> Reply:
    """Create a message: in a room, or to one person."""
    person = call.person("spark:messages_write")
    uploads: list[Upload] = []
    body: dict[str, Any]
    if call.headers.get("content-type", "").lower().startswith("multipart/"):
        body, uploads = read_multipart(call)
    else:
        body = call.json()
    room = _target(call, person, body)
    text, markdown, html = (text_of(body, name) for name in ("text", "markdown", "html"))
    if markdown and html:
        raise Problem(400, "A message has markdown or html, not both.")
    attachments = _attachments(body)
    urls = body.get("files") or []
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise Problem(400, "files must be a list of URLs.")
    if len(urls) + len(uploads) > 1:
        raise Problem(400, "Only one file can be sent with a message.")
    if not (text or markdown or html or attachments or urls or uploads):
        hint = "A message needs text, markdown, html, files or attachments."
        raise Problem(400, "Both text and file cannot be empty.", hint=hint)
    _check_length(text, markdown, html)
    if room.is_announcement_only and not is_moderator(call.state, person, room):
        raise Problem(403, "Only moderators may write in this announcement space.")
    if room.is_read_only:
        raise Problem(403, "This space is read only.")
    message = Message(
        id=call.cloud.new_time_uuid(),
        room_id=room.id,
        person_id=person.id,
        created=call.cloud.now(),
        sequence=call.cloud.next_sequence(),
        parent_id=_parent(call, body, room),
    )
    _write(call, message, text, markdown)
    if html:
        given = read_html(call.state, html)
        message.html, message.text = given.html, text or given.text
        message.mentioned_people, message.mentioned_groups = given.people, given.groups
    message.attachments = attachments
    for upload in [*uploads, *_fetched(call, urls)]:
        _store(call, message, upload)
    call.state.messages[message.id] = message
    room.last_activity = message.created
    tell(call, "messages", "created", message_json(message, call.state, call.base), person, room)
    to = {name: str(body[name]) for name in ("toPersonEmail", "toPersonId") if body.get(name)}
    return Reply(200, message_json(message, call.state, call.base, to=to))


def get(call: Call) -> Reply:
    """One message, in a room that one is in."""
    person = call.person("spark:messages_read")
    return Reply(200, message_json(_message(call, person), call.state, call.base))


def update(call: Call) -> Reply:
    """Edit one's own message: ten times at most, none with a file or a card."""
    person = call.person("spark:messages_write")
    message = _message(call, person)
    body = call.json()
    room = room_for(call, person, text_of(body, "roomId", required=True))
    if room.id != message.room_id:
        raise Problem(400, "roomId is not the room of this message.")
    if message.person_id != person.id:
        raise Problem(403, "Only the author may edit a message.")
    if "html" in body:
        raise Problem(400, "html can't be edited; send text or markdown.")
    if message.files or message.attachments:
        raise Problem(400, "A message with files or attachments can't be edited.")
    if message.edits >= _MOST_EDITS:
        raise Problem(400, f"A message can be edited {_MOST_EDITS} times at most.")
    text, markdown = text_of(body, "text"), text_of(body, "markdown")
    if not (text or markdown):
        raise Problem(400, "text or markdown is required.")
    _check_length(text, markdown)
    _write(call, message, text, markdown)
    message.edits += 1
    message.updated = call.cloud.now()
    data = message_json(message, call.state, call.base)
    tell(call, "messages", "updated", data, person, room)
    return Reply(200, data)


def delete(call: Call) -> Reply:
    """Delete one's own message; a moderator any of the room."""
    person = call.person("spark:messages_write")
    message = _message(call, person)
    room = call.state.rooms[message.room_id]
    if message.person_id != person.id and not is_moderator(call.state, person, room):
        raise Problem(403, "Only the author or a moderator may delete a message.")
    data = message_json(message, call.state, call.base)
    tell(call, "messages", "deleted", data, person, room)
    for file_id in message.files:
        call.state.files.pop(file_id, None)
    del call.state.messages[message.id]
    return Reply(204)


def direct_room(state: State, first: Person, second: Person) -> Room | None:
    """Return the direct room of two people, if there is one."""
    for membership in state.memberships.values():
        if membership.person_id == first.id:
            room = state.rooms[membership.room_id]
            if room.type == "direct" and membership_of(state, second, room.id) is not None:
                return room
    return None


def open_direct_room(cloud: Cloud, first: Person, second: Person) -> Room:
    """Return the direct room of two people, a new one where there is none; no event is sent."""
    if first.id == second.id:
        raise ValueError("A direct room needs two people.")
    room = direct_room(cloud.state, first, second)
    if room is None:
        room = make_room(cloud, first, second.display_name, type="direct")
        join(cloud, room, second)
    return room


def _target(call: Call, person: Person, body: dict[str, Any]) -> Room:
    targets = [name for name in ("roomId", "toPersonId", "toPersonEmail") if body.get(name)]
    if len(targets) != 1:
        raise Problem(
            400,
            "Message destination could not be determined. Provide only one destination in the roomId, toPersonEmail, "
            "or toPersonId field",
        )
    if targets == ["roomId"]:
        return room_for(call, person, text_of(body, "roomId"))
    other = someone(call, body, "toPersonId", "toPersonEmail")
    if other.id == person.id:
        raise Problem(400, "A direct message to oneself is not possible.")
    room = direct_room(call.state, person, other)
    if room is None:
        room = open_direct_room(call.cloud, person, other)
        tell(call, "rooms", "created", room_json(room, call.state, person), person, room)
    return room


def _parent(call: Call, body: dict[str, Any], room: Room) -> str | None:
    given = text_of(body, "parentId")
    if given is None:
        return None
    parent = call.state.messages.get(inner_id(given, "MESSAGE"))
    if parent is None or parent.room_id != room.id:
        raise Problem(404, "Could not find the message of parentId in this space.")
    if parent.parent_id is not None:
        raise Problem(400, "A reply can't be answered by a reply; name the first message of the thread.")
    return parent.id


def _check_length(*texts: str | None) -> None:
    for text in texts:
        if text is not None and len(text.encode()) > MOST_BYTES:
            raise Problem(
                400,
                "Unable to post message to room: Message length limited to "
                f"{MOST_BYTES} characters before encryption and 10000 characters after encryption.",
            )


def _write(call: Call, message: Message, text: str | None, markdown: str | None) -> None:
    message.markdown = markdown
    if markdown is not None:
        message.mentioned_people, message.mentioned_groups = markup.mentions(call.state, markdown)
        message.html, plain = markup.rendered(call.state, markdown)
        message.text = text if text is not None else plain
    else:
        message.text, message.html = text, None
        message.mentioned_people, message.mentioned_groups = [], []


def _attachments(body: dict[str, Any]) -> list[dict[str, object]]:
    given = body.get("attachments")
    if not given:
        return []
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, list) or len(given) != 1 or not isinstance(given[0], dict):
        raise Problem(400, "attachments must be a list of one card.")
    if given[0].get("contentType") != _CARD or not isinstance(given[0].get("content"), dict):
        raise Problem(400, f"An attachment has contentType {_CARD!r} and a card as content.")
    if given[0]["content"].get("type") != "AdaptiveCard":
        hint = "The card's type is not AdaptiveCard."
        raise Problem(400, "One (or more) of the arguments is invalid.", hint=hint)
    return given


def _fetched(call: Call, urls: list[str]) -> list[Upload]:
    if not urls:
        return []
    from webex.emulator.rest.fetching import fetched

    return [fetched(call, url) for url in urls]


def _store(call: Call, message: Message, upload: Upload) -> None:
    if len(upload.data) > call.cloud.settings.max_file_size:
        raise Problem(413, "The file is larger than the cloud takes.")
    seconds = call.cloud.settings.file_scan_seconds
    stored = StoredFile(
        id=f"{message.id}/{len(message.files)}",
        name=upload.name,
        content_type=upload.content_type,
        size=len(upload.data),
        message_id=message.id,
        room_id=message.room_id,
        data=upload.data,
        scan="scanning" if seconds else "clean",
        scan_until=call.cloud.now() + seconds if seconds else None,
    )
    call.state.files[stored.id] = stored
    message.files = [*message.files, stored.id]


def _message(call: Call, person: Person) -> Message:
    message = call.state.messages.get(inner_id(call.path["messageId"], "MESSAGE"))
    if message is None or not hears(call.state, person, message):
        raise Problem(404, _UNKNOWN)
    return message
