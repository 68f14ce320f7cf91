"""Sending end-to-end encrypted: `client.conversations`, over the conversation service (realtime-protocol §5).

Text is sealed here, under the key of the conversation that the key service gave to this user. Where there is no key
nothing is sent: `EncryptionError`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import mimetypes
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit
from uuid import uuid4

from webex.encryption.content import seal_activity
from webex.encryption.jose import Cipher
from webex.encryption.scr import SCR
from webex.errors import (
    ApiError,
    ConfigurationError,
    DeadlineError,
    DecodeError,
    EncryptionError,
    FileError,
    KMSError,
    NotFoundError,
    TransportError,
)
from webex.http.sources import check_size, source_of
from webex.http.types import Request
from webex.ids import person_uuid, to_hydra_id, to_uuid

if TYPE_CHECKING:
    from webex.http.types import TokenSource
    from webex.realtime.listener import Listener
    from webex.realtime.machine import Machine

_ROTATE: Final = 1400087  # the key has to be changed: somebody left
_STALE: Final = (1409004, 1400049)  # somebody else has changed it
_TAG: Final = re.compile(r"<[^>]+>")
_MENTION: Final = re.compile(r'<spark-mention[^>]*data-object-id="([0-9a-fA-F-]{36})"')


class Conversations:
    """The conversations of one user. Ids are those of the REST API; UUIDs do as well."""

    def __init__(self, machine: Machine, tokens: TokenSource) -> None:
        self._machine, self._tokens = machine, tokens

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
        """Send a message, sealed on this machine; gives its id.

        `html` is what is shown, `text` what stands in for it (made of it when it is missing). Raises `EncryptionError`
        when there is no key, `ApiError` when the service refuses.
        """
        content = _comment(text, html, card)
        activity = {"verb": "post", "object": content}
        if parent_id is not None:
            activity["parent"] = {"id": to_uuid(parent_id), "type": "reply"}
        return to_hydra_id("MESSAGE", (await self._submit(room_id, activity))["id"])

    async def edit(self, room_id: str, message_id: str, text: str | None = None, *, html: str | None = None) -> None:
        """Change one's own message."""
        parent = {"id": to_uuid(message_id), "type": "edit"}
        await self._submit(room_id, {"verb": "post", "object": _comment(text, html, None), "parent": parent})

    async def delete(self, room_id: str, message_id: str) -> None:
        """Delete a message."""
        await self._submit(
            room_id, {"verb": "delete", "object": {"objectType": "activity", "id": to_uuid(message_id)}}, sealed=False
        )

    async def share(
        self, room_id: str, file: Any, text: str | None = None, *, html: str | None = None, name: str | None = None
    ) -> str:
        """Send a file, sealed on this machine and streamed; gives the message's id.

        `file` is a path, bytes, a binary file object or an iterable of bytes.
        """
        listener = await self._connected()
        source = source_of(file, self._machine.runtime)
        own = file if isinstance(file, str | os.PathLike) else getattr(file, "name", None)
        name = name or (os.path.basename(os.fspath(own)) if isinstance(own, str | os.PathLike) else "file")
        check_size(name, source.size, self._machine.config.max_upload_size)
        await self._key_of(listener, to_uuid(room_id))  # before anything is uploaded
        scr = SCR.new()
        size = await self._upload(listener, to_uuid(room_id), source, scr)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        item = {"objectType": "file", "displayName": name, "fileSize": size, "mimeType": kind, "url": scr.loc}
        content: dict[str, Any] = {"objectType": "content", "files": {"items": [{**item, "scr": scr}]}}
        content["contentCategory"] = (
            kind.partition("/")[0] + "s" if kind.startswith(("image/", "video/")) else "documents"
        )
        if text or html:
            content |= {"displayName": text or _plain(html or ""), **({"content": html} if html else {})}
        activity = await self._submit(room_id, {"verb": "share", "object": content}, door="content")
        return to_hydra_id("MESSAGE", activity["id"])

    async def download(self, file: Mapping[str, Any], to: str | os.PathLike[str]) -> Path:
        """Fetch and open a file of `event.files`; written beside its place and moved there when it is proven whole.

        `DecryptionError` when a byte was changed; nothing is left behind then.
        """
        scr = file.get("scr")
        if not isinstance(scr, SCR) or scr.loc is None:
            raise EncryptionError("This file has no description that could be opened.")
        listener = await self._connected()
        target = Path(to)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "wb") as written:
                async with aclosing(scr.decrypt(self._fetch(listener, scr.loc))) as pieces:  # type: ignore[type-var]  # a generator
                    async for piece in pieces:
                        await asyncio.to_thread(written.write, piece)
            await asyncio.to_thread(os.replace, temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        return target

    # Members

    async def add(self, room_id: str, person_id: str) -> None:
        """Add somebody, and let the key service give them the keys."""
        person = person_uuid(person_id)
        kms = {"method": "create", "uri": "/authorizations", "resourceUri": "<KRO>", "userIds": [person]}
        await self._submit(room_id, {"verb": "add", "object": _person(person)}, sealed=False, kms=kms)

    async def leave(self, room_id: str, person_id: str | None = None) -> None:
        """Leave, or take somebody out; they get no key that is made from now on."""
        listener = await self._connected()
        person = person_uuid(person_id) if person_id is not None else listener.user_id
        kms = {"method": "delete", "uri": f"<KRO>/authorizations?authId={person}"}
        await self._submit(room_id, {"verb": "leave", "object": _person(person)}, sealed=False, kms=kms)
        listener.room_keys.pop(to_uuid(room_id), None)

    async def create(self, person_ids: Sequence[str], title: str | None = None) -> str:
        """A new conversation with these people, under a new key; gives the room's id.

        With one other person and no title it is the direct one, which is there once.
        """
        listener = await self._connected()
        people = list(dict.fromkeys([listener.user_id, *(person_uuid(person) for person in person_ids)]))
        base = await listener.door.url_of("conversation")
        direct = len(people) == 2 and title is None
        if direct:
            with suppress(NotFoundError):
                found = (await listener.door.send("GET", f"{base}/conversations/user/{people[1]}")).json()
                return to_hydra_id("ROOM", str(found["id"]))
        key_url, cipher = await self._new_key(listener)
        kms = {"method": "create", "uri": "/resources", "userIds": people, "keyUris": [key_url]}
        body: dict[str, Any] = {
            "objectType": "conversation",
            "kmsMessage": await listener.channel.seal(kms),
            "encryptionKeyUrl": key_url,
            "defaultActivityEncryptionKeyUrl": key_url,
            "activities": {
                "items": [
                    {"verb": "create", "objectType": "activity", "actor": _person(people[0])},
                    *(
                        {
                            "verb": "add",
                            "objectType": "activity",
                            "actor": _person(people[0]),
                            "object": _person(person),
                        }
                        for person in people
                    ),
                ]
            },
        }
        if title is not None:
            body["displayName"] = cipher.seal(title.encode())
        if direct:
            body["tags"] = ["ONE_ON_ONE"]
        made = (await listener.door.send("POST", f"{base}/conversations", json=body)).json()
        return to_hydra_id("ROOM", str(made["id"]))

    # Small signs

    async def typing(self, room_id: str, *, stopped: bool = False) -> None:
        """Show to the others that one types, or has stopped."""
        listener = await self._connected()
        room = to_uuid(room_id)
        url = await self._url(listener, room)
        kind = "status.stop_typing" if stopped else "status.start_typing"
        await listener.door.send("POST", f"{url}/status/typing", json={"conversationId": room, "eventType": kind})

    async def acknowledge(self, room_id: str, message_id: str) -> None:
        """Show to the others that one has read up to a message."""
        content = {"objectType": "activity", "id": to_uuid(message_id)}
        await self._submit(room_id, {"verb": "acknowledge", "object": content}, sealed=False)

    async def presence(self, person_id: str) -> str:
        """Whether somebody is there: `active`, `inactive`, `dnd`, `meeting`, … as the presence service says."""
        listener = await self._connected()
        base = await listener.door.url_of("apheleia")
        params = {"userId": person_uuid(person_id)}
        found = (await listener.door.send("GET", f"{base}/compositions", params=params)).json()
        return str(found.get("status") or "unknown") if isinstance(found, dict) else "unknown"

    # How it is done

    async def _connected(self) -> Listener:
        """The way to the key service; it lives as long as the app, whether somebody listens or not."""
        limit = self._machine.config.timeout
        listener = self._machine.sender(self._tokens)
        try:
            async with asyncio.timeout(limit):
                await listener.keep_open()
        except TimeoutError:
            raise DeadlineError(f"No connection to the key service within {limit:g} s; nothing was sent.") from None
        return listener

    async def _url(self, listener: Listener, room: str) -> str:
        return f"{await listener.door.url_of('conversation')}/conversations/{room}"

    async def _submit(
        self,
        room_id: str,
        activity: dict[str, Any],
        *,
        sealed: bool = True,
        door: str = "activities",
        kms: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        listener = await self._connected()
        room = to_uuid(room_id)
        url = await self._url(listener, room)
        whole = {
            "objectType": "activity",
            "clientTempId": str(uuid4()),
            "actor": _person(listener.user_id),
            "target": {"objectType": "conversation", "id": room, "url": url},
            **activity,
        }
        params = {"personRefresh": "true"}
        if door == "content":
            params |= {"transcode": "true", "async": "false"}
        for _ in range(3):
            body = dict(whole)
            if kms is not None:
                resource = (await self._key_of(listener, room))[2]
                filled = json.loads(json.dumps(dict(kms)).replace("<KRO>", resource))
                body["kmsMessage"] = await listener.channel.seal(filled)
            if sealed:
                key_url, cipher, _resource = await self._key_of(listener, room)
                body = seal_activity(body, cipher, key_url)
            try:
                response = await listener.door.send("POST", f"{url}/{door}", params=params, json=body)
            except ApiError as error:
                code = error_code(error)
                if code not in (_ROTATE, *_STALE):
                    raise
                listener.room_keys.pop(room, None)
                if code == _ROTATE:
                    await self._rotate(listener, room, url)
                continue
            made = response.json()
            if not isinstance(made, dict) or not isinstance(made.get("id"), str):
                raise DecodeError("The conversation service's answer is no activity.")
            return made
        raise EncryptionError("The key of the conversation changed each time that a message was sealed with it.")

    async def _key_of(self, listener: Listener, room: str) -> tuple[str, Cipher, str]:
        """The conversation's key URL, the key, and its resource; makes a key where there is none."""
        known = listener.room_keys.get(room)
        if known is None:
            url = await self._url(listener, room)
            conversation = (await listener.door.send("GET", url, params={"includeParticipants": "true"})).json()
            key_url, resource = (
                conversation.get(name) for name in ("defaultActivityEncryptionKeyUrl", "kmsResourceObjectUrl")
            )
            if not isinstance(key_url, str) or not key_url:
                await self._rotate(listener, room, url, conversation)
                known = listener.room_keys[room]
            else:
                known = (key_url, str(resource or ""))
                listener.keep_room_key(room, known)
        try:
            return known[0], await listener.keys.get(known[0]), known[1]
        except KMSError as error:
            listener.room_keys.pop(room, None)
            raise EncryptionError(f"Nothing was sent: the conversation's key could not be had. {error}") from error

    async def _new_key(self, listener: Listener) -> tuple[str, Cipher]:
        try:
            return await listener.keys.create()
        except KMSError as error:
            raise EncryptionError(f"Nothing was sent: no key could be made. {error}") from error

    async def _rotate(
        self, listener: Listener, room: str, url: str, conversation: Mapping[str, Any] | None = None
    ) -> None:
        """Give the conversation a new key, for those who are in it now."""
        if conversation is None:
            conversation = (await listener.door.send("GET", url, params={"includeParticipants": "true"})).json()
        key_url, _cipher = await self._new_key(listener)
        resource = conversation.get("kmsResourceObjectUrl") if isinstance(conversation, Mapping) else None
        if resource:
            kms: dict[str, Any] = {"method": "update", "uri": key_url, "resourceUri": resource}
        else:
            people = (conversation.get("participants") or {}).get("items") or () if conversation else ()
            ids = [str(person.get("entryUUID") or person["id"]) for person in people]
            kms = {"method": "create", "uri": "/resources", "userIds": ids, "keyUris": [key_url]}
        body = {
            "objectType": "activity",
            "verb": "updateKey",
            "clientTempId": str(uuid4()),
            "actor": _person(listener.user_id),
            "target": {"objectType": "conversation", "id": room, "url": url},
            "object": {"objectType": "conversation", "defaultActivityEncryptionKeyUrl": key_url},
            "kmsMessage": await listener.channel.seal(kms),
        }
        answer = (await listener.door.send("POST", f"{url}/activities", json=body)).json()
        if not resource and isinstance(answer, dict) and answer.get("kmsMessage"):
            resource = listener.channel.open_relayed(answer["kmsMessage"]).get("resource", {}).get("uri")
        listener.keep_room_key(room, (key_url, str(resource or "")))

    async def _upload(self, listener: Listener, room: str, source: Any, scr: SCR) -> int:
        url = await self._url(listener, room)
        door = listener.door
        space = (await door.send("PUT", f"{url}/space")).json()["spaceUrl"]
        digest = hashlib.sha256()
        sealed = tempfile.SpooledTemporaryFile(max_size=1024 * 1024)  # noqa: SIM115  # closed below
        try:
            size = 0
            async for piece in scr.encrypt(source.open()):
                digest.update(piece)
                size += len(piece)
                await asyncio.to_thread(sealed.write, piece)
            if not size:
                raise FileError("An empty file can't be encrypted.")
            session = {
                "fileSize": size,
                "claimedFileType": "application/octet-stream",
                "uploadProtocol": "content-length",
            }
            made = (await door.send("POST", f"{space}/upload_sessions", json=session)).json()
            sealed.seek(0)
            await self._machine.pipeline.send(
                Request(
                    "PUT",
                    made["uploadUrl"],
                    content=_pieces(sealed),
                    content_type="application/octet-stream",
                    auth="none",
                )
            )
            finish = {"fileSize": size, "fileHash": digest.hexdigest()}
            scr.loc = str((await door.send("POST", made["finishUploadUrl"], json=finish)).json()["downloadUrl"])
            return size
        except (KeyError, TypeError):
            raise DecodeError("The upload service's answer lacks an address.") from None
        finally:
            sealed.close()

    async def _fetch(self, listener: Listener, url: str) -> AsyncIterator[bytes]:
        """The sealed bytes, by a signed address where the file service gives one."""
        pipeline, address = self._machine.pipeline, url
        trusted = pipeline.hosts.may_receive_token(url)
        if not trusted and not _is_public(url):  # whoever sent the file chose the address
            raise EncryptionError("The file's address leads to no file service; it was not fetched.")
        if trusted:
            with suppress(ApiError, TransportError, DecodeError, KeyError, TypeError):
                door = f"{url.partition('/v1/')[0]}/v1/download/endpoints"
                found = (await listener.door.send("POST", door, json={"endpoints": [url]})).json()
                address = str(found["endpoints"][url])
        auth: Literal["none", "token"] = "token" if trusted and address == url else "none"
        stream = await pipeline.stream(Request("GET", address, auth=auth, headers={"accept": "*/*"}), self._tokens)
        async with stream:
            async for piece in stream.chunks():
                yield piece


def _is_public(url: str) -> bool:
    """Whether an address is https, and that of a named host in a domain."""
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


def _person(uuid: str) -> dict[str, Any]:
    return {"objectType": "person", "id": uuid}


def _comment(text: str | None, html: str | None, card: Mapping[str, Any] | None) -> dict[str, Any]:
    plain = text if text else _plain(html or "")
    if not plain and card is None:
        raise ConfigurationError("A message has text, html or a card.")
    content: dict[str, Any] = {"objectType": "comment", "displayName": plain or "Card"}
    if html:
        content["content"] = html
        mentioned = list(dict.fromkeys(_MENTION.findall(html)))
        if mentioned:
            content["mentions"] = {"items": [_person(uuid.lower()) for uuid in mentioned]}
    if card is not None:
        content["cards"] = [dict(card)]
    return content


def _plain(html: str) -> str:
    from html import unescape

    return unescape(_TAG.sub("", html)).strip()


def error_code(error: ApiError) -> int | None:
    """The conversation service's own code of an error."""
    body = error.body
    code = body.get("errorCode") if isinstance(body, dict) else None
    return code if isinstance(code, int) else None
