"""The authorize page: who are you, may this app act for you (RFC 6749 §4.1.1).

Nothing is remembered between visits: every sign-in asks who it is, so that two browsers, or two
tests, can be two people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from webex.emulator.oauth.clients import (
    find_person,
    grantable,
    redirect_uri_fits,
    split_scopes,
    unknown_scopes,
)
from webex.emulator.state import AuthorizationCode, Integration, Person
from webex.emulator.wire import Call, OAuthProblem, Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable

PATHS: Final = ("/v1/authorize", "/idb/oauth2/v1/authorize")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_REGISTER: Final = "Register it: in the console under Apps, with add_integration, or with redirectUris in a seed."
_ONCE: Final = (
    *("client_id", "redirect_uri", "response_type", "scope", "state"),
    *("code_challenge", "code_challenge_method", "nonce", "login_hint", "prompt"),
)


def routes(table: RouteTable) -> None:
    """Serve the page below both of its addresses."""
    for path in PATHS:
        table.add("GET", path, show)
        table.add("POST", path, submit)


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """A sign-in that an app asked for, once its client id and redirect URI are known to be good."""

    client: Integration
    redirect_uri: str
    params: dict[str, str]

    @property
    def state(self) -> str | None:
        """Return the caller's state."""
        return self.params.get("state")

    @property
    def scopes(self) -> list[str]:
        """Return the scopes asked for."""
        return split_scopes(self.params.get("scope", ""))

    @property
    def prompt(self) -> list[str]:
        """Return the words of `prompt`."""
        return self.params.get("prompt", "").split()

    def back(self, **answer: str | None) -> str:
        """Return the URL that takes the browser back to the app; `state` goes with it untouched."""
        parts = urlsplit(self.redirect_uri)
        given = {name: value for name, value in {**answer, "state": self.state}.items() if value is not None}
        query = "&".join(text for text in (parts.query, urlencode(given)) if text)
        return urlunsplit(parts._replace(query=query))


class RedirectError(Exception):
    """The request is wrong in a way that the app is told of by a redirect."""

    def __init__(self, request: AuthorizeRequest, error: str, description: str) -> None:
        super().__init__(description)
        self.location: str = request.back(error=error, error_description=description)
        self.error = error


def parse(cloud: Cloud, query: dict[str, list[str]]) -> AuthorizeRequest:
    """Check what an app asks for.

    `OAuthProblem` when it can't be told who asks or where to go back to (a person sees it, RFC 6749 §4.1.2.1);
    `RedirectError` for everything else.
    """
    params = {name: values[0] for name, values in query.items()}
    client = cloud.state.integrations.get(params.get("client_id", ""))
    if client is None or client.kind != "integration":
        raise OAuthProblem("invalid_request", "No app has this client_id. Was the app registered with this emulator?")
    redirect_uri = params.get("redirect_uri") or (client.redirect_uris[0] if len(client.redirect_uris) == 1 else "")
    if len(query.get("redirect_uri", [""])) > 1 or not redirect_uri_fits(client, redirect_uri):
        known = ", ".join(client.redirect_uris)
        raise OAuthProblem(
            "invalid_request", f"redirect_uri {redirect_uri!r} is not one of the app's: {known}. {_REGISTER}"
        )
    request = AuthorizeRequest(client, redirect_uri, params)
    for name in _ONCE:
        if len(query.get(name, ())) > 1:
            raise RedirectError(request, "invalid_request", f"{name} is given more than once.")
    _check_response_type(request)
    _check_scopes(request)
    _check_challenge(request)
    return request


def _check_response_type(request: AuthorizeRequest) -> None:
    response_type = request.params.get("response_type", "")
    if not response_type:
        raise RedirectError(request, "invalid_request", "response_type is missing.")
    if response_type != "code":
        raise RedirectError(
            request, "unsupported_response_type", f"response_type {response_type!r} is not supported; use code."
        )


def _check_scopes(request: AuthorizeRequest) -> None:
    if not request.scopes:
        raise RedirectError(request, "invalid_scope", "scope is missing.")
    unknown = unknown_scopes(request.client, request.scopes)
    if unknown:
        raise RedirectError(request, "invalid_scope", f"The app is not registered for: {' '.join(unknown)}.")


def _check_challenge(request: AuthorizeRequest) -> None:
    """RFC 7636 §4.3, S256 only."""
    challenge = request.params.get("code_challenge")
    method = request.params.get("code_challenge_method")
    if challenge is None:
        if method is not None:
            raise RedirectError(request, "invalid_request", "code_challenge_method is given without code_challenge.")
        if request.client.client_secret is None:
            raise RedirectError(request, "invalid_request", "A public client must send code_challenge (PKCE, S256).")
        return
    if method != "S256":
        raise RedirectError(request, "invalid_request", "code_challenge_method must be S256.")
    if not _CHALLENGE.fullmatch(challenge):
        raise RedirectError(request, "invalid_request", "code_challenge must be the base64url of a SHA-256 hash.")


