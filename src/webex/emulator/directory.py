"""Adding people and apps to a cloud, and giving out tokens for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webex.emulator import accounts
from webex.emulator.oauth.clients import find_person
from webex.emulator.oauth.people import app_account
from webex.emulator.state import Integration, Org, Person
from webex.ids import to_uuid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webex.emulator.cloud import Cloud
    from webex.emulator.state import Room

DEFAULT_SCOPES: Final = accounts.INTEGRATION_SCOPES


def is_email(text: object) -> bool:
    """Return whether this is an email address: two parts around one `@`, without white space."""
    if not isinstance(text, str) or any(each.isspace() for each in text):
        return False
    local, _, domain = text.partition("@")
    return bool(local and domain) and "@" not in domain


def promised_id(cloud: Cloud, email: str) -> str:
    """Return the id of an address that has no account; the account that is made for it later has this id."""
    promised = cloud.state.promised_ids
    if email.lower() not in promised:
        promised[email.lower()] = cloud.new_uuid()
    return promised[email.lower()]


def require_person(cloud: Cloud, who: str) -> Person:
    """Return a person by UUID, email address, or the part before `@`; `LookupError` when there is none."""
    person = find_person(cloud.state, who)
    if person is None:
        known = ", ".join(sorted(person.email for person in cloud.state.people.values())[:10])
        raise LookupError(f"There is no {who!r} in this cloud; there are {known}.")
    return person


def require_room(cloud: Cloud, room_id: str) -> Room:
    """Return a room by its public id or UUID; `LookupError` when there is none."""
    try:
        room = cloud.state.rooms.get(to_uuid(room_id))
    except ValueError:
        room = None
    if room is None:
        raise LookupError(f"There is no room {room_id!r} in this cloud.")
    return room


def add_person(
    cloud: Cloud,
    email: str,
    display_name: str | None = None,
    *,
    id: str | None = None,
    kind: str = "person",
    admin: bool = False,
    compliance: bool = False,
    org: str = accounts.ORG_ID,
) -> Person:
    """Add an account; `ValueError` when the address is taken or is none."""
    if not is_email(email):
        raise ValueError(f"{email!r} is not an email address.")
    if any(person.email.lower() == email.lower() for person in cloud.state.people.values() if not person.deleted):
        raise ValueError(f"{email!r} is taken.")
    name = display_name or email.partition("@")[0].replace(".", " ").title()
    first, _, last = name.partition(" ")
    if org not in cloud.state.orgs:
        cloud.state.orgs[org] = Org(id=org, name="Another Organization")
    promised = cloud.state.promised_ids.get(email.lower())
    person = Person(
        id=id or promised or cloud.new_uuid(),
        org_id=org,
        email=email,
        display_name=name,
        kind=kind,
        first_name=first if kind == "person" else "",
        last_name=last if kind == "person" else "",
        created=cloud.now(),
        admin=admin,
        compliance=compliance,
    )
    if person.id in cloud.state.people:
        raise ValueError(f"The id {person.id} is taken.")
    cloud.state.people[person.id] = person
    cloud.state.promised_ids.pop(email.lower(), None)
    return person


def add_integration(
    cloud: Cloud,
    name: str = "Another Integration",
    *,
    redirect_uris: Sequence[str] = (),
    scopes: Sequence[str] = DEFAULT_SCOPES,
    public: bool = False,
    kind: str = "integration",
    any_loopback_port: bool = False,
    client_id: str | None = None,
    client_secret: str | None = None,
) -> Integration:
    """Add an app with an id and a secret; `public` ones have no secret and need PKCE."""
    if isinstance(redirect_uris, str) or isinstance(scopes, str):
        raise TypeError("redirect_uris and scopes are lists of texts, not one text.")
    if kind not in ("integration", "service_app", "guest_issuer"):
        raise ValueError(f"There is no kind of app called {kind!r}.")
    client_id = client_id or f"C{cloud.new_uuid()}{cloud.new_uuid()}".replace("-", "")
    if client_id in cloud.state.integrations:
        raise ValueError(f"The client id {client_id} is taken.")
    integration = Integration(
        id=cloud.new_uuid(),
        name=name,
        client_id=client_id,
        client_secret=None if public else client_secret or cloud.new_secret(),
        redirect_uris=list(redirect_uris),
        scopes=list(scopes),
        kind=kind,
        any_loopback_port=any_loopback_port,
    )
    cloud.state.integrations[client_id] = integration
    if kind == "service_app":
        app_account(cloud, integration)
    return integration


def token_for(
    cloud: Cloud,
    who: str,
    scopes: Sequence[str] | None = None,
    *,
    client_id: str = "",
    lifetime: float | None = None,
) -> str:
    """Issue a personal (or bot) token; by default with all that its owner may do, for as long as the cloud gives."""
    person = require_person(cloud, who)
    if scopes is None:
        scopes = [
            *(accounts.USER_SCOPES if person.kind == "person" else ("spark:all", "spark:kms")),
            *(accounts.ADMIN_SCOPES if person.admin else ()),
            *(accounts.COMPLIANCE_SCOPES if person.compliance else ()),
        ]
    settings = cloud.settings
    if lifetime is None:
        lifetime = accounts.FOREVER if person.kind == "bot" else settings.personal_token_lifetime
    kind = "bot" if person.kind == "bot" else "personal"
    return cloud.tokens.issue(person, client_id, list(scopes), kind=kind, lifetime=lifetime).value
