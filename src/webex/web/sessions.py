"""Web sessions: the browser holds a random id, the storage what it stands for.

The record rests under the hash of the id, so that whoever reads the storage can't become anybody; it is deleted at
sign-out, so that a copied cookie is dead.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webex.storage.access import path

if TYPE_CHECKING:
    from webex.auth.login import User
    from webex.runtime.protocol import Clock
    from webex.storage.access import StorageAccess

NAMESPACE: Final = "sessions"


@dataclass(frozen=True, slots=True)
class WebSession:
    """Whom a browser belongs to. Times are seconds since the epoch."""

    user_key: str
    person_id: str | None = None
    display_name: str | None = None
    email: str | None = None
    began: float = 0.0
    expires: float = 0.0


class Sessions:
    """The sessions of one app in its storage; `max_age` is a session's life in seconds."""

    def __init__(self, access: StorageAccess, clock: Clock, client_id: str, max_age: float) -> None:
        self._access = access
        self._clock = clock
        self._client_id = client_id
        self._max_age = max_age

    async def begin(self, user: User) -> str:
        """Begin a session; gives its id, which is made here and never taken from the browser."""
        session_id = secrets.token_urlsafe(32)
        now = self._clock.time()
        record = {
            "user_key": user.key,
            "person_id": user.id,
            "display_name": user.display_name,
            "email": user.email,
            "began": now,
            "expires": now + self._max_age,
        }
        await self._access.put(NAMESPACE, self._path(session_id), record, expires_in=self._max_age)
        return session_id

    async def find(self, session_id: str) -> WebSession | None:
        """The session of an id, unless it has ended."""
        record = await self._access.get_or_none(NAMESPACE, self._path(session_id))
        if not isinstance(record, Mapping) or not isinstance(record.get("user_key"), str):
            return None
        expires = float(record.get("expires") or 0)
        if expires <= self._clock.time():
            return None
        return WebSession(
            user_key=record["user_key"],
            person_id=record.get("person_id"),
            display_name=record.get("display_name"),
            email=record.get("email"),
            began=float(record.get("began") or 0),
            expires=expires,
        )

    async def end(self, session_id: str) -> None:
        """End a session, wherever its cookie was copied to."""
        await self._access.delete(NAMESPACE, self._path(session_id))

    def _path(self, session_id: str) -> str:
        digest = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
        return path(self._client_id, digest)
