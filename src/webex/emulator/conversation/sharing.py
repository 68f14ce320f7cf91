"""Files through the conversation service's door: upload sessions, `share`, and the encrypted bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from webex.emulator.conversation.access import BASE, activity_of, may_write, room_of
from webex.emulator.conversation.activities import items_of, new_message, note_mentions, opened, opener, save
from webex.emulator.conversation.faults import spoilt
from webex.emulator.conversation.file_encryption import ciphertext, plaintext
from webex.emulator.conversation.render import activity_json
from webex.emulator.files import check_scan
from webex.emulator.rest.rules import membership_of, require_moderator
from webex.emulator.state import Preview, StoredFile
from webex.emulator.wire import Problem, Reply
from webex.encryption.jose import BadTokenError, Cipher

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person, Room
    from webex.emulator.wire import Call

_FILES: Final = "/files/api/v1"
_CONTENT_TYPE: Final = re.compile(r"[!-~]+/[ -~]+")


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("POST", f"{BASE}/conversations/{{id}}/content", share)
    table.add("POST", f"{BASE}/content", share)
    for name in ("space", "space/hidden"):
        table.add("PUT", f"{BASE}/conversations/{{id}}/{name}", space)
    table.add("POST", f"{_FILES}/spaces/{{id}}/upload_sessions", begin_upload)
    table.add("PUT", f"{_FILES}/uploads/{{id}}", upload)
    table.add("POST", f"{_FILES}/uploads/{{id}}/finish", finish_upload)
    table.add("GET", f"{_FILES}/spaces/{{id}}/contents/{{uploadId}}", encrypted_upload)
    table.add("GET", f"{_FILES}/contents/{{messageId}}/{{index}}", encrypted_file)
    table.add("GET", f"{_FILES}/contents/{{messageId}}/{{index}}/image", encrypted_preview)
    table.add("POST", "/v1/download/endpoints", endpoints)
    table.add("POST", f"{_FILES}/download/endpoints", endpoints)


def space(call: Call) -> Reply:
    """Where the files of a conversation are uploaded to."""
    room = room_of(call, call.person(), call.path["id"])
    return Reply(200, {"spaceUrl": f"{call.base}{_FILES}/spaces/{room.id}"})


def begin_upload(call: Call) -> Reply:
    """Begin an upload, of a known size where the client says it: `ciscospark` says it at the end only."""
    room = room_of(call, call.person(), call.path["id"])
    size = call.json().get("fileSize", 0) if call.body else 0
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Problem(400, "fileSize is a number of bytes.")
    if size > call.cloud.settings.max_file_size:
        raise Problem(413, "The file is larger than the cloud takes.")
    # The address is enough to upload: it holds a secret that can't be guessed.
    name = f"{call.cloud.new_uuid()}-{size}-{room.id}"
    base = f"{call.base}{_FILES}/uploads/{name}"
    return Reply(200, {"uploadUrl": base, "finishUploadUrl": f"{base}/finish", "fileUploadSizeLimit": 100})


def upload(call: Call) -> Reply:
    """Take the encrypted bytes."""
    if len(call.body) > call.cloud.settings.max_file_size:
        raise Problem(413, "The file is larger than the cloud takes.")
    size = call.path["id"].split("-")[5:6]
    if not size or not size[0].isdigit() or int(size[0]) not in (0, len(call.body)):
        raise Problem(400, "The upload has another size than was said.")
    call.state.uploads[call.path["id"]] = call.body
    return Reply(200, {})


def finish_upload(call: Call) -> Reply:
    """Finish the upload, and return its address."""
    call.person()
    data = call.state.uploads.get(call.path["id"])
    body = call.json()
    # The hash is not compared: in Node the JS SDK hashes something else than the bytes that it sends.
    if data is None or body.get("fileSize") != len(data) or len(str(body.get("fileHash", "-" * 64))) != 64:
        raise Problem(400, "The upload is not whole.")
    room_id = call.path["id"][-36:]
    return Reply(200, {"downloadUrl": f"{call.base}{_FILES}/spaces/{room_id}/contents/{call.path['id']}"})


def encrypted_upload(call: Call) -> Reply:
    """Return the bytes as they were uploaded."""
    room_of(call, call.person(), call.path["id"])
    data = call.state.uploads.get(call.path["uploadId"])
    if data is None:
        raise Problem(404, "The file was not found.")
    return Reply(200, data, content_type="application/octet-stream")


def encrypted_file(call: Call) -> Reply:
    """Return a stored file, encrypted."""
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
    """Send a message with files that were uploaded before; with the verb `assign`, set the room's picture."""
    person = call.person()
    body = activity_of(call)
    room = room_of(call, person, call.path.get("id") or str((body.get("target") or {}).get("id") or ""))
    content = body.get("object") or {}
    cipher = opener(call, room, body, person)
    items = items_of(content.get("files"))
    if not items:
        raise Problem(400, "A share has files.")
    if body.get("verb") == "assign":
        picture = call.cloud.conversations.on_behalf(body, lambda: assign_picture(call, person, room, items[0], cipher))
        return Reply(200, {} if picture is None else activity_json(call.cloud, picture, call.base))
    may_write(call, person, room)
    message = new_message(call, person, room, body.get("parent") or {})
    message.text, message.html = opened(cipher, content.get("displayName")), opened(cipher, content.get("content"))
    note_mentions(call, message, content)
    for index, item in enumerate(items):
        file = _stored(call, room, item, cipher, f"{message.id}/{index}", message.id)
        call.state.files[file.id] = file
        message.files = [*message.files, file.id]
    made = call.cloud.conversations.on_behalf(body, lambda: save(call, person, room, message))
    return Reply(200, {} if made is None else activity_json(call.cloud, made, call.base))


