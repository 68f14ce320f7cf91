"""Change the title, the lock and the tags of a conversation, each with an activity of its own (conversations §2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from webex.errors import ConfigurationError
from webex.realtime.conversations.comments import checked_text
from webex.realtime.given_ids import uuid_of
from webex.realtime.lookup import conversation_of, room_url

if TYPE_CHECKING:
    from webex.realtime.conversations.service import ConversationService

Notifications: TypeAlias = bool | Literal["default"]
_VERBS: Final = {"locked": "lock", "favorite": "favorite", "muted": "mute", "hidden": "hide"}
_NOTIFICATIONS: Final = {
    "mention_notifications": "MENTION_NOTIFICATIONS",
    "message_notifications": "MESSAGE_NOTIFICATIONS",
}


async def update_conversation(
    service: ConversationService,
    room_id: str,
    *,
    title: str | None = None,
    flags: Mapping[str, bool | None],
    notifications: Mapping[str, Notifications | None] | None = None,
    announcements_only: bool | None = None,
    add_tags: Sequence[str] = (),
    remove_tags: Sequence[str] = (),
) -> None:
    """Submit what is to change, each with an activity of its own."""
    added, removed = _tags(notifications or {}, add_tags, remove_tags)
    verbs = _verbs(flags)
    checked_text("title", title)
    if title is not None and not title.strip():
        raise ConfigurationError("A title is a text that is not empty.")
    if title is None and announcements_only is None and not (verbs or added or removed):
        raise ConfigurationError("update() changes what it is given: title=, locked=, favorite=, muted=, hidden=, …")
    room = uuid_of(room_id)
    connection = await service.connected()
    conversation: dict[str, Any] = {"objectType": "conversation", "id": room, "url": await room_url(connection, room)}
    if title is not None:
        await service.submit(room_id, {"verb": "update", "object": {**conversation, "displayName": title}})
    announcements = {"objectType": "spaceProperty", "tags": ["ANNOUNCEMENT"]}
    if announcements_only is False:  # before an unlock, which leaves the room without moderators
        await service.submit(room_id, {"verb": "unset", "object": announcements}, encrypt=False)
    for verb in verbs:
        await service.submit(room_id, {"verb": verb, "object": conversation}, encrypt=False)
    if announcements_only:  # after a lock, which makes this user a moderator
        await service.submit(room_id, {"verb": "set", "object": announcements}, encrypt=False)
    for verb, tags in (("tag", added), ("untag", removed)):
        if tags:
            await service.submit(room_id, {"verb": verb, "object": {**conversation, "tags": tags}}, encrypt=False)


async def tags_of(service: ConversationService, room_id: str) -> list[str]:
    """Return the tags of a conversation as this user sees it."""
    room = uuid_of(room_id)
    found = await conversation_of(await service.connected(), room, {"includeParticipants": "false"})
    tags = found.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _verbs(flags: Mapping[str, bool | None]) -> list[str]:
    verbs = []
    for name, value in flags.items():
        if value is None:
            continue
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name} is {value!r}; it takes True or False.")
        verbs.append(_VERBS[name] if value else f"un{_VERBS[name]}")
    return verbs


def _tags(
    notifications: Mapping[str, Notifications | None], add: Iterable[str], remove: Iterable[str]
) -> tuple[list[str], list[str]]:
    """Return the tags to add and those to remove."""
    added, removed = tag_names("add_tags", add), tag_names("remove_tags", remove)
    for name, value in notifications.items():
        tag = _NOTIFICATIONS[name]
        if value == "default":
            removed += [f"{tag}_ON", f"{tag}_OFF"]
        elif isinstance(value, bool):
            added.append(f"{tag}_ON" if value else f"{tag}_OFF")
        elif value is not None:
            raise ConfigurationError(f"{name} is {value!r}; it takes True, False or 'default'.")
    both = set(added) & set(removed)
    if both:
        raise ConfigurationError(f"{', '.join(sorted(both))} can't be added and removed at once.")
    return list(dict.fromkeys(added)), list(dict.fromkeys(removed))


def tag_names(argument: str, tags: Any) -> list[str]:
    """Return tags as a list; `ConfigurationError` for what is none."""
    names: list[Any] = list(tags) if isinstance(tags, Iterable) and not isinstance(tags, str) else [tags]
    if not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(f"{argument} is a list of tags, such as 'IGNORED'.")
    return names
