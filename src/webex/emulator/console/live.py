"""Server-sent events: which parts of the cloud changed, so that the page reads them anew.

The stream compares counters a few times a second, only while a console is open; nothing else in the cloud knows of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from webex.emulator.wire import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from webex.emulator.app import Receive
    from webex.emulator.cloud import Cloud

_LOOK_EVERY: Final = 0.2  # seconds
_COMMENT_EVERY: Final = 75  # looks without a change, after which a comment keeps the connection open


def stream(cloud: Cloud, receive: Receive, stop: asyncio.Event) -> Reply:
    """Answer with events until the client goes or the server stops."""
    headers = {"x-accel-buffering": "no"}
    return Reply(
        200, None, headers, content_type="text/event-stream;charset=UTF-8", stream=_events(cloud, receive, stop)
    )


async def _events(cloud: Cloud, receive: Receive, stop: asyncio.Event) -> AsyncIterator[bytes]:
    known = marks(cloud)
    yield b"retry: 1000\n\n" + _event({"changed": sorted(known)})
    quiet = 0
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        while not gone.done() and not stop.is_set():
            await asyncio.wait([gone], timeout=_LOOK_EVERY)
            now = marks(cloud)
            changed = [name for name, mark in now.items() if known[name] != mark]
            known = now
            quiet += 1
            if changed:
                quiet = 0
                yield _event({"changed": changed})
            elif quiet >= _COMMENT_EVERY:
                quiet = 0
                yield b": still here\n\n"
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def marks(cloud: Cloud) -> dict[str, Any]:
    """Return something for each part of the cloud that is different once the part has changed."""
    with cloud.lock:
        state = cloud.state
        whole = (id(state), cloud.revision, state.next_id, state.next_sequence)
        attempts = cloud.delivery.attempts
        channels = cloud.mercury.channels()
        requests = cloud.requests
        return {
            "state": (whole, *(len(getattr(state, name)) for name in _TABLES)),
            "requests": (len(requests), id(requests[-1]) if len(requests) else 0),
            "webhooks": (attempts[-1].id if attempts else 0, [(w.id, w.status) for w in state.webhooks.values()]),
            "sockets": [(c.device.id, len(c.sockets), *c.unacked) for c in channels],
            "keys": cloud.kms.traffic[-1].id if cloud.kms.traffic else 0,
            "faults": (
                [(fault["id"], fault["hits"]) for fault in cloud.faults.as_list()],
                *(msgspec.json.encode(each.faults) for each in (cloud.mercury, cloud.kms, cloud.conversations)),
                msgspec.json.encode(cloud.catalog.faults),
                msgspec.json.encode(cloud.settings),
            ),
            "clock": (round(cloud.clock.offset), cloud.clock.frozen),
        }


_TABLES: Final = ("people", "integrations", "tokens", "rooms", "memberships", "messages", "files", "devices")
