"""Other people's adapters: what they have is found by looking, once, before the first call.

An adapter is one of

- a `Storage` with `capabilities`: used as it is, after a check that it has what it claims;
- in the manner of the Node guide, an object with `bind(namespace)` or `bind(namespace, options)`, whose result has
  `get`, `put`, `delete` (or `del_`, `remove`) and `clear`;
- an object that has these four itself: the namespace is put in front of its keys, and `clear` needs its `keys()`.

Methods are `def` or `async def`; a missing key raises `MissingKeyError` or any `KeyError`. An adapter that declares no
`capabilities` may return None for it instead, and may keep values as they are, as in a dict: they are copied on the way
in and out. What its `bind` raises becomes a `StorageError`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, cast

from webex.errors import ConfigurationError, MissingKeyError, StorageError, WebexError
from webex.storage.codec import check_namespace, decode, encode
from webex.storage.paths import path
from webex.storage.protocol import Binding, Capabilities, Json, Lease, PlainBinding, Storage, Versioned
from webex.storage.scope import prefixed
from webex.storage.wrappers import AsyncBinding, in_style, pages_of, settle

__all__ = ["AdaptedStorage", "as_storage", "is_asynchronous"]

_DELETES = ("delete", "del_", "del", "remove")
_NEEDED_BY = {
    "scan": ("keys",),
    "compare_and_swap": ("get_versioned", "put_if_version", "delete_if_version"),
    "lease": ("try_lease", "lease_remaining"),
    "bulk": ("get_many",),
    "notifications": ("notify",),
}
_FORWARDED = (
    "bind_nonwaiting",
    "bind_async",
    "busy_timeout",
    "close",
    "aclose",
    "namespaces",
    "namespaces_async",
)  # optional parts of an adapter
_METHODS = ("get", "put", "clear", *_DELETES, *(name for names in _NEEDED_BY.values() for name in names))
_NULL = {"webex/null": True}  # stands for a stored null where None means that there is nothing
_PROBED = "credentials"  # a namespace that the SDK uses anyway, for an adapter that makes a table for each

_logger = logging.getLogger("webex.storage")


def as_storage(adapter: object) -> Storage:
    """Return the adapter as a `Storage`, whichever of the accepted shapes it has; one of this package unchanged.

    `ConfigurationError` says what is missing. Adapters that are equal share what the SDK emulates for them within the
    process, so a class made anew for each request does well to have `__eq__` and `__hash__`, as a frozen dataclass has.
    """
    if _is_complete(adapter):
        return cast(Storage, adapter)
    handle = _Handle(adapter)
    known = _adapted.get(handle)
    if known is None:
        known = _adapted[handle] = AdaptedStorage(adapter)
    return known


def _is_complete(adapter: object) -> bool:
    """Whether it declares all of the protocol, so that nothing has to be found out by looking."""
    return (
        not isinstance(adapter, type)
        and isinstance(getattr(adapter, "capabilities", None), Capabilities)
        and isinstance(getattr(adapter, "asynchronous", None), bool)
        and callable(getattr(adapter, "bind", None))
    )


def is_asynchronous(storage: Storage) -> bool:
    """Whether its methods are `async def`, found without calling one."""
    declared = getattr(storage, "asynchronous", None)
    return _has_async(storage.bind(_PROBED)) if declared is None else bool(declared)


class AdaptedStorage:
    """An adapter of another package, inspected once."""

    def __init__(self, adapter: object) -> None:
        if isinstance(adapter, type):
            raise ConfigurationError(
                f"the storage is the class {adapter.__name__}: pass an instance of it, {adapter.__name__}(…)"
            )
        self.adapter = adapter
        self.capabilities: Capabilities = _declared(adapter)
        for name in _FORWARDED:
            if hasattr(adapter, name):
                setattr(self, name, getattr(adapter, name))
        bind = getattr(adapter, "bind", None)
        self._bind: Callable[[str], Any] | None = _binder(bind) if callable(bind) else None
        self._awaited_bind = _is_async(bind)
        self.asynchronous: bool
        if self._bind is None:
            if isinstance(adapter, dict):
                raise ConfigurationError(
                    "the storage is a dict, which has no put and no delete: pass MemoryStorage(), or an adapter with "
                    "bind(namespace)"
                )
            if isinstance(adapter, str | os.PathLike):
                raise ConfigurationError("the storage is a path: pass SQLiteStorage(path)")
            _check(adapter, self.capabilities, f"{_name(adapter)} (it has no bind(namespace) either)")
            self.asynchronous = _has_async(adapter)
        elif self._awaited_bind:
            self.asynchronous = True
        else:
            sample = self._bound(_PROBED)
            if inspect.isawaitable(sample):
                if inspect.iscoroutine(sample):
                    sample.close()
                self._awaited_bind = self.asynchronous = True
            else:
                _check(sample, self.capabilities, f"what {_name(adapter)}.bind() returns")
                self.asynchronous = _has_async(sample)

    def bind(self, namespace: str) -> Binding | PlainBinding:
        """Return the namespace; no I/O, except what the adapter's own `bind` does."""
        check_namespace(namespace)
        if self._bind is None:
            return prefixed(
                self.usable(self.adapter, namespace),
                path(namespace, ""),
                namespace=namespace,
                capabilities=self.capabilities,
                asynchronous=self.asynchronous,
                listing=getattr(self.adapter, "keys", None),
            )
        if self._awaited_bind:
            return AwaitedBinding(self, functools.partial(self._bind, namespace), namespace)
        return cast(PlainBinding, self.usable(self._bound(namespace), namespace))

    def _bound(self, namespace: str) -> Any:
        assert self._bind is not None
        try:
            return self._bind(namespace)
        except WebexError:
            raise
        except Exception as error:
            # The text of a foreign exception may show connection strings; it is there as the cause.
            raise StorageError(
                f"{_name(self.adapter)}.bind({namespace!r}) failed with {type(error).__name__}"
            ) from error

    def usable(self, binding: Any, namespace: str) -> Any:
        delete = next(getattr(binding, name) for name in _DELETES if callable(getattr(binding, name, None)))
        if not hasattr(self.adapter, "capabilities"):
            # The rest is emulated, never called.
            async_binding = cast(AsyncBinding, PlainAsyncBinding(binding, delete, namespace))
            return in_style(async_binding, asynchronous=self.asynchronous)
        return binding if hasattr(binding, "delete") else _RenamedDelete(binding, delete)

    def __repr__(self) -> str:
        return f"AdaptedStorage({_name(self.adapter)})"


