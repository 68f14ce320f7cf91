"""Which conversation a request means, and whether its sender may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from webex.emulator.rest.rules import is_moderator, membership_of
from webex.emulator.wire import MALFORMED, Problem

if TYPE_CHECKING:
    from webex.emulator.state import Person, Room
    from webex.emulator.wire import Call


BASE: Final = "/conversation/api/v1"
_OBJECTS: Final = ("actor", "object", "parent", "target")  # the parts of an activity that are objects themselves


def refuse(status: int, code: int, message: str) -> NoReturn:
    """Refuse with the conversation service's own code."""
    raise Problem(status, message, code=code)


def refuse_encrypted(call: Call, person: Person, request: str, answer: dict[str, Any]) -> NoReturn:
    """Refuse because the key service did; its answer is for the client alone: it is encrypted JSON, as others are."""
    told = {"reason": "The key service refused.", **answer}
    encrypted = call.cloud.kms.encrypt_for(person.id, request, msgspec.json.encode(told).decode())
    status = int(answer.get("status", 500))
    raise Problem(status if 400 <= status < 500 and status != 405 else 400, encrypted, errors=[encrypted], code=1900000)


def activity_of(call: Call) -> dict[str, Any]:
    """Read an activity from the body; 400 where a part that is an object is something else."""
    body = call.json()
    for name in _OBJECTS:
        if not isinstance(body.get(name), dict | None):
            raise Problem(400, MALFORMED, hint=f"{name} must be an object.")
    return body


def room_of(call: Call, person: Person, room_id: str) -> Room:
    """Return the room of a conversation id; 404 for a caller who is not in it."""
    room = call.state.rooms.get(room_id.lower())
    if room is None or membership_of(call.state, person, room.id) is None:
        raise Problem(404, "The conversation was not found.")
    return room


def may_write(call: Call, person: Person, room: Room) -> None:
    """403 for who may not write here: the same rules as at the door of REST."""
    if room.is_announcement_only and not is_moderator(call.state, person, room):
        raise Problem(403, "Only moderators may write in this announcement space.")
    if room.is_read_only:
        raise Problem(403, "This space is read only.")


def moment_of(text: str | None) -> float | None:
    """Parse a moment of a query: milliseconds since the epoch, or ISO 8601."""
    if text is None:
        return None
    try:
        return float(text) / 1000
    except ValueError:
        pass
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise Problem(400, f"{text!r} is no moment.") from None


def limit_of(call: Call, name: str, default: int, most: int) -> int:
    """Parse a number of a query; one below 0 is 0."""
    text = call.arg(name)
    if text is None:
        return default
    if len(text) > 18 or not text.removeprefix("-").isdecimal():
        raise Problem(400, f"{name} must be a number.")
    return max(0, min(int(text), most))
