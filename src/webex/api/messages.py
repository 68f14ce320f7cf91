"""`client.messages` with what no description says: files from anywhere, cards, long texts in parts."""

from __future__ import annotations

import builtins
import mimetypes
import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from webex.api import cards
from webex.api.generated import messages as generated
from webex.api.generated.messages import CREATE
from webex.api.listen import listen, within
from webex.api.operation import UNSET, Unset
from webex.api.session import Session, python_name, wire_body
from webex.api.splitting import MOST_BYTES, split_markdown
from webex.config.shapes import check_function
from webex.config.values import split_url
from webex.errors import ConfigurationError, FileError
from webex.http.codec import well_formed
from webex.http.sources import check_size, source_of
from webex.http.types import Part, Request
from webex.models.base import from_json
from webex.models.generated.messaging import Message

if TYPE_CHECKING:
    from webex.models.generated.messaging import Membership
    from webex.realtime.background import BlockingSubscription
    from webex.realtime.event import Reaction
    from webex.realtime.kinds import RealtimeGapEvent, RealtimeMessageEvent
    from webex.realtime.options import ListenOptions
    from webex.realtime.reactions import ReactionName
    from webex.realtime.subscription import Subscription

__all__ = ["AsyncMessages", "Messages"]

# A path, bytes, a binary file object, an iterable of bytes, a URL, or (file name, any of these).
FileLike = Any
Progress = Callable[[int, int | None], Any]


async def _create(
    session: Session,
    fields: dict[str, Any],
    files: FileLike | Sequence[FileLike] | None,
    card: Any,
    split: bool,
    on_progress: Progress | None,
    timeout: float | None,
) -> list[Message]:
    """Send one message, or with `split` as many as the text needs; files and card go with the first."""
    body = {name: value for name, value in wire_body(fields).items() if value is not None}
    if card is not None:
        if body.get("attachments"):
            raise ConfigurationError("Give card= or attachments=, not both.")
        body["attachments"] = [cards.attachment(card)]
    elif body.get("attachments"):
        body["attachments"] = cards.attachments_of(body["attachments"])
    _check_target(body)
    parts = _parts(body, split)
    sent: list[Message] = []
    for number, part in enumerate(parts):
        request = _request(session, part, files if number == 0 else None, on_progress)
        request.timeout = timeout
        response = await session.send(request)
        sent.append(from_json(Message, response.content, response))
    return sent


def _check_target(body: Mapping[str, Any]) -> None:
    for name in ("roomId", "toPersonId", "toPersonEmail", "parentId"):
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{python_name(name)} must be text, not {type(value).__name__}.")
    targets = [python_name(name) for name in ("roomId", "toPersonId", "toPersonEmail") if body.get(name)]
    if len(targets) != 1 and not (not targets and body.get("parentId")):
        raise ConfigurationError(
            "A message goes to exactly one of room_id, to_person_id and to_person_email; "
            f"{'none' if not targets else ' and '.join(targets)} was given."
        )


