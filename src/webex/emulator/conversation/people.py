"""Users as the conversation service knows them, and public ids of activities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from webex.emulator.conversation.access import BASE
from webex.emulator.conversation.render import person_json
from webex.emulator.oauth.clients import find_person
from webex.emulator.rest.attachment_actions import action_json
from webex.emulator.rest.render import message_json
from webex.emulator.rest.rules import hears, membership_of
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", f"{BASE}/users", me)
    table.add("POST", f"{BASE}/users", users)
    table.add("GET", f"{BASE}/messages/{{id}}", message)
    table.add("GET", f"{BASE}/attachment/actions/{{id}}", action)


def me(call: Call) -> Reply:
    """Oneself."""
    return Reply(200, person_json(call.cloud, call.person()))


def users(call: Call) -> Reply:
    """Who has which address."""
    call.person()
    try:
        asked = msgspec.json.decode(call.body, type=list[dict[str, str]])
    except msgspec.DecodeError:
        raise Problem(400, "A list of objects with an email each is expected.") from None
    found = {}
    for entry in asked:
        email = entry.get("email", "")
        person = find_person(call.state, email) if "@" in email else None
        found[email] = {"id": person.id, "userExists": True} if person is not None else {"userExists": False}
    return Reply(200, found)


def message(call: Call) -> Reply:
    """The message of an activity, with its public id."""
    person = call.person()
    found = call.state.messages.get(call.path["id"].lower())
    if found is None or not hears(call.state, person, found):
        raise Problem(404, "The message was not found.")
    return Reply(200, message_json(found, call.state, call.base))


def action(call: Call) -> Reply:
    """The card action of an activity, with its public id."""
    person = call.person()
    found = call.state.attachment_actions.get(call.path["id"].lower())
    if found is None or membership_of(call.state, person, found.room_id) is None:
        raise Problem(404, "The action was not found.")
    return Reply(200, action_json(found))
