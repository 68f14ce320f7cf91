"""Moderators and locked rooms: the first moderator locks a room, and the last one's going unlocks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webex.emulator.rest.render import membership_json, room_json
from webex.emulator.rest.rooms import set_lock
from webex.emulator.rest.rules import tell

if TYPE_CHECKING:
    from webex.emulator.state import Membership, Person, Room
    from webex.emulator.wire import Call


def set_moderator(call: Call, caller: Person, room: Room, membership: Membership, moderator: bool) -> None:
    """Make a member a moderator, or take it back. Who makes another one a moderator becomes one too."""
    if not moderator:
        membership.is_moderator = False
        tell(call, "memberships", "updated", membership_json(membership, call.state), caller, room)
        unlock_without_moderator(call, caller, room)
        return
    own = call.state.memberships[f"{caller.id}:{room.id}"]
    for each in (membership, own) if own is not membership else (membership,):
        if not each.is_moderator:
            each.is_moderator = True
            tell(call, "memberships", "updated", membership_json(each, call.state), caller, room)
    if not room.is_locked:
        room.is_locked = True
        tell(call, "rooms", "updated", room_json(room, call.state, caller), caller, room)


def unlock_without_moderator(call: Call, caller: Person, room: Room) -> None:
    """Unlock a locked room that no moderator is left in, and publish it."""
    state = call.state
    if room.is_locked and not any(m.is_moderator for m in state.memberships.values() if m.room_id == room.id):
        set_lock(state, caller, room, False)
        tell(call, "rooms", "updated", room_json(room, state, caller), caller, room)
