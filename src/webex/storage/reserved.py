"""Notes that storages keep beside the values of their callers, and what stands where a value was moved away."""

from __future__ import annotations

from typing import Any, Final

from webex.errors import StorageError
from webex.storage.protocol import Json

__all__ = ["MOVED", "NOTES", "MovedError", "is_moved", "moved_error", "moved_value", "phase_of"]

NOTES: Final = "webex-storage"  # the namespace
MOVED: Final = "moved"  # that the values were moved to another storage
_TO: Final = "webex:moved to"
_NO_FORMAT: Final = 2**31 - 1  # of a record: versions that know nothing of moved values refuse a format this high


class MovedError(StorageError):
    """The values of this storage were moved to another one, and this worker has no `MigratingStorage`."""


def moved_value(to: str, **more: Any) -> dict[str, Json]:
    """Return what stands in the old storage for what is in the one that is called `to`."""
    return {_TO: to, "format": _NO_FORMAT, **more}


def is_moved(value: Json) -> bool:
    """Return whether this stands for a value that is elsewhere."""
    return isinstance(value, dict) and _TO in value


def phase_of(storage: object, note: Json) -> str:
    """Return the phase that the note of a migration holds; `StorageError` for one that can't be read."""
    if not is_moved(note) or not isinstance(note.get("phase"), str):
        raise StorageError(
            f"the note of a migration in {storage!r} can't be read; it may be encrypted. Make the MigratingStorage as "
            "the other workers do, with an EncryptedStorage around each of the two storages where they have one"
        )
    return str(note["phase"])


def moved_error(storage: object, value: Json) -> MovedError:
    """Return the error for a worker that finds it."""
    return MovedError(
        f"the values of {storage!r} were moved to {value[_TO]}: give this worker MigratingStorage(old, new), as the "
        f"others have, or the new storage alone. Nothing was changed"
    )
