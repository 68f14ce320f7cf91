"""The work of `MigratingStorage.copy` and `flip`: page by page, with a report, to be called again at any time."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from webex.errors import ConfigurationError, StorageError
from webex.storage.migrating_binding import MigratingAsyncBinding, found_in
from webex.storage.reserved import MOVED, NOTES, is_moved, moved_value, phase_of
from webex.storage.wrappers import pages_of, settle

if TYPE_CHECKING:
    from webex.storage.migrating import MigratingStorage

__all__ = ["Migration", "MigrationReport"]

_PAGE = 500
_LEASE = 30.0  # seconds; also how long another worker's lease is waited for, twice
_PAUSE = 0.02
_MOST_PASSES = 20
_PROBE = "probe "  # followed by a random word: the name of a value by which two storages are compared


class MigrationReport(NamedTuple):
    """What `copy` or `flip` did so far.

    `keys` the old storage holds; `copied` of them were written to the new one (or, in a dry run, would be), `same`
    were there already. `extra` are keys that only the new storage has, which nothing removes: it should be empty when
    the migration begins. `namespaces` counts the keys of each.
    """

    keys: int = 0
    copied: int = 0
    same: int = 0
    extra: int = 0
    namespaces: tuple[tuple[str, int], ...] = ()


Progress = Callable[[MigrationReport], object] | None


class Migration:
    """One run of `copy` or `flip`, in one style."""

    def __init__(self, storage: MigratingStorage, *, asynchronous: bool) -> None:
        self._storage = storage
        self._asynchronous = asynchronous

    async def copy(self, dry_run: bool, progress: Progress) -> MigrationReport:
        """See `MigratingStorage.copy`."""
        if await self._storage.known_phase(asynchronous=self._asynchronous, fresh=True) is not None:
            raise StorageError(f"{self._storage!r} is flipped already: call flip() to go on with that")
        report = MigrationReport()
        async for namespace, binding, page in self._pages():
            old: dict[str, Any] = await settle(self._bound("old", namespace).get_many(page))
            new: dict[str, Any] = await settle(self._bound("new", namespace).get_many(page))
            here = [key for key in page if key in old]
            other = [key for key in here if key not in new or new[key] != old[key]]
            if not dry_run:
                for key in other:
                    await binding.copy(key)
            report = _added(report, namespace, keys=len(here), copied=len(other))
            if progress is not None:
                progress(report)
        return report._replace(extra=await self._extra())

    async def flip(self, wait: float, progress: Progress) -> MigrationReport:
        """See `MigratingStorage.flip`."""
        if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait < 1e9:
            raise ConfigurationError(f"wait of flip() is a number of seconds, 0 or more, not {wait!r}")
        storage = self._storage
        notes = self._bound("old", NOTES)
        note = await found_in(notes, MOVED)
        if note is None:
            await self._compare()
            value = moved_value(repr(storage.new), phase="moving")
            await settle(notes.put_if_version(MOVED, value, None))
        elif phase_of(storage.old, note.value) == "moved":
            wait = 0.0  # the workers know it
        await storage.known_phase(asynchronous=self._asynchronous, fresh=True)
        begun = time.monotonic()
        report = await self._move_all(MigrationReport(), progress)
        await self._pause(max(0.0, wait - (time.monotonic() - begun)))
        for _ in range(_MOST_PASSES):
            before = report.copied
            report = await self._move_all(report, progress)
            if report.copied == before:
                break
        note = await found_in(notes, MOVED)
        if note is not None and phase_of(storage.old, note.value) != "moved":
            done = moved_value(repr(storage.new), phase="moved")
            await settle(notes.put_if_version(MOVED, done, note.version))
        await storage.known_phase(asynchronous=self._asynchronous, fresh=True)
        return report

    async def _move_all(self, report: MigrationReport, progress: Progress) -> MigrationReport:
        async for namespace, binding, page in self._pages():
            found = await settle(self._bound("old", namespace).get_many(page))
            here = [key for key in page if key in found and not is_moved(found[key])]
            moved = 0
            for key in here:
                moved += await self._move(namespace, binding, key)
            report = _added(report, namespace, keys=len(here), copied=moved)
            if here and progress is not None:
                progress(report)
        return report

    async def _move(self, namespace: str, binding: MigratingAsyncBinding, key: str) -> bool:
        """Move one value, under the lease of its name: a refresh of the same name ends before."""
        old = self._bound("old", namespace)
        give_up = time.monotonic() + 2 * _LEASE
        lease = await settle(old.try_lease(key, _LEASE))
        while lease is None and time.monotonic() < give_up:
            await self._pause(_PAUSE)
            lease = await settle(old.try_lease(key, _LEASE))
        try:
            return await binding.move(key)
        finally:
            if lease is not None:
                await settle(lease.release())

    async def _compare(self) -> None:
        """Raise `ConfigurationError` when both are the same storage: its values would be gone for all workers."""
        name = f"{_PROBE}{secrets.token_hex(8)}"
        old, new = self._bound("old", NOTES), self._bound("new", NOTES)
        await settle(old.put(name, True, expires_in=_LEASE))
        try:
            # Names are compared, as one of the two may encrypt its values.
            same = [key async for page in pages_of(new, name, _PAGE) for key in page]
        finally:
            await settle(old.delete(name))
        if same:
            raise ConfigurationError(
                f"{self._storage!r}: both are the same storage, by two addresses or in two forms. Nothing was changed; "
                "name another one to move to"
            )

    async def _extra(self) -> int:
        count = 0
        for namespace in await self._storage.every_namespace(asynchronous=self._asynchronous, of=[self._storage.new]):
            async for page in pages_of(self._bound("new", namespace), "", _PAGE):
                found = await settle(self._bound("old", namespace).get_many(page))
                count += sum(key not in found for key in page)
        return count

    async def _pages(self) -> AsyncIterator[tuple[str, MigratingAsyncBinding, list[str]]]:
        storage = self._storage
        for namespace in await storage.every_namespace(asynchronous=self._asynchronous, of=[storage.old]):
            binding = storage.async_binding(namespace, asynchronous=self._asynchronous)
            async for page in pages_of(self._bound("old", namespace), "", _PAGE):
                yield namespace, binding, page

    def _bound(self, which: str, namespace: str) -> Any:
        storage = self._storage.old if which == "old" else self._storage.new
        both = getattr(storage, "bind_async", None) if self._asynchronous else None
        return (both or storage.bind)(namespace)

    async def _pause(self, seconds: float) -> None:
        if self._asynchronous:
            import asyncio

            await asyncio.sleep(seconds)
        else:
            time.sleep(seconds)  # noqa: ASYNC251  # plain methods are driven without an event loop


def _added(report: MigrationReport, namespace: str, *, keys: int, copied: int) -> MigrationReport:
    counts = dict(report.namespaces)
    counts[namespace] = counts.get(namespace, 0) + keys
    return report._replace(
        keys=report.keys + keys,
        copied=report.copied + copied,
        same=report.same + keys - copied,
        namespaces=tuple(counts.items()),
    )
