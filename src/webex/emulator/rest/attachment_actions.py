"""`/attachment/actions`: what people submit with a card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webex.emulator.clock import iso
from webex.emulator.rest.rules import hears, inner_id, membership_of, tell, text_of
from webex.emulator.state import AttachmentAction
from webex.emulator.wire import Problem, Reply
from webex.ids import to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call


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
    message = call.state.messages.get(inner_id(text_of(body, "messageId", required=True), "MESSAGE"))
    if message is None or not hears(call.state, person, message):
        raise Problem(404, "Could not find a message with provided ID.")
    if not message.attachments:
        raise Problem(400, "That message has no card.")
    inputs = body.get("inputs")
    if not isinstance(inputs, dict):
        raise Problem(400, "inputs must be an object.")
    action = AttachmentAction(
        call.cloud.new_uuid(), "submit", message.id, message.room_id, person.id, inputs, call.cloud.now()
    )
    call.state.attachment_actions[action.id] = action
    data = action_json(action)
    tell(call, "attachmentActions", "created", data, person, call.state.rooms[message.room_id])
    return Reply(200, data)


def get(call: Call) -> Reply:
    """What was submitted, in a room that one is in."""
    person = call.person("spark:all", "spark:messages_read")
    action = call.state.attachment_actions.get(inner_id(call.path["id"], "ATTACHMENT_ACTION"))
    if action is None or membership_of(call.state, person, action.room_id) is None:
        raise Problem(404, "Could not find an attachment action with provided ID.")
    return Reply(200, action_json(action))


def action_json(action: AttachmentAction) -> dict[str, Any]:
    """`GET /attachment/actions/{id}`."""
    return {
        "id": to_hydra_id("ATTACHMENT_ACTION", action.id),
        "type": action.type,
        "messageId": to_hydra_id("MESSAGE", action.message_id),
        "inputs": action.inputs,
        "personId": to_hydra_id("PEOPLE", action.person_id),
        "roomId": to_hydra_id("ROOM", action.room_id),
        "created": iso(action.created),
    }
