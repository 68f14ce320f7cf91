"""The two storages of a configuration: one for what has a known size, one for what has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webex.errors import ConfigurationError
from webex.storage.adapt import as_storage
from webex.storage.memory import MemoryStorage
from webex.storage.protocol import Storage

__all__ = ["StorageSet"]

_NAMES = {
    "bounded": ("bounded_adapter", "boundedAdapter", "bounded"),
    "unbounded": ("unbounded_adapter", "unboundedAdapter", "unbounded"),
}


@dataclass(frozen=True, slots=True)
class StorageSet:
    """Where state rests: `bounded` holds credentials, logins, sessions and the device, `unbounded` encryption keys."""

    bounded: Storage
    unbounded: Storage

    @classmethod
    def from_config(cls, value: object = None) -> StorageSet:
        """From what a user gave as `storage=`.

        Nothing: memory. One adapter: it holds both. A mapping with `bounded_adapter` and `unbounded_adapter` (also in
        camelCase, as in the Node guide): each its own, and memory for the one that is not named. Any adapter that
        `as_storage` takes; `ConfigurationError` otherwise.
        """
        if isinstance(value, StorageSet):
            return value
        if value is None:
            memory = MemoryStorage()
            return cls(memory, memory)
        if not isinstance(value, Mapping) or callable(getattr(value, "put", None)):
            storage = as_storage(value)
            return cls(storage, storage)
        unknown = [str(name) for name in value if not any(name in names for names in _NAMES.values())]
        if unknown:
            raise ConfigurationError(
                f"storage has the unknown setting {', '.join(sorted(unknown))}: it is an adapter, or a mapping with "
                f"bounded_adapter and unbounded_adapter"
            )
        return cls(_pick(value, "bounded"), _pick(value, "unbounded"))


def _pick(value: Mapping[Any, Any], which: str) -> Storage:
    given = [name for name in _NAMES[which] if value.get(name) is not None]
    if len(given) > 1:
        raise ConfigurationError(f"storage names the same adapter twice, as {' and '.join(given)}: keep one of them")
    return as_storage(value[given[0]]) if given else MemoryStorage()
