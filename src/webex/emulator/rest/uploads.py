"""Multipart bodies, read by python-multipart (RFC 7578)."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.wire import Problem, Upload, text_of

if TYPE_CHECKING:
    from webex.emulator.wire import Call


_IN_MEMORY: Final = {"MAX_MEMORY_FILE_SIZE": sys.maxsize}
_ENCODED: Final = re.compile("%(22|0D|0A)", re.IGNORECASE)


def _file_name(name: str) -> str:
    """Return a name without a path; browsers and the SDK percent-encode three characters of it and nothing else."""
    if "\0" in name:
        raise Problem(400, "A file's name contains NUL.")
    decoded = _ENCODED.sub(lambda match: chr(int(match.group(1), 16)), name)
    last = re.split(r"[\\/]", decoded)[-1].strip()
    return last if last.strip(".") else "file"


def read_multipart(call: Call) -> tuple[dict[str, Any], list[Upload]]:
    """Read the fields and the files of a form."""
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
        name = _file_name(text_of(file.file_name or b"file"))
        kind = file.content_type or b"application/octet-stream"
        uploads.append(Upload(name, text_of(kind) if isinstance(kind, bytes) else kind, file.file_object.read()))

    headers = {"Content-Type": call.headers.get("content-type", "").encode()}
    try:
        # The body is in memory already: no part of it goes to a temporary file, which nobody would close.
        parser = python_multipart.create_form_parser(headers, on_field, on_file, config=_IN_MEMORY)
        parser.write(call.body)
        parser.finalize()
    except (FormParserError, ValueError, KeyError):
        raise Problem(400, "The multipart body can't be read.") from None
    return fields, uploads
