"""How accounts come to be and change where clients do it: activation, one-time passwords, names and passwords (SCIM).

Cisco's own integration tests of the JS SDK say what these services answer (B). No mail is sent: what it would say
stands in the answer, as those tests need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator import directory
from webex.emulator.oauth.clients import authenticate, find_person
from webex.emulator.oauth.test_accounts import signed_in
from webex.emulator.wire import NOT_FOUND, REFUSED, Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person
    from webex.emulator.wire import Call

# The services `license`, `user-onboarding` and `atlas` of the catalog.
_ACTIVATIONS: Final = (
    "/license/api/v1/users/activations",
    "/user-onboarding/api/v1/api/v1/users/activations",
    "/admin/api/v1/users/activations",
)
_ACTIONS: Final = "/idb/token/v1/actions"
# Who changes accounts needs one of these; the last two are those of a client's own token.
_WRITING: Final = (
    "spark:people_write",
    "spark-admin:people_write",
    "identity:people_rw",
    "Identity:SCIM",
    "webexsquare:admin",
)
_ANOTHER_SECRET: Final = "What the mail said is another secret, or it was used before."


def routes(table: RouteTable) -> None:
    """Add these services."""
    for path in _ACTIVATIONS:
        table.add("POST", path, verify)
    table.add("POST", f"{_ACTIONS}/UserActivation/invoke", activate)
    table.add("POST", f"{_ACTIONS}/UserOTP/Generate/invoke", generate)
    table.add("POST", f"{_ACTIONS}/UserOTP/Validate/invoke", validate)
    table.add("PATCH", "/identity/scim/v1/Users/{id}", patch)
    table.add("PATCH", "/identity/scim/{orgId}/v1/Users/{id}", patch)


def verify(call: Call) -> Reply:
    """Tell what is known of an address; a new one gets a mail with a link, unless `suppressEmail`."""
    call.person(*_WRITING)
    body = call.json()
    email = _email(body)
    known = find_person(call.state, email)
    told = {"email": email, "hasPassword": False, "verificationEmailTriggered": False, "sso": False}
    if known is not None:
        return Reply(200, {**told, "id": known.id, "hasPassword": known.has_password})
    if body.get("suppressEmail") is not True:
        secret = call.cloud.new_secret()
        _withdraw(call, email)
        call.state.activations[secret] = email
        told["verificationEmailTriggered"] = True
        told["verifyEmailURL"] = f"{call.base}/verify?t={secret}"
    return Reply(200, told)


def activate(call: Call) -> Reply:
    """Make the account of an address, whose mail was read, and sign it in; it has no password yet."""
    client = authenticate(call, {}, public=False)
    given = call.json().get("verificationToken")  # all that the JS SDK sends: it leaves the address out
    email = call.state.activations.pop(given, None) if isinstance(given, str) else None
    if email is None:
        raise Problem(400, _ANOTHER_SECRET)
    person = find_person(call.state, email)
    if person is None:
        person = directory.add_person(call.cloud, email)
        person.has_password = False
    return Reply(200, _signed_in(call, person, signed_in(call, person, client, client.scopes)))


def generate(call: Call) -> Reply:
    """Make a one-time password for an account."""
    authenticate(call, {}, public=False)
    person = _known(call, _email(call.json()))
    secret = call.cloud.new_secret()[:8]
    call.state.one_time_passwords[person.email.lower()] = secret
    return Reply(200, {**_signed_in(call, person), "status": "sent", "oneTimePassword": secret})


def validate(call: Call) -> Reply:
    """Sign an account in with its one-time password."""
    client = authenticate(call, {}, public=False)
    body = call.json()
    person = _known(call, _email(body))
    passwords = call.state.one_time_passwords
    secret = passwords.get(person.email.lower())
    if secret is None or body.get("oneTimePassword") != secret:
        raise Problem(400, _ANOTHER_SECRET)
    del passwords[person.email.lower()]
    return Reply(200, _signed_in(call, person, signed_in(call, person, client, client.scopes)))


def patch(call: Call) -> Reply:
    """Change one's own names, or set a password; an administrator changes those of others."""
    caller = call.person(*_WRITING)
    person = call.state.people.get(call.path["id"].lower())
    if person is None or person.deleted or person.org_id != caller.org_id:
        raise Problem(404, NOT_FOUND)
    if person.id != caller.id and not caller.admin:
        raise Problem(403, REFUSED, hint="An account changes itself only.")
    body = call.json()
    given = body.get("name")
    name = given if isinstance(given, dict) else {}
    shown, first, last = body.get("displayName"), name.get("givenName"), name.get("familyName")
    if not all(each is None or (isinstance(each, str) and each.strip()) for each in (shown, first, last)):
        raise Problem(400, "A name is a text.")
    person.display_name = shown or person.display_name
    person.first_name, person.last_name = first or person.first_name, last or person.last_name
    if isinstance(body.get("password"), str):
        person.has_password = True  # which one makes no difference: any signs in
    return Reply(
        200,
        {
            "schemas": ["urn:scim:schemas:core:1.0", "urn:scim:schemas:extension:cisco:commonidentity:1.0"],
            "id": person.id,
            "userName": person.email,
            "displayName": person.display_name,
            "name": {"givenName": person.first_name, "familyName": person.last_name},
            "emails": [{"value": person.email, "type": "work", "primary": True}],
            "active": True,
        },
    )


def _signed_in(call: Call, person: Person, tokens: dict[str, Any] | None = None) -> dict[str, Any]:
    told = {"email": person.email, "id": person.id, "url": f"{call.base}/identity/scim/v1/Users/{person.id}"}
    return told if tokens is None else {**told, "tokenData": tokens}


def _email(body: dict[str, Any]) -> str:
    email = body.get("email")
    if not directory.is_email(email):
        raise Problem(400, "Invalid email address.")
    return str(email)


def _known(call: Call, email: str) -> Person:
    person = find_person(call.state, email)
    if person is None:
        raise Problem(404, NOT_FOUND)
    return person


def _withdraw(call: Call, email: str) -> None:
    """Forget what an earlier mail to this address said."""
    state = call.state
    state.activations = {secret: each for secret, each in state.activations.items() if each.lower() != email.lower()}
