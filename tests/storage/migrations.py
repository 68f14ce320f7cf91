"""Two storages of an app that moves from one to the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from webex.errors import StorageError
from webex.storage import MigratingStorage, SQLiteStorage
from webex.storage.reserved import MOVED, NOTES, moved_value

NAMESPACE = "credentials"


class Stores:
    """An old and a new storage, and workers over them."""

    def __init__(self, folder: Path) -> None:
        self.old, self.new = SQLiteStorage(folder / "old.db"), SQLiteStorage(folder / "new.db")

    def worker(self) -> MigratingStorage:
        return MigratingStorage(self.old, self.new)

    def enter(self, phase: str, old: Any = None) -> None:
        if phase != "before":
            notes = (old or self.old).bind(NOTES)
            notes.put(MOVED, moved_value("the new one", phase=phase))


def away(folder: Path) -> SQLiteStorage:
    """A storage whose server does not answer."""

    class Away(SQLiteStorage):
        def bind(self, namespace: str) -> Any:
            binding = super().bind(namespace)

            def fail(*_: Any, **__: Any) -> None:
                raise StorageError("the new storage is away")

            binding.put_if_version = binding.get_versioned = fail  # type: ignore[method-assign, assignment]  # that is the test
            binding.delete = binding.clear = fail  # type: ignore[method-assign]  # that is the test
            return binding

    return Away(folder / "new.db")
