"""The storage as the rest of the SDK sees it: one `async def` interface for every adapter and both styles.

Plain methods are called inline in blocking style and where they never block, in a worker thread otherwise;
asynchronous ones are awaited. What an adapter lacks is emulated within the process (`emulation.py`). Whatever a foreign
adapter raises leaves here as a `StorageError` with its cause.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from webex.errors import ConfigurationError, MissingKeyError, StorageError, WebexError
from webex.http.timing import Backoff
from webex.runtime.protocol import Runtime
from webex.storage.adapt import as_storage, is_asynchronous
from webex.storage.codec import check_duration, check_namespace, check_text
from webex.storage.emulation import Emulation, emulation_for, unwrap, version_of, wrap
from webex.storage.paths import path, split_path
from webex.storage.protocol import BusyError, Capabilities, Json, Lease, NoNotificationsError, Storage, Versioned
from webex.storage.reserved import MOVED, NOTES, is_moved, moved_error
from webex.storage.wrappers import settle

__all__ = ["AccessLease", "StorageAccess", "path", "split_path"]

T = TypeVar("T")

_logger = logging.getLogger("webex.storage")

_BUSY_TIMEOUT = 10.0
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05
_PAGE = 1000
_LOOK_EVERY = 5.0  # seconds; MigratingStorage.flip waits longer
_END: list[str] = []  # what a worker thread returns when there is no further page


class StorageAccess:
    """One storage, used through one runtime.

    `storage` is anything that `as_storage` takes. In blocking style an asynchronous adapter is refused here, with a
    `ConfigurationError`. An operation that does not get its turn within `busy_timeout` seconds (None: the storage's
    own, else 10) fails with `StorageError`. All methods take the namespace first.
    """

    def __init__(self, storage: object, runtime: Runtime, *, busy_timeout: float | None = None) -> None:
        self.storage: Storage = as_storage(storage)
        self._runtime = runtime
        own_timeout = getattr(self.storage, "busy_timeout", _BUSY_TIMEOUT)
        self._busy_timeout: float = own_timeout if busy_timeout is None else busy_timeout
        self._both = runtime.style == "async" and hasattr(self.storage, "bind_async")
        self._awaited: Callable[[Any], Awaitable[Any]] = settle if runtime.style == "blocking" else _heeding()
        self._asynchronous = self._both or is_asynchronous(self.storage)
        if self._asynchronous and runtime.style == "blocking":
            raise ConfigurationError(
                f"{self.storage!r} is asynchronous and can't be used by the blocking client: use AsyncIntegration or "
                f"AsyncWebex, or give the adapter plain methods (def in place of async def)"
            )
        self.capabilities: Capabilities = self.storage.capabilities
        self._emulation: Emulation = emulation_for(self.storage)
        self._emulation.warn_once(self.storage)
        self._threaded = not (runtime.style == "blocking" or self._asynchronous or self.capabilities.nonblocking)
        self._bindings: dict[str, Any] = {}
        can_move = self.capabilities.shared and self.capabilities.ttl and self.capabilities.compare_and_swap
        self._watches = can_move and not getattr(self.storage, "hides_notes", False)
        self._next_look: float | None = None  # at the note that tells that the values were moved

    async def get(self, namespace: str, key: str) -> Json:
        """Return the value; `MissingKeyError` when there is none."""
        value = await self._read("get", namespace, key)
        if self.capabilities.ttl:
            self._check_here(value)
            return value
        return self._unexpired(namespace, key, value)

    async def get_or_none(self, namespace: str, key: str) -> Json | None:
        """Return the value, or None when there is none."""
        try:
            return await self.get(namespace, key)
        except MissingKeyError:
            return None

    async def get_many(self, namespace: str, keys: Sequence[str]) -> dict[str, Json]:
        """Return the values of those keys that are there, in one trip where the adapter can do that."""
        if not self.capabilities.bulk:
            found = {}
            for key in keys:
                try:
                    found[key] = await self.get(namespace, key)
                except MissingKeyError:
                    continue
            return found
        many: dict[str, Json] = await self._call("get_many", namespace, keys)
        if self.capabilities.ttl:
            for value in many.values():
                self._check_here(value)
            return many
        now = self._now()
        alive = {key: unwrap(value, now) for key, value in many.items()}
        return {key: value for key, (is_alive, value) in alive.items() if is_alive}

    async def put(
        self, namespace: str, key: str, value: Json, *, expires_in: float | None = None, durable: bool = True
    ) -> None:
        """Store a value, for `expires_in` seconds or for good.

        With `durable` (the default) it survives a power failure, where the storage can do that; without, it may be lost
        then and is written faster.
        """
        check_text(key, "key")
        options = self._options(durable)
        await self._check_note()
        if self.capabilities.ttl:
            check_duration(expires_in, "expires_in")
            options |= {} if expires_in is None else {"expires_in": expires_in}
            await self._call("put", namespace, key, value, **options)
        else:
            await self._call("put", namespace, key, wrap(value, expires_in, self._now()), **options)

    async def delete(self, namespace: str, key: str, *, durable: bool = True) -> None:
        """Remove a key; it need not be there."""
        await self._check_note()
        try:
            await self._call("delete", namespace, key, **self._options(durable))
        except MissingKeyError:
            return

    async def clear(self, namespace: str) -> None:
        """Remove every key of the namespace, and of no other."""
        await self._check_note()
        await self._call("clear", namespace)

    async def keys(self, namespace: str, prefix: str = "") -> AsyncIterator[str]:
        """Yield the keys that begin with `prefix`, in any order; `StorageError` when the adapter can't list them.

        Only keys that a caller may `get` are promised, and one that was there throughout is seen exactly once.
        """
        self._need_scan()
        check_text(prefix, "prefix")
        await self._check_note()
        resumes = not self._both and hasattr(self.storage, "bind_nonwaiting")  # its keys are sorted
        last: str | None = None
        give_up = self._runtime.clock.monotonic() + self._busy_timeout
        backoff: Backoff | None = None
        while True:
            try:
                async for page in self._pages(namespace, prefix):
                    for key in page:
                        if not resumes:
                            yield key
                        elif last is None or key > last:
                            last = key
                            yield key
                return
            except BusyError as busy:
                backoff = await self._wait_for_turn(backoff, give_up, "keys", busy)

    async def namespaces(self) -> list[str] | None:
        """Return the names of all namespaces that hold something; None when the adapter can't tell."""
        storage = self.storage
        name = "namespaces_async" if self._both and hasattr(storage, "namespaces_async") else "namespaces"
        listing = getattr(storage, name, None) or getattr(getattr(storage, "adapter", None), name, None)
        if not callable(listing):
            return None
        return [str(name) for name in await self.retried("namespaces", listing)]

    async def get_versioned(self, namespace: str, key: str) -> Versioned:
        """Return the value and its version; `MissingKeyError` when there is none."""
        if self.capabilities.compare_and_swap:
            found: Versioned | None = await self._read("get_versioned", namespace, key)
            if found is None:  # an adapter's word for a missing key
                raise MissingKeyError(key, namespace)
            if not self.capabilities.ttl:
                return Versioned(self._unexpired(namespace, key, found.value), found.version)
            self._check_here(found[0])
            return found
        value = await self.get(namespace, key)
        return Versioned(value, version_of(value))

    async def put_if_version(
        self,
        namespace: str,
        key: str,
        value: Json,
        version: str | None,
        *,
        expires_in: float | None = None,
        durable: bool = True,
    ) -> str | None:
        """Store if the present version is `version` (None: if nothing is stored); the new version, None if it lost."""
        check_text(key, "key")
        if self.capabilities.compare_and_swap:
            options = self._options(durable)
            await self._check_note()
            if self.capabilities.ttl:
                check_duration(expires_in, "expires_in")
                options |= {} if expires_in is None else {"expires_in": expires_in}
            else:
                value = wrap(value, expires_in, self._now())
            written: str | None = await self._call("put_if_version", namespace, key, value, version, **options)
            return written
        async with self._emulation.alone(namespace, key, self._runtime):
            if await self._present_version(namespace, key) != version:
                return None
            await self.put(namespace, key, value, expires_in=expires_in, durable=durable)
            return version_of(value)

    async def delete_if_version(self, namespace: str, key: str, version: str, *, durable: bool = True) -> bool:
        """Remove if the present version is `version`; exactly one of several racing callers gets True."""
        if self.capabilities.compare_and_swap:
            options = self._options(durable)
            await self._check_note()
            return bool(await self._call("delete_if_version", namespace, key, version, **options))
        async with self._emulation.alone(namespace, key, self._runtime):
            if await self._present_version(namespace, key) != version:
                return False
            await self.delete(namespace, key, durable=durable)
            return True

    async def take(self, namespace: str, key: str, *, durable: bool = True) -> Json | None:
        """Remove a value and return it: of several racing callers exactly one gets it, the others get None."""
        while True:
            try:
                value, version = await self.get_versioned(namespace, key)
            except MissingKeyError:
                return None
            if await self.delete_if_version(namespace, key, version, durable=durable):
                return value
            # Either another caller took it, or a newer value lies there: look again.

    async def try_lease(self, namespace: str, name: str, ttl: float) -> AccessLease | None:
        """Take the lease for `ttl` seconds; None when it is held. Never waits for it."""
        check_text(name, "lease name")
        check_duration(ttl, "ttl")
        if not self.capabilities.lease:
            emulated = self._emulation.leases(namespace).try_lease(name, ttl)
            return None if emulated is None else AccessLease(emulated, self, inline=True)
        lease: Lease | None = await self._unless_cancelled(namespace, name, ttl)
        return None if lease is None else AccessLease(lease, self, inline=False)

    async def lease_remaining(self, namespace: str, name: str) -> float:
        """Return the seconds until the lease of this name expires; 0.0 when it is free."""
        if not self.capabilities.lease:
            return self._emulation.leases(namespace).lease_remaining(name)
        return float(await self._call("lease_remaining", namespace, name))

    async def notify(self, namespace: str, key: str) -> None:
        """Tell those who wait with `notifications` that something changed under a key; no error when that fails."""
        if self.capabilities.notifications:
            try:
                await self._call("notify", namespace, key)
            except StorageError as error:  # they find it when they look the next time
                _logger.debug("a change was not told to other processes: %s", type(error).__name__)

    async def notifications(self, namespace: str) -> AsyncGenerator[str | None, None]:
        """Yield the keys of the namespace that any process tells with `notify`; None first, when listening has begun.

        Raises `NoNotificationsError` where there are none, and `StorageError` when the connection is lost. What is told
        meanwhile is missed, so look at everything at each None.
        """
        binding = self._binding(namespace)
        if not (self.capabilities.notifications and self._asynchronous and hasattr(binding, "notifications")):
            raise NoNotificationsError(f"{self.storage!r} can't tell of changes in this style")
        found: AsyncGenerator[str | None, None] = binding.notifications()
        try:
            async for key in found:
                yield key
        except WebexError:
            raise
        except Exception as error:
            raise self._wrapped("notifications", error) from error
        finally:
            await found.aclose()

    def __repr__(self) -> str:
        return f"StorageAccess({self.storage!r}, {self._runtime.style})"

    async def _unless_cancelled(self, namespace: str, name: str, ttl: float) -> Lease | None:
        """Ask for the lease; one that is granted after its asker was cancelled is given back at once."""
        if self._runtime.style == "blocking" or not (self._threaded or self._asynchronous):
            lease: Lease | None = await self._call("try_lease", namespace, name, ttl)
            return lease
        key = ("lease", namespace, name, object())
        abandoned = False
        granted: Lease | None = None

        async def ask() -> Lease | None:
            nonlocal granted
            granted = await self._call("try_lease", namespace, name, ttl)
            if granted is not None and abandoned:
                await self.retried("release", granted.release)
            return granted

        try:
            return await self._runtime.single_flight(key, ask)
        except BaseException:
            abandoned = True
            if granted is not None:  # the cancellation came between the grant and its asker
                await self._runtime.begin(key, functools.partial(self.retried, "release", granted.release))
            raise

    def _binding(self, namespace: str) -> Any:
        binding = self._bindings.get(namespace)
        if binding is None:
            check_namespace(namespace)
            bind = getattr(self.storage, "bind_async" if self._both else "bind_nonwaiting", None) or self.storage.bind
            try:
                binding = bind(namespace)
            except Exception as error:
                raise self._wrapped("bind", error) from error
            self._bindings[namespace] = binding
        return binding

    def _runs_inline(self, binding: Any, method: str, *, durable: bool = True) -> bool:
        quick = "nonblocking_methods" if durable else "quick_methods"
        return not self._threaded or method in getattr(binding, quick, ())

    def _options(self, durable: bool) -> dict[str, Any]:
        return {} if durable or not self.capabilities.relaxed else {"durable": False}

    async def _read(self, method: str, namespace: str, key: str) -> Any:
        try:
            return await self._call(method, namespace, key)
        except MissingKeyError:
            raise MissingKeyError(key, namespace) from None

    async def _call(self, method: str, namespace: str, /, *args: Any, **options: Any) -> Any:
        binding = self._binding(namespace)
        function = getattr(binding, method)
        if options:
            function = functools.partial(function, **options)
        inline = self._runs_inline(binding, method, durable=options.get("durable", True))
        return await self.retried(method, function, *args, inline=inline)

    async def retried(
        self, method: str, function: Callable[..., Any], /, *args: Any, inline: bool | None = None
    ) -> Any:
        give_up: float | None = None
        backoff: Backoff | None = None
        while True:
            try:
                if inline if inline is not None else not self._threaded:
                    result = function(*args)
                else:
                    result = await self._runtime.run_blocking(function, *args)
                return await self._settled(method, result)
            except BusyError as busy:
                if give_up is None:
                    give_up = self._runtime.clock.monotonic() + self._busy_timeout
                backoff = await self._wait_for_turn(backoff, give_up, method, busy)
            except WebexError:
                raise
            except KeyError as error:
                if method in ("get", "get_versioned", "delete"):
                    raise MissingKeyError(str(args[0])) from None
                raise self._wrapped(method, error) from error
            except Exception as error:
                raise self._wrapped(method, error) from error

    async def _settled(self, method: str, result: T | Awaitable[T]) -> T:
        if self._runtime.style == "blocking" and hasattr(result, "__await__"):
            close = getattr(result, "close", None)
            if close is not None:
                close()
            raise StorageError(
                f"{method}() of {self.storage!r} returned something to await, which the blocking client can't do: "
                f"use the asynchronous client, or an adapter whose methods return their result"
            )
        settled: T = await self._awaited(result)
        return settled

    async def _wait_for_turn(self, backoff: Backoff | None, give_up: float, method: str, busy: BusyError) -> Backoff:
        backoff = backoff or Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        pause = backoff.next()
        if self._runtime.clock.monotonic() + pause > give_up:
            raise StorageError(
                f"{method}() of {self.storage!r} did not get its turn within {self._busy_timeout:g} s: {busy}"
            ) from busy
        await self._runtime.sleep(pause)
        return backoff

    def _wrapped(self, method: str, error: Exception) -> StorageError:
        # The text of a foreign error may hold the value that it is about, so only the chained cause shows it.
        return StorageError(f"{method}() of {self.storage!r} failed with {type(error).__name__}")

    def _need_scan(self) -> None:
        if not self.capabilities.scan:
            raise StorageError(
                f"{self.storage!r} can't list its keys: use an adapter with the capability scan (keys(prefix))"
            )

    async def _pages(self, namespace: str, prefix: str) -> AsyncIterator[list[str]]:
        binding = self._binding(namespace)
        try:
            pages = await self._settled("keys", binding.keys(prefix, page_size=_PAGE))
            if hasattr(pages, "__aiter__"):
                listing = aiter(pages)
                while (page := await self._awaited(anext(listing, _END))) is not _END:
                    yield page
                return
            iterator: Iterator[list[str]] = iter(pages)
            inline = self._runs_inline(binding, "keys")
            following: Callable[[], list[str]] = functools.partial(next, iterator, _END)
            while True:
                if inline:
                    page = following()
                else:
                    page = await self._runtime.run_blocking(following)
                if page is _END:
                    return
                yield page
        except WebexError:
            raise
        except Exception as error:
            raise self._wrapped("keys", error) from error

    def _unexpired(self, namespace: str, key: str, value: Json) -> Json:
        alive, value = unwrap(value, self._now())
        if not alive:
            raise MissingKeyError(key, namespace)
        return value

    async def _present_version(self, namespace: str, key: str) -> str | None:
        try:
            return (await self.get_versioned(namespace, key)).version
        except MissingKeyError:
            return None

    def _now(self) -> float:
        return self._runtime.clock.time()

    def _check_here(self, value: Json) -> None:
        """Raise `MovedError` for what stands in place of a value that was moved to another storage."""
        if self._watches and is_moved(value):
            raise moved_error(self.storage, value)

    async def _check_note(self) -> None:
        """Raise `MovedError` when the values were moved, which is looked up every few seconds."""
        if not self._watches:
            return
        now = self._runtime.clock.monotonic()
        if self._next_look is None or now >= self._next_look:
            try:
                note = await self._read("get", NOTES, MOVED)
            except MissingKeyError:
                self._next_look = now + _LOOK_EVERY
                return
            self._check_here(note)


class AccessLease:
    """A lease that was granted; `renew` and `release` go the way of its storage."""

    __slots__ = ("_access", "_inline", "_lease", "name", "token")

    def __init__(self, lease: Lease, access: StorageAccess, *, inline: bool) -> None:
        self._lease = lease
        self._access = access
        self._inline = inline or None
        self.name: str = lease.name
        self.token: str = lease.token

    async def renew(self, ttl: float) -> bool:
        """Extend to `ttl` seconds from now; False when it was lost meanwhile."""
        return bool(await self._access.retried("renew", self._lease.renew, ttl, inline=self._inline))

    async def release(self) -> None:
        """Give it back; one that was lost is left to its new holder."""
        await self._access.retried("release", self._lease.release, inline=self._inline)

    def __repr__(self) -> str:
        return f"AccessLease({self.name!r})"


def _heeding() -> Callable[[Any], Awaitable[Any]]:
    from webex.runtime.cancellation import heeding  # not in blocking style, which needs no asyncio

    async def awaited(value: Any) -> Any:
        return await heeding(value) if hasattr(value, "__await__") else value

    return awaited
