"""Send to conversations, encrypted on this machine: `client.conversations`.

Text is encrypted here, with the conversation's key that the key service gave to this user. Without a key nothing is
sent: `EncryptionError`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, overload

from webex.config.arguments import check_arguments
from webex.ids import to_hydra_id
from webex.realtime.conversations.comments import comment, person
from webex.realtime.conversations.creating import create_conversation
from webex.realtime.conversations.downloads import download_file
from webex.realtime.conversations.indicator import PRESENCE_MOVED, TypingIndicator
from webex.realtime.conversations.service import ConversationService
from webex.realtime.conversations.sharing import assign_picture, share_files, unassign_picture
from webex.realtime.conversations.updating import tags_of, update_conversation
from webex.realtime.given_ids import uuid_of, uuid_of_person
from webex.realtime.history import (
    AsyncHistory,
    Moment,
    Order,
    Thread,
    read_activity,
    read_threads,
    read_window,
)
from webex.runtime.unpicklable import Unpicklable

if TYPE_CHECKING:
    from webex.http.types import TokenSource
    from webex.realtime.access import Work
    from webex.realtime.conversations.downloads import Downloadable
    from webex.realtime.conversations.updating import Notifications
    from webex.realtime.event import Event
    from webex.realtime.manager import ConnectionManager


@check_arguments
class Conversations(Unpicklable):
    """Send to the conversations of one user. Ids are those of the REST API, or UUIDs."""

    def __init__(self, manager: ConnectionManager, tokens: TokenSource) -> None:
        self._service = ConversationService(manager, tokens)

    # Messages

    async def post(
        self,
        room_id: str,
        text: str | None = None,
        *,
        html: str | None = None,
        parent_id: str | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> str:
        """Send a message, encrypted on this machine; return its id.

        `html` is what is shown, `text` what stands in for it (made of it when it is missing). Raises `EncryptionError`
        when there is no key, `ApiError` when the service refuses.
        """
        content = comment(text, html, card)
        activity = {"verb": "post", "object": content}
        if parent_id is not None:
            activity["parent"] = {"id": uuid_of(parent_id), "type": "reply"}
        return to_hydra_id("MESSAGE", (await self._service.submit(room_id, activity))["id"])

    async def edit(self, room_id: str, message_id: str, text: str | None = None, *, html: str | None = None) -> None:
        """Edit one of the user's own messages."""
        parent = {"id": uuid_of(message_id), "type": "edit"}
        await self._service.submit(room_id, {"verb": "post", "object": comment(text, html, None), "parent": parent})

    async def delete(self, room_id: str, message_id: str) -> None:
        """Delete a message."""
        await self._service.submit(
            room_id, {"verb": "delete", "object": {"objectType": "activity", "id": uuid_of(message_id)}}, encrypt=False
        )

    async def share(
        self,
        room_id: str,
        file: Any,
        text: str | None = None,
        *,
        html: str | None = None,
        name: str | None = None,
        thumbnail: bytes | bool | None = None,
        parent_id: str | None = None,
    ) -> str:
        """Send one file or several in one message, encrypted on this machine and streamed; return the message's id.

        `file` is a path, bytes, a binary file object, an iterable of bytes, or an `OutgoingFile`; or a list of these
        (but a list of bytes is one file in pieces). `name` is what the others see. `thumbnail` is a preview, the bytes
        of a PNG, JPEG or GIF: None makes one of a picture where Pillow is installed (`webex[images]`), False leaves it
        out. `parent_id` is the message that this one answers. `FileError` for a file that is empty, can't be read or
        is larger than `max_upload_size`; nothing is sent then.
        """
        return await share_files(
            self._service, room_id, file, text, html=html, name=name, thumbnail=thumbnail, parent_id=parent_id
        )

    @overload
    async def download(self, file: Downloadable, to: None = None, *, key_uri: str | None = None) -> bytes: ...

    @overload
    async def download(self, file: Downloadable, to: str | os.PathLike[str], *, key_uri: str | None = None) -> Path: ...

    @overload
    async def download(self, file: Downloadable, to: BinaryIO, *, key_uri: str | None = None) -> int: ...

    async def download(
        self,
        file: Downloadable,
        to: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        key_uri: str | None = None,
    ) -> bytes | Path | int:
        """Fetch and decrypt a file: return its bytes, or write it `to` a path, a folder or a binary file object.

        `file` is one of `event.files` (its preview is its `"image"`), a URL of `message.files`, or a pair of a URL and
        either the encrypted description of the file (SCR, a JWE) or the URI of its key (`kms://…`). `key_uri` is the
        key of a description that does not name it.

        Given a path or a folder, the path of the file is returned; it is put there when it is proven whole. In a folder
        it has the sender's name and never replaces another: it becomes `name (2).txt`. Given a file object, it gets
        nothing before the file is proven whole, and the number of bytes is returned. `DecryptionError` when a byte was
        changed; nothing is left behind then.
        """
        return await download_file(self._service, file, to, key_uri)

    # Keys, title, tags, picture

    async def rotate_key(self, room_id: str) -> str:
        """Give a conversation a new key for what is sent from now on; return the key's URL.

        Members read what was sent before with the keys that they have. The key also changes by itself after a person
        has left.
        """
        return await self._service.rotate_key(room_id)

    async def update(
        self,
        room_id: str,
        *,
        title: str | None = None,
        locked: bool | None = None,
        announcements_only: bool | None = None,
        favorite: bool | None = None,
        muted: bool | None = None,
        hidden: bool | None = None,
        mention_notifications: Notifications | None = None,
        message_notifications: Notifications | None = None,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
    ) -> None:
        """Change a conversation; what is not given stays as it is.

        For all members: `title` (encrypted on this machine), `locked` (only moderators may change the room),
        `announcements_only` (only moderators may write). For this user alone: `favorite`, `muted`, `hidden`;
        `mention_notifications` and `message_notifications`, True, False or `"default"`; and `add_tags` and
        `remove_tags`, any personal tags such as `IGNORED`.

        Each change is a request of its own, the title first and the tags last. When one is refused (`ApiError`), those
        before it were made.
        """
        await update_conversation(
            self._service,
            room_id,
            title=title,
            flags={"locked": locked, "favorite": favorite, "muted": muted, "hidden": hidden},
            notifications={
                "mention_notifications": mention_notifications,
                "message_notifications": message_notifications,
            },
            announcements_only=announcements_only,
            add_tags=add_tags,
            remove_tags=remove_tags,
        )

    async def tags(self, room_id: str) -> list[str]:
        """Return the tags of a conversation for this user: `FAVORITE`, `MUTED`, `HIDDEN`, `LOCKED` and others."""
        return await tags_of(self._service, room_id)

    async def set_picture(self, room_id: str, file: Any, *, name: str | None = None) -> None:
        """Make a file the picture of a room, encrypted on this machine; at most 1 MiB, and a picture by its name."""
        await assign_picture(self._service, room_id, file, name)

    async def remove_picture(self, room_id: str) -> None:
        """Take the picture of a room away."""
        await unassign_picture(self._service, room_id)

    # Members

    async def add(self, room_id: str, person_id: str) -> None:
        """Add a person, and let the key service give them the keys."""
        uuid = uuid_of_person(person_id)
        kms = {"method": "create", "uri": "/authorizations", "resourceUri": "<KRO>", "userIds": [uuid]}
        await self._service.submit(room_id, {"verb": "add", "object": person(uuid)}, encrypt=False, kms=kms)

    async def leave(self, room_id: str, person_id: str | None = None) -> None:
        """Leave, or remove a person, who gets no key that is made from now on."""
        room, given = uuid_of(room_id), None if person_id is None else uuid_of_person(person_id)
        connection = await self._service.connected()
        uuid = given or connection.user_id
        kms = {"method": "delete", "uri": f"<KRO>/authorizations?authId={uuid}"}
        await self._service.submit(room_id, {"verb": "leave", "object": person(uuid)}, encrypt=False, kms=kms)
        connection.room_keys.pop(room, None)

    async def create(
        self,
        person_ids: Sequence[str],
        title: str | None = None,
        *,
        text: str | None = None,
        html: str | None = None,
        tags: Sequence[str] = (),
        favorite: bool = False,
    ) -> str:
        """Create a conversation with these people, under a new key; return the room's id.

        With one other person and no title it is the direct one, which is there once. `text` and `html` are the first
        message, `tags` those of the conversation, `favorite` is for this user alone.
        """
        return await create_conversation(
            self._service, person_ids, title, text=text, html=html, tags=tags, favorite=favorite
        )

    # What was said and done before

    def history(
        self,
        room_id: str,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        around: Moment | None = None,
        order: Order = "newest",
        limit: int | None = None,
        page_size: int | None = None,
    ) -> AsyncHistory[Event[Any]]:
        """Read what happened in a room, decrypted on this machine: the events that `listen()` gives, fetched as you go.

        since, until: from this moment on, and before that one (a datetime, or ISO 8601).
        around: one page of what happened before and after this moment, half of `limit` on each side where it is there.
        order: what comes first, `newest` or `oldest`.
        limit: how many events in all. page_size: how many activities a page, at most 1,000 (100).
        """
        pages = read_window(
            room_id, since=since, until=until, around=around, order=order, limit=limit, page_size=page_size
        )
        return AsyncHistory(self._read, pages)

    def mentions(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        order: Order = "newest",
        limit: int | None = None,
        page_size: int | None = None,
    ) -> AsyncHistory[Event[Any]]:
        """Read the messages of all rooms that mention the user, or all. Arguments as for `history`."""
        pages = read_window(None, since=since, until=until, order=order, limit=limit, page_size=page_size)
        return AsyncHistory(self._read, pages)

    def threads(self, *, since: Moment | None = None, limit: int | None = None) -> AsyncHistory[Thread]:
        """Read the threads of all rooms with their answers, the one that was answered last first.

        since: with answers from this moment on. limit: how many threads in all.
        """
        return AsyncHistory(self._read, read_threads(since, limit))

    async def activity(self, activity_id: str) -> Event[Any] | None:
        """Return the event of one message, reaction or other activity, by its id; `NotFoundError` without one.

        None for what `listen()` does not tell of, such as a new key. Of a new room it is the room's event.
        """
        return await read_activity(self._service, activity_id)

    async def _read(self, work: Work[Any]) -> Any:
        return await work(self._service)

    # Typing, read receipts, presence

    def typing(self, room_id: str, *, stopped: bool = False) -> TypingIndicator:
        """Show the others that the user is typing, for as long as a block runs: `async with …typing(room): …`.

        It stops when the block ends, also by an error or a cancellation. `await …typing(room)` sends one sign that
        typing has begun, with `stopped=True` one that it has stopped.
        """
        return TypingIndicator(self._service, room_id, stopped=stopped)

    async def acknowledge(self, room_id: str, message_id: str) -> None:
        """Show the others that the user has read up to a message."""
        content = {"objectType": "activity", "id": uuid_of(message_id)}
        await self._service.submit(room_id, {"verb": "acknowledge", "object": content}, encrypt=False)

    async def presence(self, person_id: str) -> str:
        """Return the status of a person's presence. Deprecated: `client.presence.get` tells more."""
        warnings.warn(PRESENCE_MOVED, DeprecationWarning, stacklevel=3)  # past the check of arguments
        return await self.presence_status(person_id)

    async def presence_status(self, person_id: str) -> str:  # noqa: D102  # of the deprecated name
        from webex.realtime.presence import PresenceClient

        return (await PresenceClient(self._service).get(person_id)).status
