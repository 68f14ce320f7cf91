"""Sending end-to-end encrypted from blocking code: `Conversations`, on the background loop that listens."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from webex.realtime.background import BackgroundLoop
    from webex.realtime.conversations import Conversations

T = TypeVar("T")


class BlockingConversations:
    """The conversations of one user; see `Conversations`, whose names, arguments and errors these are."""

    def __init__(self, loop: BackgroundLoop, make: Callable[[], Conversations]) -> None:
        self._loop, self._make = loop, make

    def post(
        self,
        room_id: str,
        text: str | None = None,
        *,
        html: str | None = None,
        parent_id: str | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> str:
        """Send a message, sealed on this machine; gives its id."""
        return self._run(lambda those: those.post(room_id, text, html=html, parent_id=parent_id, card=card))

    def edit(self, room_id: str, message_id: str, text: str | None = None, *, html: str | None = None) -> None:
        """Change one's own message."""
        self._run(lambda those: those.edit(room_id, message_id, text, html=html))

    def delete(self, room_id: str, message_id: str) -> None:
        """Delete a message."""
        self._run(lambda those: those.delete(room_id, message_id))

    def share(
        self, room_id: str, file: Any, text: str | None = None, *, html: str | None = None, name: str | None = None
    ) -> str:
        """Send a file, sealed on this machine and streamed; gives the message's id."""
        return self._run(lambda those: those.share(room_id, file, text, html=html, name=name))

    def download(self, file: Mapping[str, Any], to: str | os.PathLike[str]) -> Path:
        """Fetch and open a file of `event.files`."""
        return self._run(lambda those: those.download(file, to))

    def add(self, room_id: str, person_id: str) -> None:
        """Add somebody, and let the key service give them the keys."""
        self._run(lambda those: those.add(room_id, person_id))

    def leave(self, room_id: str, person_id: str | None = None) -> None:
        """Leave, or take somebody out; they get no key that is made from now on."""
        self._run(lambda those: those.leave(room_id, person_id))

    def create(self, person_ids: Sequence[str], title: str | None = None) -> str:
        """A new conversation with these people, under a new key; gives the room's id."""
        return self._run(lambda those: those.create(person_ids, title))

    def typing(self, room_id: str, *, stopped: bool = False) -> None:
        """Show to the others that one types, or has stopped."""
        self._run(lambda those: those.typing(room_id, stopped=stopped))

    def acknowledge(self, room_id: str, message_id: str) -> None:
        """Show to the others that one has read up to a message."""
        self._run(lambda those: those.acknowledge(room_id, message_id))

    def presence(self, person_id: str) -> str:
        """Whether somebody is there: `active`, `inactive`, `dnd`, `meeting`, …"""
        return self._run(lambda those: those.presence(person_id))

    def _run(self, call: Callable[[Conversations], Awaitable[T]]) -> T:
        async def work() -> T:
            return await call(self._make())

        return self._loop.run(work())
