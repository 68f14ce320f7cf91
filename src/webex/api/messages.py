"""`client.messages` with what no description says: files from anywhere, cards, long texts in parts."""

from __future__ import annotations

import builtins
import mimetypes
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urlsplit

from webex.api import cards
from webex.api.generated import messages as generated
from webex.api.generated.messages import CREATE
from webex.api.generated.models import Message
from webex.api.listening import listen
from webex.api.models import from_json
from webex.api.operation import UNSET, Unset
from webex.api.session import Session, wire_body
from webex.api.splitting import MOST_BYTES, split_markdown
from webex.errors import ConfigurationError, FileError
from webex.http.sources import check_size, source_of
from webex.http.types import Part, Request

if TYPE_CHECKING:
    from webex.realtime.background import BlockingListening
    from webex.realtime.listening import Listening
    from webex.realtime.options import ListenOptions

__all__ = ["AsyncMessages", "Messages"]

# A path, bytes, a binary file object, an iterable of bytes, a URL, or (file name, any of these).
FileLike = Any
Progress = Callable[[int, int | None], Any]


async def _create(
    session: Session,
    fields: dict[str, Any],
    files: FileLike | Sequence[FileLike] | None,
    card: Mapping[str, Any] | None,
    split: bool,
    on_progress: Progress | None,
) -> list[Message]:
    """Send one message, or with `split` as many as the text needs; files and card go with the first."""
    body = {name: value for name, value in wire_body(fields).items() if value is not None}
    if card is not None:
        if body.get("attachments"):
            raise ConfigurationError("Give card= or attachments=, not both.")
        body["attachments"] = [cards.attachment(card)]
    elif body.get("attachments"):
        body["attachments"] = [cards.attachment(item) for item in body["attachments"]]
    _check_target(body)
    parts = _parts(body, split)
    sent: list[Message] = []
    for number, part in enumerate(parts):
        request = _request(session, part, files if number == 0 else None, on_progress)
        response = await session.send(request)
        sent.append(from_json(Message, response.content, response.request))
    return sent


def _check_target(body: Mapping[str, Any]) -> None:
    targets = [name for name in ("roomId", "toPersonId", "toPersonEmail") if body.get(name)]
    if len(targets) != 1 and not (not targets and body.get("parentId")):
        raise ConfigurationError(
            "A message goes to exactly one of room_id, to_person_id and to_person_email; "
            f"{'none' if not targets else ' and '.join(targets)} was given."
        )


def _parts(body: dict[str, Any], split: bool) -> list[dict[str, Any]]:
    for name in ("markdown", "text"):
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{name} must be text, not {type(value).__name__}.")
        if value is None or len(value.encode()) <= MOST_BYTES:
            continue
        if name == "text" and "markdown" in body:
            raise ConfigurationError(
                f"text has {len(value.encode()):,} bytes; Webex takes {MOST_BYTES:,}. It only stands in for markdown: "
                "leave it out, or shorten it."
            )
        if not split:
            raise ConfigurationError(
                f"{name} has {len(value.encode()):,} bytes; Webex takes {MOST_BYTES:,} a message. "
                "Use create_long(…), which sends it in parts."
            )
        rest = {key: item for key, item in body.items() if key not in ("markdown", "text", "attachments")}
        first, *others = split_markdown(value)
        extra = {"attachments": body["attachments"]} if "attachments" in body else {}
        return [{**rest, name: first, **extra}, *[{**rest, name: part} for part in others]]
    return [body]


def _request(session: Session, body: dict[str, Any], files: Any, on_progress: Progress | None) -> Request:
    if files is None:
        return Request(CREATE.method, CREATE.path, json=body)
    given = list(files) if isinstance(files, list) else [files]
    if not given:
        return Request(CREATE.method, CREATE.path, json=body)
    if all(isinstance(item, str) and _is_url(item) for item in given):
        return Request(CREATE.method, CREATE.path, json={**body, "files": given})
    if len(given) > 1:
        raise FileError(f"Webex takes one file a message; {len(given)} were given. Send a message for each.")
    if "attachments" in body:
        raise FileError("Webex takes a file or a card in a message, not both.")
    part = _file_part(session, given[0])
    fields = [Part(name, value if isinstance(value, str) else str(value)) for name, value in body.items()]
    return Request(CREATE.method, CREATE.path, multipart=[*fields, part], on_progress=on_progress)


def _is_url(text: str) -> bool:
    return urlsplit(text).scheme in ("http", "https")


def _file_part(session: Session, item: Any) -> Part:
    name: str | None = None
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        name, item = item
    source = source_of(item, session.runtime)
    if name is None:
        own = item if isinstance(item, str | os.PathLike) else getattr(item, "name", None)
        name = os.path.basename(os.fspath(own)) if isinstance(own, str | os.PathLike) else "file"
    check_size(name, source.size, session.pipeline.config.max_upload_size)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Part("files", source, filename=name, content_type=kind)


