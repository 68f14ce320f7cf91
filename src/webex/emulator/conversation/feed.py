"""Whatever changes in the cloud becomes an activity: kept for history, and pushed to those who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from webex.emulator.conversation.faults import ConversationFaults, damage
from webex.emulator.conversation.render import activity_json, tags_of
from webex.emulator.realtime.faults import change as change_faults
from webex.emulator.state import Activity
from webex.emulator.wire import Problem
from webex.ids import parse_id, to_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from webex.emulator.cloud import Cloud
    from webex.emulator.state import Message, Person, Room, State
    from webex.emulator.wire import Change


class Feed:
    """The activities of a cloud. `faults` spoils them."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.faults: ConversationFaults = ConversationFaults()
        self._client_temp_id: str | None = None
        self._last: Activity | None = None

    def set_faults(self, **changes: Any) -> dict[str, Any]:
        """Change faults by name; gives all of them. See `ConversationFaults`."""
        with self._cloud.lock:
            return msgspec.structs.asdict(change_faults(self.faults, changes))

    def reset(self) -> None:
        """No faults."""
        self.faults = ConversationFaults()

    def end_scan(self, message_id: str, result: str = "clean") -> Activity:
        """End the scan of a message's files: `clean`, `infected` or `unscannable`. The room gets an `update`."""
        if result not in ("clean", "infected", "unscannable"):
            raise ValueError(f"A scan ends clean, infected or unscannable, not {result!r}.")
        with self._cloud.lock:
            state = self._cloud.state
            message = state.messages.get(to_uuid(message_id))
            if message is None or not message.files:
                raise LookupError(f"There is no message {message_id!r} with files.")
            for file_id in message.files:
                state.files[file_id].scan, state.files[file_id].scan_until = result, None
            names = [*message.mentioned_people, *message.mentioned_groups]
            content = {**message_content(message, state), "id": message.id}
            return self.record(
                "update", state.rooms[message.room_id], message.person_id, content, encrypted=True, mentions=names
            )

    def publish(self, change: Change) -> None:
        """Turn a change of REST into an activity."""
        made = getattr(self, f"_{change.resource}_{change.event}", None)
        room = self._cloud.state.rooms.get(change.room_id or "")
        if made is not None and room is not None:
            with self._cloud.lock:
                made(change, room)

    def on_behalf(self, body: Mapping[str, Any], work: Callable[[], object]) -> Activity | None:
        """Do what a client's activity asks for: the activity that came of it, with the client's own id."""
        given = body.get("clientTempId")
        self._last, self._client_temp_id = None, str(given) if given else None
        try:
            work()
        finally:
            self._client_temp_id = None
        return self._last

    def record(
        self,
        verb: str,
        room: Room,
        actor_id: str,
        content: dict[str, Any],
        *,
        id: str | None = None,
        parent: dict[str, Any] | None = None,
        encrypted: bool = False,
        only: Iterable[str] = (),
        mentions: list[str] | None = None,
        published: float | None = None,
    ) -> Activity:
        """Keep an activity and push it."""
        cloud, state = self._cloud, self._cloud.state
        activity = Activity(
            id=id or cloud.new_time_uuid(),
            room_id=room.id,
            verb=verb,
            actor_id=actor_id,
            published=cloud.now() if published is None else published,
            sequence=cloud.next_sequence(),
            content=content,
            key_uri=self._key(room) if encrypted else None,
            parent=parent,
            client_temp_id=self._client_temp_id,
            tags=tags_of(room),
            only=list(only),
            mentions=mentions,
        )
        state.activities[activity.id] = activity
        state.room_activities.setdefault(room.id, []).append(activity.id)
        self._last = activity
        if not activity.only and verb != "acknowledge":
            see(state, activity, actor_id)
        recipients = self.recipients(activity)
        if recipients:
            bases = cloud.mercury.bases(recipients)
            shown = {base: activity_json(cloud, activity, base) for base in bases}
            if damage(self.faults, first := shown[bases[0]]):
                shown = dict.fromkeys(bases, first)
            events = {base: {"eventType": "conversation.activity", "activity": each} for base, each in shown.items()}
            cloud.mercury.push_by_base(recipients, events)
        return activity

    def take_back(self, activity_id: str, person: Person, room: Room) -> bool:
        """Delete one's own reaction; `False` when there is none with this id."""
        activity = self._cloud.state.activities.get(activity_id)
        if activity is None or activity.room_id != room.id or activity.content.get("objectType") != "reaction2":
            return False
        if activity.actor_id != person.id:
            raise Problem(403, "Only who reacted may take it back.")
        activity.verb, activity.key_uri = "tombstone", None
        activity.content = {"objectType": "activity", "id": activity.id}
        gone = {**activity.content, "verb": "tombstone", "parent": activity.parent}
        self.record("delete", room, person.id, gone)
        return True

    def recipients(self, activity: Activity) -> list[str]:
        """Return who gets an activity: the members, bots only what mentions them, or those it is for."""
        state = self._cloud.state
        if activity.only:
            return list(activity.only)
        members = [m.person_id for m in state.memberships.values() if m.room_id == activity.room_id]
        return [each for each in members if self.may_receive(state.people[each], activity)]

    def may_receive(self, person: Person, activity: Activity) -> bool:
        """Return whether an account receives a message: a bot in a group room only mentions of it, and its own."""
        if activity.only and person.id not in activity.only:
            return False
        if person.kind != "bot" or "ONE_ON_ONE" in activity.tags or activity.mentions is None:
            return True
        return person.id == activity.actor_id or person.id in activity.mentions or "all" in activity.mentions

    def _key(self, room: Room) -> str:
        if room.rotate:
            room.key_uri = room.resource_uri = None
            room.rotate = False
        return self._cloud.kms.room_key(room).uri

    # Messages

    def _messages_created(self, change: Change, room: Room) -> None:
        message = self._cloud.state.messages[parse_id(str(change.data["id"])).id]
        parent = {"id": message.parent_id, "type": "reply"} if message.parent_id is not None else None
        self._message("share" if message.files else "post", message, room, message.id, parent, message.created)

    def _messages_updated(self, change: Change, room: Room) -> None:
        message = self._cloud.state.messages[parse_id(str(change.data["id"])).id]
        self._message("post", message, room, None, {"id": message.id, "type": "edit"}, message.updated)

    def _message(
        self,
        verb: str,
        message: Message,
        room: Room,
        id: str | None,
        parent: dict[str, Any] | None,
        published: float | None,
    ) -> None:
        self.record(
            verb,
            room,
            message.person_id,
            message_content(message, self._cloud.state),
            id=id,
            parent=parent,
            encrypted=True,
            mentions=[*message.mentioned_people, *message.mentioned_groups],
            published=published,
        )

    def _messages_deleted(self, change: Change, room: Room) -> None:
        state = self._cloud.state
        message_id = parse_id(str(change.data["id"])).id
        mentions: list[str] | None = None
        for activity_id in state.room_activities.get(room.id, ()):
            activity = state.activities[activity_id]
            edit = activity.parent == {"id": message_id, "type": "edit"}
            if activity.id == message_id or edit:
                mentions = activity.mentions
                activity.verb, activity.key_uri = "tombstone", None
                activity.content = {"objectType": "activity", "id": activity.id}
        content = {"objectType": "activity", "id": message_id}
        self.record("delete", room, change.actor_id, content, mentions=mentions)

    # Rooms

    def _rooms_created(self, change: Change, room: Room) -> None:
        members = [m.person_id for m in self._cloud.state.memberships.values() if m.room_id == room.id]
        self.record("create", room, change.actor_id, _conversation(room, members), encrypted=True)

    def _rooms_updated(self, change: Change, room: Room) -> None:
        state = self._cloud.state
        before = state.room_activities.get(room.id)
        was = "LOCKED" in state.activities[before[-1]].tags if before else False
        verb = "update" if was == room.is_locked else ("lock" if room.is_locked else "unlock")
        self.record(verb, room, change.actor_id, _conversation(room, ()), encrypted=True)

    # Memberships

    def _memberships_created(self, change: Change, room: Room) -> None:
        person_id = _person_of(change)
        if room.resource_uri is not None:
            self._cloud.kms.authorize(room.resource_uri, person_id)
        if person_id == room.creator_id and self._was_there_from_the_start(room, person_id):
            return  # the activity of the room told of it
        self.record("add", room, change.actor_id, self._member(change, person_id))

    def _memberships_updated(self, change: Change, room: Room) -> None:
        person_id = _person_of(change)
        if room.type == "direct":
            content = _conversation(room, ())
            self.record(
                "hide" if change.data.get("isRoomHidden") else "unhide", room, person_id, content, only=[person_id]
            )
            return
        verb = "assignModerator" if change.data.get("isModerator") else "unassignModerator"
        self.record(verb, room, change.actor_id, self._member(change, person_id))

    def _memberships_deleted(self, change: Change, room: Room) -> None:
        person_id = _person_of(change)
        if room.resource_uri is not None:
            self._cloud.kms.deauthorize(room.resource_uri, person_id)
            room.rotate = True
        self.record("leave", room, change.actor_id, self._member(change, person_id))

    def _member(self, change: Change, person_id: str) -> dict[str, Any]:
        moderator = bool(change.data.get("isModerator"))
        return {"objectType": "person", "id": person_id, "roomProperties": {"isModerator": moderator}}

    def _was_there_from_the_start(self, room: Room, person_id: str) -> bool:
        first = self._cloud.state.room_activities.get(room.id, ())
        if not first:
            return False
        activity = self._cloud.state.activities[first[0]]
        people = activity.content.get("people")
        later = [self._cloud.state.activities[each] for each in first[1:]]
        left = any(each.verb == "leave" and each.content.get("id") == person_id for each in later)
        return activity.verb == "create" and isinstance(people, list) and person_id in people and not left

    # Cards

    def _attachmentActions_created(self, change: Change, room: Room) -> None:  # the resource's own name
        action_id = parse_id(str(change.data["id"])).id
        action = self._cloud.state.attachment_actions[action_id]
        message = self._cloud.state.messages.get(action.message_id)
        recipients = [action.person_id] if message is None else list({action.person_id, message.person_id})
        self.record(
            "cardAction",
            room,
            action.person_id,
            {"objectType": "submit", "inputs": action.inputs},
            id=action.id,
            parent={"id": action.message_id, "type": "cardAction"},
            encrypted=True,
            only=recipients,
        )