class _Handle:
    """An adapter as a key: equal where the adapters are, and by identity where they can't be compared."""

    __slots__ = ("__weakref__", "_adapter", "_hash")

    def __init__(self, adapter: object) -> None:
        self._adapter = adapter
        try:
            self._hash = hash(adapter)
        except TypeError:
            self._hash = id(adapter)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Handle):
            return NotImplemented
        if self._adapter is other._adapter:
            return True
        return type(self._adapter) is type(other._adapter) and bool(self._adapter == other._adapter)


_adapted: weakref.WeakValueDictionary[_Handle, AdaptedStorage] = weakref.WeakValueDictionary()


class AwaitedBinding:
    """A namespace whose `bind` has to be awaited: that happens on the first call."""

    def __init__(self, storage: AdaptedStorage, bind: Callable[[], Any], namespace: str) -> None:
        self._storage = storage
        self._bind = bind
        self._namespace = namespace
        self._bound: Any = None

    async def _binding(self) -> Any:
        if self._bound is None:
            bound = await settle(self._bind())
            if self._bound is None:  # of several first calls at once, the first to be bound serves all
                _check(bound, self._storage.capabilities, f"what bind({self._namespace!r}) returns")
                self._bound = self._storage.usable(bound, self._namespace)
        return self._bound

    async def get(self, key: str) -> Json:
        return await settle((await self._binding()).get(key))

    async def time_left(self, key: str) -> float | None:
        left: float | None = await settle((await self._binding()).time_left(key))
        return left

    async def get_many(self, keys: Sequence[str]) -> dict[str, Json]:
        found: dict[str, Json] = await settle((await self._binding()).get_many(keys))
        return found

    async def put(self, key: str, value: Json, **options: Any) -> None:
        await settle((await self._binding()).put(key, value, **options))

    async def delete(self, key: str, **options: Any) -> None:
        await settle((await self._binding()).delete(key, **options))

    async def clear(self) -> None:
        await settle((await self._binding()).clear())

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]:
        async for page in pages_of(await self._binding(), prefix, page_size):
            yield page

    async def get_versioned(self, key: str) -> Versioned:
        found: Versioned = await settle((await self._binding()).get_versioned(key))
        return found

    async def put_if_version(self, key: str, value: Json, version: str | None, **options: Any) -> str | None:
        binding = await self._binding()
        written: str | None = await settle(binding.put_if_version(key, value, version, **options))
        return written

    async def delete_if_version(self, key: str, version: str, **options: Any) -> bool:
        return bool(await settle((await self._binding()).delete_if_version(key, version, **options)))

    async def try_lease(self, name: str, ttl: float) -> Lease | None:
        lease: Lease | None = await settle((await self._binding()).try_lease(name, ttl))
        return lease

    async def lease_remaining(self, name: str) -> float:
        return float(await settle((await self._binding()).lease_remaining(name)))

    async def notify(self, key: str) -> None:
        await settle((await self._binding()).notify(key))

    async def notifications(self) -> AsyncGenerator[str | None, None]:
        async with contextlib.aclosing((await self._binding()).notifications()) as told:
            async for key in told:
                yield key


