"""Users as the conversation service knows them, and public ids of activities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from webex.emulator import directory
from webex.emulator.conversation.access import BASE
from webex.emulator.conversation.render import person_json
from webex.emulator.oauth.clients import find_person
from webex.emulator.rest.render import action_json, message_json
from webex.emulator.rest.rules import hears, membership_of
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person
    from webex.emulator.wire import Call

_ENTITLEMENTS: Final = ("spark", "squared-call-initiation", "squared-room-moderation", "squared-team-member")


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", f"{BASE}/users", me)
    table.add("POST", f"{BASE}/users", users)
    table.add("PATCH", f"{BASE}/users/user", rename)
    table.add("POST", f"{BASE}/users/validateAuthToken", validate_token)
    table.add("GET", f"{BASE}/users/validateAuthToken", validate_token)
    table.add("GET", f"{BASE}/messages/{{id}}", message)
    table.add("GET", f"{BASE}/attachment/actions/{{id}}", action)


def me(call: Call) -> Reply:
    """Oneself."""
    return Reply(200, _own_json(call, call.person()))


def rename(call: Call) -> Reply:
    """Change one's own name."""
    person = call.person()
    name = call.json().get("displayName")
    if not isinstance(name, str) or not name.strip():
        raise Problem(400, "displayName is a text.")
    person.display_name = name
    return Reply(200, _own_json(call, person))


def _own_json(call: Call, person: Person) -> dict[str, Any]:
    more = {"email": person.email, "name": person.display_name, "entitlements": list(_ENTITLEMENTS)}
    return {**person_json(call.cloud, person), **more}


def validate_token(call: Call) -> Reply:
    """Tell whose the token is: that of the body, else that of the header; 401 for one that is not live."""
    body = call.json() if call.body else {}
    if "token" in body:
        token = call.state.tokens.get(str(body["token"]).removeprefix("Bearer "))
        call.token = token if token is not None and token.expires > call.cloud.now() else None
    return Reply(200, person_json(call.cloud, call.person()))


def users(call: Call) -> Reply:
    """Who has which address. An unknown one has an id that stays; with `shouldCreateUsers` it becomes an account."""
    caller = call.person()
    try:
        asked = msgspec.json.decode(call.body, type=list[dict[str, str]])
    except msgspec.DecodeError:
        raise Problem(400, "A list of objects with an email each is expected.") from None
    found: dict[str, dict[str, Any]] = {}
    for entry in asked:
        email = entry.get("email", "")
        if not directory.is_email(email):
            found[email] = {"userExists": False}
            continue
        person = find_person(call.state, email)
        if person is None and call.arg("shouldCreateUsers") == "true":
            person = directory.add_person(call.cloud, email, org=caller.org_id)
        # Clients keep an id for each address that they ask for, and find the account under it later.
        id_ = person.id if person is not None else directory.promised_id(call.cloud, email)
        found[email] = {"id": id_, "userExists": person is not None}
    return Reply(200, found)


def message(call: Call) -> Reply:
    """Return the message of an activity, with its public id."""
    person = call.person()
    found = call.state.messages.get(call.path["id"].lower())
    if found is None or not hears(call.state, person, found):
        raise Problem(404, "The message was not found.")
    return Reply(200, message_json(found, call.state, call.base))


def action(call: Call) -> Reply:
    """Return the card action of an activity, with its public id."""
    person = call.person()
    found = call.state.attachment_actions.get(call.path["id"].lower())
    if found is None or membership_of(call.state, person, found.room_id) is None:
        raise Problem(404, "The action was not found.")
    return Reply(200, action_json(found, call.state))