def _parts(body: dict[str, Any], split: bool) -> list[dict[str, Any]]:
    if body.get("markdown") and body.get("html"):
        raise ConfigurationError("A message has markdown or html; both were given.")
    for name in ("markdown", "html", "text"):
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{name} must be text, not {type(value).__name__}.")
        if value is None or len(value.encode()) <= MOST_BYTES:
            continue
        if name == "text" and ("markdown" in body or "html" in body):
            raise ConfigurationError(
                f"text has {len(value.encode()):,} bytes; Webex takes {MOST_BYTES:,}. It only stands in for what is "
                "formatted: leave it out, or shorten it."
            )
        if name == "html":
            raise ConfigurationError(
                f"html has {len(value.encode()):,} bytes; Webex takes {MOST_BYTES:,} a message. Send it in parts."
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
    if on_progress is not None:
        check_function("on_progress", on_progress)
    given = _given_files(files)
    if not given:
        return Request(CREATE.method, CREATE.path, template=CREATE.path, json=body)
    if all(isinstance(item, str) and _is_url(item) for item in given):
        return Request(CREATE.method, CREATE.path, template=CREATE.path, json={**body, "files": given})
    if len(given) > 1:
        raise FileError(f"Webex takes one file a message; {len(given)} were given. Send a message for each.")
    if "attachments" in body:
        raise FileError("Webex takes a file or a card in a message, not both.")
    part = _file_part(session, given[0])
    fields = [Part(name, value if isinstance(value, str) else str(value)) for name, value in body.items()]
    return Request(CREATE.method, CREATE.path, template=CREATE.path, multipart=[*fields, part], on_progress=on_progress)


def _given_files(files: Any) -> list[Any]:
    """Check the files of `files=` and return them in a shape that can be sent; `ConfigurationError` names the place."""
    if files is None:
        return []
    if isinstance(files, list):
        return [_checked(item, f"files[{index}]") for index, item in enumerate(files)]
    if isinstance(files, tuple) and len(files) == 1:
        return [_checked(files[0], "files[0]")]
    return [_checked(files, "files")]


def _checked(item: Any, place: str) -> Any:
    if isinstance(item, tuple):
        return _checked_pair(item, place)
    if isinstance(item, Mapping):
        raise ConfigurationError(f"{place} is a mapping. Name a file with a pair: files=('report.txt', data).")
    if isinstance(item, list | set | frozenset):
        raise ConfigurationError(f"{place} is a {type(item).__name__} of files. Webex takes one file a message.")
    if item == "" or not (
        isinstance(item, str | bytes | bytearray | memoryview | os.PathLike | Iterable | AsyncIterable)
        or hasattr(item, "read")
    ):
        kind = "an empty text" if item == "" else type(item).__name__
        raise FileError(
            f"{place} must be a path, bytes, a binary file object, an iterable of bytes, a URL, or a pair of a file "
            f"name and one of these, not {kind}."
        )
    return item


def _checked_pair(item: tuple[Any, ...], place: str) -> Any:
    """Check a pair of a name and a file. What could as well be two files, or has a third part, is refused."""
    shape = f"{place} has {len(item)} parts ({', '.join(type(part).__name__ for part in item)}). "
    if len(item) == 3 and isinstance(item[0], str) and isinstance(item[2], str):
        raise ConfigurationError(f"{shape}Leave the content type out, the name tells it: files=('a.txt', data).")
    if len(item) != 2:
        raise ConfigurationError(f"{shape}A pair is a file name and its content; Webex takes one file a message.")
    name, content = item
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{shape}A pair begins with the file's name, a text that is not empty.")
    if isinstance(content, str):
        raise ConfigurationError(
            f"{shape}Are these two files? Webex takes one a message. To send a file under another name, give its path "
            "as pathlib.Path; to send a text as a file, give its bytes: text.encode()."
        )
    if isinstance(content, tuple):
        raise ConfigurationError(f"{shape}A pair is a file name and its content: files=('a.txt', data).")
    well_formed(name, f"{place}[0]")
    return name, _checked(content, f"{place}[1]")


def _is_url(text: str) -> bool:
    parts = split_url(text)
    return parts is not None and parts.scheme in ("http", "https")


def _file_part(session: Session, item: Any) -> Part:
    name: str | None = None
    if isinstance(item, tuple):
        given, item = item
        name = well_formed(given, "files[0]")
    source = source_of(item, session.runtime)
    if name is None:
        own = item if isinstance(item, str | os.PathLike) else getattr(item, "name", None)
        name = os.path.basename(os.fspath(own)) if isinstance(own, str | os.PathLike) else "file"
        name = name.encode("utf-8", "replace").decode()  # of a file system whose names are other bytes
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
        html: str | Unset | None = UNSET,
        parent_id: str | Unset | None = UNSET,
        files: FileLike | None = None,
        card: Mapping[str, Any] | None = None,
        attachments: Sequence[Mapping[str, Any]] | Unset = UNSET,
        on_progress: Progress | None = None,
        timeout: float | None = None,
    ) -> Message:
        """`POST /messages`: to a room, or to one person.

        text, markdown, html: at most 7,439 bytes (`create_long` sends more, in parts). html goes without markdown, and
            text stands in for it: Webex keeps headings, lists, `b`, `i`, `u`, links, and mentions (`<spark-mention
            data-object-type="person" data-object-id="…">`, with a person's id).
        files: a path, bytes, a binary file object, an iterable of bytes, a URL, or a pair of a file name and one of
            these; one a message, its size checked before anything is sent (`FileError`).
        card: an adaptive card up to version 1.3, as plain data; `attachments` takes it in its envelope.
        on_progress: called with the bytes sent so far, and in all where that is known.
        timeout: seconds for the call, instead of the client's.
        """
        fields = _fields(room_id, to_person_id, to_person_email, text, markdown, parent_id, attachments, html)
        return (await _create(self._session, fields, files, card, False, on_progress, timeout))[0]

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
        timeout: float | None = None,
    ) -> builtins.list[Message]:
        """Send a text of any length as one message after another; code blocks are kept whole where they fit.

        timeout: seconds for each message, instead of the client's.
        """
        fields = _fields(room_id, to_person_id, to_person_email, text, markdown, parent_id, UNSET)
        return await _create(self._session, fields, files, None, True, None, timeout)

    def listen(self, **options: Unpack[ListenOptions]) -> Subscription[RealtimeMessageEvent | RealtimeGapEvent]:
        """Receive message events in real time, decrypted: `created`, `updated`, `deleted`; `gap` where some were lost.

        Options: `device_name` (each process needs its own), `max_queue` and `overflow` (`wait`, `drop_oldest`,
        `raise`) for slow consumers, `catch_up` (False, or how many seconds back to look at most; a day),
        `ephemeral` (a device that lasts only as long as this process).
        """
        return listen(self._session, "messages", **options)  # type: ignore[no-any-return]  # by style

    async def mark_read(self, message: Message | str) -> Membership:
        """Tell the others that the user has read up to a message; return the membership, with `last_seen_id`.

        `message` is the message or its id (which takes one more request).
        """
        from webex.realtime.read_status import mark_read

        return await within(self._session, partial(mark_read, message=message))

    async def react(self, message: Message | str, name: ReactionName | str) -> Reaction:
        """React to a message, end-to-end encrypted; return the reaction, which `unreact` takes.

        name: `celebrate`, `heart`, `thumbsup`, `smiley`, `haha`, `confused` or `sad`.
        `EncryptionError` when the key of the message can't be had; `NotFoundError` where one may not see it.
        """
        from webex.realtime.reactions import react

        return await within(self._session, partial(react, message=message, name=name))

    async def unreact(self, message: Message | str, reaction: Reaction | ReactionName | str) -> bool:
        """Remove the user's own reaction, by its name or as `react` gave it; return whether there was one."""
        from webex.realtime.reactions import unreact

        return await within(self._session, partial(unreact, message=message, reaction=reaction))

    async def reactions(self, message: Message | str) -> builtins.list[Reaction]:
        """Return the reactions to a message with who gave them, decrypted here, the oldest first."""
        from webex.realtime.reactions import list_reactions

        return await within(self._session, partial(list_reactions, message=message))


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
        html: str | Unset | None = UNSET,
        parent_id: str | Unset | None = UNSET,
        files: FileLike | None = None,
        card: Mapping[str, Any] | None = None,
        attachments: Sequence[Mapping[str, Any]] | Unset = UNSET,
        on_progress: Progress | None = None,
        timeout: float | None = None,
    ) -> Message:
        """`POST /messages`: to a room, or to one person; see `AsyncMessages.create`."""
        fields = _fields(room_id, to_person_id, to_person_email, text, markdown, parent_id, attachments, html)
        return self._drive(_create(self._session, fields, files, card, False, on_progress, timeout))[0]

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
        timeout: float | None = None,
    ) -> builtins.list[Message]:
        """Send a text of any length as one message after another; see `AsyncMessages.create_long`."""
        fields = _fields(room_id, to_person_id, to_person_email, text, markdown, parent_id, UNSET)
        return self._drive(_create(self._session, fields, files, None, True, None, timeout))

    def listen(self, **options: Unpack[ListenOptions]) -> BlockingSubscription[RealtimeMessageEvent | RealtimeGapEvent]:
        """Receive message events in real time, decrypted; see `AsyncMessages.listen`."""
        return listen(self._session, "messages", **options)  # type: ignore[no-any-return]  # by style

    def mark_read(self, message: Message | str) -> Membership:
        """Tell the others that the user has read up to a message; see `AsyncMessages.mark_read`."""
        from webex.realtime.read_status import mark_read

        return self._drive(within(self._session, partial(mark_read, message=message)))

    def react(self, message: Message | str, name: ReactionName | str) -> Reaction:
        """React to a message, end-to-end encrypted; see `AsyncMessages.react`."""
        from webex.realtime.reactions import react

        return self._drive(within(self._session, partial(react, message=message, name=name)))

    def unreact(self, message: Message | str, reaction: Reaction | ReactionName | str) -> bool:
        """Remove the user's own reaction; see `AsyncMessages.unreact`."""
        from webex.realtime.reactions import unreact

        return self._drive(within(self._session, partial(unreact, message=message, reaction=reaction)))

    def reactions(self, message: Message | str) -> builtins.list[Reaction]:
        """Return the reactions to a message with who gave them; see `AsyncMessages.reactions`."""
        from webex.realtime.reactions import list_reactions

        return self._drive(within(self._session, partial(list_reactions, message=message)))


def _fields(
    room_id: Any,
    to_person_id: Any,
    to_person_email: Any,
    text: Any,
    markdown: Any,
    parent_id: Any,
    attachments: Any,
    html: Any = UNSET,
) -> dict[str, Any]:
    return {
        "roomId": room_id,
        "toPersonId": to_person_id,
        "toPersonEmail": to_person_email,
        "text": text,
        "markdown": markdown,
        "html": html,
        "parentId": parent_id,
        "attachments": attachments,
    }
