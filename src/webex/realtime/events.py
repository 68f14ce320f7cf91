"""Events made of activities, as the public API names them (realtime-protocol §6).

An activity may be several events (a new room and its members), or none. Edits and deletes are told as what they are,
where the JS SDK tells of a new message; a reaction is no membership.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from webex.ids import public_id
from webex.realtime.event import Occurrence, person_id

_CARD: Final = "application/vnd.microsoft.card.adaptive"
_RARE: Final = frozenset({"mentions", "groupMentions", "files", "cards"})


class Reader:
    """Reads activities for one user. `hydra` is the base of file URLs; `cluster_of` gives an id's cluster by URL."""

    __slots__ = ("_cluster_of", "_hydra")

    def __init__(self, hydra: str, cluster_of: Callable[[str], str]) -> None:
        self._hydra = hydra
        self._cluster_of = lru_cache(maxsize=1024)(cluster_of)  # by the URL of a conversation

    def read(self, activity: Mapping[str, Any]) -> list[Occurrence]:
        """The events that an (opened) activity stands for."""
        verb = activity.get("verb")
        reader = _VERBS.get(verb) if isinstance(verb, str) else None
        if reader is None:
            return []
        try:
            return list(reader(_Activity(activity, self._hydra, self._cluster_of)))
        except (KeyError, TypeError, ValueError, AttributeError):
            return []  # an activity that lacks what every activity of its kind has tells nothing


class _Activity:
    """One activity, and the ids in it as the public API writes them."""

    __slots__ = ("actor", "cluster", "hydra", "id", "object", "parent", "published", "raw", "target")

    def __init__(self, raw: Mapping[str, Any], hydra: str, cluster_of: Callable[[str], str]) -> None:
        self.raw = raw
        self.hydra = hydra
        self.id: str = raw["id"]
        self.published: str | None = raw.get("published")
        self.object: dict[str, Any] = raw.get("object") or {}
        self.target: dict[str, Any] = raw.get("target") or {}
        self.parent: dict[str, Any] = raw.get("parent") or {}
        self.actor: dict[str, Any] = raw.get("actor") or {}
        place = self.target or self.object
        url = place.get("url")
        self.cluster = cluster_of(url) if isinstance(url, str) else "us"

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
    """The UUID of a person in an activity."""
    return str(person.get("entryUUID") or person["id"])


def room_type(tags: Any) -> str:
    """`direct` or `group`, by the tags of a conversation."""
    return "direct" if "ONE_ON_ONE" in (tags or ()) else "group"


def _post(activity: _Activity) -> tuple[Occurrence]:
    edited = bool(activity.parent) and activity.parent.get("type") == "edit"
    data = _message(activity, edited)
    return (Occurrence("messages", "updated" if edited else "created", activity.actor_uuid, data),)


def _message(activity: _Activity, edited: bool) -> dict[str, Any]:
    """A message in the names of the wire; only what there is. By far the most frequent of all."""
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
    """Mentions, files and cards of a message."""
    content = activity.object
    mentions = [person_id(uuid_of(item)) for item in (content.get("mentions") or {}).get("items") or ()]
    groups = [item.get("groupType") for item in (content.get("groupMentions") or {}).get("items") or ()]
    files = [
        f"{activity.hydra}/contents/{activity.public('CONTENT', f'{message}/{index}')}"
        for index in range(len((content.get("files") or {}).get("items") or ()))
    ]
    cards = [{"contentType": _CARD, "content": card} for card in content.get("cards") or ()]
    found = {"mentionedPeople": mentions, "mentionedGroups": groups, "files": files, "attachments": cards}
    data.update({name: items for name, items in found.items() if items})


def email_of(person: Mapping[str, Any]) -> str | None:
    """The address of a person in an activity."""
    return person.get("entryEmail") or person.get("emailAddress")


def _delete(activity: _Activity) -> Iterator[Occurrence]:
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
    """A deleted message, as history shows it."""
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
    tags = activity.target.get("tags") if activity.raw["verb"] == "update" else room.get("tags")
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
    "add": _member("created"),
    "leave": _member("deleted"),
    "assignModerator": _moderator,
    "unassignModerator": _moderator,
    "hide": _hide,
    "acknowledge": _acknowledge,
    "cardAction": _card_action,
}
