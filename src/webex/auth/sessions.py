"""Web sessions: the browser holds a random id, the storage what it stands for.

The record rests under the hash of the id, so that reading the storage opens no session; it is deleted at sign-out, so
that a copied cookie is dead. Beside the records there is one list for each user of the sessions that are theirs, so
that all of them can be ended in any storage.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webex.errors import DecryptionError, MissingKeyError
from webex.storage.formats import check_format, with_format
from webex.storage.paths import path

if TYPE_CHECKING:
    from webex.auth.login import User
    from webex.runtime.protocol import Clock
    from webex.storage.access import StorageAccess

NAMESPACE: Final = "sessions"
_TURNS: Final = 50  # tries to write a list that others write at the same time


@dataclass(frozen=True, slots=True)
class WebSession:
    """The user of a browser's session. Times are seconds since the epoch.

    `first_page` is the path that the sign-in led to.
    """

    user_key: str
    person_id: str | None = None
    display_name: str | None = None
    email: str | None = None
    began: float = 0.0
    expires: float = 0.0
    first_page: str = "/"


class Sessions:
    """The sessions of one app in its storage; `max_age` is a session's life in seconds."""

    def __init__(self, access: StorageAccess, clock: Clock, client_id: str, max_age: float) -> None:
        self._access = access
        self._clock = clock
        self._client_id = client_id
        self._max_age = max_age

    async def begin(self, user: User, *, first_page: str = "/") -> str:
        """Begin a session; gives its id, which is made here and never taken from the browser."""
        session_id = secrets.token_urlsafe(32)
        now = self._clock.time()
        record = with_format(
            {
                "user_key": user.key,
                "person_id": user.id,
                "display_name": user.display_name,
                "email": user.email,
                "began": now,
                "expires": now + self._max_age,
                "first_page": first_page,
                "listed": True,
            }
        )
        await self._access.put(NAMESPACE, self._path(session_id), record, expires_in=self._max_age)
        await self._list(user.key, _digest(session_id), now + self._max_age)
        return session_id

    async def find(self, session_id: str) -> WebSession | None:
        """Return the session of an id, unless it has ended."""
        record = await self._access.get_or_none(NAMESPACE, self._path(session_id))
        check_format(record, "The data of a browser session")
        if not isinstance(record, Mapping) or not isinstance(record.get("user_key"), str):
            return None
        expires = float(record.get("expires") or 0)
        if expires <= self._clock.time():
            return None
        if not record.get("listed"):  # begun by an earlier version
            await self._list(record["user_key"], _digest(session_id), expires)
            left = max(expires - self._clock.time(), 1.0)
            await self._access.put(NAMESPACE, self._path(session_id), {**record, "listed": True}, expires_in=left)
        return WebSession(
            user_key=record["user_key"],
            person_id=record.get("person_id"),
            display_name=record.get("display_name"),
            email=record.get("email"),
            began=float(record.get("began") or 0),
            expires=expires,
            first_page=str(record.get("first_page") or "/"),
        )

    async def end(self, session_id: str) -> None:
        """End a session, wherever its cookie was copied to."""
        await self._access.delete(NAMESPACE, self._path(session_id))

    async def end_all(self, user_key: str, *, search: bool = False) -> int:
        """End every session of a user, in all browsers; return how many.

        `search` also reads all sessions of the app for those that are in no list, where the storage can list its keys.
        """
        ended: set[str] = set()
        while True:
            listed, version = await self._listed(user_key)
            keys = [path(self._client_id, digest) for digest in listed]
            if search and self._access.capabilities.scan:
                keys += [key for key in await self.find_all(user_key) if key != self._list_path(user_key)]
            for key in keys:
                await self._access.delete(NAMESPACE, key)
            ended.update(keys)
            # The list goes at last: a process that dies in between leaves it to the next one.
            if version is None or await self._access.delete_if_version(NAMESPACE, self._list_path(user_key), version):
                return len(ended)

    async def find_all(self, user_key: str) -> list[str]:
        """Return the storage keys of all sessions of a user, by reading those of every user."""
        found = []
        prefix = path(self._client_id, "")
        async for key in self._access.keys(NAMESPACE, prefix):
            if key == self._list_path(user_key):
                found.append(key)
                continue
            with suppress(DecryptionError):  # it opens no session, and can't be told whose it is
                record = await self._access.get_or_none(NAMESPACE, key)
                if isinstance(record, Mapping) and record.get("user_key") == user_key:
                    found.append(key)
        return found

    async def _list(self, user_key: str, digest: str, expires: float) -> None:
        """Enter a session in the user's list, and drop those that have expired."""
        key = self._list_path(user_key)
        for _ in range(_TURNS):
            listed, version = await self._listed(user_key)
            now = self._clock.time()
            entries = {name: until for name, until in listed.items() if until > now}
            entries[digest] = expires
            left = max(*entries.values(), now + self._max_age) - now
            written = await self._access.put_if_version(
                NAMESPACE, key, with_format({"sessions": entries}), version, expires_in=max(left, 1.0)
            )
            if written is not None:
                return

    async def _listed(self, user_key: str) -> tuple[dict[str, float], str | None]:
        """Return the hashes and ends of the sessions in a user's list, and the list's version."""
        try:
            value, version = await self._access.get_versioned(NAMESPACE, self._list_path(user_key))
        except MissingKeyError:
            return {}, None
        except DecryptionError:
            await self._access.delete(NAMESPACE, self._list_path(user_key))
            return {}, None
        check_format(value, f"The sessions of user {user_key!r}")
        return _entries(value), version

    def _path(self, session_id: str) -> str:
        return path(self._client_id, _digest(session_id))

    def _list_path(self, user_key: str) -> str:
        return path(self._client_id, "of", _digest(user_key))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _entries(listed: object) -> dict[str, float]:
    entries = listed.get("sessions") if isinstance(listed, Mapping) else None
    if not isinstance(entries, Mapping):
        return {}
    return {str(name): float(until) for name, until in entries.items() if isinstance(until, int | float)}
