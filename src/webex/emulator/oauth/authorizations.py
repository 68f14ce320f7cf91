"""Ending what was granted: revoke, logout, and the list of one's authorizations."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from webex.emulator.clock import iso
from webex.emulator.hosts import is_loopback
from webex.emulator.oauth.clients import authenticate, find_person, redirect_uri_fits
from webex.emulator.state import Person, RefreshToken, Token
from webex.emulator.wire import Call, OAuthProblem, Problem, Reply
from webex.ids import parse_id, person_uuid, to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable


def routes(table: RouteTable) -> None:
    """Serve revocation and logout below both roots, and the authorizations API."""
    for root in ("/idb/oauth2/v1", "/v1"):
        table.add("POST", f"{root}/revoke", revoke)
        table.add("POST", f"{root}/logout", logout)
        table.add("GET", f"{root}/logout", logout_page)
    table.add("GET", "/v1/authorizations", list_authorizations)
    table.add("DELETE", "/v1/authorizations", delete_by_client)
    table.add("GET", "/v1/authorizations/tokenExpiry", token_expiry)
    table.add("DELETE", "/v1/authorizations/{authorizationId}", delete_one)


def revoke(call: Call) -> Reply:
    """RFC 7009: a token that is unknown, or already dead, is as good as revoked."""
    form = call.form()
    client = authenticate(call, form)
    if not form.get("token"):
        raise OAuthProblem("invalid_request", "token is missing.")
    token = call.cloud.tokens.find(form["token"])
    if token is not None:
        if token.client_id != client.client_id:
            raise OAuthProblem("invalid_grant", "The token was not issued to this client.")
        call.cloud.tokens.end(token)
    return Reply(200, {})


def logout(call: Call) -> Reply:
    """End the whole grant of an access or refresh token; the token itself is the authorization."""
    if call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        value = call.form().get("token")
    else:
        value = call.json().get("token")
    if not isinstance(value, str) or not value:
        raise Problem(400, "token is missing.")
    _end_grant(call, value)
    return Reply(200, {})


def logout_page(call: Call) -> Reply:
    """Sign the browser out: `?goto=…&token=…&cisService=…` (oauth §6)."""
    from webex.emulator.pages import render

    if call.arg("token"):
        _end_grant(call, call.arg("token") or "")
    goto = call.arg("goto")
    if goto:
        if not _may_go_to(call, goto):
            return render(
                "message.html",
                status=400,
                title="Signed out",
                text=f"You are signed out. The app asked to go to {goto!r}, which belongs to no registered app.",
            )
        return Reply(302, None, {"location": goto, "cache-control": "no-store"})
    return render("message.html", title="Signed out", text="You are signed out of Webex. You can close this page.")


def _may_go_to(call: Call, url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if "\\" in url or any(character <= " " for character in url) or "@" in parts.netloc:
        return False
    here = (parts.scheme, parts.hostname, port)
    for client in call.state.integrations.values():
        if redirect_uri_fits(client, url):
            return True
        for known in map(urlsplit, client.redirect_uris):
            if (known.scheme, known.hostname, known.port) == here:
                return True
            if client.any_loopback_port and parts.scheme == "http" and is_loopback(parts.hostname or ""):
                return True
    return False


def _end_grant(call: Call, value: str) -> None:
    token = call.cloud.tokens.find(value)
    if token is None or (isinstance(token, Token) and token.kind in ("personal", "bot")):
        return
    call.cloud.tokens.end_family(token.person_id, token.family)
    call.cloud.tokens.end(token)


def list_authorizations(call: Call) -> Reply:
    """List the live tokens of an account, by app."""
    person = _whose(call, "identity:tokens_read")
    now = call.cloud.now()
    items = [
        _authorization(call, token)
        for token in call.cloud.tokens.of_person(person.id)
        if token.client_id and token.expires > now
    ]
    return Reply(200, {"items": items})


def delete_by_client(call: Call) -> Reply:
    """Take back all that was granted to an app."""
    person = _whose(call, "identity:tokens_write")
    client_id = call.arg("clientId")
    if not client_id:
        raise Problem(400, "clientId is missing.")
    if not call.cloud.tokens.end_consent(person.id, client_id):
        raise Problem(404, "There is no authorization for this client id.")
    return Reply(204)


def delete_one(call: Call) -> Reply:
    """Take back one authorization: an access token alone, a refresh token with its access tokens."""
    person = _whose(call, "identity:tokens_write")
    try:
        wanted = parse_id(call.path["authorizationId"]).id
    except ValueError:
        wanted = call.path["authorizationId"]
    owners = call.state.people if person.admin else (person.id,)
    for owner in owners:
        for token in call.cloud.tokens.of_person(owner):
            if _authorization_id(token) == wanted:
                call.cloud.tokens.end(token)
                return Reply(204)
    raise Problem(404, "There is no such authorization.")


def token_expiry(call: Call) -> Reply:
    """When the token of this request ends, in milliseconds since the epoch."""
    call.person()
    assert call.token is not None
    return Reply(200, {"exp": round(call.token.expires * 1000)})


def _whose(call: Call, scope: str) -> Person:
    me = call.person(scope)
    named = call.arg("personId") or call.arg("personEmail")
    if named is None:
        return me
    person = find_person(call.state, person_uuid(named))
    if person is None:
        raise Problem(404, "There is no such person.")
    if person.id != me.id and not me.admin:
        raise Problem(403, "Only an administrator may see the authorizations of others.")
    return person


def _authorization_id(token: Token | RefreshToken) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(token.value.encode()).digest()[:16], version=4))


def _authorization(call: Call, token: Token | RefreshToken) -> dict[str, Any]:
    client = call.state.integrations.get(token.client_id)
    return {
        "id": to_hydra_id("AUTHORIZATION", _authorization_id(token)),
        "applicationId": to_hydra_id("APPLICATION", token.client_id),
        "applicationName": client.name if client is not None else "",
        "personId": to_hydra_id("PEOPLE", token.person_id),
        "clientId": token.client_id,
        "created": iso(token.issued),
        "type": "refresh" if isinstance(token, RefreshToken) else "access",
    }