def assign_picture(call: Call, person: Person, room: Room, item: dict[str, Any], cipher: Cipher) -> None:
    """Make an uploaded file the picture of the room."""
    require_moderator(call, person, room)
    file_id = call.cloud.new_time_uuid()
    file = _stored(call, room, item, cipher, f"{file_id}/0", file_id)
    call.state.files[file.id] = file  # the one before stays: an activity of the history names it
    room.avatar = file.id
    content = {"objectType": "content", "files": [file.id], "contentCategory": "images"}
    call.cloud.conversations.record("assign", room, person.id, content, encrypted=True)


def encrypted_preview(call: Call) -> Reply:
    """Return the preview of a stored file, as it was uploaded."""
    person = call.person()
    file = call.state.files.get(f"{call.path['messageId']}/{call.path['index']}")
    if file is None or file.preview is None or membership_of(call.state, person, file.room_id) is None:
        raise Problem(404, "The file was not found.")
    return Reply(200, file.preview.data, content_type="application/octet-stream")


def _preview(call: Call, item: dict[str, Any], cipher: Cipher) -> Preview | None:
    """Read the preview that came with a file: uploaded like it, with an SCR of its own."""
    image = item.get("image")
    if not isinstance(image, dict) or not image.get("scr"):
        return None
    scr, data = _uploaded(call, image, cipher)
    plaintext(data, scr)
    width, height = (value if isinstance(value := image.get(name), int) else 0 for name in ("width", "height"))
    return Preview(width, height, data, {name: str(scr[name]) for name in ("enc", "key", "iv", "aad", "tag")})


def _uploaded(call: Call, item: dict[str, Any], cipher: Cipher) -> tuple[dict[str, Any], bytes]:
    """Return the SCR of an item, and the bytes that were uploaded for it."""
    try:
        scr = msgspec.json.decode(cipher.decrypt(item["scr"]))
        loc = str(scr["loc"])
    except (BadTokenError, KeyError, TypeError, msgspec.DecodeError):
        raise Problem(400, "The SCR of a file can't be opened.") from None
    data = call.state.uploads.pop(loc.rsplit("/", 1)[-1], None)
    if data is None:
        raise Problem(400, "The file of an SCR was not uploaded.")
    return {"enc": "A256GCM", **scr}, data


def _stored(call: Call, room: Room, item: dict[str, Any], cipher: Any, file_id: str, message_id: str) -> StoredFile:
    scr, data = _uploaded(call, item, cipher)
    plain = plaintext(data, scr)
    content_type = str(item.get("mimeType") or "application/octet-stream")
    if not _CONTENT_TYPE.fullmatch(content_type):
        raise Problem(400, "mimeType is no media type.")  # it becomes a header
    encryption = {name: str(scr[name]) for name in ("key", "iv", "aad", "tag")}
    seconds = call.cloud.settings.file_scan_seconds
    return StoredFile(
        id=file_id,
        name=opened(cipher, item.get("displayName")) or "file",
        content_type=content_type,
        size=len(plain),
        message_id=message_id,
        room_id=room.id,
        data=plain,
        scan="scanning" if seconds else "clean",
        scan_until=call.cloud.now() + seconds if seconds else None,
        encryption=encryption,
        preview=_preview(call, item, cipher),
    )
