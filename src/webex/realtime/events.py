"""Turn activities into events, as the public API names them (conversations §6).

An activity may be several events (a new room and its members), or none. Edits and deletes have events of their
own, where the JS SDK reports a new message; so have reactions, which it takes for memberships.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from webex.ids import public_id
from webex.realtime.event import Occurrence, person_id
from webex.realtime.lookup import cluster_of
from webex.realtime.wire import Activity

_logger = logging.getLogger("webex.realtime")

_CARD: Final = "application/vnd.microsoft.card.adaptive"
_MENTIONED: Final = re.compile(
    r"""(<spark-mention\b[^<>]*?\bdata-object-id=["'])([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})(["'])"""
)
_RARE: Final = frozenset({"mentions", "groupMentions", "files", "cards"})


class Reader:
    """Read activities for one user. `hydra` is the base of file URLs; `by_url` gives the cluster of a conversation."""

    __slots__ = ("_by_url", "_hydra")

    def __init__(self, hydra: str, by_url: Callable[[str], str]) -> None:
        self._hydra = hydra
        self._by_url = lru_cache(maxsize=1024)(by_url)

    def read(self, activity: Activity) -> list[Occurrence]:
        """Return the events of a decrypted activity."""
        verb = activity.get("verb")
        reader = _VERBS.get(verb) if isinstance(verb, str) else None
        if reader is None:
            return []
        try:
            return list(reader(_Activity(activity, self._hydra, self._by_url)))
        except Exception:
            _logger.debug("an activity can't be read", exc_info=True)
            return []  # an activity that lacks what every activity of its kind has tells nothing


class _Activity:
    """One activity, and the ids in it as the public API writes them."""

    __slots__ = ("actor", "cluster", "hydra", "id", "object", "parent", "published", "raw", "target")

    def __init__(self, raw: Activity, hydra: str, by_url: Callable[[str], str]) -> None:
        self.raw = raw
        self.hydra = hydra
        self.id: str = raw["id"]
        self.published: str | None = raw.get("published")
        self.object: dict[str, Any] = raw.get("object") or {}
        self.target: dict[str, Any] = raw.get("target") or {}
        self.parent: dict[str, Any] = raw.get("parent") or {}
        self.actor: dict[str, Any] = raw.get("actor") or {}
        place = self.target or self.object
        self.cluster = cluster_of(place, by_url)

    @property
    def actor_uuid(self) -> str:
        return uuid_of(self.actor)

    @property
    def room(self) -> dict[str, Any]:
        return self.target or self.object

    def public(self, kind: str, uuid: str) -> str:
        return _room_id(uuid, self.cluster) if kind == "ROOM" else public_id(kind, uuid, self.cluster)

    def made(self, resource: str, event: str, data: dict[str, Any]) -> Occurrence:
        return Occurrence(resource, event, self.actor_uuid, {k: v for k, v in data.items() if v is not None})


@lru_cache(maxsize=4096)
def _room_id(uuid: str, cluster: str) -> str:
    return public_id("ROOM", uuid, cluster)


def uuid_of(person: Mapping[str, Any]) -> str:
    """Return the UUID of a person in an activity."""
    return str(person.get("entryUUID") or person["id"])


def room_type(tags: Any) -> str:
    """Return `direct` or `group`, by the tags of a conversation."""
    return "direct" if "ONE_ON_ONE" in (tags or ()) else "group"


def _post(activity: _Activity) -> tuple[Occurrence]:
    edited = bool(activity.parent) and activity.parent.get("type") == "edit"
    data = _message(activity, edited)
    return (Occurrence("messages", "updated" if edited else "created", activity.actor_uuid, data),)


def _message(activity: _Activity, edited: bool) -> dict[str, Any]:
    """Return a message in the names of the wire; by far the most frequent event."""
    content, parent, actor, cluster = activity.object, activity.parent, activity.actor, activity.cluster
    message = str(parent["id"]) if edited else activity.id
    data: dict[str, Any] = {
        "id": public_id("MESSAGE", message, cluster),
        "roomId": _room_id(activity.target["id"], cluster),
        "roomType": room_type(activity.target.get("tags")),
        "personId": person_id(uuid_of(actor)),
        "updated" if edited else "created": activity.published,
    }
    for name, value in (
        ("text", content.get("displayName")),
        ("html", content.get("content")),
        ("personEmail", email_of(actor)),
    ):
        if value is not None:
            data[name] = value
    if parent and parent.get("type") == "reply":
        data["parentId"] = public_id("MESSAGE", str(parent["id"]), cluster)
    if content.keys() & _RARE:
        _add_rare(data, activity, message)
    return data


def _add_rare(data: dict[str, Any], activity: _Activity, message: str) -> None:
    """Add mentions, files and cards of a message."""
    content = activity.object
    mentions = [person_id(uuid_of(item)) for item in (content.get("mentions") or {}).get("items") or ()]
    groups = [item.get("groupType") for item in (content.get("groupMentions") or {}).get("items") or ()]
    files = [
        f"{activity.hydra}/contents/{activity.public('CONTENT', f'{message}/{index}')}"
        for index in range(len((content.get("files") or {}).get("items") or ()))
    ]
    cards = [{"contentType": _CARD, "content": card} for card in content.get("cards") or ()]
    if mentions and "html" in data:
        # As in the answers of REST, where mentions in html have public ids.
        data["html"] = _MENTIONED.sub(lambda match: f"{match[1]}{person_id(match[2].lower())}{match[3]}", data["html"])
    found = {"mentionedPeople": mentions, "mentionedGroups": groups, "files": files, "attachments": cards}
    data.update({name: items for name, items in found.items() if items})


def email_of(person: Mapping[str, Any]) -> str | None:
    """Return the address of a person in an activity."""
    return person.get("entryEmail") or person.get("emailAddress")


def _reaction(activity: _Activity, event: str, id: str, message: str) -> Occurrence:
    return activity.made(
        "reactions",
        event,
        {
            "id": activity.public("REACTION", id),
            "name": activity.object.get("displayName"),
            "messageId": activity.public("MESSAGE", message),
            "roomId": activity.public("ROOM", activity.target["id"]),
            "roomType": room_type(activity.target.get("tags")),
            "personId": person_id(activity.actor_uuid),
            "personEmail": email_of(activity.actor),
            "created": activity.published if event == "created" else None,
        },
    )


def _reacted_to(activity: _Activity) -> str | None:
    """Return the message that a deleted reaction was to; None when it was no reaction that was deleted."""
    for parent in (activity.object.get("parent"), activity.parent):
        if isinstance(parent, dict) and parent.get("type") == "reaction":
            return str(parent["id"])
    return None


def _delete(activity: _Activity) -> Iterator[Occurrence]:
    message = _reacted_to(activity)
    if message is not None:
        yield _reaction(activity, "deleted", activity.object["id"], message)
        return
    yield activity.made(
        "messages",
        "deleted",
        {
            "id": activity.public("MESSAGE", activity.object["id"]),
            "personId": person_id(activity.actor_uuid),
            "personEmail": email_of(activity.actor) or activity.actor_uuid,
            "roomId": activity.public("ROOM", activity.target["id"]),
            "roomType": room_type(activity.target.get("tags")),
        },
    )


def _tombstone(activity: _Activity) -> Iterator[Occurrence]:
    """Yield the deletion of a message or a reaction, as history shows it; an edit goes with its message."""
    message = _reacted_to(activity)
    if message is not None:
        yield _reaction(activity, "deleted", activity.id, message)
        return
    if activity.parent.get("type") == "edit":
        return
    yield activity.made(
        "messages",
        "deleted",
        {
            "id": activity.public("MESSAGE", activity.id),
            "personId": person_id(activity.actor_uuid),
            "personEmail": email_of(activity.actor) or activity.actor_uuid,
            "roomId": activity.public("ROOM", activity.target["id"]),
            "roomType": room_type(activity.target.get("tags")),
        },
    )


def _create(activity: _Activity) -> Iterator[Occurrence]:
    room = activity.object
    yield activity.made(
        "rooms",
        "created",
        {
            "created": activity.published,
            "id": activity.public("ROOM", room["id"]),
            "creatorId": person_id(activity.actor_uuid),
            "lastActivity": activity.published,
            "type": room_type(room.get("tags")),
            "isLocked": "LOCKED" in (room.get("tags") or ()),
            "title": room.get("displayName"),
        },
    )
    for person in (room.get("participants") or {}).get("items") or ():
        yield activity.made("memberships", "created", _membership(activity, person, room))


def _update(activity: _Activity) -> Iterator[Occurrence]:
    if activity.object.get("objectType") == "content":
        # A scan or transcoding has ended, or the caption was edited.
        data = {**_message(activity, False), "updated": activity.published}
        shared = activity.object.get("id")
        if isinstance(shared, str):
            data["id"] = activity.public("MESSAGE", shared)
        data.pop("created", None)
        yield activity.made("messages", "updated", data)
        return
    yield from _room_updated(activity)


def _room_updated(activity: _Activity) -> Iterator[Occurrence]:
    room = activity.object
    tags = activity.target.get("tags") if activity.raw.get("verb") == "update" else room.get("tags")
    creator = room.get("creatorUUID")
    yield activity.made(
        "rooms",
        "updated",
        {
            "created": activity.published,
            "id": activity.public("ROOM", room.get("id") or activity.target["id"]),
            "type": room_type(tags),
            "isLocked": "LOCKED" in (tags or ()),
            "creatorId": person_id(creator) if creator else None,
            "title": room.get("displayName"),
        },
    )


def _membership(
    activity: _Activity, person: Mapping[str, Any], room: Mapping[str, Any], *, moderator: bool = True
) -> dict[str, Any]:
    uuid = uuid_of(person)
    properties = person.get("roomProperties") or {}
    organization = person.get("orgId")
    data: dict[str, Any] = {
        "created": activity.published,
        "roomId": activity.public("ROOM", room["id"]),
        "roomType": room_type(room.get("tags")),
        "isRoomHidden": False,
        "id": activity.public("MEMBERSHIP", f"{uuid}:{room['id']}"),
        "personId": person_id(uuid),
        "personEmail": email_of(person) or uuid,
        "personDisplayName": person.get("displayName"),
        "personOrgId": public_id("ORGANIZATION", organization) if organization else None,
    }
    if moderator:
        data["isModerator"] = bool(properties.get("isModerator"))
    return data


def _member(event: str) -> Callable[[_Activity], Iterator[Occurrence]]:
    def read(activity: _Activity) -> Iterator[Occurrence]:
        if activity.object.get("objectType", "person") == "person":
            yield activity.made("memberships", event, _membership(activity, activity.object, activity.target))

    return read


def _add(activity: _Activity) -> Iterator[Occurrence]:
    if activity.object.get("objectType") == "reaction2":
        yield _reaction(activity, "created", activity.id, str(activity.parent["id"]))
        return
    yield from _member("created")(activity)


def _moderator(activity: _Activity) -> Iterator[Occurrence]:
    data = _membership(activity, activity.object, activity.target)
    yield activity.made("memberships", "updated", data)


def _hide(activity: _Activity) -> Iterator[Occurrence]:
    data = _membership(activity, activity.actor, activity.object)
    yield activity.made("memberships", "updated", {**data, "roomType": "direct", "isRoomHidden": True})


def _acknowledge(activity: _Activity) -> Iterator[Occurrence]:
    data = _membership(activity, activity.actor, activity.target, moderator=False)
    yield activity.made(
        "memberships", "seen", {**data, "lastSeenId": activity.public("MESSAGE", activity.object["id"])}
    )


def _card_action(activity: _Activity) -> Iterator[Occurrence]:
    yield activity.made(
        "attachmentActions",
        "created",
        {
            "created": activity.published,
            "id": activity.public("ATTACHMENT_ACTION", activity.id),
            "messageId": activity.public("MESSAGE", activity.parent["id"]),
            "personId": person_id(activity.actor_uuid),
            "roomId": activity.public("ROOM", activity.target["id"]),
            "type": activity.object.get("objectType"),
            "inputs": activity.object.get("inputs"),
        },
    )


_VERBS: Final[dict[str, Callable[[_Activity], Iterable[Occurrence]]]] = {
    "post": _post,
    "share": _post,
    "delete": _delete,
    "tombstone": _tombstone,
    "create": _create,
    "update": _update,
    "lock": _room_updated,
    "unlock": _room_updated,
    "add": _add,
    "leave": _member("deleted"),
    "assignModerator": _moderator,
    "unassignModerator": _moderator,
    "hide": _hide,
    "acknowledge": _acknowledge,
    "cardAction": _card_action,
}
