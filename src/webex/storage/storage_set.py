"""The two storages of a configuration: one for what has a known size, one for what has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webex.errors import ConfigurationError
from webex.storage.adapt import as_storage
from webex.storage.memory import MemoryStorage
from webex.storage.protocol import Storage
from webex.storage.wrappers import settle

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
    made: tuple[Storage, ...] = ()  # those made here: only they are closed by `aclose`

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
            return cls(memory, memory, (memory,))
        if not isinstance(value, Mapping) or callable(getattr(value, "put", None)):
            storage = as_storage(value)
            return cls(storage, storage)
        unknown = [str(name) for name in value if not any(name in names for names in _NAMES.values())]
        if unknown:
            raise ConfigurationError(
                f"storage has the unknown setting {', '.join(sorted(unknown))}: it is an adapter, or a mapping with "
                f"bounded_adapter and unbounded_adapter"
            )
        bounded, unbounded = _pick(value, "bounded"), _pick(value, "unbounded")
        made = [each for each, name in ((bounded, "bounded"), (unbounded, "unbounded")) if not _given(value, name)]
        return cls(bounded, unbounded, tuple(made))

    @property
    def shared(self) -> StorageSet:
        """The same storages for a second user, who closes none."""
        return StorageSet(self.bounded, self.unbounded)

    async def aclose(self) -> None:
        """Close the storages that were made here, never one that was given."""
        for storage in self.made:
            close = getattr(storage, "aclose", None) or getattr(storage, "close", None)
            if close is not None:
                await settle(close())


def _pick(value: Mapping[Any, Any], which: str) -> Storage:
    given = _given(value, which)
    if len(given) > 1:
        raise ConfigurationError(f"storage names the same adapter twice, as {' and '.join(given)}: keep one of them")
    return as_storage(value[given[0]]) if given else MemoryStorage()


def _given(value: Mapping[Any, Any], which: str) -> list[str]:
    return [name for name in _NAMES[which] if value.get(name) is not None]
