"""What this process knows of the stored credentials of its users, and how old that knowledge is."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from webex.auth.failures import not_signed_in
from webex.errors import StorageError

if TYPE_CHECKING:
    from webex.auth.store import CredentialStore, Record
    from webex.auth.tokens import TokenSet
    from webex.auth.unsaved import UnsavedTokens
    from webex.config import Config
    from webex.runtime.protocol import Runtime


@dataclass(slots=True)
class CachedRecord:
    """A record as it was read at `read_at` (monotonic), and tokens of fewer scopes made from it."""

    record: Record
    read_at: float
    reduced: dict[str, TokenSet] | None = None


class CredentialCache:
    """Read records through a cache whose entries serve for `Config.credential_max_age` seconds.

    At most `Config.credential_cache_size` users are kept; the least recently used one leaves first.
    """

    def __init__(self, runtime: Runtime, store: CredentialStore, config: Config, unsaved: UnsavedTokens) -> None:
        self._runtime = runtime
        self._store = store
        self._config = config
        self._unsaved = unsaved
        self._entries: OrderedDict[str, CachedRecord] = OrderedDict()

    async def known(self, key: str) -> Record:
        """Return the record, from the cache while that is young enough; `NotSignedInError` when there is none."""
        entry = self.entry(key)
        if entry is not None and self._runtime.clock.monotonic() - entry.read_at < self._config.credential_max_age:
            return entry.record
        record = await self.read(key)
        if record is None:
            raise not_signed_in(key)
        return record

    async def read(self, key: str) -> Record | None:
        """Return what is stored now, with tokens over it that could not be saved yet."""
        try:
            record = await self._store.load(key)
        except StorageError:
            unsaved = await self._unsaved.unanswered(key)
            if unsaved is None:
                raise
            return unsaved
        record = await self._unsaved.current(key, record)
        if record is None:
            self.forget(key)
        else:
            self.keep(key, record)
        return record

    def entry(self, key: str) -> CachedRecord | None:
        """Return what is cached, however old, and count it as used."""
        entry = self._entries.get(key)
        if entry is not None:
            self._use(key)
        return entry

    def peek(self, key: str) -> CachedRecord | None:
        """Return what is cached, however old, and do not count that as a use."""
        return self._entries.get(key)

    def keep(self, key: str, record: Record) -> None:
        """Remember a record that was read or written just now."""
        before = self._entries.get(key)
        reduced = before.reduced if before is not None and before.record.tokens == record.tokens else None
        self._entries[key] = CachedRecord(record, self._runtime.clock.monotonic(), reduced)
        self._use(key)
        while len(self._entries) > self._config.credential_cache_size:
            with contextlib.suppress(KeyError):  # another thread has just emptied it
                self._entries.popitem(last=False)

    def forget(self, key: str) -> None:
        """Forget what is cached of this user."""
        self._entries.pop(key, None)

    def _use(self, key: str) -> None:
        with contextlib.suppress(KeyError):  # another thread has just removed it
            self._entries.move_to_end(key)

    def __len__(self) -> int:
        return len(self._entries)