def approve(cloud: Cloud, request: AuthorizeRequest, person: Person, scopes: list[str] | None = None) -> str:
    """Grant the consent, and return the URL to go back to, with a code. `scopes`: grant only these."""
    asked = request.scopes if scopes is None else [scope for scope in request.scopes if scope in scopes]
    granted = grantable(person, asked)
    if not granted:
        return request.back(error="invalid_scope", error_description="This person can give none of the scopes.")
    grant = cloud.tokens.grant(person, request.client.client_id, granted)
    code = AuthorizationCode(
        value=f"{cloud.new_secret()}_A52D_{person.org_id}",
        client_id=request.client.client_id,
        person_id=person.id,
        scopes=granted,
        redirect_uri=request.redirect_uri,
        expires=cloud.now() + cloud.settings.authorization_code_lifetime,
        grant_id=grant.id,
        nonce=request.params.get("nonce"),
        code_challenge=request.params.get("code_challenge"),
    )
    cloud.state.codes[code.value] = code
    return request.back(code=code.value)


def deny(request: AuthorizeRequest) -> str:
    """Deny the consent."""
    return request.back(error="access_denied", error_description="The person did not allow it.")


def show(call: Call) -> Reply:
    """Answer the app's redirect: the user picker, or the consent page when `login_hint` names a person."""
    return _page(call, call.query, user=None, decision=None)


def submit(call: Call) -> Reply:
    """Answer a button of the pages."""
    check_own_form(call)
    fields = {name: [value] for name, value in call.form().items()}
    user, decision = fields.pop("user", [None])[0], fields.pop("decision", [None])[0]
    return _page(call, fields, user=user, decision=decision)


def check_own_form(call: Call) -> None:
    """Refuse a form that another site made the browser send."""
    origin = call.headers.get("origin")
    if (origin is not None and origin != call.base) or call.headers.get("sec-fetch-site") == "cross-site":
        raise Problem(403, "This form was not sent from the emulator's own page.")


def _page(call: Call, query: dict[str, list[str]], *, user: str | None, decision: str | None) -> Reply:
    try:
        request = parse(call.cloud, query)
        if request.prompt == ["none"]:
            return _redirect(_without_asking(call.cloud, request))
    except OAuthProblem as problem:
        from webex.emulator.pages import render

        return render("message.html", status=400, title="This sign-in link does not work", text=problem.description)
    except RedirectError as error:
        return _redirect(error.location)
    if decision == "cancel":
        return _redirect(deny(request))
    hint = request.params.get("login_hint")
    person = find_person(call.state, user or hint or "")
    if person is None or person.kind != "person" or (user is None and "select_account" in request.prompt):
        return _pick(call, request)
    if decision == "accept":
        return _redirect(approve(call.cloud, request, person))
    return _consent(call, request, person)


def _without_asking(cloud: Cloud, request: AuthorizeRequest) -> str:
    """`prompt=none` (OpenID Connect Core §3.1.2.1): only a person who is named and gave the consent before."""
    person = find_person(cloud.state, request.params.get("login_hint", ""))
    if person is None:
        return request.back(error="login_required", error_description="No user is signed in.")
    given = {
        scope
        for grant in cloud.state.grants.values()
        if (grant.person_id, grant.client_id) == (person.id, request.client.client_id)
        for scope in grant.scopes
    }
    if not set(grantable(person, request.scopes)) <= given:
        return request.back(error="consent_required", error_description="The person has not allowed this yet.")
    return approve(cloud, request, person)


def _redirect(location: str) -> Reply:
    return Reply(302, None, {"location": location, "cache-control": "no-store"})


def _pick(call: Call, request: AuthorizeRequest) -> Reply:
    from webex.emulator.pages import render

    people = [person for person in call.state.people.values() if person.kind == "person" and not person.deleted]
    return render("pick.html", **_shared(call, request), people=people[:200])


def _consent(call: Call, request: AuthorizeRequest, person: Person) -> Reply:
    from webex.emulator.pages import describe_scope, render

    granted = grantable(person, request.scopes)
    return render(
        "consent.html",
        **_shared(call, request),
        person=person,
        scopes=[(scope, describe_scope(scope)) for scope in granted],
        refused=[scope for scope in request.scopes if scope not in granted],
    )


def _shared(call: Call, request: AuthorizeRequest) -> dict[str, Any]:
    return {"app": request.client.name, "action": call.url_path, "params": request.params, "back": request.redirect_uri}


def sign_in(cloud: Cloud, login_url: str, person: Person, *, deny_it: bool, scopes: list[str] | None) -> str:
    """Open a login URL and answer its pages, as a browser would; return the URL of the app."""
    parts = urlsplit(login_url)
    if parts.path not in PATHS:
        raise ValueError(f"{parts.scheme}://{parts.netloc}{parts.path} is not an authorize URL of this emulator.")
    try:
        request = parse(cloud, parse_qs(parts.query, keep_blank_values=True))
    except RedirectError as error:
        return error.location
    except OAuthProblem as problem:
        raise ValueError(f"The login URL does not work: {problem.description}") from None
    return deny(request) if deny_it else approve(cloud, request, person, scopes)