def message_content(message: Message, state: State) -> dict[str, Any]:
    """Return a message as the object of its activity, not encrypted."""
    content: dict[str, Any] = {"objectType": "content" if message.files else "comment"}
    if message.text:
        content["displayName"] = message.text
    if message.html:
        content["content"] = message.html
    if message.mentioned_people:
        people = [{"objectType": "person", "id": each} for each in message.mentioned_people]
        content["mentions"] = {"items": people}
    if message.mentioned_groups:
        content["groupMentions"] = {
            "items": [{"objectType": "groupMention", "groupType": each} for each in message.mentioned_groups]
        }
    if message.attachments:
        content["cards"] = [each.get("content") for each in message.attachments]
    if message.files:
        content["files"] = list(message.files)
        kinds = {state.files[each].content_type.partition("/")[0] for each in message.files if each in state.files}
        category = {"image": "images", "video": "videos"}.get(kinds.pop() if len(kinds) == 1 else "", "documents")
        content["contentCategory"] = category
    return content


def see(state: State, activity: Activity, person_id: str) -> None:
    """Note that a member has seen an activity, and so all before it."""
    membership = state.memberships.get(f"{person_id}:{activity.room_id}")
    if membership is not None and (membership.last_seen is None or membership.last_seen <= activity.published):
        membership.last_seen_id, membership.last_seen = activity.id, activity.published


def _conversation(room: Room, people: Iterable[str]) -> dict[str, Any]:
    content: dict[str, Any] = {
        "objectType": "conversation",
        "id": room.id,
        "tags": tags_of(room),
        "people": list(people),
    }
    content["creatorUUID"] = room.creator_id
    if room.type == "group":
        content["displayName"] = room.title
    return content


def _person_of(change: Change) -> str:
    return parse_id(str(change.data["personId"])).id
