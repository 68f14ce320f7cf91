"""What the workers of a fleet tell each other: one small record in the storage, which each reads twice a second.

Where the storage has notifications, each reads it also when it was changed.

It holds the latest messages with their numbers. A worker that was away for longer than they reach back looks at
everything again. Nothing depends on it but how soon a worker knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from webex.errors import StorageError

if TYPE_CHECKING:
    from webex.app_storage import AsyncAppStorage

__all__ = ["NAMESPACE", "Kind", "News", "NewsBoard"]

NAMESPACE: Final = "fleet"
Kind = Literal["joined", "left", "changed"]  # a user signed in, a user signed out, a worker came, left or released

_KEPT: Final = 500
_KEPT_FOR: Final = 3600.0  # seconds; user keys of those who signed out are gone then


@dataclass(frozen=True, slots=True)
class News:
    """What was new since the last look; `complete` is False when something was missed."""

    messages: tuple[tuple[Kind, str], ...] = ()
    complete: bool = True


class NewsBoard:
    """Read and write the record."""

    def __init__(self, storage: AsyncAppStorage, fleet: str) -> None:
        self._storage = storage
        self.key: str = f"{fleet}/news"
        self._seen: int | None = None

    async def tell(self, messages: Iterable[tuple[Kind, str]]) -> None:
        """Add messages; a worker reads its own, too."""
        added = list(messages)
        if not added:
            return

        def change(record: Any) -> dict[str, Any]:
            known: dict[str, Any] = record if isinstance(record, dict) else {"last": 0, "messages": []}
            last = int(known["last"])
            new = [[last + place + 1, kind, value] for place, (kind, value) in enumerate(added)]
            return {"last": last + len(new), "messages": [*known["messages"], *new][-_KEPT:]}

        await self._storage.update(NAMESPACE, self.key, change, expires_in=_KEPT_FOR)
        await self._storage.notify(NAMESPACE, self.key)

    async def read(self) -> News:
        """Return what is new since the last call; the first call only notes where to begin."""
        record = await self._storage.get(NAMESPACE, self.key)
        if not isinstance(record, dict):
            was_empty, self._seen = not self._seen, 0
            return News(complete=was_empty)
        last, messages = record.get("last"), record.get("messages")
        if not isinstance(last, int) or not isinstance(messages, list):
            raise StorageError(f"The record {self.key!r} of the fleet can't be read: remove it.")
        seen, self._seen = self._seen, last
        if seen is None or seen == last:
            return News()
        new = tuple((kind, value) for number, kind, value in messages if number > seen)
        return News(new, complete=seen < last and len(new) == last - seen)
