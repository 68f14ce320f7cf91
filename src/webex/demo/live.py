"""What happens in a room, as server-sent events for the page that shows it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from webex.demo.faces import clock_time, colour, initials, size
from webex.errors import WebexError

if TYPE_CHECKING:
    from webex.client import AsyncWebex
    from webex.realtime import Event

_DEVICE: Final = "webex-demo"
_SIGN_OF_LIFE: Final = 15.0  # seconds of silence before a comment, so that no proxy on the way hangs up


async def room_events(client: AsyncWebex, room_id: str) -> AsyncIterator[str]:
    """Yield the events of one page; stop the subscription when the page is closed."""
    listening = client.messages.listen(device_name=_DEVICE)
    try:
        await listening.start()
        yield ": listening\n\n"
        names = {
            member.person_email: member.person_display_name
            async for member in client.memberships.list(room_id=room_id, limit=50)
        }
        while True:
            try:
                event = await asyncio.wait_for(anext(listening), _SIGN_OF_LIFE)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            if event.resource == "gap":
                yield "event: gap\ndata: {}\n\n"
            elif event.data.room_id == room_id:
                yield f"event: {event.event}\ndata: {json.dumps(_shown(event, names))}\n\n"
                event.ack()  # the page has it
    except WebexError:
        return  # the page asks again, and the next request says what is wrong
    finally:
        # The page is gone, and with it the task that could wait for this.
        task = asyncio.ensure_future(listening.stop_listening())
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)


def _shown(event: Event[Any], names: dict[str | None, str | None]) -> dict[str, Any]:
    message = event.data
    name = names.get(message.person_email) or message.person_email or ""
    return {
        "id": message.id,
        "email": message.person_email,
        "name": name,
        "initials": initials(name),
        "colour": colour(name),
        "time": clock_time(message.created or message.updated),
        "text": "This message can't be decrypted." if event.decryption_error else message.text,
        "files": [
            {"name": file.get("displayName") or "file", "size": size(file.get("fileSize"))} for file in event.files
        ],
    }
