"""Moves an app from one storage to another while it runs.

Each key has one truth at any time: the old storage, until a marker (`moved_value`) stands there in place of the value,
which a compare-and-swap put there; from then on the new one. So a worker that was paused, or acts on a phase that it
read a moment ago, can neither overwrite nor read what is no longer true: its compare-and-swap loses, or it finds the
marker. The phase, in a note in the old storage, says where a key is looked for that the old storage does not have.

| phase | reads | writes | leases |
| --- | --- | --- | --- |
| none | old | old, then copied to the new one; removed from the new one first | old |
| `moving` | old, or new where the marker stands | where the value is | both |
| `moved` | new | new; a new key puts its marker into the old one first | both |
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from webex.errors import ConfigurationError, StorageError
from webex.runtime import drive
from webex.storage.adapt import as_storage, is_asynchronous
from webex.storage.migrating_binding import Bindings, MigratingAsyncBinding
from webex.storage.migration import Migration, MigrationReport
from webex.storage.protocol import Binding, Capabilities, MaybeAwaitable, Storage
from webex.storage.reserved import MOVED, NOTES, phase_of
from webex.storage.wrappers import BlockingWrapper, settle

__all__ = ["MigratingStorage", "MigrationReport"]

T = TypeVar("T")

_NEEDED = ("ttl", "scan", "compare_and_swap", "lease")
_LONGEST_PHASE = 1.0  # seconds for which a phase that was read is believed

_logger = logging.getLogger("webex.storage")


class MigratingStorage:
    """Two storages while an app moves from `old` to `new`: `MigratingStorage(old, new)`.

    1. Give it to every worker, in place of `old`. Nothing changes but that each write is copied to `new`. While `new`
       is away, writes go on with a warning, and removing a value raises `StorageError`.
    2. `copy(dry_run=True)` counts, `copy()` copies what was there before. Both can be called again.
    3. `flip()` moves the truth, key by key. Go on when it returns; after an interruption call it again.
    4. Give `new` alone to every worker. `old` can go when the last one has it.

    A worker that has `old` alone after the flip gets a `StorageError` that says so. Both storages need the capabilities
    `ttl`, `scan`, `compare_and_swap` and `lease`, `namespaces()`, and bindings with `time_left(key)`; those of this
    package have them. An `EncryptedStorage` goes around each of the two, not around this one.

    They are closed by the app. In blocking style `copy()`, `flip()` and `phase()`, in an event loop `await
    copy_async()`, `flip_async()` and `phase_async()`.
    """

    hides_notes: bool = True

    def __init__(self, old: object, new: object) -> None:
        self.old: Storage = as_storage(old)
        self.new: Storage = as_storage(new)
        for which, storage in (("old", self.old), ("new", self.new)):
            missing = [name for name in _NEEDED if not getattr(storage.capabilities, name)]
            if not hasattr(storage, "namespaces"):
                missing.append("namespaces()")
            if missing:
                raise ConfigurationError(
                    f"MigratingStorage can't move an app: the {which} storage {storage!r} has no "
                    f"{', no '.join(missing)}"
                )
        awaited = is_asynchronous(self.old), is_asynchronous(self.new)
        both = [one or hasattr(s, "bind_async") for one, s in zip(awaited, (self.old, self.new), strict=True)]
        self.asynchronous: bool = any(awaited)
        if self.asynchronous and not all(both):
            raise ConfigurationError(
                "MigratingStorage takes two storages of the same style: one of these has plain methods only, the other "
                "asynchronous ones only"
            )
        if all(both):
            self.bind_async: Callable[[str], Binding] = self._bind_async
        self.capabilities: Capabilities = _common(self.old.capabilities, self.new.capabilities)
        self.busy_timeout: float = max(getattr(one, "busy_timeout", 10.0) for one in (self.old, self.new))
        self._failed_copies = itertools.count(1)
        self._phase: str | None = None
        self._phase_read: float | None = None

    def bind(self, namespace: str) -> Binding:
        """Return the namespace, in the style of the two storages."""
        binding = self.async_binding(namespace, asynchronous=self.asynchronous)
        return binding if self.asynchronous else BlockingWrapper(binding)

    def _bind_async(self, namespace: str) -> Binding:
        return self.async_binding(namespace, asynchronous=True)

    def async_binding(self, namespace: str, *, asynchronous: bool) -> MigratingAsyncBinding:
        """Return the binding of one namespace as `async def` methods."""
        both = Bindings(
            _bound(self.old, namespace, asynchronous=asynchronous),
            _bound(self.new, namespace, asynchronous=asynchronous),
        )

        async def phase() -> str | None:
            return await self.known_phase(asynchronous=asynchronous)

        return MigratingAsyncBinding(
            both, namespace, phase=phase, to=repr(self.new), failed=self._copy_failed, asynchronous=asynchronous
        )

    async def known_phase(self, *, asynchronous: bool, fresh: bool = False) -> str | None:
        """Return the phase as it was read at most a second ago; "moved" never changes again."""
        if self._phase == "moved":
            return self._phase
        read, now = self._phase_read, time.monotonic()
        if fresh or read is None or now - read > _LONGEST_PHASE:
            try:
                note = await settle(_bound(self.old, NOTES, asynchronous=asynchronous).get(MOVED))
            except KeyError:
                note = None
            self._phase = None if note is None else phase_of(self.old, note)
            self._phase_read = now
        return self._phase

    def phase(self) -> MaybeAwaitable[str | None]:
        """Return None before `flip`, "moving" from its beginning on, "moved" when it is done."""
        return self._in_style(self.known_phase(asynchronous=self.asynchronous, fresh=True))

    async def phase_async(self) -> str | None:
        """Return the phase; see `phase`."""
        return await self.known_phase(asynchronous=True, fresh=True)

    def copy(
        self, *, dry_run: bool = False, progress: Callable[[MigrationReport], object] | None = None
    ) -> MaybeAwaitable[MigrationReport]:
        """Copy what the old storage holds to the new one, and return what that was; with `dry_run` only count.

        Safe while the app runs, and to call again: what is the same already is left alone. `progress` is called with
        the report so far after each page of keys. `StorageError` when the storage is flipped already.
        """
        return self._in_style(Migration(self, asynchronous=self.asynchronous).copy(dry_run, progress))

    async def copy_async(
        self, *, dry_run: bool = False, progress: Callable[[MigrationReport], object] | None = None
    ) -> MigrationReport:
        """Copy what the old storage holds to the new one; see `copy`."""
        return await Migration(self, asynchronous=True).copy(dry_run, progress)

    def flip(
        self, *, wait: float = 6.0, progress: Callable[[MigrationReport], object] | None = None
    ) -> MaybeAwaitable[MigrationReport]:
        """Make the new storage the true one, for all workers, and return what was moved.

        Call it when every worker has the `MigratingStorage` and `copy` is done. A value whose lease is held, such as
        that of a refresh, is moved when the lease ends. After `wait` seconds, in which workers notice the flip, what
        was written late is moved too. Safe to call again, also after an interruption and from two processes.
        """
        return self._in_style(Migration(self, asynchronous=self.asynchronous).flip(wait, progress))

    async def flip_async(
        self, *, wait: float = 6.0, progress: Callable[[MigrationReport], object] | None = None
    ) -> MigrationReport:
        """Make the new storage the true one, for all workers; see `flip`."""
        return await Migration(self, asynchronous=True).flip(wait, progress)

    def namespaces(self) -> MaybeAwaitable[list[str]]:
        """Return the names of all namespaces that hold something in either storage."""
        return self._in_style(self.every_namespace(asynchronous=self.asynchronous))

    async def namespaces_async(self) -> list[str]:
        """Return the names of all namespaces that hold something in either storage."""
        return await self.every_namespace(asynchronous=True)

    async def every_namespace(self, *, asynchronous: bool, of: Sequence[Storage] = ()) -> list[str]:
        """Return the names of the namespaces of the two storages, or of some of them; without that of the notes."""
        found: set[str] = set()
        for storage in of or (self.old, self.new):
            both = getattr(storage, "namespaces_async", None) if asynchronous else None
            found.update(await settle((both or storage.namespaces)()))  # type: ignore[attr-defined]  # was looked for
        return sorted(found - {NOTES})

    def __repr__(self) -> str:
        return f"MigratingStorage({self.old!r}, {self.new!r})"

    def _in_style(self, work: Coroutine[Any, Any, T]) -> MaybeAwaitable[T]:
        return work if self.asynchronous else drive(work)

    def _copy_failed(self, error: StorageError) -> None:
        if next(self._failed_copies) == 1:
            _logger.warning(
                "A write could not be copied to %r: %s. It is in the old storage, and flip() moves it.", self.new, error
            )


def _bound(storage: Storage, namespace: str, *, asynchronous: bool) -> Any:
    both: Callable[[str], Any] | None = getattr(storage, "bind_async", None) if asynchronous else None
    binding = both(namespace) if both is not None else storage.bind(namespace)
    if not callable(getattr(binding, "time_left", None)):
        raise ConfigurationError(
            f"MigratingStorage can't move an app: what {storage!r} binds has no time_left(key), the seconds until a "
            f"value expires, or None"
        )
    return binding


def _common(old: Capabilities, new: Capabilities) -> Capabilities:
    return replace(
        old,
        durable=old.durable and new.durable,
        shared=old.shared and new.shared,
        bulk=old.bulk and new.bulk,
        relaxed=old.relaxed and new.relaxed,
        loops=old.loops and new.loops,
        nonblocking=False,
        notifications=False,  # those who have one of the two storages alone are told by that one
    )
