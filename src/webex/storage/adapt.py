"""Other people's adapters: what they have is found by looking, once, before the first call.

An adapter is one of

- a `Storage` with `capabilities`: used as it is, after a check that it has what it claims;
- in the manner of the Node guide, an object with `bind(namespace)` or `bind(namespace, options)`, whose result has
  `get`, `put`, `delete` (or `del_`, `remove`) and `clear`;
- an object that has these four itself: the namespace is put in front of its keys, and `clear` needs its `keys()`.

Methods are `def` or `async def`; a missing key raises `MissingKeyError` or any `KeyError`. An adapter that declares no
`capabilities` may keep values as they are, as in a dict: they are copied on the way in and out.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from webex.errors import ConfigurationError, MissingKeyError
from webex.storage.codec import decode, encode
from webex.storage.faces import Core, face, pages_of, settle
from webex.storage.paths import path
from webex.storage.protocol import Binding, Capabilities, Json, Lease, PlainBinding, Storage, Versioned
from webex.storage.scope import prefixed

__all__ = ["AdaptedStorage", "as_storage", "is_asynchronous"]

_DELETES = ("delete", "del_", "del", "remove")
_NEEDED_BY = {
    "scan": ("keys",),
    "compare_and_swap": ("get_versioned", "put_if_version", "delete_if_version"),
    "lease": ("try_lease", "lease_remaining"),
}
_METHODS = ("get", "put", "clear", *_DELETES, *(name for names in _NEEDED_BY.values() for name in names))
_OURS = {f"webex.storage.{room}" for room in ("memory", "sqlite", "encrypted", "scope", "adapt")}
_PROBED = "credentials"  # a namespace that the SDK uses anyway, for an adapter that makes a table for each

_logger = logging.getLogger("webex.storage")


def as_storage(adapter: object) -> Storage:
    """The adapter as a `Storage`, whichever of the accepted shapes it has; one of this package stays itself.

    `ConfigurationError` says what is missing. Adapters that are equal share what the SDK emulates for them within the
    process, so a class made anew for each request does well to have `__eq__` and `__hash__`, as a frozen dataclass has.
    """
    if any(kind.__module__ in _OURS for kind in type(adapter).__mro__):
        return cast(Storage, adapter)
    handle = _Handle(adapter)
    known = _adapted.get(handle)
    if known is None:
        known = _adapted[handle] = AdaptedStorage(adapter)
    return known


def is_asynchronous(storage: Storage) -> bool:
    """Whether its methods are `async def`, found without calling one."""
    declared = getattr(storage, "asynchronous", None)
    return _has_async(storage.bind(_PROBED)) if declared is None else bool(declared)


class AdaptedStorage:
    """Somebody else's adapter, looked at once."""

    def __init__(self, adapter: object) -> None:
        if isinstance(adapter, type):
            raise ConfigurationError(
                f"the storage is the class {adapter.__name__}: pass an instance of it, {adapter.__name__}(…)"
            )
        self.adapter = adapter
        self.capabilities = _declared(adapter)
        bind = getattr(adapter, "bind", None)
        self._bind: Callable[[str], Any] | None = _binder(bind) if callable(bind) else None
        self._awaited_bind = _is_async(bind)
        if self._bind is None:
            if isinstance(adapter, dict):
                raise ConfigurationError(
                    "the storage is a dict, which has no put and no delete: pass MemoryStorage(), or an adapter with "
                    "bind(namespace)"
                )
            _check(adapter, self.capabilities, f"{_name(adapter)} (it has no bind(namespace) either)")
            self.asynchronous = _has_async(adapter)
        elif self._awaited_bind:
            self.asynchronous = True
        else:
            sample = self._bind(_PROBED)
            if inspect.isawaitable(sample):
                if inspect.iscoroutine(sample):
                    sample.close()
                self._awaited_bind = self.asynchronous = True
            else:
                _check(sample, self.capabilities, f"what {_name(adapter)}.bind() returns")
                self.asynchronous = _has_async(sample)

    def bind(self, namespace: str) -> Binding | PlainBinding:
        """The namespace; no I/O, except what the adapter's own `bind` does."""
        if self._bind is None:
            return prefixed(
                self._usable(self.adapter, namespace),
                path(namespace, ""),
                namespace=namespace,
                capabilities=self.capabilities,
                asynchronous=self.asynchronous,
                listing=getattr(self.adapter, "keys", None),
            )
        if self._awaited_bind:
            return AwaitedBinding(self, functools.partial(self._bind, namespace), namespace)
        return cast(PlainBinding, self._usable(self._bind(namespace), namespace))

    def _usable(self, binding: Any, namespace: str) -> Any:
        delete = next(getattr(binding, name) for name in _DELETES if callable(getattr(binding, name, None)))
        if not hasattr(self.adapter, "capabilities"):
            core = cast(Core, PlainCore(binding, delete, namespace))  # the rest is emulated, never called
            return face(core, asynchronous=self.asynchronous, nonblocking_methods=frozenset())
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
                self._bound = self._storage._usable(bound, self._namespace)
        return self._bound

    async def get(self, key: str) -> Json:
        return await settle((await self._binding()).get(key))

    async def put(self, key: str, value: Json, *, expires_in: float | None = None) -> None:
        options = {} if expires_in is None else {"expires_in": expires_in}
        await settle((await self._binding()).put(key, value, **options))

    async def delete(self, key: str) -> None:
        await settle((await self._binding()).delete(key))

    async def clear(self) -> None:
        await settle((await self._binding()).clear())

    async def keys(self, prefix: str = "", *, page_size: int = 1000) -> AsyncIterator[list[str]]:
        async for page in pages_of(await self._binding(), prefix, page_size):
            yield page

    async def get_versioned(self, key: str) -> Versioned:
        found: Versioned = await settle((await self._binding()).get_versioned(key))
        return found

    async def put_if_version(
        self, key: str, value: Json, version: str | None, *, expires_in: float | None = None
    ) -> str | None:
        options = {} if expires_in is None else {"expires_in": expires_in}
        binding = await self._binding()
        written: str | None = await settle(binding.put_if_version(key, value, version, **options))
        return written

    async def delete_if_version(self, key: str, version: str) -> bool:
        return bool(await settle((await self._binding()).delete_if_version(key, version)))

    async def try_lease(self, name: str, ttl: float) -> Lease | None:
        lease: Lease | None = await settle((await self._binding()).try_lease(name, ttl))
        return lease

    async def lease_remaining(self, name: str) -> float:
        return float(await settle((await self._binding()).lease_remaining(name)))


class PlainCore:
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
        return decode(encode(value))

    async def put(self, key: str, value: Json, *, expires_in: float | None = None) -> None:
        await settle(self._inner.put(key, decode(encode(value))))

    async def delete(self, key: str) -> None:
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
