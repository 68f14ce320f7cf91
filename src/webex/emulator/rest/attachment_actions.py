"""`/attachment/actions`: what people submit with a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webex.emulator.rest.render import action_json
from webex.emulator.rest.rules import hears, inner_id, membership_of, tell, text_of
from webex.emulator.state import AttachmentAction
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Message, Person
    from webex.emulator.wire import Call

_UNKNOWN: Final = "Unable to get attachment action."
_NO_MESSAGE: Final = "Unable to get message."


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("POST", "/v1/attachment/actions", create)
    table.add("GET", "/v1/attachment/actions/{id}", get)


def create(call: Call) -> Reply:
    """Submit the card of a message that one sees."""
    person = call.person("spark:all", "spark:messages_write")
    body = call.json()
    if body.get("type") != "submit":
        raise Problem(400, "type must be submit.")
    message = call.state.messages.get(inner_id(text_of(body, "messageId", required=True), "MESSAGE", _NO_MESSAGE))
    if message is None or not hears(call.state, person, message):
        raise Problem(404, _NO_MESSAGE)
    check_card(call, person, message)
    inputs = body.get("inputs")
    if not isinstance(inputs, dict):
        raise Problem(400, "inputs must be an object.")
    action = AttachmentAction(
        call.cloud.new_time_uuid(), "submit", message.id, message.room_id, person.id, inputs, call.cloud.now()
    )
    call.state.attachment_actions[action.id] = action
    data = action_json(action, call.state)
    tell(call, "attachmentActions", "created", data, person, call.state.rooms[message.room_id])
    return Reply(200, data)


def get(call: Call) -> Reply:
    """Return what was submitted, in a room that the caller is in."""
    person = call.person("spark:all", "spark:messages_read")
    action = call.state.attachment_actions.get(inner_id(call.path["id"], "ATTACHMENT_ACTION", _UNKNOWN))
    if action is None or membership_of(call.state, person, action.room_id) is None:
        raise Problem(404, _UNKNOWN)
    return Reply(200, action_json(action, call.state))


def check_card(call: Call, person: Person, message: Message) -> None:
    """Refuse a submit to a message without a card, or by the author of the card (unless a setting allows it)."""
    reason = ""
    if not message.attachments:
        reason = "MessageId should point to an activity with cards"
    elif message.person_id == person.id and not call.cloud.settings.card_author_may_submit:
        reason = "Author of a card cannot submit a cardAction on that card"
    if reason:
        raise Problem(400, f'Unable to post attachment action: "{reason}"')
