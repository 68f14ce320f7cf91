"""Snapshots that the console took: kept in memory, under a name, to go back to or to download."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud

_MOST: Final = 20


@dataclass(slots=True)
class Snapshot:
    """A cloud as it was."""

    id: str
    name: str
    time: float
    data: bytes = field(repr=False)


class Snapshots:
    """The snapshots of one console, the oldest first."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._count = 0
        self._kept: dict[str, Snapshot] = {}

    def take(self, name: str = "") -> dict[str, Any]:
        """Keep the cloud as it is now; the oldest snapshot makes room."""
        with self._cloud.lock:
            self._count += 1
            number = str(self._count)
            snapshot = Snapshot(number, name or f"Snapshot {number}", self._cloud.now(), self._cloud.snapshot())
            self._kept[number] = snapshot
            while len(self._kept) > _MOST:
                del self._kept[next(iter(self._kept))]
            return _json(snapshot)

    def restore(self, id: str = "", data: str = "") -> None:
        """Go back to a snapshot, or to one that was downloaded (`data`, in base64)."""
        raw = b64decode(data, validate=True) if data else self._get(id).data
        try:
            self._cloud.restore(raw)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise ValueError(f"That is no snapshot: {error}") from None

    def forget(self, id: str) -> None:
        """Delete a snapshot."""
        self._get(id)
        del self._kept[id]

    def listed(self) -> list[dict[str, Any]]:
        """List the snapshots, the latest first."""
        return [_json(each) for each in reversed(self._kept.values())]

    def download(self, id: str) -> Reply:
        """Answer with a snapshot as a file."""
        try:
            snapshot = self._get(id)
        except LookupError as error:
            raise Problem(404, str(error)) from None
        headers = {"content-disposition": f'attachment; filename="webex-snapshot-{snapshot.id}.bin"'}
        return Reply(200, snapshot.data, headers, content_type="application/octet-stream")

    def _get(self, id: str) -> Snapshot:
        snapshot = self._kept.get(id)
        if snapshot is None:
            raise LookupError(f"There is no snapshot {id!r}.")
        return snapshot


def _json(snapshot: Snapshot) -> dict[str, Any]:
    return {"id": snapshot.id, "name": snapshot.name, "time": snapshot.time, "size": len(snapshot.data)}
