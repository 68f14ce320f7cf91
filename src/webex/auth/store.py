"""The record of a signed-in person in the storage.

It carries the tokens, a `login_id` that is new at each sign-in, `parent` (the hash of the refresh token that these
tokens came from), `attempt` (the hash of a refresh token that was sent and whose outcome is not written down yet),
`refusal` (bound to the refresh token that was refused), `signing_out` (the user is signed out, and something of that is
still to be done) and `waits` (what rate limits asked for, `waits.py`). The storage's version decides between writers.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from webex.auth.scopes import split
from webex.auth.tokens import TokenSet, fingerprint
from webex.errors import DecryptionError, MissingKeyError, StorageError
from webex.http.limits import AskedWait
from webex.storage.formats import NewerRecordError, check_format, with_format
from webex.storage.paths import path, split_path

if TYPE_CHECKING:
    from webex.config import Config
    from webex.storage.access import AccessLease, StorageAccess

NAMESPACE: Final = "credentials"
STANDALONE_KEY: Final = "@"  # under which a stand-alone client keeps its person, as the Node SDK does


class UnreadableRecordError(StorageError):
    """A record is there and is none that this SDK wrote."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The cloud refused the refresh token with this hash."""

    parent: str
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored of one person. `reduced` holds tokens of fewer scopes, by their sorted scope."""

    tokens: TokenSet
    login_id: str
    parent: str | None = None
    attempt: str | None = None
    refusal: Refusal | None = None
    signing_out: Mapping[str, Any] | None = None  # how: {"revoke": …}
    granted: str = ""
    person: Mapping[str, Any] = field(default_factory=dict)
    waits: Mapping[str, AskedWait] = field(default_factory=dict)  # by kind of call
    version: str = ""

    @property
    def refused(self) -> Refusal | None:
        """The refusal, if it is one of the present refresh token."""
        refusal = self.refusal
        return refusal if refusal is not None and refusal.parent == self.refresh_hash else None

    @property
    def refresh_hash(self) -> str | None:
        """The hash of the present refresh token."""
        return fingerprint(self.tokens.refresh_token)

    @property
    def scopes(self) -> list[str]:
        """The scopes of the tokens, as far as they are known."""
        return split(self.tokens.scope or self.granted)

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        data: dict[str, Any] = {"tokens": self.tokens.to_json(), "login_id": self.login_id}
        for name in ("parent", "attempt", "signing_out", "granted", "person"):
            if value := getattr(self, name):
                data[name] = value
        if self.waits:
            data["waits"] = {kind: list(wait) for kind, wait in self.waits.items()}
        if self.refusal is not None:
            data["refusal"] = {"parent": self.refusal.parent, "reason": self.refusal.reason}
        return with_format(data)


class CredentialStore:
    """Reads and writes the records of one app. Every key begins with the client id, so that apps share a database."""

    def __init__(self, access: StorageAccess, config: Config) -> None:
        self._access = access
        self._client = config.client_id or "-"
        self.on_half_signed_out: Callable[[str, Record], Awaitable[None]] | None = None

    async def load(self, key: str) -> Record | None:
        """Return the record of a signed-in user, or None; `StorageError` when it is there and can't be read.

        A user who is being signed out is not signed in. If the process that began it has died, it is finished here.
        """
        record = await self.load_any(key)
        if record is None or record.signing_out is None:
            return record
        if self.on_half_signed_out is not None:
            await self.on_half_signed_out(key, record)
        return None

    async def load_any(self, key: str) -> Record | None:
        """Return the record, also that of a user who is being signed out."""
        try:
            value, version = await self._access.get_versioned(NAMESPACE, self.path(key))
        except MissingKeyError:
            return None
        return _record(key, value, version)

    async def load_many(self, keys: Sequence[str]) -> dict[str, Record]:
        """Return the records of those users who are signed in, in one trip and without versions.

        Records that can't be read are left out: `load` tells why.
        """
        paths = {self.path(key): key for key in keys}
        found = await self._access.get_many(NAMESPACE, list(paths))
        records = {}
        for name, value in found.items():
            with suppress(UnreadableRecordError, NewerRecordError):
                record = _record(paths[name], value, "")
                if record.signing_out is None:
                    records[paths[name]] = record
        return records

    async def sign_ins(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the login ids of the users who are signed in, by their keys, in one trip.

        Users whose record is missing, marked, refused or unreadable are left out: `load` tells why.
        """
        paths = {self.path(key): key for key in keys}
        found = await self._access.get_many(NAMESPACE, list(paths))
        return {
            paths[name]: value["login_id"]
            for name, value in found.items()
            if name in paths
            and isinstance(value, dict)
            and isinstance(value.get("login_id"), str)
            and not value.get("signing_out")
            and not value.get("refusal")
        }

    async def load_readable(self, key: str) -> Record | None:
        """Return the record as `load_any` does, and None for one that can't be read."""
        try:
            return await self.load_any(key)
        except (UnreadableRecordError, DecryptionError):
            return None

    async def save_login(self, key: str, tokens: TokenSet, person: Mapping[str, Any] | None = None) -> Record:
        """Write the tokens of a new sign-in over whatever was there, after a sign-out that is still to be finished."""
        await self.before_login(key)
        return await self.write_login(key, tokens, person)

    async def before_login(self, key: str) -> Record | None:
        """Finish a sign-out that another process began; return the record that a new sign-in replaces."""
        with suppress(UnreadableRecordError, NewerRecordError, DecryptionError):
            return await self.load(key)
        return None

    async def write_login(self, key: str, tokens: TokenSet, person: Mapping[str, Any] | None = None) -> Record:
        """Write the tokens of a new sign-in."""
        record = Record(tokens, uuid.uuid4().hex, granted=tokens.scope, person=person or {})
        await self._access.put(NAMESPACE, self.path(key), record.to_json())
        await self._access.notify(NAMESPACE, self.path(key))
        return record

    async def swap(self, key: str, record: Record, *, durable: bool = True, **changes: Any) -> Record | None:
        """Write `record` with changes if it is unchanged since it was read; None otherwise."""
        changed = replace(record, **changes)
        version = await self._access.put_if_version(
            NAMESPACE, self.path(key), changed.to_json(), record.version, durable=durable
        )
        return None if version is None else replace(changed, version=version)

    async def remove(self, key: str, record: Record) -> bool:
        """Remove `record` if it is what is stored; of several callers one gets True."""
        removed = await self._access.delete_if_version(NAMESPACE, self.path(key), record.version)
        if removed:
            await self._access.notify(NAMESPACE, self.path(key))
        return removed

    async def remove_unread(self, key: str) -> None:
        """Remove whatever is stored."""
        await self._access.delete(NAMESPACE, self.path(key))
        await self._access.notify(NAMESPACE, self.path(key))

    async def users(self) -> AsyncIterator[str]:
        """Yield the keys of all stored people."""
        prefix = path(self._client, "")
        async for key in self._access.keys(NAMESPACE, prefix):
            yield split_path(key)[1]

    async def changes(self) -> AsyncGenerator[str | None, None]:
        """Yield the keys of users who sign in or out in any process, and None when listening has begun.

        Raises `NoNotificationsError` where the storage does not tell, `StorageError` when the connection is lost.
        """
        prefix = path(self._client, "")
        async with aclosing(self._access.notifications(NAMESPACE)) as told:
            async for key in told:
                if key is None:
                    yield None
                elif key.startswith(prefix):
                    yield split_path(key)[1]

    async def lease(self, key: str, ttl: float) -> AccessLease | None:
        """Take the lease for refreshing this user's token; None when another holder has it."""
        return await self._access.try_lease(NAMESPACE, self.path(key), ttl)

    async def lease_remaining(self, key: str) -> float:
        """Return the seconds until a running lease for the refresh ends; 0.0 without one."""
        return await self._access.lease_remaining(NAMESPACE, self.path(key))

    def path(self, key: str) -> str:
        """Return the storage key of a user's record."""
        return path(self._client, key)


def _record(key: str, value: Any, version: str) -> Record:
    check_format(value, f"The credentials of user {key!r}")
    try:
        refusal = value.get("refusal")
        return Record(
            tokens=TokenSet.from_json(value["tokens"]),
            login_id=str(value["login_id"]),
            parent=value.get("parent"),
            attempt=value.get("attempt"),
            refusal=Refusal(refusal["parent"], refusal["reason"]) if refusal else None,
            signing_out=value.get("signing_out"),
            granted=value.get("granted") or "",
            person=value.get("person") or {},
            waits={kind: AskedWait(*map(float, wait)) for kind, wait in (value.get("waits") or {}).items()},
            version=version,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableRecordError(
            f"What is stored for user {key!r} is no record of this SDK ({type(error).__name__}). Delete it and "
            "sign the person in again."
        ) from None


def is_newer(stored: Record, ours: Record) -> bool:
    """Whether another process wrote other tokens than those of `ours` (the cloud may keep the refresh token)."""
    return (stored.tokens.access_token, stored.refresh_hash) != (ours.tokens.access_token, ours.refresh_hash)
