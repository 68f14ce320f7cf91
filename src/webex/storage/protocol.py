"""What a storage is: an adapter, bound to a namespace.

The four plain calls (`get`, `put`, `delete`, `clear`) are all that an adapter must have; the rest is declared in
`capabilities` and used where it is there. Methods may be `def` or `async def`. Values are plain JSON data: None, bool,
int, float, str, list, dict with str keys (an adapter is free to keep them serialized, and a value that was read never
shares state with one that was written).

An adapter may have `namespaces()`, the names of all that it holds something in: `erase` finds an app's own state by it.
One that serves both styles has `namespaces_async()` beside it.
A binding may have `time_left(key)`: the seconds until a value expires, None for one that does not, `KeyError` for none.
`MigratingStorage` needs it, and `namespaces()`. The namespace `webex-storage` holds notes of the storages' own.
Two optional attributes let an adapter of plain methods work well in event-loop style, where such methods otherwise run
in a worker thread:

- `binding.nonblocking_methods`, a set of names: these return at once and are called on the event loop's thread;
- `binding.quick_methods`, a set of names: the same, for calls with `durable=False`;
- `storage.bind_nonwaiting(namespace)`: a binding that raises `BusyError` where the one of `bind` would wait for its
  turn, so that the wait is the caller's, through its runtime. Its `keys` are sorted, so that a listing can go on.

A binding of a storage that claims `notifications` has `notify(key)`, which tells the other processes that something
changed under a key, and in event-loop style `notifications()`, which they wait with: an asynchronous generator that
yields None when listening has begun (also when it has begun anew), and then each key that is told. It raises
`StorageError` when its connection is lost, `NoNotificationsError` where the storage is reached in a way that carries
none, and closing it leaves nothing open. Nothing is kept: who does not listen misses it, so it only saves waiting for
the next look.

An adapter serves both styles without threads when it has `bind_async(namespace)` beside `bind(namespace)`: the first
gives a binding of `async def` methods, the second one of plain methods. A class that has `capabilities` and a bool
`asynchronous` (whether the methods of `bind` are `async def`) is used as it is; any other is adapted (`adapt.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

from webex.errors import StorageError

T = TypeVar("T")
MaybeAwaitable: TypeAlias = T | Awaitable[T]

Json: TypeAlias = Any  # None | bool | int | float | str | list[Json] | dict[str, Json]


class BusyError(StorageError):
    """Another holder's turn: ask again in a moment. Only bindings of `bind_nonwaiting` raise it."""


class NoNotificationsError(StorageError):
    """The storage, as it is reached here, tells nothing of changes: look again from time to time."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an adapter can do beyond the four plain calls. Truthful: the conformance suite tries each."""

    ttl: bool = False  # put(…, expires_in=seconds)
    scan: bool = False  # keys(prefix)
    compare_and_swap: bool = False  # get_versioned, put_if_version, delete_if_version
    lease: bool = False  # try_lease
    durable: bool = False  # survives the process
    shared: bool = False  # other processes see it
    nonblocking: bool = False  # plain methods never block, so event-loop style calls them inline
    bulk: bool = False  # get_many(keys)
    relaxed: bool = False  # put, put_if_version, delete, delete_if_version take durable=False
    loops: bool = False  # one adapter object with async def methods serves several event loops and forked children
    notifications: bool = False  # notify(key); in event-loop style also notifications()


class Versioned(NamedTuple):
    """A value and the version that `put_if_version` compares. Versions are opaque text, never reused for a key."""

    value: Json
    version: str


@runtime_checkable
class Lease(Protocol):
    """The right to do a piece of work, until it expires by the storage's clock."""

    name: str
    token: str  # fencing token: unique to this lease

    def renew(self, ttl: float) -> MaybeAwaitable[bool]:
        """Extend to `ttl` seconds from now; False when it was lost meanwhile."""
        ...

    def release(self) -> MaybeAwaitable[None]:
        """Give it back. A lease that was lost is left to its new holder."""
        ...


class PlainBinding(Protocol):
    """One namespace of an adapter: the four calls that any storage has."""

    def get(self, key: str) -> MaybeAwaitable[Json]:
        """Return the value; `MissingKeyError` (or any KeyError) when there is none."""
        ...

    def put(self, key: str, value: Json) -> MaybeAwaitable[Any]: ...

    def delete(self, key: str) -> MaybeAwaitable[Any]:
        """Remove; a key that is not there is no error."""
        ...

    def clear(self) -> MaybeAwaitable[Any]:
        """Remove every key of this namespace, and of no other."""
        ...


class Binding(PlainBinding, Protocol):
    """One namespace of a full adapter."""

    def put(self, key: str, value: Json, *, expires_in: float | None = None) -> MaybeAwaitable[Any]: ...

    def keys(self, prefix: str = "", *, page_size: int = 1000) -> Iterator[list[str]] | AsyncIterator[list[str]]:
        """Yield the keys that begin with `prefix`, in pages and any order; one that was there throughout comes once."""
        ...

    def get_many(self, keys: Sequence[str]) -> MaybeAwaitable[dict[str, Json]]:
        """Return the values of those keys that are there, in one trip."""
        ...

    def get_versioned(self, key: str) -> MaybeAwaitable[Versioned]: ...

    def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None
    ) -> MaybeAwaitable[str | None]:
        """Write if the stored version is `version` (None: if there is no value); the new one, or None if it lost."""
        ...

    def delete_if_version(self, key: str, version: str) -> MaybeAwaitable[bool]:
        """Remove if the stored version is `version`; exactly one of several racing callers gets True."""
        ...

    def try_lease(self, name: str, ttl: float) -> MaybeAwaitable[Lease | None]:
        """Take the lease; None when it is held. Never waits. Lease names never meet keys."""
        ...

    def lease_remaining(self, name: str) -> MaybeAwaitable[float]:
        """Return the seconds until a lease of this name expires, by the storage's clock; 0.0 when it is free."""
        ...


class Storage(Protocol):
    """An adapter. `bind` is cheap and does no I/O."""

    capabilities: Capabilities

    def bind(self, namespace: str) -> Binding | PlainBinding: ...
