"""An app's own state, beside the tokens, in the storage that it has already: `client.storage`, `integration.storage`.

The namespaces begin with `app/`, so that they never meet those of the SDK, and `erase(user)` removes what is kept for
that user. Values are plain data (JSON). Every method takes the namespace first, without `app/`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from webex.config.shapes import check_function, items_of
from webex.errors import ConfigurationError, MissingKeyError
from webex.http.timing import Backoff
from webex.ids import checked_key
from webex.runtime import drive, drive_iter
from webex.runtime.unpicklable import Unpicklable
from webex.storage.access import path, split_path

__all__ = ["AppStorage", "AsyncAppStorage"]

if TYPE_CHECKING:
    from webex.app import App
    from webex.runtime.protocol import Runtime
    from webex.storage.access import StorageAccess

MOST_BYTES: Final = 1024 * 1024  # of one value
_PREFIX: Final = "app/"
_NO_USER: Final = "-"  # the owner of what belongs to no user
_MOST_TRIES: Final = 100
_PAGE: Final = 500  # values that are read at a time

Change = Callable[[Any], Any]


class Held(Protocol):
    """A lease that is held."""

    async def renew(self, ttl: float) -> bool:
        """Extend it to `ttl` seconds from now; False when it was lost meanwhile."""
        ...

    async def release(self) -> None:
        """Give it back."""
        ...


class AsyncAppStorage(Unpicklable):
    """State of the app in the storage of its tokens, for event-loop style; `for_user(key)` is what one user has.

    Raises `StorageError` when the storage fails, and `ConfigurationError` for a value above 1 MB, or that is no plain
    data.
    """

    _instead = "Use the storage of the integration that was made in the other process."

    def __init__(self, access: StorageAccess, runtime: Runtime, client_id: str, owner: str | None = None) -> None:
        self._access, self._runtime, self._client = access, runtime, client_id
        self._owner = owner or _NO_USER

    def for_user(self, key: str) -> AsyncAppStorage:
        """Return the state of one user: `erase(key)` removes it."""
        return AsyncAppStorage(self._access, self._runtime, self._client, checked_key(key))

    async def get(self, namespace: str, key: str, default: Any = None) -> Any:
        """Return the value, or `default` when there is none."""
        try:
            return await self._access.get(_name(namespace), self._key(key))
        except MissingKeyError:
            return default

    async def get_many(self, namespace: str, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values of those keys that are there, in one trip where the storage can do that."""
        full = {self._key(key): key for key in items_of("keys", keys, "keys")}
        found = await self._access.get_many(_name(namespace), list(full))
        return {full[name]: value for name, value in found.items()}

    async def put(self, namespace: str, key: str, value: Any, *, expires_in: float | None = None) -> None:
        """Store a value, for `expires_in` seconds or for good."""
        await self._access.put(_name(namespace), self._key(key), _checked(value), expires_in=expires_in)

    async def add(self, namespace: str, key: str, value: Any, *, expires_in: float | None = None) -> bool:
        """Store a value where there is none: of several racing callers exactly one gets True."""
        written = await self._access.put_if_version(
            _name(namespace), self._key(key), _checked(value), None, expires_in=expires_in
        )
        return written is not None

    async def delete(self, namespace: str, key: str) -> None:
        """Remove a value; it need not be there."""
        await self._access.delete(_name(namespace), self._key(key))

    async def take(self, namespace: str, key: str) -> Any:
        """Return the value and remove it: of several racing callers exactly one gets it, the others None."""
        return await self._access.take(_name(namespace), self._key(key))

    async def update(
        self, namespace: str, key: str, change: Change, *, default: Any = None, expires_in: float | None = None
    ) -> Any:
        """Store `change(value)` and return it, whatever others do meanwhile; `default` stands in for a missing value.

        `change` may be called several times, and may be `async def`; None removes the value.
        """
        check_function("change", change)
        name, full = _name(namespace), self._key(key)
        backoff = Backoff(0.001, 0.1)
        for _ in range(_MOST_TRIES):
            version: str | None = None
            value = default
            with suppress(MissingKeyError):
                value, version = await self._access.get_versioned(name, full)
            changed = change(value)
            if inspect.isawaitable(changed):
                changed = await changed
            if changed is None:
                if version is None or await self._access.delete_if_version(name, full, version):
                    return None
            elif await self._access.put_if_version(name, full, _checked(changed), version, expires_in=expires_in):
                return changed
            await self._runtime.sleep(backoff.next())
        raise ConfigurationError(f"{namespace}/{key} is changed by others all the time; split it over several keys.")

    @property
    def can_share(self) -> bool:
        """Whether other processes see what is stored, and may list it and take leases."""
        has = self._access.capabilities
        return has.shared and has.lease and has.compare_and_swap and has.scan and has.ttl

    async def keys(self, namespace: str) -> AsyncIterator[str]:
        """Yield the keys, in any order; `StorageError` when the storage can't list them."""
        prefix = path(self._client, self._owner, "")
        async for full in self._access.keys(_name(namespace), prefix):
            yield split_path(full)[-1]

    @property
    def can_list(self) -> bool:
        """Whether keys can be listed, by one worker at a time."""
        has = self._access.capabilities
        return has.lease and has.compare_and_swap and has.scan

    async def of_every_user(self, namespace: str, *, prefix: str = "") -> AsyncIterator[tuple[str, str, Any]]:
        """Yield (user, key, value) of all that `for_user(user)` keeps, in any order, of keys that begin with `prefix`.

        `StorageError` when the storage can't list it.
        """
        name, page = _name(namespace), list[str]()
        async for full in self._access.keys(name, path(self._client, "")):
            _, owner, key = split_path(full)
            if owner not in (_NO_USER, self._owner) and key.startswith(prefix):
                page.append(full)
            if len(page) == _PAGE:
                for each, value in (await self._access.get_many(name, page)).items():
                    yield *_user_and_key(each), value
                page.clear()
        for each, value in (await self._access.get_many(name, page)).items():
            yield *_user_and_key(each), value

    @asynccontextmanager
    async def _leased(self, namespace: str, name: str, ttl: float) -> AsyncIterator[bool]:
        lease = await self._access.try_lease(_name(namespace), self._key(name), ttl)
        try:
            yield lease is not None
        finally:
            if lease is not None:
                await lease.release()

    def lease(self, namespace: str, name: str, ttl: float) -> AbstractAsyncContextManager[bool]:
        """Try to hold a lease for `ttl` seconds: `async with storage.lease("jobs", "nightly", 60) as held: …`."""
        return self._leased(namespace, name, ttl)

    async def hold(self, namespace: str, name: str, ttl: float) -> Held | None:
        """Return the lease for `ttl` seconds, to be renewed and released; None when another one holds it."""
        return await self._access.try_lease(_name(namespace), self._key(name), ttl)

    async def notify(self, namespace: str, key: str) -> None:
        """Tell those who wait with `notifications` that something changed under a key.

        Nothing happens where the storage can't tell, and no error is raised when it is away.
        """
        await self._access.notify(_name(namespace), self._key(key))

    async def notifications(self, namespace: str) -> AsyncGenerator[str | None, None]:
        """Yield the keys that any process tells with `notify`; None when listening has begun.

        At each None look at everything: what was told while no one listened is missed. Close it when it is no longer
        needed (`contextlib.aclosing`). Raises `NoNotificationsError` where the storage does not tell, and
        `StorageError` when the connection is lost.
        """
        prefix = self._key("")
        async with aclosing(self._access.notifications(_name(namespace))) as told:
            async for full in told:
                if full is None:
                    yield None
                elif full.startswith(prefix):
                    yield split_path(full)[-1]

    def _key(self, key: str) -> str:
        if not isinstance(key, str):
            raise ConfigurationError(f"A key of the storage is text, not {type(key).__name__}.")
        return path(self._client, self._owner, key)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._access.storage!r})"


