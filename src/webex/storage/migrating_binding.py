"""One namespace of a `MigratingStorage`: where each key is read and written. See `migrating.py` for the rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from webex.errors import MissingKeyError, StorageError
from webex.storage.protocol import Json, Lease, Versioned
from webex.storage.reserved import NOTES, is_moved, moved_value
from webex.storage.wrappers import pages_of, settle

__all__ = ["Bindings", "MigratingAsyncBinding", "found_in"]

_CLAIM: Final = (
    3600.0  # seconds for which the marker of a new key keeps paused workers from adding it to the old storage
)
_ATTEMPTS = 100


class Bindings(NamedTuple):
    """The same namespace in both storages."""

    old: Any
    new: Any


class MigratingAsyncBinding:
    """One namespace."""

    def __init__(
        self,
        both: Bindings,
        namespace: str,
        *,
        phase: Callable[[], Awaitable[str | None]],
        to: str,
        failed: Callable[[StorageError], None],
        asynchronous: bool,
    ) -> None:
        self._old, self._new = both
        self._namespace = namespace
        self._phase = phase
        self._to = to
        self._failed = failed
        self._asynchronous = asynchronous

    async def get(self, key: str) -> Json:
        return (await self.get_versioned(key)).value

    async def get_versioned(self, key: str) -> Versioned:
        if self._namespace == NOTES:  # the notes are about each of the two, and not for callers
            raise MissingKeyError(key, self._namespace)
        if await self._phase() != "moved":
            found = await found_in(self._old, key)
            if found is not None and not is_moved(found.value):
                return found
            if found is None and await self._phase() is None:
                raise MissingKeyError(key, self._namespace)
        found = await found_in(self._new, key)
        if found is None:
            raise MissingKeyError(key, self._namespace)
        return found

    async def time_left(self, key: str) -> float | None:
        if await self._phase() != "moved":
            found = await found_in(self._old, key)
            if found is not None and not is_moved(found.value):
                return await _left(self._old, key)
        return await _left(self._new, key)

    async def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        phase = await self._phase()
        found: dict[str, Json] = {}
        elsewhere = list(keys)
        if phase != "moved":
            found = await settle(self._old.get_many(keys))
            moved = {key for key, value in found.items() if is_moved(value)}
            elsewhere = [key for key in keys if key in moved or (phase is not None and key not in found)]
            found = {key: value for key, value in found.items() if key not in moved}
        if elsewhere:
            found |= await settle(self._new.get_many(elsewhere))
        return found

    async def put(self, key: str, value: Json, **options: Any) -> None:
        for _ in range(_ATTEMPTS):
            is_old, found = await self._place_of(key)
            if not is_old:
                await settle(self._new.put(key, value, **options))
                return
            version = None if found is None else found.version
            if await settle(self._old.put_if_version(key, value, version, **options)) is not None:
                await self._copied(key)
                return
        raise _contended(key)

    async def put_if_version(self, key: str, value: Json, version: str | None, **options: Any) -> str | None:
        written: str | None
        if version is not None:
            if await self._phase() != "moved":
                written = await settle(self._old.put_if_version(key, value, version, **options))
                if written is not None:
                    await self._copied(key)
                    return written
                if not await self._is_in_new(key):
                    return None
            written = await settle(self._new.put_if_version(key, value, version, **options))
            return written
        for _ in range(_ATTEMPTS):
            is_old, found = await self._place_of(key)
            if found is not None:
                return None
            if not is_old:
                written = await settle(self._new.put_if_version(key, value, None, **options))
                return written
            written = await settle(self._old.put_if_version(key, value, None, **options))
            if written is not None:
                await self._copied(key)
                return written
        raise _contended(key)

    async def delete(self, key: str, **options: Any) -> None:
        for _ in range(_ATTEMPTS):
            found = None if await self._phase() == "moved" else await found_in(self._old, key)
            if found is None or is_moved(found.value):
                await settle(self._new.delete(key, **options))
                return
            if await self._removed(key, found.version, options):
                return
        raise _contended(key)

    async def delete_if_version(self, key: str, version: str, **options: Any) -> bool:
        if await self._phase() != "moved":
            found = await found_in(self._old, key)
            if found is not None and not is_moved(found.value):
                return found.version == version and await self._removed(key, version, options)
            if found is None and await self._phase() is None:
                return False
        return bool(await settle(self._new.delete_if_version(key, version, **options)))

    async def clear(self) -> None:
        phase = await self._phase()
        if phase == "moving":
            async for page in self.keys():
                for key in page:
                    await self.delete(key)
            return
        await settle(self._new.clear())  # fails before anything is removed when the new storage is away
        if phase is None:
            await settle(self._old.clear())
            await settle(self._new.clear())  # what was written and copied in between

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]:
        phase = await self._phase()
        listed: set[str] = set()
        if phase != "moved":
            async for page in pages_of(self._old, prefix, page_size):
                if phase is None:
                    yield page
                    continue
                moved = {key for key, value in (await settle(self._old.get_many(page))).items() if is_moved(value)}
                here = [key for key in page if key not in moved]
                listed.update(here)
                if here:
                    yield here
        if phase is not None:
            async for page in pages_of(self._new, prefix, page_size):
                there = [key for key in page if key not in listed]
                if there:
                    yield there

    async def try_lease(self, name: str, ttl: float) -> Lease | None:
        old: Lease | None = await settle(self._old.try_lease(name, ttl))
        if old is None or await self._phase() is None:
            return old
        new: Lease | None = await settle(self._new.try_lease(name, ttl))
        if new is None:
            await settle(old.release())
            return None
        return (_BothLease if self._asynchronous else _PlainBothLease)(old, new)

    async def lease_remaining(self, name: str) -> float:
        left = float(await settle(self._old.lease_remaining(name)))
        if await self._phase() is None:
            return left
        return max(left, float(await settle(self._new.lease_remaining(name))))

    async def move(self, key: str) -> bool:
        """Copy a value to the new storage and put the marker in its place; False when it is not in the old one."""
        for _ in range(_ATTEMPTS):
            there = await found_in(self._new, key)
            found = await found_in(self._old, key)
            if found is None or is_moved(found.value):
                return False
            lifetime = await self._lifetime(key)
            version = None if there is None else there.version
            copied = await settle(self._new.put_if_version(key, found.value, version, **lifetime))
            if copied is None:
                continue
            marker = {name: left + _CLAIM for name, left in lifetime.items()}
            moved = moved_value(self._to, copied=True)
            if await settle(self._old.put_if_version(key, moved, found.version, **marker)) is not None:
                return True
            await self._withdraw(key, copied, is_new=there is None)
        raise _contended(key)

    async def copy(self, key: str) -> None:
        """Bring the new storage to what the old one holds under a key: never to an older value than it has."""
        for _ in range(_ATTEMPTS):
            # The version is read before the value: a worker that copied a later value meanwhile has changed it.
            there = await found_in(self._new, key)
            found = await found_in(self._old, key)
            if found is None:
                if there is None or await settle(self._new.delete_if_version(key, there.version)):
                    return
                continue
            if is_moved(found.value):
                return
            version = None if there is None else there.version
            lifetime = await self._lifetime(key)
            copied = await settle(self._new.put_if_version(key, found.value, version, **lifetime))
            if copied is None:
                continue
            again = await found_in(self._old, key)
            if again is not None and again.version == found.version:
                return
            await self._withdraw(key, copied, is_new=there is None)
        raise _contended(key)

    async def _withdraw(self, key: str, copied: str, *, is_new: bool) -> None:
        """Remove a copy whose original was removed or replaced meanwhile, so that a removed value stays removed.

        `is_new`: the new storage had nothing under the key before. A copy that replaced another one is left alone
        where a second process has moved that other one: then it is the value.
        """
        present = await found_in(self._old, key)
        if not is_new and present is not None and (not is_moved(present.value) or present.value.get("copied")):
            return
        await settle(self._new.delete_if_version(key, copied))

    async def _place_of(self, key: str) -> tuple[bool, Versioned | None]:
        """Return whether a key is written in the old storage, and what is there. A new key gets its marker."""
        for _ in range(_ATTEMPTS):
            phase = await self._phase()
            found = await found_in(self._old, key)
            if found is not None and is_moved(found.value):
                return False, None
            if phase is None:
                return True, found
            if found is not None:
                if phase == "moving":
                    return True, found
                await self.move(key)  # it was written late
            elif (
                await settle(self._old.put_if_version(key, moved_value(self._to), None, expires_in=_CLAIM)) is not None
            ):
                return False, None
        raise _contended(key)

    async def _is_in_new(self, key: str) -> bool:
        """Whether the truth of a key whose version is not that of the old storage is in the new one."""
        found = await found_in(self._old, key)
        return is_moved(found.value) if found is not None else await self._phase() is not None

    async def _removed(self, key: str, version: str, options: dict[str, Any]) -> bool:
        """Remove a value that is in the old storage. Its copy goes first, so that none is taken for the value.

        `StorageError` when the new storage is away: a copy that stays would be the value after the flip.
        """
        phase = await self._phase()
        await settle(self._new.delete(key))
        if phase is None:
            done = bool(await settle(self._old.delete_if_version(key, version, **options)))
        else:
            marker = moved_value(self._to)
            done = await settle(self._old.put_if_version(key, marker, version, expires_in=_CLAIM)) is not None
        await self.copy(key)
        return done

    async def _copied(self, key: str) -> None:
        """Copy what was written; that may fail, because the old storage has it and `flip` moves it."""
        try:
            await self.copy(key)
        except StorageError as error:
            self._failed(error)

    async def _lifetime(self, key: str) -> dict[str, float]:
        try:
            left = await settle(self._old.time_left(key))
        except KeyError:
            return {}
        return {} if left is None else {"expires_in": max(left, 0.001)}


class _BothLease:
    """A lease in both storages."""

    def __init__(self, old: Lease, new: Lease) -> None:
        self.name = old.name
        self.token = f"{old.token}.{new.token}"
        self._old, self._new = old, new

    async def renew(self, ttl: float) -> bool:
        old, new = await settle(self._old.renew(ttl)), await settle(self._new.renew(ttl))
        return bool(old and new)

    async def release(self) -> None:
        await settle(self._new.release())
        await settle(self._old.release())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class _PlainBothLease(_BothLease):
    """The same, with plain methods."""

    def renew(self, ttl: float) -> bool:  # type: ignore[override]  # plain
        old, new = self._old.renew(ttl), self._new.renew(ttl)
        return bool(old and new)

    def release(self) -> None:  # type: ignore[override]  # plain
        self._new.release()
        self._old.release()


async def found_in(binding: Any, key: str) -> Versioned | None:
    """Return a value with its version, or None."""
    try:
        found = await settle(binding.get_versioned(key))
    except KeyError:
        return None
    return Versioned(*found)


async def _left(binding: Any, key: str) -> float | None:
    left: float | None = await settle(binding.time_left(key))
    return left


def _contended(key: str) -> StorageError:
    return StorageError(f"the key {key!r} was written by others {_ATTEMPTS} times in a row: try again")
