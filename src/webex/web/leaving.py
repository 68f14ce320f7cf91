"""Where a sign-out was asked for, so that its pages can lead back there."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from webex.web.messages import WebRequest

SIGNED_OUT: Final = "signed_out"


def page_before(request: WebRequest, origin: str) -> str | None:
    """Return the page that led to the logout route, as the browser tells it: to be checked like every return path."""
    asked = parse_qs(request.query).get("return_to")
    if asked:
        return asked[0]
    try:
        referer = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return None
    if f"{referer.scheme}://{referer.netloc}" != origin:
        return None
    return f"{referer.path}?{referer.query}" if referer.query else referer.path


def is_after_sign_out(request: WebRequest) -> bool:
    """Return whether a sign-out sent the browser to the logout route."""
    return SIGNED_OUT in parse_qs(request.query)


def with_return_to(url: str, path: str, *, root: str) -> str:
    """Add a return path to the URL of a route, unless it is the app's root."""
    if path == root:
        return url
    return f"{url}{'&' if '?' in url else '?'}return_to={quoted(path)}"


def quoted(text: str) -> str:
    """Encode any text for a query."""
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
