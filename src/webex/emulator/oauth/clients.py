"""Who the app is: client authentication (RFC 6749 §2.3), redirect URIs and scopes."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus, urlsplit

from webex.emulator.accounts import ADMIN_SCOPES
from webex.emulator.hosts import is_loopback
from webex.emulator.wire import Call, OAuthProblem

if TYPE_CHECKING:
    from webex.emulator.state import Integration, Person, State


def authenticate(call: Call, form: dict[str, str], *, public: bool = True) -> Integration:
    """Authenticate the calling app by HTTP Basic or by form fields; 401 `invalid_client` otherwise.

    `public`: whether an app without a secret may use this endpoint.
    """
    client_id, secret = _credentials(call, form)
    client = call.state.integrations.get(client_id)
    if client is None:
        raise _refused("No app has this client id.")
    if client.client_secret is None:
        if secret is not None:
            raise _refused("This app is a public client; it has no secret.")
        if not public:
            raise OAuthProblem("unauthorized_client", "A public client may not use this.", status=400)
        return client
    if secret is None:
        raise _refused("The client secret is missing.")
    if not hmac.compare_digest(secret.encode(), client.client_secret.encode()):
        raise _refused("The client secret is wrong.")
    return client


def _credentials(call: Call, form: dict[str, str]) -> tuple[str, str | None]:
    kind, _, encoded = call.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        if "client_secret" in form:
            raise OAuthProblem("invalid_request", "Authenticate once: with HTTP Basic, or with form fields.")
        try:
            client_id, colon, secret = b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise _refused("The Authorization header cannot be read.") from None
        if not colon:
            raise _refused("The Authorization header cannot be read.")
        client_id, secret = unquote_plus(client_id), unquote_plus(secret)
        if form.get("client_id", client_id) != client_id:
            raise OAuthProblem("invalid_request", "client_id differs from the one in the Authorization header.")
        return client_id, secret
    if not form.get("client_id"):
        raise _refused("client_id is missing.")
    return form["client_id"], form.get("client_secret")


def _refused(description: str) -> OAuthProblem:
    return OAuthProblem("invalid_client", description, status=401, headers={"www-authenticate": 'Basic realm="webex"'})


def redirect_uri_fits(client: Integration, uri: str) -> bool:
    """Whether an app may be called back here: one of its own URIs exactly, or with another loopback port.

    The second only for apps registered so, over plain http, path and query equal (RFC 8252 §7.3).
    """
    if uri in client.redirect_uris:
        return True
    if not client.any_loopback_port:
        return False
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme != "http" or not is_loopback(parts.hostname or "") or "@" in parts.netloc or port == 0:
        return False
    if "#" in uri or any(character <= " " for character in uri):
        return False
    registered = (urlsplit(known) for known in client.redirect_uris)
    return any(
        is_loopback(known.hostname or "") and (known.path, known.query) == (parts.path, parts.query)
        for known in registered
    )


def split_scopes(text: str) -> list[str]:
    """Split a space-separated text into scopes, each once, in order."""
    return list(dict.fromkeys(text.split()))


def unknown_scopes(client: Integration, scopes: list[str]) -> list[str]:
    """Return the scopes that an app was not registered for. `spark:kms` belongs to every app."""
    return [scope for scope in scopes if scope != "spark:kms" and scope not in client.scopes]


def grantable(person: Person, scopes: list[str]) -> list[str]:
    """Return the scopes that this person is able to give: administrators' scopes only by administrators."""
    return [scope for scope in scopes if _may_give(person, scope)]


def _may_give(person: Person, scope: str) -> bool:
    if scope.startswith("spark-compliance:"):
        return person.compliance
    if scope.startswith("spark-admin:") or scope in ADMIN_SCOPES:
        return person.admin
    return True


def find_person(state: State, name: str) -> Person | None:
    """Return a person by UUID, email address, or the part of the address before `@`."""
    person = state.people.get(name)
    if person is None:
        wanted = name.lower()
        for candidate in state.people.values():
            if wanted in (candidate.email.lower(), candidate.email.lower().partition("@")[0]):
                person = candidate
                break
    return person if person is not None and not person.deleted else None
