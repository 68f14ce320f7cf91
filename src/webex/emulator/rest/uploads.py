"""Multipart bodies, read by python-multipart (RFC 7578)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from webex.emulator.wire import Problem, Upload

if TYPE_CHECKING:
    from webex.emulator.wire import Call


def read_multipart(call: Call) -> tuple[dict[str, Any], list[Upload]]:
    """The fields and the files of a form."""
    import python_multipart
    from python_multipart.exceptions import FormParserError

    fields: dict[str, Any] = {}
    uploads: list[Upload] = []

    def on_field(field: Any) -> None:
        name = (field.field_name or b"").decode("utf-8", "replace")
        value = (field.value or b"").decode("utf-8", "replace")
        if name == "files":
            fields.setdefault("files", []).append(value)
        else:
            fields[name] = value

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        if (file.field_name or b"") != b"files":
            raise Problem(400, "A file's part is named files.")
        name = unquote((file.file_name or b"file").decode("utf-8", "replace"))
        kind = file.content_type or b"application/octet-stream"
        uploads.append(
            Upload(name, kind.decode("latin-1") if isinstance(kind, bytes) else kind, file.file_object.read())
        )

    headers = {
        "Content-Type": call.headers.get("content-type", "").encode("latin-1"),
        "Content-Length": str(len(call.body)).encode(),
    }
    try:
        python_multipart.parse_form(headers, io.BytesIO(call.body), on_field, on_file)
    except (FormParserError, ValueError, KeyError):
        raise Problem(400, "The multipart body can't be read.") from None
    return fields, uploads
