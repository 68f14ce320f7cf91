"""Apply the header overrides of a frame (mercury §3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.realtime.wire import EventFrame


def override(envelope: EventFrame) -> None:
    """Apply the header overrides of a frame: paths into its body, beside `data` or within it."""
    for headers in (envelope.get("headers"), envelope["data"].get("headers")):
        if not isinstance(headers, dict):
            continue
        for dotted, value in headers.items():
            parts = str(dotted).split(".")
            if len(parts) < 2:
                continue
            place: Any = envelope if parts[0] == "data" else envelope["data"]
            for part in parts[:-1]:
                place = place.get(part) if isinstance(place, dict) else None
            if isinstance(place, dict):
                place[parts[-1]] = value
