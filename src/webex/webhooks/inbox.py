"""The inbox: events that were answered with 200 and are not yet handled, in the storage.

An entry names the worker that holds it. A worker holds one lease, renewed while it lives; when that has run out, any
other worker takes its entries. An entry is written three times and each time by compare-and-swap, so that two workers
never go on with it: when it is received, when its handling begins, and when it is done and removed (after its mark was
set, so that a repetition that comes later is recognised). One that had begun before was being handled at a kill.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webex.errors import ConfigurationError, MissingKeyError, StorageError
from webex.storage.access import path
from webex.storage.formats import NewerRecordError, check_format, with_format
from webex.webhooks.repeats import DAY, Seen, hashed

if TYPE_CHECKING:
    from webex.runtime.protocol import Runtime
    from webex.storage import StorageAccess
    from webex.storage.access import AccessLease

_logger = logging.getLogger("webex.webhooks")

INBOX: Final = "webhooks-inbox"  # the namespace of entries and of the workers' leases
BATCH: Final = 500  # entries that are looked at, or taken, at a time
KEPT: Final = 14 * DAY  # an entry that no worker takes


@dataclass(slots=True, eq=False)
class Entry:
    """One event that waits or is being handled.

    `key` is its key in the storage; `begun` counts the workers that began it, `tries` the calls of a handler that asked
    for it again before it was delivered again (inline).
    """

    key: str
    body: str
    received: float
    begun: int = 0
    tries: int = 0
    version: str | None = None  # None: it is not in the storage


class Inbox:
    """The entries of one receiver, as one worker sees them. `lease` is in seconds."""

    def __init__(self, access: StorageAccess, runtime: Runtime, root: str, seen: Seen, *, lease: float) -> None:
        self._access, self._runtime = access, runtime
        self._root, self._seen, self._ttl = root, seen, lease
        self.worker: str = uuid.uuid4().hex
        self._lease: AccessLease | None = None
        # What this process has in memory. An entry in the storage that names this worker and is not here was written
        # by a call that seemed to fail; it is taken like one of a worker that ended.
        self._mine: set[Entry] = set()

    def check(self) -> None:
        """Raise `ConfigurationError` when the storage lacks what an inbox needs."""
        can = self._access.capabilities
        missing = [name for name in ("compare_and_swap", "lease", "scan") if not getattr(can, name)]
        if missing:
            raise ConfigurationError(
                f'{self._access.storage!r} lacks {" and ".join(missing)}, which mode="inbox" needs: use SQLiteStorage, '
                'PostgresStorage or RedisStorage, or mode="inline".'
            )

    async def join(self) -> None:
        """Hold the worker's lease, or hold it for longer."""
        await self._runtime.single_flight(self._flight, self._join)

    async def _join(self) -> None:
        if self._lease is not None and await self._lease.renew(self._ttl):
            return
        self._lease = await self._access.try_lease(INBOX, self._lease_name(self.worker), self._ttl)
        if self._lease is None:
            raise StorageError("The lease of this worker was not granted; it is tried again.")

    @property
    def _flight(self) -> tuple[str, int]:
        return ("webhooks", id(self))

    async def _nothing(self) -> None:
        pass

    async def leave(self) -> None:
        """Give the lease back: what this worker still holds may be taken at once."""
        with contextlib.suppress(StorageError):  # of a `join` whose caller was cancelled: it would take the lease again
            await self._runtime.single_flight(self._flight, self._nothing)
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.release()

    async def store(self, key: str, body: str, now: float) -> Entry | None:
        """Write an event down for this worker; None for a repetition of one that waits or was handled."""
        if self._lease is None:
            await self.join()
        entry = Entry(self._root + hashed(key), body, now)
        self._mine.add(entry)
        try:
            stored = await self._stored(entry)
        except BaseException:
            self._mine.discard(entry)
            raise
        if not stored:
            self._mine.discard(entry)
        return entry if stored else None

    async def _stored(self, entry: Entry) -> bool:
        entry.version = await self._access.put_if_version(INBOX, entry.key, self._value(entry), None, expires_in=KEPT)
        if entry.version is None:
            return False
        if not await self._seen.has(entry.key):
            return True
        await self._access.delete_if_version(INBOX, entry.key, entry.version, durable=False)
        return False

    def leave_for_later(self, entry: Entry) -> None:
        """Forget an entry that stays in the storage; it is taken when there is room for it."""
        self._mine.discard(entry)

    async def note(self, key: str, body: str, now: float) -> Entry | None:
        """Return the entry of an event that is handled under a lease of its own; None when it was handled before."""
        path = self._root + hashed(key)
        if await self._seen.has(path):
            return None
        try:
            value, version = await self._access.get_versioned(INBOX, path)
        except MissingKeyError:
            entry = Entry(path, body, now)
            entry.version = await self._access.put_if_version(INBOX, path, self._value(entry), None, expires_in=DAY)
            return entry
        if not _is_entry(value):
            return Entry(path, body, now, begun=1, version=version)
        return Entry(path, body, now, value["begun"], value.get("tries", 0), version)

    async def postpone(self, entry: Entry, tries: int) -> None:
        """Note that an event was not handled and is delivered again, and how often its handler was called."""
        if entry.version is not None:
            entry.begun, entry.tries = 0, tries
            await self._access.put_if_version(
                INBOX, entry.key, self._value(entry), entry.version, expires_in=DAY, durable=False
            )

    async def begin(self, entry: Entry) -> bool:
        """Note that the handling begins; False when the entry is not this worker's any more."""
        while entry.version is not None:
            version = await self._access.put_if_version(
                INBOX, entry.key, self._value(entry, entry.begun + 1), entry.version, expires_in=KEPT, durable=False
            )
            if version is not None:
                entry.begun, entry.version = entry.begun + 1, version
                return True
            # Either another worker has it, or an earlier write of this one succeeded and its answer was lost.
            entry.version = await self._own_version(entry.key)
        self._mine.discard(entry)
        return False

    async def _own_version(self, key: str) -> str | None:
        try:
            value, version = await self._access.get_versioned(INBOX, key)
        except MissingKeyError:
            return None
        return version if _is_entry(value) and value["holder"] == self.worker else None

    async def finish(self, entry: Entry) -> None:
        """Note that the event was handled."""
        await self._seen.add(entry.key)
        if entry.version is not None:
            await self._access.delete_if_version(INBOX, entry.key, entry.version, durable=False)
        self._mine.discard(entry)

    async def take_over(self, room: Callable[[], int]) -> AsyncGenerator[list[Entry], None]:
        """Take the entries of workers whose lease has run out, in pages, as long as there is room.

        The oldest of a page come first. No more than a page is in memory, whatever the size of the inbox.
        """
        gone: dict[str, bool] = {self.worker: True}
        page: list[str] = []
        if room() <= 0:
            return
        async for key in self._access.keys(INBOX, self._root):
            page.append(key)
            if len(page) == BATCH:
                yield await self._taken_of(page, room(), gone)
                if room() <= 0:
                    return
                page = []
        yield await self._taken_of(page, room(), gone)

    async def _taken_of(self, keys: list[str], most: int, gone: dict[str, bool]) -> list[Entry]:
        here = {entry.key for entry in tuple(self._mine)}  # each is noted here before it is written
        found = await self._access.get_many(INBOX, [key for key in keys if key not in here])
        taken: list[Entry] = []
        for key, value in found.items():
            if len(taken) >= most:
                break
            if await self._is_left(key, value, gone) and (entry := await self._taken(key, gone)) is not None:
                taken.append(entry)
        if taken:
            _logger.info("took over %d events of workers that ended", len(taken))
        return sorted(taken, key=lambda entry: entry.received)

    async def _is_left(self, key: str, value: Any, gone: dict[str, bool]) -> bool:
        """Whether the worker that an entry names has ended."""
        if not _is_entry(value):
            _logger.error("an entry of the inbox can't be read and stays there: %s", key)
            return False
        holder = value["holder"]
        if holder not in gone:
            gone[holder] = await self._access.lease_remaining(INBOX, self._lease_name(holder)) <= 0
        return gone[holder]

    async def _taken(self, key: str, gone: dict[str, bool]) -> Entry | None:
        try:
            value, version = await self._access.get_versioned(INBOX, key)
        except MissingKeyError:
            return None
        if not await self._is_left(key, value, gone):  # another worker was faster
            return None
        entry = Entry(key, value["body"], value["at"], value["begun"], value.get("tries", 0))
        self._mine.add(entry)
        try:
            taken = await self._claimed(entry, version)
        except BaseException:
            self._mine.discard(entry)
            raise
        if not taken:
            self._mine.discard(entry)
        return entry if taken else None

    async def _claimed(self, entry: Entry, version: str) -> bool:
        entry.version = await self._access.put_if_version(
            INBOX, entry.key, self._value(entry), version, expires_in=KEPT, durable=False
        )
        if entry.version is None:
            return False
        if not await self._seen.has(entry.key):
            return True
        # Its worker ended between the mark and the removal.
        await self._access.delete_if_version(INBOX, entry.key, entry.version, durable=False)
        return False

    def _value(self, entry: Entry, begun: int | None = None) -> dict[str, Any]:
        count = entry.begun if begun is None else begun
        tries = {"tries": entry.tries} if entry.tries else {}
        return with_format({"body": entry.body, "at": entry.received, "holder": self.worker, "begun": count, **tries})

    def _lease_name(self, worker: str) -> str:
        return f"{self._root}worker/{worker}"


def _is_entry(value: Any) -> bool:
    try:
        check_format(value, "Events of the inbox")
    except NewerRecordError:  # a worker of a later version takes it
        return False
    kinds = {"body": str, "at": int | float, "holder": str, "begun": int}
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(name), kind) for name, kind in kinds.items())
        and isinstance(value.get("tries", 0), int)
    )


def root_of(client_id: str | None, name: str) -> str:
    """Return how the keys of one receiver begin."""
    return path(client_id or "-", name, "")