class PlainAsyncBinding:
    """The four plain calls of a binding that declares nothing: values are copied, a missing key can be deleted."""

    def __init__(self, inner: Any, delete: Callable[[str], Any], namespace: str) -> None:
        self._inner = inner
        self._delete = delete
        self._namespace = namespace

    async def get(self, key: str) -> Json:
        try:
            value = await settle(self._inner.get(key))
        except KeyError:
            raise MissingKeyError(key, self._namespace) from None
        if value is None:
            raise MissingKeyError(key, self._namespace)
        return None if value == _NULL else decode(encode(value))

    async def put(self, key: str, value: Json, **options: Any) -> None:
        await settle(self._inner.put(key, dict(_NULL) if value is None else decode(encode(value))))

    async def delete(self, key: str, **options: Any) -> None:
        with contextlib.suppress(KeyError):
            await settle(self._delete(key))

    async def clear(self) -> None:
        await settle(self._inner.clear())


class _RenamedDelete:
    """A binding that calls its `delete` otherwise."""

    def __init__(self, inner: Any, delete: Callable[[str], Any]) -> None:
        self._inner = inner
        self.delete = delete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _declared(adapter: Any) -> Capabilities:
    declared = getattr(adapter, "capabilities", None)
    if declared is None:
        return Capabilities()
    if not isinstance(declared, Capabilities):
        raise ConfigurationError(
            f"{_name(adapter)}.capabilities is a {type(declared).__name__}; it has to be a "
            f"webex.storage.Capabilities(…) that says what the adapter can do beyond get, put, delete and clear"
        )
    return declared


def _check(binding: Any, capabilities: Capabilities, what: str) -> None:
    calls = {"get": ("get",), "put": ("put",), "delete": _DELETES, "clear": ("clear",)}
    missing = [
        call for call, names in calls.items() if not any(callable(getattr(binding, name, None)) for name in names)
    ]
    if missing:
        raise ConfigurationError(
            f"the storage can't be used: {what} has no {', '.join(missing)}. An adapter is bound to a namespace by "
            f"bind(namespace), which gives an object with get(key), put(key, value), delete(key) and clear()"
        )
    for capability, names in _NEEDED_BY.items():
        absent = [name for name in names if not callable(getattr(binding, name, None))]
        if getattr(capabilities, capability) and absent:
            raise ConfigurationError(
                f"the storage claims the capability {capability}, but {what} has no {', '.join(absent)}: add the "
                f"method, or leave {capability} out of its capabilities"
            )
    if capabilities.ttl and not _takes(binding.put, "expires_in"):
        raise ConfigurationError(
            f"the storage claims the capability ttl, but put() of {what} takes no expires_in: "
            f"add the argument, or leave ttl out of its capabilities"
        )


def _binder(bind: Callable[..., Any]) -> Callable[[str], Any]:
    try:
        parameters = [
            parameter
            for parameter in inspect.signature(bind).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):  # a callable of a compiled module may hide its signature
        return bind
    second = parameters[1] if len(parameters) > 1 else None
    if second is not None and (second.default is second.empty or second.name in ("options", "opts")):
        return lambda namespace: bind(namespace, {"logger": _logger})
    return bind


def _takes(function: Callable[..., Any], argument: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return True
    return argument in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def _has_async(binding: Any) -> bool:
    return any(_is_async(getattr(binding, name, None)) for name in _METHODS)


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    return any(
        inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
        for one in (function, getattr(function, "__call__", None))  # noqa: B004  # an object with async __call__ counts
    )


def _name(thing: object) -> str:
    return type(thing).__qualname__
