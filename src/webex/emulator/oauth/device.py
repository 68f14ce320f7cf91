"""The device grant (RFC 8628): a code to type, a page to type it on, and a device that asks until it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator.oauth.authorize import check_own_form
from webex.emulator.oauth.clients import (
    authenticate,
    find_person,
    grantable,
    split_scopes,
    unknown_scopes,
)
from webex.emulator.oauth.token_endpoint import DEVICE_CODE, token_reply
from webex.emulator.state import DeviceCode
from webex.emulator.wire import Call, OAuthProblem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person

VERIFY: Final = "/v1/device/verify"
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 §6.1: no vowels, nothing that looks like a digit


def routes(table: RouteTable) -> None:
    """Serve the device's two endpoints and the page for its person."""
    for root in ("/v1/device", "/idb/oauth2/v1/device"):
        table.add("POST", f"{root}/authorize", authorize)
        table.add("POST", f"{root}/token", token)
    table.add("GET", VERIFY, show)
    table.add("POST", VERIFY, submit)


def authorize(call: Call) -> Reply:
    """Begin: a code for the device and one for its person. The secret is not asked for here, as in the cloud."""
    form = call.form()
    client = call.state.integrations.get(form.get("client_id", ""))
    if client is None:
        client = authenticate(call, form)
    scopes = split_scopes(form.get("scope", ""))
    if not scopes:
        raise OAuthProblem("invalid_scope", "scope is missing.")
    unknown = unknown_scopes(client, scopes)
    if unknown:
        raise OAuthProblem("invalid_scope", f"This app is not registered for: {' '.join(unknown)}.")
    cloud = call.cloud
    digits = int(cloud.new_secret(), 16)
    user_code = "".join(_LETTERS[digits // len(_LETTERS) ** place % len(_LETTERS)] for place in range(8))
    code = DeviceCode(
        value=cloud.new_secret(),
        user_code=user_code,
        client_id=client.client_id,
        scopes=scopes,
        expires=cloud.now() + cloud.settings.device_code_lifetime,
        interval=cloud.settings.device_poll_interval,
    )
    cloud.state.device_codes[code.value] = code
    page = f"{call.base}{VERIFY}"
    return token_reply(
        {
            "device_code": code.value,
            "expires_in": round(cloud.settings.device_code_lifetime),
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?userCode={user_code}",
            "interval": round(code.interval) or 1,
        }
    )


def token(call: Call) -> Reply:
    """Ask whether the person has answered."""
    form = call.form()
    if form.get("grant_type") != DEVICE_CODE:
        raise OAuthProblem("unsupported_grant_type", f"grant_type must be {DEVICE_CODE}.")
    return token_reply(redeem(call, form))


def redeem(call: Call, form: dict[str, str]) -> dict[str, Any]:
    """Return the tokens of an approved device code; an error of RFC 8628 §3.5 otherwise."""
    client = authenticate(call, form)
    cloud = call.cloud
    now = cloud.now()
    code = call.state.device_codes.get(form.get("device_code", ""))
    if code is None or code.client_id != client.client_id or code.status == "used":
        raise OAuthProblem("invalid_grant", "The device code is not valid.")
    if code.status == "denied":
        raise OAuthProblem("access_denied", "The person did not allow it.")
    if code.expires <= now:
        raise OAuthProblem("expired_token", "The device code has expired.")
    if code.status == "pending" or code.person_id is None:
        early = code.polled is not None and now - code.polled < code.interval
        code.polled = now
        if early:
            code.interval += 5
            raise OAuthProblem("slow_down", "The device asks too often; wait five seconds longer from now on.")
        raise OAuthProblem(
            "authorization_pending",
            "The person has not answered yet.",
            status=cloud.settings.device_pending_status,
        )
    code.status = "used"
    person = cloud.state.people[code.person_id]
    grant = cloud.tokens.grant(person, client.client_id, code.scopes)
    access = cloud.tokens.issue(person, client.client_id, code.scopes, family=grant.id)
    body = cloud.tokens.answer(access, cloud.tokens.issue_refresh(access))
    if "openid" in code.scopes:
        from webex.emulator.oauth.openid import id_token

        body["id_token"] = id_token(call, person, client.client_id, access)
    return body


def pending(cloud: Cloud, user_code: str) -> DeviceCode | None:
    """Return the sign-in that waits under a user code; case, spaces and hyphens make no difference."""
    wanted = "".join(character for character in user_code.upper() if character.isalpha())
    for code in cloud.state.device_codes.values():
        if code.user_code == wanted and code.status == "pending" and code.expires > cloud.now():
            return code
    return None


def decide(code: DeviceCode, person: Person | None) -> None:
    """Approve as a person, or (None) deny."""
    if person is None:
        code.status = "denied"
        return
    code.person_id, code.scopes = person.id, grantable(person, code.scopes)
    code.status = "approved" if code.scopes else "denied"


def show(call: Call) -> Reply:
    """Show the page for the code; with `userCode` go on at once."""
    return _page(call, call.arg("userCode"), user=None, decision=None)


def submit(call: Call) -> Reply:
    """Answer a button of the page."""
    check_own_form(call)
    form = call.form()
    return _page(call, form.get("userCode"), user=form.get("user"), decision=form.get("decision"))


def _page(call: Call, user_code: str | None, *, user: str | None, decision: str | None) -> Reply:
    from webex.emulator.pages import describe_scope, render

    if not user_code:
        return render("device.html", action=VERIFY, problem=None)
    code = pending(call.cloud, user_code)
    if code is None:
        return render("device.html", status=400, action=VERIFY, problem="No device waits for this code.")
    shared: dict[str, Any] = {
        "app": call.state.integrations[code.client_id].name,
        "action": VERIFY,
        "params": {"userCode": code.user_code},
        "back": None,
    }
    person = find_person(call.state, user or "")
    if decision == "cancel":
        decide(code, None)
        return render("message.html", title="Not connected", text="The device was told that you said no.")
    if person is None or person.kind != "person":
        people = [person for person in call.state.people.values() if person.kind == "person" and not person.deleted]
        return render("pick.html", **shared, people=people[:200])
    if decision == "accept":
        decide(code, person)
        return render("message.html", title="Connected", text="The device is signed in. You can close this page.")
    granted = grantable(person, code.scopes)
    return render(
        "consent.html",
        **shared,
        person=person,
        scopes=[(scope, describe_scope(scope)) for scope in granted],
        refused=[scope for scope in code.scopes if scope not in granted],
    )
