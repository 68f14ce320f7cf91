"""Accounts that apps bring with them: app users and guests. Asking again gives the same account."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from webex.emulator.accounts import ORG_ID
from webex.emulator.state import Integration, Person

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud

_NAMESPACE: Final = uuid.UUID(ORG_ID)


def app_account(cloud: Cloud, client: Integration, org_id: str = ORG_ID) -> Person:
    """Return the account as which a service app (or an app with its own credentials) acts in an organization."""
    return _account(cloud, f"app:{client.client_id}:{org_id}", org_id, client.name, "appuser")


def guest_account(cloud: Cloud, issuer: str, subject: str, display_name: str) -> Person:
    """Return the guest that an issuer names by this subject; the display name is the latest that was given."""
    person = _account(cloud, f"guest:{issuer}:{subject}", ORG_ID, display_name, "guest")
    person.display_name = display_name
    return person


def _account(cloud: Cloud, name: str, org_id: str, display_name: str, kind: str) -> Person:
    person_id = str(uuid.uuid5(_NAMESPACE, name))
    person = cloud.state.people.get(person_id)
    if person is None:
        person = Person(
            id=person_id,
            org_id=org_id,
            email=f"{person_id}@appid.example.com",
            display_name=display_name,
            kind=kind,
            created=cloud.now(),
        )
        cloud.state.people[person_id] = person
    return person
