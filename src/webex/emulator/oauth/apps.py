"""Tokens that no person signs in for: service apps and guests."""

from __future__ import annotations

import hashlib
import hmac
import math
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import msgspec

from webex.emulator.oauth.people import app_account, guest_account
from webex.emulator.oauth.token_endpoint import token_reply
from webex.emulator.state import Integration
from webex.emulator.wire import Call, Change, Problem, Reply
from webex.ids import base64url_decode, is_uuid, parse_id, to_hydra_id, to_uuid

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable


def routes(table: RouteTable) -> None:
    """Serve service-app tokens, guests and the retired guest issuer's login."""
    table.add("POST", "/v1/applications/{applicationId}/token", service_app_token)
    table.add("POST", "/v1/guests/token", guest_token)
    table.add("GET", "/v1/guests/count", guest_count)
    table.add("POST", "/v1/jwt/login", jwt_login)


def service_app_token(call: Call) -> Reply:
    """Issue a token of a service app in one organization."""
    call.person("spark:applications_token")
    body = call.json()
    client_id, secret, org = (_text(body, name) for name in ("clientId", "clientSecret", "targetOrgId"))
    client = call.state.integrations.get(client_id)
    if client is None or client.kind != "service_app" or _application(call.path["applicationId"]) != client_id:
        raise Problem(404, "No service app has this application id and client id.")
    if client.client_secret is None or not hmac.compare_digest(secret.encode(), client.client_secret.encode()):
        raise Problem(401, "The client secret is wrong.")
    try:
        org_id = to_uuid(org)
    except ValueError:
        raise Problem(400, "targetOrgId is not an organization id.") from None
    if org_id not in call.state.orgs or org_id in client.deauthorized:
        raise Problem(404, "The organization does not exist or has not authorized this service app.")
    tokens = call.cloud.tokens
    person = app_account(call.cloud, client, org_id)
    grant = tokens.grant(person, client_id, client.scopes)
    lifetime = call.cloud.settings.service_app_token_lifetime
    access = tokens.issue(person, client_id, client.scopes, family=grant.id, kind="service", lifetime=lifetime)
    answer = tokens.answer(access, tokens.issue_refresh(access))
    del answer["scope"]
    return token_reply(answer)


def authorize(cloud: Cloud, client_id: str, org_id: str, actor_id: str) -> None:
    """Authorize, as an administrator, a service app for the organization; webhooks are told."""
    client = _service_app(cloud, client_id)
    if org_id in client.deauthorized:
        client.deauthorized.remove(org_id)
    cloud.publish(_told(client, "authorized", org_id, actor_id))


def deauthorize(cloud: Cloud, client_id: str, org_id: str, actor_id: str) -> int:
    """Take that back, as an administrator: its tokens die, and webhooks are told. Gives how many tokens there were."""
    client = _service_app(cloud, client_id)
    if org_id not in client.deauthorized:
        client.deauthorized.append(org_id)
    ended = cloud.tokens.end_consent(app_account(cloud, client, org_id).id, client_id)
    cloud.publish(_told(client, "deauthorized", org_id, actor_id))
    return ended


def _service_app(cloud: Cloud, client_id: str) -> Integration:
    client = cloud.state.integrations.get(client_id)
    if client is None or client.kind != "service_app":
        raise LookupError(f"There is no service app {client_id!r}.")
    return client


def _told(client: Integration, event: str, org_id: str, actor_id: str) -> Change:
    data = {
        "id": to_hydra_id("APPLICATION", client.client_id),
        "friendlyName": client.name,
        "orgId": to_hydra_id("ORGANIZATION", org_id),
        "trainSiteNames": [],
        "adminTrainSiteNames": [],
    }
    return Change("serviceApp", event, data, actor_id, org_id, app_id=client.client_id)


def guest_token(call: Call) -> Reply:
    """Issue a token for a guest, new or known by its subject; older tokens of the guest stay valid."""
    issuer = call.person("guest-issuer:write")
    body = call.json()
    subject, display_name = _text(body, "subject"), _text(body, "displayName")
    guest = guest_account(call.cloud, issuer.id, subject, display_name)
    lifetime = call.cloud.settings.guest_token_lifetime
    access = call.cloud.tokens.issue(guest, "", ["spark:all", "spark:kms"], kind="guest", lifetime=lifetime)
    return token_reply(
        {
            "id": to_hydra_id("PEOPLE", guest.id),
            "subject": subject,
            "displayName": display_name,
            "email": guest.email,
            "accessToken": access.value,
            "expiresIn": round(lifetime),
        }
    )


def guest_count(call: Call) -> Reply:
    """How many guests there are."""
    call.person("guest-issuer:read", "guest-issuer:write")
    count = sum(person.kind == "guest" and not person.deleted for person in call.state.people.values())
    return Reply(200, str(count), content_type="text/plain;charset=UTF-8")


def jwt_login(call: Call) -> Reply:
    """Issue a guest's token for a JWT signed with the guest issuer's secret (oauth §4.7)."""
    text = call.headers.get("authorization", "")
    kind, _, rest = text.partition(" ")
    claims, issuer = _verified(call, rest if kind.lower() == "bearer" else text)
    subject, name, expires = claims.get("sub"), claims.get("name"), claims.get("exp")
    if not isinstance(subject, str) or not subject:
        raise Problem(401, "The JWT has no subject.")
    now = call.cloud.now()
    lifetime = call.cloud.settings.guest_token_lifetime
    if expires is not None:
        if isinstance(expires, bool) or not isinstance(expires, int | float) or not math.isfinite(expires):
            raise Problem(401, "The expiry of the JWT is not a time.")
        if expires <= now:
            raise Problem(401, "The JWT has expired.")
        lifetime = min(lifetime, expires - now)
    guest = guest_account(call.cloud, issuer.client_id, subject, name if isinstance(name, str) and name else subject)
    access = call.cloud.tokens.issue(
        guest, issuer.client_id, ["spark:all", "spark:kms"], kind="guest", lifetime=lifetime
    )
    return token_reply({"token": access.value, "expiresIn": round(lifetime)})


def _verified(call: Call, text: str) -> tuple[dict[str, Any], Integration]:
    try:
        signed, _, signature = text.rpartition(".")
        header_part, _, claims_part = signed.partition(".")
        header = msgspec.json.decode(base64url_decode(header_part), type=dict[str, Any])
        claims = msgspec.json.decode(base64url_decode(claims_part), type=dict[str, Any])
        given = base64url_decode(signature)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise Problem(401, "The Authorization header holds no JWT.") from None
    issuer = call.state.integrations.get(_issuer_id(str(claims.get("iss", ""))))
    if issuer is None or issuer.kind != "guest_issuer" or issuer.client_secret is None or header.get("alg") != "HS256":
        raise Problem(401, "The JWT is not from a guest issuer of this cloud, or not signed with HS256.")
    expected = hmac.new(b64decode(issuer.client_secret), signed.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(expected, given):
        raise Problem(401, "The signature of the JWT is wrong.")
    return claims, issuer


def _issuer_id(text: str) -> str:
    if is_uuid(text):
        return text
    try:
        return parse_id(text).id
    except ValueError:
        return text


def _application(text: str) -> str:
    try:
        return parse_id(text).id
    except ValueError:
        return text


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Problem(400, f"{name} is missing or not a text.")
    return value
