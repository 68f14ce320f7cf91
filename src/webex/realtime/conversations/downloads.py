"""Download files and decrypt them on this machine: to bytes, a path, or a file object."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias

from webex.encryption.jose import BadTokenError, header_of
from webex.encryption.scr import SCR
from webex.errors import ConfigurationError, DecryptionError, EncryptionError, FileError, KMSError
from webex.http.header_values import safe_file_name
from webex.http.saving import saving
from webex.ids import HydraId, is_hydra_id, parse_id
from webex.realtime.conversations.files import fetch
from webex.realtime.lookup import activity_of

if TYPE_CHECKING:
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.user_connection import UserConnection

Downloadable: TypeAlias = Mapping[str, Any] | str | tuple[str, str]
_IN_MEMORY: Final = 1024 * 1024  # bytes; a larger file waits on disk until it is proven whole
_PIECE: Final = 256 * 1024


async def download_file(
    service: ConversationService, file: Downloadable, to: str | os.PathLike[str] | BinaryIO | None, key_uri: str | None
) -> bytes | Path | int:
    """Download and decrypt a file; see `Conversations.download`."""
    connection = await service.connected()
    scr, name = await _described(connection, file, key_uri)
    address = scr.loc or ""
    if to is None or not isinstance(to, str | os.PathLike):
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as proven:
            await _decrypt(scr, fetch(service, connection, address), proven)
            await asyncio.to_thread(proven.seek, 0)
            return await asyncio.to_thread(proven.read) if to is None else await asyncio.to_thread(_copy, proven, to)
    named = (safe_file_name(name) or "file") if await asyncio.to_thread(os.path.isdir, to) else ""
    async with saving(to, named, asyncio.to_thread) as made:
        await _decrypt(scr, fetch(service, connection, address), made.file)
        return await asyncio.to_thread(made.finish)


async def _decrypt(scr: SCR, encrypted: AsyncIterator[bytes], to: Any) -> None:
    """Write what is decrypted; it is authenticated when this returns, and not before."""
    async with aclosing(scr.decrypt(encrypted)) as pieces:  # type: ignore[type-var]  # a generator
        async for piece in pieces:
            await asyncio.to_thread(to.write, piece)


def _copy(proven: Any, to: BinaryIO) -> int:
    size = 0
    while piece := proven.read(_PIECE):
        try:
            to.write(piece)
        except (TypeError, ValueError, AttributeError) as error:
            raise FileError(f"The file object can't be written: {error}. Open it in binary mode ('wb').") from error
        size += len(piece)
    return size


async def _described(connection: UserConnection, file: Downloadable, key_uri: str | None) -> tuple[SCR, str]:
    """Return the opened description of a file, and the name that its sender gave it."""
    if isinstance(file, Mapping):
        scr, name = file.get("scr"), file.get("displayName")
        if isinstance(scr, SCR) and scr.loc is not None:
            return scr, name if isinstance(name, str) else ""
        if isinstance(scr, str):
            return await _open(connection, file, key_uri or _text(file.get("encryptionKeyUrl")))
        raise EncryptionError("This file has no description that could be opened.")
    url, second = (file, None) if isinstance(file, str) else _pair(file)
    if second is None or second.startswith("kms:"):
        return await _of_message(connection, url, key_uri or second)
    scr, name = await _open(connection, {"scr": second}, key_uri or _named_key(second))
    scr.loc = url
    return scr, name


def _pair(file: Any) -> tuple[str, str]:
    if isinstance(file, tuple) and len(file) == 2 and all(isinstance(part, str) for part in file):
        return file
    raise ConfigurationError(
        "A file is one of event.files, a URL of message.files, or a pair of a URL and a key's URI (kms://…) or the "
        "encrypted description (SCR) of the file."
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _named_key(token: str) -> str | None:
    """Return the key that a token names itself; only some clients write it there."""
    try:
        named = header_of(token).get("kid")
    except BadTokenError:
        return None
    return named if isinstance(named, str) and named.startswith("kms:") else None


async def _open(connection: UserConnection, item: Mapping[str, Any], key_uri: str | None) -> tuple[SCR, str]:
    """Open the description and the name of a file as the wire has them."""
    if key_uri is None:
        raise ConfigurationError("The description of the file does not name its key; give key_uri='kms://…'.")
    try:
        cipher = await connection.keys.get(key_uri)
    except KMSError as error:
        raise DecryptionError(f"The key of the file could not be had. {error}") from error
    scr = SCR.from_jwe(item["scr"], cipher)
    try:
        name = cipher.decrypt(item.get("displayName") or "").decode()
    except (BadTokenError, UnicodeDecodeError):
        name = ""
    return scr, name


async def _of_message(connection: UserConnection, url: str, key_uri: str | None) -> tuple[SCR, str]:
    """Find the description of a file of a message, by its public URL, in the activity."""
    message, _, index = _content_id(url).id.partition("/")
    activity = await activity_of(connection, message)
    content = activity.get("object")
    files = content.get("files") if isinstance(content, dict) else None
    items = files.get("items") if isinstance(files, dict) else None
    number = int(index) if index.isascii() and index.isdigit() else -1
    item = items[number] if isinstance(items, list) and 0 <= number < len(items) else None
    if not isinstance(item, dict) or not isinstance(item.get("scr"), str):
        raise EncryptionError("The message has no such file, or it is not encrypted.")
    return await _open(
        connection, item, key_uri or _text(item.get("encryptionKeyUrl")) or _text(activity.get("encryptionKeyUrl"))
    )


def _content_id(url: str) -> HydraId:
    last = url.rstrip("/").rpartition("/")[2].partition("?")[0]
    if is_hydra_id(last) and (found := parse_id(last)).kind == "CONTENT":
        return found
    raise ConfigurationError(
        f"{url!r} is no URL of message.files. Any other file is a pair of its URL and its encrypted description (SCR)."
    )
