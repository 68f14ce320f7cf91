"""The pages that people see: small, plain HTML that needs no script."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.wire import Reply

if TYPE_CHECKING:
    from jinja2 import Environment

_HEADERS: Final = {
    # No form-action: browsers apply it to the redirect back to the app as well.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
_SCOPES: Final = {
    "openid": "Know who you are",
    "email": "See your email address",
    "profile": "See your name",
    "phone": "See your phone number",
    "address": "See your address",
    "offline_access": "Act for you while you are away",
    "spark:all": "Do everything in Webex messaging that you can do",
    "spark:kms": "Read and write encrypted content",
    "spark:people_read": "See people in your organization",
    "spark:applications_token": "Get tokens of service apps",
}
_NOUNS: Final = {
    "people": "people",
    "rooms": "spaces",
    "memberships": "who is in your spaces",
    "messages": "messages",
    "teams": "teams",
    "team_memberships": "who is in your teams",
    "webhooks": "webhooks",
    "events": "events",
    "organizations": "organizations",
    "tokens": "your authorizations",
    "schedules": "meetings",
}


def render(template: str, *, status: int = 200, **values: Any) -> Reply:
    """Render a page as an answer. Every value is escaped."""
    html = _environment().get_template(template).render(**values)
    return Reply(status, html, dict(_HEADERS), content_type="text/html;charset=UTF-8")


def describe_scope(scope: str) -> str:
    """Describe what a scope lets an app do."""
    if scope in _SCOPES:
        return _SCOPES[scope]
    area, _, right = scope.partition(":")
    noun, _, verb = right.rpartition("_")
    noun = _NOUNS.get(noun, noun.replace("_", " "))
    verb = {"read": "See", "write": "Change", "rw": "See and change"}.get(verb, "")
    if not verb or not noun:
        return scope
    whole = " of the whole organization" if area in ("spark-admin", "spark-compliance", "identity") else ""
    return f"{verb} {noun}{whole}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
