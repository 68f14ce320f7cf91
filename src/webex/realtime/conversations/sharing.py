"""Share files and pictures: encrypted on this machine and streamed, each under a key of its own."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webex.encryption.scr import SCR
from webex.errors import ConfigurationError, FileError
from webex.http.sources import BytesSource, check_size, source_of
from webex.ids import to_hydra_id
from webex.realtime.conversations.comments import texts
from webex.realtime.conversations.files import upload
from webex.realtime.conversations.previews import Preview, given_preview, read_picture
from webex.realtime.conversations.room_keys import key_of
from webex.realtime.given_ids import uuid_of

if TYPE_CHECKING:
    from webex.http.types import Source
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.user_connection import UserConnection

_MOST_OF_PICTURE: Final = 1024 * 1024  # bytes, of a room's picture


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file to share.

    `content` is a path, bytes, a binary file object or an iterable of bytes; `name` is what the others see (that of the
    path or file object, where there is one). `thumbnail` is a preview, the bytes of a PNG, JPEG or GIF: None makes one
    with Pillow where it is installed and the file is a picture, False leaves it out. `content_type` follows from the
    name.
    """

    content: Any
    name: str | None = None
    thumbnail: bytes | bool | None = None
    content_type: str | None = None


@dataclass(slots=True)
class _Prepared:
    """A file that was checked, before anything is uploaded."""

    source: Source
    name: str
    kind: str
    preview: Preview | None = None
    size: tuple[int, int] | None = None  # width and height of a picture


async def share_files(
    service: ConversationService,
    room_id: str,
    files: Any,
    text: str | None,
    *,
    html: str | None,
    name: str | None,
    thumbnail: bytes | bool | None,
    parent_id: str | None,
) -> str:
    """Upload files and send the message that holds them; return the message's id."""
    room = uuid_of(room_id)
    parent = None if parent_id is None else uuid_of(parent_id)
    prepared = [await _prepare(service, file) for file in _listed(files, name, thumbnail)]
    connection = await service.connected()
    await key_of(connection, room)  # before anything is uploaded
    items = [await _uploaded(service, connection, room, file) for file in prepared]
    content: dict[str, Any] = {"objectType": "content", "files": {"items": items}, **texts(text, html)}
    content["contentCategory"] = _category([file.kind for file in prepared])
    activity: dict[str, Any] = {"verb": "share", "object": content}
    if parent is not None:
        activity["parent"] = {"id": parent, "type": "reply"}
    return to_hydra_id("MESSAGE", (await service.submit(room_id, activity, endpoint="content"))["id"])


async def assign_picture(service: ConversationService, room_id: str, file: Any, name: str | None) -> None:
    """Make a picture that of the room."""
    room = uuid_of(room_id)
    prepared = await _prepare(service, OutgoingFile(file, name, thumbnail=False))
    check_size(prepared.name, prepared.source.size, _MOST_OF_PICTURE)
    if not prepared.kind.startswith("image/"):
        raise ConfigurationError(f"{prepared.name!r} is no picture by its name; give name='picture.png', say.")
    connection = await service.connected()
    await key_of(connection, room)
    item = await _uploaded(service, connection, room, prepared, role="spaceAvatar")
    content = {"objectType": "content", "files": {"items": [item]}, "contentCategory": "images"}
    await service.submit(room_id, {"verb": "assign", "object": content})


async def unassign_picture(service: ConversationService, room_id: str) -> None:
    """Take the picture of a room away."""
    content: dict[str, Any] = {"objectType": "content", "files": {"items": []}}
    await service.submit(room_id, {"verb": "unassign", "object": content}, encrypt=False)


def _listed(files: Any, name: str | None, thumbnail: bytes | bool | None) -> list[OutgoingFile]:
    """Return the files that were given: one of any shape, or a list of several."""
    several = isinstance(files, list | tuple) and not any(isinstance(each, bytes | bytearray) for each in files)
    if not several:
        if isinstance(files, OutgoingFile):
            if name is not None or thumbnail is not None:
                raise ConfigurationError(
                    "An OutgoingFile has its own name and thumbnail; name= and thumbnail= do not go."
                )
            return [files]
        return [OutgoingFile(files, name, thumbnail)]
    if not files:
        raise ConfigurationError("A share has at least one file.")
    if name is not None or thumbnail is not None:
        raise ConfigurationError(
            "name= and thumbnail= are for one file. For several give each its own: OutgoingFile(path, name=…)."
        )
    return [each if isinstance(each, OutgoingFile) else OutgoingFile(each) for each in files]


async def _prepare(service: ConversationService, file: OutgoingFile) -> _Prepared:
    content = file.content
    source = source_of(content, service.manager.runtime)
    own = content if isinstance(content, str | os.PathLike) else getattr(content, "name", None)
    name = file.name or (os.path.basename(os.fspath(own)) if isinstance(own, str | os.PathLike) else "file")
    check_size(name, source.size, service.manager.config.max_upload_size)
    if source.size == 0:
        raise FileError(f"{name!r} is empty, and an empty file can't be encrypted.")
    kind = file.content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    prepared = _Prepared(source, name, kind)
    if file.thumbnail not in (None, False):
        prepared.preview = given_preview(file.thumbnail)  # type: ignore[arg-type]  # True is refused there
    if kind.startswith("image/"):
        prepared.size, made = await read_picture(source, preview=file.thumbnail is None)
        prepared.preview = prepared.preview or made
    return prepared


async def _uploaded(
    service: ConversationService, connection: UserConnection, room: str, file: _Prepared, role: str | None = None
) -> dict[str, Any]:
    """Upload one file and its preview; return the item that describes them."""
    scr = SCR.new()
    size = await upload(service, connection, room, file.source, scr, role=role)
    item = {"objectType": "file", "displayName": file.name, "fileSize": size, "mimeType": file.kind, "url": scr.loc}
    if file.size is not None:
        item["width"], item["height"] = file.size
    preview = file.preview
    if preview is not None:
        image = SCR.new()
        await upload(service, connection, room, BytesSource(preview.data), image, hidden=True)
        item["image"] = {
            "objectType": "image",
            "url": image.loc,
            "width": preview.width,
            "height": preview.height,
            "mimeType": preview.content_type,
            "scr": image,
        }
    return {**item, "scr": scr}


def _category(kinds: Sequence[str]) -> str:
    """Return what kind of share it is: `images` or `videos` where all files are, else `documents`."""
    for name in ("image", "video"):
        if all(kind.startswith(f"{name}/") for kind in kinds):
            return f"{name}s"
    return "documents"