class AppStorage(Unpicklable):
    """State of the app in the storage of its tokens, for blocking style; see `AsyncAppStorage`."""

    _instead = "Use the storage of the integration that was made in the other process."

    def __init__(self, storage: AsyncAppStorage) -> None:
        self._storage = storage

    def for_user(self, key: str) -> AppStorage:
        """Return the state of one user: `erase(key)` removes it."""
        return AppStorage(self._storage.for_user(key))

    def get(self, namespace: str, key: str, default: Any = None) -> Any:
        """Return the value, or `default` when there is none."""
        return drive(self._storage.get(namespace, key, default))

    def get_many(self, namespace: str, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values of those keys that are there."""
        return drive(self._storage.get_many(namespace, keys))

    def put(self, namespace: str, key: str, value: Any, *, expires_in: float | None = None) -> None:
        """Store a value, for `expires_in` seconds or for good."""
        drive(self._storage.put(namespace, key, value, expires_in=expires_in))

    def add(self, namespace: str, key: str, value: Any, *, expires_in: float | None = None) -> bool:
        """Store a value where there is none: of several racing callers exactly one gets True."""
        return drive(self._storage.add(namespace, key, value, expires_in=expires_in))

    def delete(self, namespace: str, key: str) -> None:
        """Remove a value; it need not be there."""
        drive(self._storage.delete(namespace, key))

    def take(self, namespace: str, key: str) -> Any:
        """Return the value and remove it: of several racing callers exactly one gets it, the others None."""
        return drive(self._storage.take(namespace, key))

    def update(
        self, namespace: str, key: str, change: Change, *, default: Any = None, expires_in: float | None = None
    ) -> Any:
        """Store `change(value)` and return it, whatever others do meanwhile; see `AsyncAppStorage.update`."""
        return drive(self._storage.update(namespace, key, change, default=default, expires_in=expires_in))

    def notify(self, namespace: str, key: str) -> None:
        """Tell those who wait with `AsyncAppStorage.notifications` that something changed under a key."""
        drive(self._storage.notify(namespace, key))

    def keys(self, namespace: str) -> Iterator[str]:
        """Yield the keys, in any order; `StorageError` when the storage can't list them."""
        return drive_iter(self._storage.keys(namespace))

    def of_every_user(self, namespace: str, *, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
        """Yield (user, key, value) of all that `for_user(user)` keeps; see `AsyncAppStorage.of_every_user`."""
        return drive_iter(self._storage.of_every_user(namespace, prefix=prefix))

    def __repr__(self) -> str:
        return repr(self._storage).replace("Async", "", 1)


def app_storage(app: App, user_key: str | None = None) -> AsyncAppStorage:
    """Return the state of an app, or of one of its users."""
    return AsyncAppStorage(app.access, app.runtime, app.config.client_id or "", user_key)


def _name(namespace: str) -> str:
    if not namespace:
        raise ConfigurationError("The namespace of an app's state has a name.")
    return f"{_PREFIX}{namespace.removeprefix(_PREFIX)}"


def _user_and_key(full: str) -> tuple[str, str]:
    _, user, key = split_path(full)
    return user, key


def _checked(value: Any) -> Any:
    try:
        size = len(msgspec.json.encode(value))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigurationError(f"The value is no plain data: {error}.") from None
    if size > MOST_BYTES:
        raise ConfigurationError(f"The value has {size:,} bytes; a value of an app has {MOST_BYTES:,} at most.")
    return value
