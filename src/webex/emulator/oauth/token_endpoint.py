"""The token endpoint: every grant that Webex knows."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.oauth.clients import authenticate, split_scopes, unknown_scopes
from webex.emulator.oauth.people import app_account
from webex.emulator.state import Token
from webex.emulator.wire import Call, OAuthProblem, Reply
from webex.ids import base64url_encode

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable

SCOPE_REDUCTION: Final = "urn:cisco:oauth:grant-type:scope-reduction"
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


def routes(table: RouteTable) -> None:
    """Serve the token endpoint below each of its addresses."""
    for path in ("/v1/access_token", "/v1/token", "/idb/oauth2/v1/access_token", "/idb/oauth2/v1/token"):
        table.add("POST", path, token)


def token(call: Call) -> Reply:
    """Exchange something for a token."""
    form = call.form()
    grant_type = form.get("grant_type", "")
    if not grant_type:
        raise OAuthProblem("invalid_request", "grant_type is missing.")
    grant = GRANTS.get(grant_type)
    if grant is None:
        raise OAuthProblem("unsupported_grant_type", f"The grant type {grant_type!r} is not supported.")
    return token_reply(grant(call, form))


def token_reply(body: dict[str, Any]) -> Reply:
    """Return an answer with tokens, which must not be cached (RFC 6749 §5.1)."""
    return Reply(200, body, {"cache-control": "no-store", "pragma": "no-cache"})


def _authorization_code(call: Call, form: dict[str, str]) -> dict[str, Any]:
    client = authenticate(call, form)
    value = form.get("code")
    if not value:
        raise OAuthProblem("invalid_request", "code is missing.")
    code = call.state.codes.get(value)
    if code is None or code.client_id != client.client_id:
        raise OAuthProblem("invalid_grant", "The authorization code is not valid.")
    if code.used:
        if call.cloud.settings.code_reuse == "refuse":
            raise OAuthProblem("invalid_grant", "The authorization code was used before.")
        call.cloud.tokens.end_family(code.person_id, code.grant_id)
        raise OAuthProblem("invalid_grant", "The authorization code was used before; the tokens it gave have ended.")
    if code.expires <= call.cloud.now():
        raise OAuthProblem("invalid_grant", "The authorization code has expired.")
    if form.get("redirect_uri") != code.redirect_uri:
        raise OAuthProblem("invalid_grant", "redirect_uri differs from the one the code was given to.")
    _check_verifier(form.get("code_verifier"), code.code_challenge)
    code.used = True
    person = call.state.people[code.person_id]
    access = call.cloud.tokens.issue(person, client.client_id, code.scopes, family=code.grant_id)
    body = call.cloud.tokens.answer(access, call.cloud.tokens.issue_refresh(access))
    if "openid" in code.scopes:
        from webex.emulator.oauth.openid import id_token

        body["id_token"] = id_token(call, person, client.client_id, access, nonce=code.nonce)
    return body


def _check_verifier(verifier: str | None, challenge: str | None) -> None:
    """RFC 7636 §4.6; a verifier without a challenge is a downgrade and refused (RFC 9700 §2.1.1)."""
    if challenge is None:
        if verifier:
            raise OAuthProblem(
                "invalid_grant", "code_verifier was sent, but the code was asked for without a challenge."
            )
        return
    if not verifier:
        raise OAuthProblem("invalid_grant", "code_verifier is missing; the code was asked for with a challenge.")
    if not _VERIFIER.fullmatch(verifier):
        raise OAuthProblem("invalid_grant", "code_verifier must be 43 to 128 unreserved characters.")
    expected = base64url_encode(hashlib.sha256(verifier.encode()).digest())
    if not hmac.compare_digest(expected, challenge):
        raise OAuthProblem("invalid_grant", "code_verifier does not fit the challenge.")


def _refresh_token(call: Call, form: dict[str, str]) -> dict[str, Any]:
    client = authenticate(call, form)
    if not form.get("refresh_token"):
        raise OAuthProblem("invalid_request", "refresh_token is missing.")
    scopes = split_scopes(form["scope"]) if form.get("scope") else None
    access, refresh = call.cloud.tokens.refresh(form["refresh_token"], client, scopes)
    return call.cloud.tokens.answer(access, refresh)


def _client_credentials(call: Call, form: dict[str, str]) -> dict[str, Any]:
    client = authenticate(call, form, public=False)
    scopes = split_scopes(form.get("scope", "")) or client.scopes
    # The JS SDK and its tests ask for these (oauth §4.3); no portal lists them.
    internal = ("webexsquare:", "Identity:SCIM", "spark-test-account:")
    unknown = [scope for scope in unknown_scopes(client, scopes) if not scope.startswith(internal)]
    if unknown:
        raise OAuthProblem("invalid_scope", f"This app is not registered for {' '.join(unknown)}.")
    person = app_account(call.cloud, client)
    return call.cloud.tokens.answer(call.cloud.tokens.issue(person, client.client_id, scopes, kind="service"))


def _scope_reduction(call: Call, form: dict[str, str]) -> dict[str, Any]:
    parent = call.cloud.tokens.find(form.get("token", ""))
    if not isinstance(parent, Token) or parent.expires <= call.cloud.now():
        raise OAuthProblem("invalid_grant", "The token is not a live access token.")
    if not parent.client_id or form.get("client_id") != parent.client_id:
        raise OAuthProblem("invalid_grant", "The token was not issued to this client id.")
    scopes = split_scopes(form.get("scope", ""))
    if not scopes:
        raise OAuthProblem("invalid_request", "scope is missing.")
    missing = [scope for scope in scopes if scope not in parent.scopes]
    if missing:
        raise OAuthProblem("invalid_scope", f"The token does not have {' '.join(missing)}.")
    reduced = call.cloud.tokens.issue(
        call.state.people[parent.person_id],
        parent.client_id,
        scopes,
        family=parent.family,
        kind=parent.kind,
        lifetime=parent.expires - call.cloud.now(),
    )
    return call.cloud.tokens.answer(reduced)


def _device_code(call: Call, form: dict[str, str]) -> dict[str, Any]:
    from webex.emulator.oauth.device import redeem

    return redeem(call, form)


GRANTS: Final[dict[str, Callable[[Call, dict[str, str]], dict[str, Any]]]] = {
    "authorization_code": _authorization_code,
    "refresh_token": _refresh_token,
    "client_credentials": _client_credentials,
    SCOPE_REDUCTION: _scope_reduction,
    DEVICE_CODE: _device_code,
}
