"""Reactions to messages: give one, take it back, list them; end-to-end encrypted like all else."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from webex.encryption.content import key_url_of
from webex.errors import ConfigurationError, DecodeError, EncryptionError, KMSError, NotFoundError
from webex.http.links import parse_link_header
from webex.models.base import from_data
from webex.realtime.conversations.room_keys import key_of
from webex.realtime.event import Reaction, person_id
from webex.realtime.given_ids import id_of, uuid_of
from webex.realtime.lookup import activity_of, items_of, room_url, room_uuid
from webex.realtime.opening import open_all
from webex.realtime.wire import Activity, is_activity

if TYPE_CHECKING:
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.user_connection import UserConnection

ReactionName: TypeAlias = Literal["celebrate", "heart", "thumbsup", "smiley", "haha", "confused", "sad"]
_PAGES: Final = 1_000  # of the reactions to one message


async def react(service: ConversationService, message: Any, name: str) -> Reaction:
    """React to a message; `EncryptionError` when there is no key, `ApiError` when the service refuses."""
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"A reaction is a name such as 'celebrate', not {name!r}.")
    wanted = uuid_of(id_of(message))
    connection = await service.connected()
    parent = await activity_of(connection, wanted)
    room, message_uuid = room_uuid(parent), str(parent["id"])
    key_url = key_url_of(parent) or (await key_of(connection, room))[0]
    try:
        # Made with the key of the message, not of the reaction: it is the same for all who react so.
        proof = await connection.keys.reaction_hmac(key_url, message_uuid, name)
    except KMSError as error:
        raise EncryptionError(f"Nothing was sent: the message's key could not be had. {error}") from error
    content = {"objectType": "reaction2", "displayName": name, "hmac": proof}
    parent_of = {"id": message_uuid, "type": "reaction"}
    made = await service.submit(room, {"verb": "add", "object": content, "parent": parent_of})
    whole: Activity = {"verb": "add", "parent": parent_of, **made, "object": content}
    for reaction in _reactions(connection, [whole]):
        return reaction
    raise DecodeError("The conversation service's answer is no reaction.")


async def unreact(service: ConversationService, message: Any, reaction: Any) -> bool:
    """Remove the user's own reaction, by its name or as `react` gave it; return whether there was one."""
    if isinstance(reaction, Reaction):
        room, given = uuid_of(reaction.room_id), [uuid_of(reaction.id)]
    elif isinstance(reaction, str) and reaction:
        wanted = uuid_of(id_of(message))
        connection = await service.connected()
        room = room_uuid(await activity_of(connection, wanted))
        own = person_id(connection.user_id)
        found = await _list(connection, room, wanted)
        given = [uuid_of(each.id) for each in found if each.name == reaction and each.person_id == own]
    else:
        raise ConfigurationError(f"A reaction or its name is expected, not {reaction!r}.")
    taken_back = False
    for each in given:
        content = {"objectType": "activity", "id": each}
        with suppress(NotFoundError):  # it was taken back already, perhaps in this moment by another client
            await service.submit(room, {"verb": "delete", "object": content}, encrypt=False)
            taken_back = True
    return taken_back


async def list_reactions(service: ConversationService, message: Any) -> list[Reaction]:
    """Return the reactions to a message, the oldest first; the name of one that can't be decrypted is None."""
    wanted, room = uuid_of(id_of(message)), getattr(message, "room_id", None)
    connection = await service.connected()
    if not isinstance(room, str) or not room:
        room = room_uuid(await activity_of(connection, wanted))
    return await _list(connection, uuid_of(room), wanted)


async def _list(connection: UserConnection, room: str, message: str) -> list[Reaction]:
    url: str | None = f"{await room_url(connection, room)}/parents/{message}"
    params: dict[str, Any] | None = {"activityType": "reaction"}
    found: dict[str, Activity] = {}
    for _ in range(_PAGES):
        if url is None:
            break
        response = await connection.services.send("GET", url, params=params)
        page = items_of(response.json())
        found |= {each["id"]: each for each in page if is_activity(each)}
        url, params = parse_link_header(response.headers.get("link")).get("next"), None
    return _reactions(connection, [each for each, _ in await open_all(connection, list(found.values()))])


def _reactions(connection: UserConnection, activities: list[Activity]) -> list[Reaction]:
    occurrences = [each for activity in activities for each in connection.dispatcher.reader.read(activity)]
    given = [each.data for each in occurrences if (each.resource, each.event) == ("reactions", "created")]
    return [from_data(Reaction, data) for data in sorted(given, key=lambda data: str(data.get("created")))]