class AsyncMessages(generated.AsyncMessages):
    """`client.messages`, in event-loop style."""

    __slots__ = ()

    async def create(
        self,
        *,
        room_id: str | Unset | None = UNSET,
        to_person_id: str | Unset | None = UNSET,
        to_person_email: str | Unset | None = UNSET,
        text: str | Unset | None = UNSET,
        markdown: str | Unset | None = UNSET,
        parent_id: str | Unset | None = UNSET,
        files: FileLike | None = None,
        card: Mapping[str, Any] | None = None,
        attachments: Sequence[Mapping[str, Any]] | Unset = UNSET,
        on_progress: Progress | None = None,
    ) -> Message:
        """`POST /messages`: to a room, or to one person.

        text, markdown: at most 7,439 bytes (`create_long` sends more, in parts).
        files: a path, bytes, a binary file object, an iterable of bytes, a URL, or a pair of a file name and one of
            these; one a message, its size checked before anything is sent (`FileError`).
        card: an adaptive card up to version 1.3, as plain data; `attachments` takes it in its envelope.
        on_progress: called with the bytes sent so far, and in all where that is known.
        """
        fields = _fields(room_id, to_person_id, to_person_email, text, markdown, parent_id, attachments)
        return (await _create(self._session, fields, files, card, False, on_progress))[0]

    async def create_long(
        self,
        *,
        room_id: str | Unset | None = UNSET,
        to_person_id: str | Unset | None = UNSET,
        to_person_email: str | Unset | None = UNSET,
        text: str | Unset | None = UNSET,
        markdown: str | Unset | None = UNSET,
        parent_id: str | Unset | None = UNSET,
        files: FileLike | None = None,
    ) -> builtins.list[Message]:
        """Send a text of any length as one message after another; code blocks are kept whole where they fit."""
        fields = _fields(room_id, to_person_id, to_person_email, text, markdown, parent_id, UNSET)
        return await _create(self._session, fields, files, None, True, None)

    def listen(self, **options: Unpack[ListenOptions]) -> Listening[Message]:
        """Hear of messages in real time, decrypted: `created`, `updated`, `deleted`; and `gap`, where some were lost.

        Options: `device_name` (each process needs its own), `max_queue` and `overflow` (`wait`, `drop_oldest`,
        `raise`) for slow consumers, `catch_up` (False, or how many seconds back to look at most; a day),
        `ephemeral` (a device that lasts only as long as this process).
        """
        stream: Listening[Message] = listen(self, "messages", **options)
        return stream


class Messages(generated.Messages):
    """`client.messages`, in blocking style."""

    __slots__ = ()

    def create(
        self,
        *,
        room_id: str | Unset | None = UNSET,
        to_person_id: str | Unset | None = UNSET,
        to_person_email: str | Unset | None = UNSET,
        text: str | Unset | None = UNSET,
        markdown: str | Unset | None = UNSET,
        parent_id: str | Unset | None = UNSET,
        files: FileLike | None = None,
        card: Mapping[str, Any] | None = None,
        attachments: Sequence[Mapping[str, Any]] | Unset = UNSET,
        on_progress: Progress | None = None,
    ) -> Message:
        """`POST /messages`: to a room, or to one person; see `AsyncMessages.create`."""
        fields = _fields(room_id, to_person_id, to_person_email, text, markdown, parent_id, attachments)
        return self._drive(_create(self._session, fields, files, card, False, on_progress))[0]

    def create_long(
        self,
        *,
        room_id: str | Unset | None = UNSET,
        to_person_id: str | Unset | None = UNSET,
        to_person_email: str | Unset | None = UNSET,
        text: str | Unset | None = UNSET,
        markdown: str | Unset | None = UNSET,
        parent_id: str | Unset | None = UNSET,
        files: FileLike | None = None,
    ) -> builtins.list[Message]:
        """Send a text of any length as one message after another; see `AsyncMessages.create_long`."""
        fields = _fields(room_id, to_person_id, to_person_email, text, markdown, parent_id, UNSET)
        return self._drive(_create(self._session, fields, files, None, True, None))

    def listen(self, **options: Unpack[ListenOptions]) -> BlockingListening[Message]:
        """Hear of messages in real time, decrypted; see `AsyncMessages.listen`."""
        stream: BlockingListening[Message] = listen(self, "messages", **options)
        return stream


def _fields(
    room_id: Any, to_person_id: Any, to_person_email: Any, text: Any, markdown: Any, parent_id: Any, attachments: Any
) -> dict[str, Any]:
    return {
        "roomId": room_id,
        "toPersonId": to_person_id,
        "toPersonEmail": to_person_email,
        "text": text,
        "markdown": markdown,
        "parentId": parent_id,
        "attachments": attachments,
    }
