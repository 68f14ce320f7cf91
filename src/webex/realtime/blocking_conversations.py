"""Send end-to-end encrypted from blocking code: `Conversations`, on the background loop that listens."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, overload

from webex.config.arguments import check_arguments
from webex.errors import ConfigurationError
from webex.realtime.background import OnBackground
from webex.realtime.conversations.indicator import PRESENCE_MOVED
from webex.realtime.history import History, Moment, Order, Thread, read_activity, read_threads, read_window

if TYPE_CHECKING:
    from webex.realtime.access import Work
    from webex.realtime.background import BackgroundLoop
    from webex.realtime.conversations import Conversations
    from webex.realtime.conversations.downloads import Downloadable
    from webex.realtime.conversations.updating import Notifications
    from webex.realtime.event import Event

_logger = logging.getLogger("webex.realtime")


class BlockingTypingIndicator:
    """The typing indicator of a room, which is shown already; it ends with the block."""

    def __init__(self, stop: Callable[[], None], stopped: bool) -> None:
        self._stop, self._stopped = stop, stopped

    def __enter__(self) -> Self:
        if self._stopped:
            raise ConfigurationError("typing(…, stopped=True) sends one sign; leave stopped= out for a block.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stop()
        except Exception as failure:  # it must not hide what ended the block
            _logger.warning("that typing has stopped could not be shown: %s", type(failure).__name__)


@check_arguments
class BlockingConversations(OnBackground["Conversations"]):
    """The conversations of one user; see `Conversations`, whose names, arguments and errors these are."""

    def __init__(
        self, loop: BackgroundLoop, make: Callable[[], Conversations], within: Callable[[Work[Any]], Any]
    ) -> None:
        super().__init__(loop, make)
        self._within = within

    def post(
        self,
        room_id: str,
        text: str | None = None,
        *,
        html: str | None = None,
        parent_id: str | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> str:
        """Send a message, encrypted on this machine; return its id."""
        return self._run(lambda those: those.post(room_id, text, html=html, parent_id=parent_id, card=card))

    def edit(self, room_id: str, message_id: str, text: str | None = None, *, html: str | None = None) -> None:
        """Edit one of the user's own messages."""
        self._run(lambda those: those.edit(room_id, message_id, text, html=html))

    def delete(self, room_id: str, message_id: str) -> None:
        """Delete a message."""
        self._run(lambda those: those.delete(room_id, message_id))

    def share(
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
        """Send one file or several in one message, encrypted on this machine and streamed; return the message's id."""
        return self._run(
            lambda those: those.share(
                room_id, file, text, html=html, name=name, thumbnail=thumbnail, parent_id=parent_id
            )
        )

    @overload
    def download(self, file: Downloadable, to: None = None, *, key_uri: str | None = None) -> bytes: ...

    @overload
    def download(self, file: Downloadable, to: str | os.PathLike[str], *, key_uri: str | None = None) -> Path: ...

    @overload
    def download(self, file: Downloadable, to: BinaryIO, *, key_uri: str | None = None) -> int: ...

    def download(
        self,
        file: Downloadable,
        to: str | os.PathLike[str] | BinaryIO | None = None,
        *,
        key_uri: str | None = None,
    ) -> bytes | Path | int:
        """Fetch and decrypt a file: return its bytes, or write it `to` a path, a folder or a binary file object."""

        async def work(those: Conversations) -> bytes | Path | int:
            return await those.download(file, to, key_uri=key_uri)

        return self._run(work)

    def rotate_key(self, room_id: str) -> str:
        """Give a conversation a new key for what is sent from now on; return the key's URL."""
        return self._run(lambda those: those.rotate_key(room_id))

    def update(
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
        """Change the title, the lock or the tags of a conversation; what is not given stays as it is."""
        self._run(
            lambda those: those.update(
                room_id,
                title=title,
                locked=locked,
                announcements_only=announcements_only,
                favorite=favorite,
                muted=muted,
                hidden=hidden,
                mention_notifications=mention_notifications,
                message_notifications=message_notifications,
                add_tags=add_tags,
                remove_tags=remove_tags,
            )
        )

    def tags(self, room_id: str) -> list[str]:
        """Return the tags of a conversation for this user: `FAVORITE`, `MUTED`, `HIDDEN`, `LOCKED` and others."""
        return self._run(lambda those: those.tags(room_id))

    def set_picture(self, room_id: str, file: Any, *, name: str | None = None) -> None:
        """Make a file the picture of a room, encrypted on this machine; at most 1 MiB, and a picture by its name."""
        self._run(lambda those: those.set_picture(room_id, file, name=name))

    def remove_picture(self, room_id: str) -> None:
        """Take the picture of a room away."""
        self._run(lambda those: those.remove_picture(room_id))

    def add(self, room_id: str, person_id: str) -> None:
        """Add a person, and let the key service give them the keys."""
        self._run(lambda those: those.add(room_id, person_id))

    def leave(self, room_id: str, person_id: str | None = None) -> None:
        """Leave, or remove a person, who gets no key that is made from now on."""
        self._run(lambda those: those.leave(room_id, person_id))

    def create(
        self,
        person_ids: Sequence[str],
        title: str | None = None,
        *,
        text: str | None = None,
        html: str | None = None,
        tags: Sequence[str] = (),
        favorite: bool = False,
    ) -> str:
        """Create a conversation with these people, under a new key; return the room's id."""
        return self._run(
            lambda those: those.create(person_ids, title, text=text, html=html, tags=tags, favorite=favorite)
        )

    def typing(self, room_id: str, *, stopped: bool = False) -> BlockingTypingIndicator:
        """Show the others that the user is typing, for as long as a block runs: `with …typing(room): …`.

        The call itself sends the sign; leaving the block in any way sends that it has stopped. With `stopped=True` it
        only sends that.
        """
        self._run(lambda those: those.typing(room_id, stopped=stopped))
        return BlockingTypingIndicator(lambda: self._run(lambda those: those.typing(room_id, stopped=True)), stopped)

    def acknowledge(self, room_id: str, message_id: str) -> None:
        """Show the others that the user has read up to a message."""
        self._run(lambda those: those.acknowledge(room_id, message_id))

    def presence(self, person_id: str) -> str:
        """Return the status of a person's presence. Deprecated: `client.presence.get` tells more."""
        warnings.warn(PRESENCE_MOVED, DeprecationWarning, stacklevel=3)  # past the check of arguments
        return self._run(lambda those: those.presence_status(person_id))

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
    ) -> History[Event[Any]]:
        """Read what happened in a room; see `Conversations.history`."""
        pages = read_window(
            room_id, since=since, until=until, around=around, order=order, limit=limit, page_size=page_size
        )
        return History(self._read, pages)

    def mentions(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        order: Order = "newest",
        limit: int | None = None,
        page_size: int | None = None,
    ) -> History[Event[Any]]:
        """Read the messages of all rooms that mention the user; see `Conversations.mentions`."""
        pages = read_window(None, since=since, until=until, order=order, limit=limit, page_size=page_size)
        return History(self._read, pages)

    def threads(self, *, since: Moment | None = None, limit: int | None = None) -> History[Thread]:
        """Read the threads of all rooms; see `Conversations.threads`."""
        return History(self._read, read_threads(since, limit))

    def activity(self, activity_id: str) -> Event[Any] | None:
        """Return the event of one message, reaction or other activity; see `Conversations.activity`."""
        event: Event[Any] | None = self._within(partial(read_activity, activity_id=activity_id))
        return event

    async def _read(self, work: Work[Any]) -> Any:
        return self._within(work)
