"""The stored users of one app, found by what their tokens are: page by page, with no more than a page in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from webex.auth.scopes import split
from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.auth.store import CredentialStore, Record

__all__ = ["REFRESH_TOKEN_LIFETIME", "Moment", "UserFilter", "UserKind", "ends_at", "matching"]

Moment: TypeAlias = datetime | float
UserKind: TypeAlias = Literal["person", "service_app"]

REFRESH_TOKEN_LIFETIME: Final = 90 * 86_400.0  # seconds, where an answer does not tell it (oauth §3)
_PAGE: Final = 500  # records that are read in one trip


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users are wanted; a filter that is None does not apply. Moments are seconds since the epoch."""

    expires_before: float | None = None
    changed_since: float | None = None
    scope: frozenset[str] = frozenset()
    kind: UserKind | None = None

    @classmethod
    def of(
        cls,
        *,
        expires_before: Moment | None = None,
        changed_since: Moment | None = None,
        scope: str | Iterable[str] | None = None,
        kind: UserKind | None = None,
    ) -> UserFilter:
        """Check what a caller wants; `ConfigurationError` for what can't be read."""
        if kind not in (None, "person", "service_app"):
            raise ConfigurationError(f"kind is 'person' or 'service_app', not {kind!r}.")
        return cls(
            _seconds("expires_before", expires_before),
            _seconds("changed_since", changed_since),
            frozenset(split(scope)),
            kind,
        )

    @property
    def needs_records(self) -> bool:
        """Whether the keys alone do not tell."""
        return self.expires_before is not None or self.changed_since is not None or bool(self.scope)

    def takes_key(self, key: str) -> bool:
        """Return whether a user's key is of the wanted kind."""
        return self.kind is None or key.startswith("org:") == (self.kind == "service_app")

    def takes(self, record: Record) -> bool:
        """Return whether a user's record is wanted."""
        if self.expires_before is not None:
            end = ends_at(record)
            if end is None or end >= self.expires_before:
                return False
        if self.changed_since is not None and (record.tokens.issued_at or 0.0) < self.changed_since:
            return False
        return self.scope <= frozenset(record.scopes)


def ends_at(record: Record) -> float | None:
    """Return when the user has to sign in again if nothing is refreshed; None: never, or not known."""
    tokens = record.tokens
    if not tokens.refresh_token:
        return tokens.expires_at
    if tokens.refresh_expires_at is not None:
        return tokens.refresh_expires_at
    return None if tokens.issued_at is None else tokens.issued_at + REFRESH_TOKEN_LIFETIME


async def matching(store: CredentialStore, wanted: UserFilter) -> AsyncIterator[tuple[str, Record]]:
    """Yield the users that a filter wants, with their records; those that can't be read are left out."""
    async for page in _pages(store, wanted):
        records = await store.load_many(page)
        for key, record in records.items():
            if wanted.takes(record):
                yield key, record


async def keys(store: CredentialStore, wanted: UserFilter) -> AsyncIterator[str]:
    """Yield the keys of the users that a filter wants."""
    if wanted.needs_records:
        async for key, _ in matching(store, wanted):
            yield key
        return
    async for key in store.users():
        if wanted.takes_key(key):
            yield key


async def _pages(store: CredentialStore, wanted: UserFilter) -> AsyncIterator[list[str]]:
    page: list[str] = []
    async for key in store.users():
        if wanted.takes_key(key):
            page.append(key)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _seconds(name: str, moment: Moment | None) -> float | None:
    if moment is None:
        return None
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise ConfigurationError(f"{name} is a datetime, or seconds since the epoch, not {type(moment).__name__}.")
    return float(moment)
