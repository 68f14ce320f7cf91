"""Files that a message names by URL: fetched from this machine only, or made up."""

from __future__ import annotations

import http.client
import mimetypes
import urllib.request
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from webex.emulator.wire import Problem, Upload

if TYPE_CHECKING:
    from webex.emulator.wire import Call

_HERE: Final = ("127.0.0.1", "localhost", "::1")
_UNREACHABLE: Final = "Unable to retrieve content."


class _RedirectsHere(urllib.request.HTTPRedirectHandler):
    """Follows redirects that stay on this machine."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """Return the next request; None where it would go elsewhere."""
        return super().redirect_request(req, fp, code, msg, headers, newurl) if _is_here(newurl) else None


def fetched(call: Call, url: str) -> Upload:
    """Fetch a file from this machine, through no proxy; 400 for what can't be fetched."""
    try:
        parts = urlsplit(url)
        is_here = _is_here(url)
    except ValueError:
        raise Problem(400, _UNREACHABLE, hint="The file's URL can't be read.") from None
    if not is_here:
        if call.cloud.settings.public_file_urls == "refuse" or parts.scheme not in ("http", "https"):
            hint = "The emulator fetches files only from this machine; with public_file_urls=invent it makes one up."
            raise Problem(400, _UNREACHABLE, hint=hint)
        return _invented(parts.path)
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _RedirectsHere())
        with opener.open(url, timeout=5) as response:
            data = response.read(call.cloud.settings.max_file_size + 1)
            kind = response.headers.get_content_type()
    except (OSError, http.client.HTTPException, ValueError):
        raise Problem(400, _UNREACHABLE, hint="The file could not be fetched.") from None
    return Upload(parts.path.rsplit("/", 1)[-1] or "file", kind, data)


def _is_here(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _HERE


def _invented(path: str) -> Upload:
    """Make up a file for a public URL: of the type that its name says."""
    name = path.rsplit("/", 1)[-1] or "file"
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Upload(name, kind, f"Made up by the emulator in place of {name}.".encode())
