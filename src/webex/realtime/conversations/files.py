"""Upload files encrypted, and fetch what is to be decrypted (conversations §1)."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from webex.encryption.scr import SCR
from webex.errors import ApiError, DecodeError, EncryptionError, FileError, TransportError
from webex.http.types import Request
from webex.realtime.lookup import room_url

if TYPE_CHECKING:
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.user_connection import UserConnection


async def upload(
    service: ConversationService,
    connection: UserConnection,
    room: str,
    source: Any,
    scr: SCR,
    *,
    hidden: bool = False,
    role: str | None = None,
) -> int:
    """Encrypt and upload a file; return its size, and set the address in `scr`.

    `hidden` is for what is no file of its own, such as a preview; `role` is what the file is for, `spaceAvatar`.
    """
    url = await room_url(connection, room)
    services = connection.services
    space = (await services.send("PUT", f"{url}/space/hidden" if hidden else f"{url}/space")).json()["spaceUrl"]
    digest = hashlib.sha256()
    encrypted = tempfile.SpooledTemporaryFile(max_size=1024 * 1024)  # noqa: SIM115  # closed below
    try:
        size = 0
        async for piece in scr.encrypt(source.open()):
            digest.update(piece)
            size += len(piece)
            await asyncio.to_thread(encrypted.write, piece)
        if not size:
            raise FileError("An empty file can't be encrypted.")
        session: dict[str, Any] = {
            "fileSize": size,
            "claimedFileType": "application/octet-stream",
            "uploadProtocol": "content-length",
        }
        if role is not None:
            session["role"] = role
        made = (await services.send("POST", f"{space}/upload_sessions", json=session)).json()
        encrypted.seek(0)
        await service.manager.pipeline.send(
            Request(
                "PUT",
                made["uploadUrl"],
                content=_pieces(encrypted),
                content_type="application/octet-stream",
                auth="none",
            )
        )
        finish = {"fileSize": size, "fileHash": digest.hexdigest()}
        scr.loc = str((await services.send("POST", made["finishUploadUrl"], json=finish)).json()["downloadUrl"])
        return size
    except (KeyError, TypeError):
        raise DecodeError("The upload service's answer lacks an address.") from None
    finally:
        encrypted.close()


async def fetch(service: ConversationService, connection: UserConnection, url: str) -> AsyncIterator[bytes]:
    """Yield the encrypted bytes, from a signed address where the file service gives one."""
    pipeline, address = service.manager.pipeline, url
    trusted = pipeline.hosts.may_receive_token(url)
    if not trusted and not _is_public(url):  # the sender of the file chose the address
        raise EncryptionError("The file's address leads to no file service; it was not fetched.")
    if trusted:
        with suppress(ApiError, TransportError, DecodeError, KeyError, TypeError):
            services = f"{url.partition('/v1/')[0]}/v1/download/endpoints"
            found = (await connection.services.send("POST", services, json={"endpoints": [url]})).json()
            address = str(found["endpoints"][url])
    auth: Literal["none", "token"] = "token" if trusted and address == url else "none"
    stream = await pipeline.stream(Request("GET", address, auth=auth, headers={"accept": "*/*"}), service.tokens)
    async with stream:
        async for piece in stream.chunks():
            yield piece


def _is_public(url: str) -> bool:
    """Return whether an address is https, and that of a named host in a domain."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    last = host.rpartition(".")[2]
    return parts.scheme == "https" and "@" not in parts.netloc and "." in host and last.isascii() and last.isalpha()


async def _pieces(file: Any) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, 256 * 1024):
        yield piece
