"""What waits for one registration: the events that no client has acknowledged yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec

    from webex.emulator.realtime.socket import Socket
    from webex.emulator.state import Device


@dataclass(slots=True, eq=False)
class Frame:
    """One event for one registration, or the frame that tells a socket how things stand."""

    id: str
    data: msgspec.Raw = field(repr=False)
    pushed: float  # by the cloud's clock
    tracking_id: str
    headers: dict[str, Any] | None = field(default=None, repr=False)
    kept: bool = True
    spoilable: bool = True  # faults may strike it
    kind: str | None = None  # the envelope's `type`: only `shutdown` has one
    type: str = ""  # the event's


@dataclass(slots=True, eq=False)
class Event:
    """Something to tell people of, on each of their devices."""

    people: list[str]
    type: str  # `conversation.activity`
    by_base: dict[str, msgspec.Raw] = field(repr=False)  # the data, by the scheme and host that the client uses
    keep: bool  # it waits for those that are not connected
    headers: dict[str, Any] | None = field(repr=False)


class Channel:
    """One registration: its sockets, and its events until they are acknowledged."""

    __slots__ = ("continuous", "device", "left", "sockets", "unacked")

    def __init__(self, device: Device) -> None:
        self.device: Device = device
        self.sockets: list[Socket] = []  # those that events are written to
        self.unacked: dict[str, Frame] = {}
        self.continuous: bool = False  # whether nothing was lost since a socket was last open
        self.left: float | None = None  # when the last socket went

    def takes(self, event: Event, now: float) -> bool:
        """Return whether an event is for this registration: one of another region gets no activities."""
        if self.device.elsewhere and event.type == "conversation.activity":
            return False
        return bool(self.sockets) or (event.keep and self.device.expires > now)

    def keep(self, frame: Frame, limit: int) -> None:
        """Let an event wait for its acknowledgement; the oldest makes room."""
        self.unacked[frame.id] = frame
        while len(self.unacked) > limit:
            del self.unacked[next(iter(self.unacked))]
            self.continuous = False

    def trim(self, now: float, window: float) -> None:
        """Let go of what has waited too long."""
        for frame in list(self.unacked.values()):
            if frame.pushed + window >= now:
                break
            del self.unacked[frame.id]
            if not self.sockets:
                self.continuous = False

    def lose(self) -> int:
        """Let go of all that waits; gives how many."""
        count = len(self.unacked)
        self.unacked.clear()
        self.continuous = False
        return count

    def acknowledge(self, frame_id: str) -> None:
        """Remove a frame that the client has received; ignore an unknown id."""
        self.unacked.pop(frame_id, None)
