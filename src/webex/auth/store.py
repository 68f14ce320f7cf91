"""The record of a signed-in person in the storage.

It carries the tokens, a `login_id` that is new at each sign-in, `parent` (the hash of the refresh token that these
tokens came from), `attempt` (the hash of a refresh token that was sent and whose outcome nobody has written down yet)
and `refusal` (bound to the refresh token that was refused). The storage's version decides between writers.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from webex.auth.tokens import TokenSet, fingerprint
from webex.errors import MissingKeyError, StorageError
from webex.storage.access import path, split_path

if TYPE_CHECKING:
    from webex.config import Config
    from webex.storage.access import AccessLease, StorageAccess

NAMESPACE: Final = "credentials"


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
    granted: str = ""
    person: Mapping[str, Any] = field(default_factory=dict)
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

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"tokens": self.tokens.to_json(), "login_id": self.login_id}
        for name in ("parent", "attempt", "granted", "person"):
            if value := getattr(self, name):
                data[name] = value
        if self.refusal is not None:
            data["refusal"] = {"parent": self.refusal.parent, "reason": self.refusal.reason}
        return data


class CredentialStore:
    """Reads and writes the records of one app. Every key begins with the client id, so that apps share a database."""

    def __init__(self, access: StorageAccess, config: Config) -> None:
        self._access = access
        self._client = config.client_id or "-"

    async def load(self, key: str) -> Record | None:
        """The record, or None; `StorageError` when it is there and can't be read."""
        try:
            value, version = await self._access.get_versioned(NAMESPACE, self._path(key))
        except MissingKeyError:
            return None
        try:
            refusal = value.get("refusal")
            return Record(
                tokens=TokenSet.from_json(value["tokens"]),
                login_id=str(value["login_id"]),
                parent=value.get("parent"),
                attempt=value.get("attempt"),
                refusal=Refusal(refusal["parent"], refusal["reason"]) if refusal else None,
                granted=value.get("granted") or "",
                person=value.get("person") or {},
                version=version,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                f"What is stored for user {key!r} is no record of this SDK ({type(error).__name__}). Delete it and "
                "sign the person in again."
            ) from None

    async def save_login(self, key: str, tokens: TokenSet, person: Mapping[str, Any] | None = None) -> Record:
        """Write the tokens of a new sign-in over whatever was there."""
        record = Record(tokens, uuid.uuid4().hex, granted=tokens.scope, person=person or {})
        await self._access.put(NAMESPACE, self._path(key), record.to_json())
        return record

    async def swap(self, key: str, record: Record, **changes: Any) -> Record | None:
        """Write `record` with changes if nobody wrote since it was read; None when somebody did."""
        changed = replace(record, **changes)
        version = await self._access.put_if_version(NAMESPACE, self._path(key), changed.to_json(), record.version)
        return None if version is None else replace(changed, version=version)

    async def take(self, key: str) -> Record | None:
        """Remove the record and give it; of several callers one gets it."""
        record = await self.load(key)
        while record is not None:
            if await self._access.delete_if_version(NAMESPACE, self._path(key), record.version):
                return record
            record = await self.load(key)
        return None

    async def users(self) -> AsyncIterator[str]:
        """The keys of all stored people."""
        prefix = path(self._client, "")
        async for key in self._access.keys(NAMESPACE, prefix):
            yield split_path(key)[1]

    async def lease(self, key: str, ttl: float) -> AccessLease | None:
        """The right to refresh this person's token, or None when somebody else has it."""
        return await self._access.try_lease(NAMESPACE, self._path(key), ttl)

    async def lease_remaining(self, key: str) -> float:
        """Seconds until somebody's right to refresh ends; 0.0 when nobody has it."""
        return await self._access.lease_remaining(NAMESPACE, self._path(key))

    def _path(self, key: str) -> str:
        return path(self._client, key)
