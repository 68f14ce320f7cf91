"""Files through the conversation service's door: upload sessions, `share`, and the sealed bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from webex.emulator.conversation.access import BASE, may_write, room_of
from webex.emulator.conversation.activities import new_message, opened, opener, save
from webex.emulator.conversation.faults import spoilt
from webex.emulator.conversation.render import activity_json
from webex.emulator.conversation.sealing import ciphertext, plaintext
from webex.emulator.files import check_scan
from webex.emulator.rest.rules import membership_of
from webex.emulator.state import StoredFile
from webex.emulator.wire import Problem, Reply
from webex.encryption.jose import BadTokenError

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Room
    from webex.emulator.wire import Call

_FILES = "/files/api/v1"


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("POST", f"{BASE}/conversations/{{id}}/content", share)
    table.add("POST", f"{BASE}/content", share)
    for name in ("space", "space/hidden"):
        table.add("PUT", f"{BASE}/conversations/{{id}}/{name}", space)
    table.add("POST", f"{_FILES}/spaces/{{id}}/upload_sessions", begin_upload)
    table.add("PUT", f"{_FILES}/uploads/{{id}}", upload)
    table.add("POST", f"{_FILES}/uploads/{{id}}/finish", finish_upload)
    table.add("GET", f"{_FILES}/spaces/{{id}}/contents/{{uploadId}}", sealed_upload)
    table.add("GET", f"{_FILES}/contents/{{messageId}}/{{index}}", sealed_file)
    table.add("POST", "/v1/download/endpoints", endpoints)
    table.add("POST", f"{_FILES}/download/endpoints", endpoints)


def space(call: Call) -> Reply:
    """Where the files of a conversation are uploaded to."""
    room = room_of(call, call.person(), call.path["id"])
    return Reply(200, {"spaceUrl": f"{call.base}{_FILES}/spaces/{room.id}"})


def begin_upload(call: Call) -> Reply:
    """An upload of a known size."""
    room = room_of(call, call.person(), call.path["id"])
    size = call.json().get("fileSize")
    if not isinstance(size, int) or size < 1:
        raise Problem(400, "fileSize is required.")
    if size > call.cloud.settings.max_file_size:
        raise Problem(413, "The file is larger than the cloud takes.")
    # Whoever has the address may upload: it holds what nobody can guess.
    name = f"{call.cloud.new_uuid()}-{size}-{room.id}"
    base = f"{call.base}{_FILES}/uploads/{name}"
    return Reply(200, {"uploadUrl": base, "finishUploadUrl": f"{base}/finish", "fileUploadSizeLimit": 100})


def upload(call: Call) -> Reply:
    """The sealed bytes."""
    size = call.path["id"].split("-")[5:6]
    if not size or not size[0].isdigit() or int(size[0]) != len(call.body):
        raise Problem(400, "The upload has another size than was said.")
    call.state.uploads[call.path["id"]] = call.body
    return Reply(200, {})


def finish_upload(call: Call) -> Reply:
    """The upload is whole: its address."""
    call.person()
    data = call.state.uploads.get(call.path["id"])
    body = call.json()
    # The hash is not compared: in Node the JS SDK hashes something else than the bytes that it sends.
    if data is None or body.get("fileSize") != len(data) or len(str(body.get("fileHash"))) != 64:
        raise Problem(400, "The upload is not whole.")
    room_id = call.path["id"][-36:]
    return Reply(200, {"downloadUrl": f"{call.base}{_FILES}/spaces/{room_id}/contents/{call.path['id']}"})


def sealed_upload(call: Call) -> Reply:
    """The bytes as they were uploaded."""
    room_of(call, call.person(), call.path["id"])
    data = call.state.uploads.get(call.path["uploadId"])
    if data is None:
        raise Problem(404, "The file was not found.")
    return Reply(200, data, content_type="application/octet-stream")


def sealed_file(call: Call) -> Reply:
    """A stored file, sealed."""
    person = call.person()
    file = call.state.files.get(f"{call.path['messageId']}/{call.path['index']}")
    if file is None or membership_of(call.state, person, file.room_id) is None:
        raise Problem(404, "The file was not found.")
    check_scan(call, file)
    data = spoilt(call.cloud.conversations.faults, ciphertext(file))
    return Reply(200, data, content_type="application/octet-stream")


def endpoints(call: Call) -> Reply:
    """Addresses to download from: the same ones, here."""
    call.person()
    given = call.json().get("endpoints")
    if not isinstance(given, list):
        raise Problem(400, "endpoints must be a list.")
    return Reply(200, {"endpoints": {str(url): str(url) for url in given}})


def share(call: Call) -> Reply:
    """A message with files that were uploaded before."""
    person = call.person()
    body = call.json()
    room = room_of(call, person, call.path.get("id") or str((body.get("target") or {}).get("id") or ""))
    content = body.get("object") or {}
    cipher = opener(call, room, body, person)
    items = (content.get("files") or {}).get("items") or []
    if not items:
        raise Problem(400, "A share has files.")
    may_write(call, person, room)
    message = new_message(call, person, room, body.get("parent") or {})
    message.text, message.html = opened(cipher, content.get("displayName")), opened(cipher, content.get("content"))
    for index, item in enumerate(items):
        file = _stored(call, room, item, cipher, f"{message.id}/{index}", message.id)
        call.state.files[file.id] = file
        message.files = [*message.files, file.id]
    made = call.cloud.conversations.on_behalf(body, lambda: save(call, person, room, message))
    return Reply(200, {} if made is None else activity_json(call.cloud, made, call.base))


def _stored(call: Call, room: Room, item: dict[str, Any], cipher: Any, file_id: str, message_id: str) -> StoredFile:
    try:
        scr = msgspec.json.decode(cipher.open(item["scr"]))
        loc = str(scr["loc"])
    except (BadTokenError, KeyError, TypeError, msgspec.DecodeError):
        raise Problem(400, "The SCR of a file can't be opened.") from None
    data = call.state.uploads.pop(loc.rsplit("/", 1)[-1], None)
    if data is None:
        raise Problem(400, "The file of an SCR was not uploaded.")
    plain = plaintext(data, scr)
    seal = {name: str(scr[name]) for name in ("key", "iv", "aad", "tag")}
    seconds = call.cloud.settings.file_scan_seconds
    return StoredFile(
        id=file_id,
        name=opened(cipher, item.get("displayName")) or "file",
        content_type=str(item.get("mimeType") or "application/octet-stream"),
        size=len(plain),
        message_id=message_id,
        room_id=room.id,
        data=plain,
        scan="scanning" if seconds else "clean",
        scan_until=call.cloud.now() + seconds if seconds else None,
        seal=seal,
    )
