"""Accounts for tests, as Cisco's own integration tests make them: `POST …/users/test_users_s` and what belongs to it.

The caller proves itself with a token of client credentials; the new account comes with a token of the app. There are
no passwords here: any signs in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator import directory
from webex.emulator.accounts import ORG_ID
from webex.emulator.oauth.clients import split_scopes
from webex.emulator.state import AuthorizationCode
from webex.emulator.wire import NOT_FOUND, REFUSED, Problem, Reply
from webex.ids import is_uuid

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Integration, Person
    from webex.emulator.wire import Call

# Where the clients of this service look for it.
_ROOTS: Final = ("", "/conversation/api/v1", "/cig-service/api/v1")


def routes(table: RouteTable) -> None:
    """Add this service below each of its addresses."""
    for root in _ROOTS:
        table.add("POST", f"{root}/users/test_users_s", create)
        table.add("POST", f"{root}/users/test_users/login", login)
        table.add("POST", f"{root}/users/test_users/delete", delete)


def create(call: Call) -> Reply:
    """Create an account and sign it in: `{user, token}`, or an authorization code with `authCodeOnly`."""
    token = call.token
    if token is None:
        call.person()
    elif token.kind != "service":
        raise Problem(403, REFUSED, hint="A token of client credentials is needed.")
    body = call.json()
    client = _client(call, body)
    org_id = str(body.get("orgId") or ORG_ID)
    if not is_uuid(org_id):
        raise Problem(400, "orgId is no UUID.")
    email = body.get("emailTemplate") or f"test-{call.cloud.new_uuid()}@example.com"
    roles = _roles(body.get("roles"))
    try:
        person = directory.add_person(
            call.cloud,
            str(email),
            str(body.get("displayName") or "Test User"),
            kind="person" if body.get("type") in (None, "", "PERSON") else "machine",
            admin="id_full_admin" in roles,
            compliance="spark.kms_orgagent" in roles,
            org=org_id.lower(),
        )
    except ValueError as problem:
        raise Problem(409 if "taken" in str(problem) else 400, str(problem)) from None
    scopes = split_scopes(str(body.get("scopes") or "")) or client.scopes
    entitlements = body.get("entitlements")
    user = {
        "id": person.id,
        "userName": person.email,
        "email": person.email,
        "name": person.display_name,
        "givenName": person.first_name,
        "type": "PERSON" if person.kind == "person" else str(body.get("type")),
        "entitlements": entitlements if isinstance(entitlements, list) else [],
        "orgId": person.org_id,
    }
    if body.get("authCodeOnly"):
        return Reply(200, {"user": user, "authCode": _code(call, person, client, scopes)})
    return Reply(200, {"user": user, "token": signed_in(call, person, client, scopes)})


def login(call: Call) -> Reply:
    """Sign an account in again: a new token."""
    body = call.json()
    client = _client(call, body)
    person = call.state.people.get(str(body.get("id") or "").lower())
    if person is None or person.deleted:
        raise Problem(404, NOT_FOUND)
    scopes = split_scopes(str(body.get("scopes") or "")) or client.scopes
    return Reply(200, signed_in(call, person, client, scopes))


def delete(call: Call) -> Reply:
    """Delete the account of the caller; its tokens end."""
    person = call.person()
    if str(call.json().get("user_id") or "").lower() != person.id:
        raise Problem(403, REFUSED, hint="An account deletes itself only.")
    person.deleted = True
    call.cloud.tokens.end_person(person.id)
    return Reply(204)


def _roles(given: Any) -> set[str]:
    """Return the names of roles, which come as texts or as objects."""
    listed = given if isinstance(given, list) else []
    return {str(each.get("name") if isinstance(each, dict) else each) for each in listed}


def _client(call: Call, body: dict[str, Any]) -> Integration:
    client = call.state.integrations.get(str(body.get("clientId")))
    if client is None or client.client_secret is None or body.get("clientSecret") != client.client_secret:
        raise Problem(401, "The client id or the client secret is wrong.")
    return client


def signed_in(call: Call, person: Person, client: Integration, scopes: list[str]) -> dict[str, Any]:
    """Give an account new tokens of an app."""
    tokens = call.cloud.tokens
    grant = tokens.grant(person, client.client_id, scopes)
    access = tokens.issue(person, client.client_id, scopes, family=grant.id)
    return tokens.answer(access, tokens.issue_refresh(access))


def _code(call: Call, person: Person, client: Integration, scopes: list[str]) -> str:
    cloud = call.cloud
    code = AuthorizationCode(
        value=cloud.new_secret(),
        client_id=client.client_id,
        person_id=person.id,
        scopes=scopes,
        redirect_uri=client.redirect_uris[0] if client.redirect_uris else "",
        expires=cloud.now() + cloud.settings.authorization_code_lifetime,
        grant_id=cloud.tokens.grant(person, client.client_id, scopes).id,
    )
    call.state.codes[code.value] = code
    return code.value
