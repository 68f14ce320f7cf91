"""`/contents`: the files of messages, with ranges and the states of a malware scan."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from webex.emulator.rest.rules import membership_of
from webex.emulator.wire import Problem, Reply
from webex.ids import parse_id

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import StoredFile
    from webex.emulator.wire import Call


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", "/v1/contents/{contentId}", get)
    table.add("HEAD", "/v1/contents/{contentId}", get)


def get(call: Call) -> Reply:
    """Return a file's bytes, or a range of them; only its headers for HEAD."""
    file = _file(call)
    check_scan(call, file)
    headers = {
        "content-disposition": disposition(file.name),
        "accept-ranges": "bytes",
        "etag": f'"{file.id.replace("/", "-")}"',
        "cache-control": "no-cache",
    }
    data, status = file.data, 200
    wanted = call.headers.get("range")
    if wanted is not None and call.headers.get("if-range") in (None, headers["etag"]):
        match = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", wanted.strip())
        if match is None or not any(match.groups()):
            raise Problem(416, "The range can't be read.", headers={"content-range": f"bytes */{file.size}"})
        first, last = match.groups()
        start = int(first) if first else max(file.size - int(last), 0)
        stop = min(int(last) + 1, file.size) if first and last else file.size
        if start >= stop:
            raise Problem(416, "The range is not in the file.", headers={"content-range": f"bytes */{file.size}"})
        data, status = data[start:stop], 206
        headers["content-range"] = f"bytes {start}-{stop - 1}/{file.size}"
    if call.method == "HEAD":
        headers["content-length"] = str(len(data))
        data = b""
    return Reply(status, data, headers, content_type=file.content_type)


def _file(call: Call) -> StoredFile:
    person = call.person("spark:messages_read")
    try:
        key = parse_id(call.path["contentId"]).id
    except ValueError:
        key = ""
    file = call.state.files.get(key)
    if file is None or membership_of(call.state, person, file.room_id) is None:
        raise Problem(404, "Could not find a file with provided ID.")
    return file


def check_scan(call: Call, file: StoredFile) -> None:
    """Refuse a file whose scan goes on (423), or went badly (410, 428)."""
    if file.scan == "scanning":
        left = (file.scan_until or 0.0) - call.cloud.now()
        if left > 0:
            raise Problem(423, "The file is being scanned.", headers={"retry-after": str(max(math.ceil(left), 1))})
        file.scan = "clean"
    if file.scan == "infected":
        raise Problem(410, "The file is infected with malware.")
    if file.scan == "unscannable" and call.arg("allow") != "unscannable":
        raise Problem(428, "The file can't be scanned; ask with allow=unscannable.")


def disposition(name: str) -> str:
    """Return the header that saves a file under its name (RFC 6266)."""
    plain = _ascii(name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def _ascii(name: str) -> str:
    return re.sub(r'[^ -~]|["\\]', "_", name)
