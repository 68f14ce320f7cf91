"""Who may use the console: a one-time key becomes a session cookie, and every request must come from its own page.

The key is printed in the terminal and works once. Only hashes of keys and sessions are kept. The cookie's name carries
the port, because browsers share cookies between the ports of a host.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from webex.emulator.wire import Problem

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.wire import Call

_MOST_SESSIONS: Final = 50


class Access:
    """The one-time key and the sessions of a cloud's console."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._key = ""  # the one that has not been used yet
        self._sessions: dict[str, None] = {}  # hashes, the oldest first

    def __repr__(self) -> str:
        return f"<Access: {len(self._sessions)} sessions>"

    def url(self) -> str:
        """Return a URL that opens the console once: the same until it was used, then another."""
        with self._lock:
            self._key = self._key or secrets.token_urlsafe(24)
            return f"{self._cloud.url}/?key={self._key}"

    def redeem(self, key: str) -> str | None:
        """Exchange the one-time key for a new session; `None` when it is wrong or was used."""
        with self._lock:
            if not self._key or not secrets.compare_digest(key.encode(), self._key.encode()):
                return None
            self._key = ""
            session = secrets.token_urlsafe(32)
            self._sessions[_hash(session)] = None
            while len(self._sessions) > _MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            return session

    def is_open(self, call: Call) -> bool:
        """Return whether a request carries the cookie of a session."""
        value = cookies(call.headers.get("cookie", "")).get(self.cookie_name(call))
        with self._lock:
            return value is not None and _hash(value) in self._sessions

    def close(self, call: Call) -> None:
        """End the session of a request."""
        value = cookies(call.headers.get("cookie", "")).get(self.cookie_name(call), "")
        with self._lock:
            self._sessions.pop(_hash(value), None)

    def cookie_name(self, call: Call) -> str:
        """Return the name of the session cookie; with TLS browsers guard it by its prefix."""
        name = f"webex_console_{urlsplit(self._cloud.url).port or 0}"
        return f"__Host-{name}" if call.base.startswith("https:") else name

    def set_cookie(self, call: Call, session: str) -> str:
        """Return the header that gives a browser its session."""
        secure = "; Secure" if call.base.startswith("https:") else ""
        return f"{self.cookie_name(call)}={session}; Path=/; HttpOnly; SameSite=Strict{secure}"

    def require(self, call: Call) -> None:
        """Refuse a request without a session, or from a page that is not the console."""
        check_origin(call)
        if not self.is_open(call):
            raise Problem(401, "The console is locked: open it with the address that the emulator printed.")


def check_origin(call: Call) -> None:
    """Refuse other origins: any that is named must be the request's own, and what changes something must name it."""
    origin = call.headers.get("origin")
    if call.method not in ("GET", "HEAD") and origin is None:
        raise Problem(403, "A change needs the header Origin, as browsers send it.")
    if origin is not None and origin.lower() != call.base.lower():
        raise Problem(403, "The console takes requests only of its own page.")
    if call.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "The console takes requests only of its own page.")


def cookies(header: str) -> dict[str, str]:
    """Read a `Cookie` header; of a repeated name the first counts, as browsers send the closest path first."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals:
            found.setdefault(name, value)
    return found


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
