"""The storage as the rest of the SDK sees it: one `async def` face for every adapter and both styles of I/O.

Plain methods are called inline in blocking style and where they never block, in a worker thread otherwise;
asynchronous ones are awaited. What an adapter lacks is emulated within the process (`emulation.py`). Whatever a foreign
adapter raises leaves here as a `StorageError` with its cause.
"""

from __future__ import annotations

import functools
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

from webex.errors import ConfigurationError, MissingKeyError, StorageError, WebexError
from webex.runtime.protocol import Runtime
from webex.storage.adapt import as_storage, is_asynchronous
from webex.storage.codec import check_duration, check_text
from webex.storage.emulation import Emulation, emulation_for, unwrap, version_of, wrap
from webex.storage.faces import settle
from webex.storage.paths import path, split_path
from webex.storage.protocol import BusyError, Capabilities, Json, Lease, Storage, Versioned

__all__ = ["AccessLease", "StorageAccess", "path", "split_path"]

T = TypeVar("T")

_logger = logging.getLogger("webex.storage")

_BUSY_TIMEOUT = 10.0
_FIRST_PAUSE = 0.001
_LONGEST_PAUSE = 0.05
_PAGE = 1000
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
        self._asynchronous = is_asynchronous(self.storage)
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

    async def get(self, namespace: str, key: str) -> Json:
        """The value; `MissingKeyError` when there is none."""
        value = await self._read("get", namespace, key)
        if self.capabilities.ttl:
            return value
        return self._unexpired(namespace, key, value)

    async def get_or_none(self, namespace: str, key: str) -> Json | None:
        """The value, or None when there is none."""
        try:
            return await self.get(namespace, key)
        except MissingKeyError:
            return None

    async def put(self, namespace: str, key: str, value: Json, *, expires_in: float | None = None) -> None:
        """Store a value, for `expires_in` seconds or for good."""
        check_text(key, "key")
        if self.capabilities.ttl:
            check_duration(expires_in, "expires_in")
            options = {} if expires_in is None else {"expires_in": expires_in}
            await self._call("put", namespace, key, value, **options)
        else:
            await self._call("put", namespace, key, wrap(value, expires_in, self._now()))

    async def delete(self, namespace: str, key: str) -> None:
        """Remove a key; it need not be there."""
        try:
            await self._call("delete", namespace, key)
        except MissingKeyError:
            return

    async def clear(self, namespace: str) -> None:
        """Remove every key of the namespace, and of no other."""
        await self._call("clear", namespace)

    async def keys(self, namespace: str, prefix: str = "") -> AsyncIterator[str]:
        """The keys that begin with `prefix`, sorted; `StorageError` when the adapter can't list them.

        Only keys that a caller may `get` are promised, and one that was there throughout is seen exactly once.
        """
        self._need_scan()
        check_text(prefix, "prefix")
        last: str | None = None
        give_up = self._runtime.clock.monotonic() + self._busy_timeout
        pause = _FIRST_PAUSE
        while True:
            try:
                async for page in self._pages(namespace, prefix):
                    for key in page:
                        if last is None or key > last:
                            last = key
                            yield key
                return
            except BusyError as busy:
                pause = await self._wait_for_turn(pause, give_up, "keys", busy)

    async def get_versioned(self, namespace: str, key: str) -> Versioned:
        """The value and its version; `MissingKeyError` when there is none."""
        if self.capabilities.compare_and_swap:
            found: Versioned = await self._read("get_versioned", namespace, key)
            return (
                found
                if self.capabilities.ttl
                else Versioned(self._unexpired(namespace, key, found.value), found.version)
            )
        value = await self.get(namespace, key)
        return Versioned(value, version_of(value))

    async def put_if_version(
        self, namespace: str, key: str, value: Json, version: str | None, *, expires_in: float | None = None
    ) -> str | None:
        """Store if the present version is `version` (None: if nothing is stored); the new version, None if it lost."""
        check_text(key, "key")
        if self.capabilities.compare_and_swap:
            options: dict[str, Any] = {}
            if self.capabilities.ttl:
                check_duration(expires_in, "expires_in")
                options = {} if expires_in is None else {"expires_in": expires_in}
            else:
                value = wrap(value, expires_in, self._now())
            written: str | None = await self._call("put_if_version", namespace, key, value, version, **options)
            return written
        async with self._emulation.alone(namespace, key, self._runtime):
            if await self._present_version(namespace, key) != version:
                return None
            await self.put(namespace, key, value, expires_in=expires_in)
            return version_of(value)

    async def delete_if_version(self, namespace: str, key: str, version: str) -> bool:
        """Remove if the present version is `version`; exactly one of several racing callers gets True."""
        if self.capabilities.compare_and_swap:
            return bool(await self._call("delete_if_version", namespace, key, version))
        async with self._emulation.alone(namespace, key, self._runtime):
            if await self._present_version(namespace, key) != version:
                return False
            await self.delete(namespace, key)
            return True

    async def take(self, namespace: str, key: str) -> Json | None:
        """The value, removed: of several racing callers exactly one gets it, the others get None."""
        while True:
            try:
                value, version = await self.get_versioned(namespace, key)
            except MissingKeyError:
                return None
            if await self.delete_if_version(namespace, key, version):
                return value
            # Either somebody took it, or a newer value lies there: look again.

    async def try_lease(self, namespace: str, name: str, ttl: float) -> AccessLease | None:
        """The lease for `ttl` seconds, or None when somebody holds it. Never waits for it."""
        check_text(name, "lease name")
        check_duration(ttl, "ttl")
        if not self.capabilities.lease:
            emulated = self._emulation.leases(namespace).try_lease(name, ttl)
            return None if emulated is None else AccessLease(emulated, self, inline=True)
        lease: Lease | None = await self._unless_cancelled(namespace, name, ttl)
        return None if lease is None else AccessLease(lease, self, inline=False)

    async def lease_remaining(self, namespace: str, name: str) -> float:
        """Seconds until the running lease of this name expires; 0.0 when nobody holds it."""
        if not self.capabilities.lease:
            return self._emulation.leases(namespace).lease_remaining(name)
        return float(await self._call("lease_remaining", namespace, name))

    def __repr__(self) -> str:
        return f"StorageAccess({self.storage!r}, {self._runtime.style})"

    async def _unless_cancelled(self, namespace: str, name: str, ttl: float) -> Lease | None:
        """Ask for the lease; one that is granted after its asker was cancelled is given back at once."""
        if not self._threaded:
            lease: Lease | None = await self._call("try_lease", namespace, name, ttl)
            return lease
        abandoned = False

        async def ask() -> Lease | None:
            granted: Lease | None = await self._call("try_lease", namespace, name, ttl)
            if granted is not None and abandoned:
                await self._retried("release", granted.release)
            return granted

        try:
            return await self._runtime.single_flight(("lease", namespace, name, object()), ask)
        except BaseException:
            abandoned = True
            raise

    def _binding(self, namespace: str) -> Any:
        binding = self._bindings.get(namespace)
        if binding is None:
            check_text(namespace, "namespace")
            if not namespace:
                raise StorageError("a namespace is text of at least one character")
            bind = getattr(self.storage, "bind_nonwaiting", None) or self.storage.bind
            try:
                binding = bind(namespace)
            except Exception as error:
                raise self._wrapped("bind", error) from error
            self._bindings[namespace] = binding
        return binding

    def _runs_inline(self, binding: Any, method: str) -> bool:
        return not self._threaded or method in getattr(binding, "nonblocking_methods", ())

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
        return await self._retried(method, function, *args, inline=self._runs_inline(binding, method))

    async def _retried(
        self, method: str, function: Callable[..., Any], /, *args: Any, inline: bool | None = None
    ) -> Any:
        give_up: float | None = None
        pause = _FIRST_PAUSE
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
                pause = await self._wait_for_turn(pause, give_up, method, busy)
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
        return await settle(result)

    async def _wait_for_turn(self, pause: float, give_up: float, method: str, busy: BusyError) -> float:
        if self._runtime.clock.monotonic() + pause > give_up:
            raise StorageError(
                f"{method}() of {self.storage!r} did not get its turn within {self._busy_timeout:g} s: {busy}"
            ) from busy
        await self._runtime.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
        return min(pause * 2, _LONGEST_PAUSE)

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
                async for page in pages:
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


class AccessLease:
    """A lease that was granted; `renew` and `release` go the way of its storage."""

    __slots__ = ("_access", "_inline", "_lease", "name", "token")

    def __init__(self, lease: Lease, access: StorageAccess, *, inline: bool) -> None:
        self._lease = lease
        self._access = access
        self._inline = inline or None
        self.name = lease.name
        self.token = lease.token

    async def renew(self, ttl: float) -> bool:
        """Extend to `ttl` seconds from now; False when it was lost meanwhile."""
        return bool(await self._access._retried("renew", self._lease.renew, ttl, inline=self._inline))

    async def release(self) -> None:
        """Give it back; one that was lost is left to its new holder."""
        await self._access._retried("release", self._lease.release, inline=self._inline)

    def __repr__(self) -> str:
        return f"AccessLease({self.name!r})"
