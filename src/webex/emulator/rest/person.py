"""A person as `GET /people/{personId}` shows them: bots, users to users, users to an administrator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator.clock import iso
from webex.emulator.rest.organization import FULL_ADMIN, MESSAGING
from webex.emulator.rest.render import present
from webex.ids import to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.state import Person
    from webex.emulator.wire import Call

# What an administrator may set beside the names, and its type: `dict` and `list` mean a list of objects or texts.
FIELDS: Final[dict[str, type]] = {
    "nickName": str,
    "phoneNumbers": dict,
    "extension": str,
    "locationId": str,
    "avatar": str,
    "roles": list,
    "licenses": list,
    "department": str,
    "manager": str,
    "managerId": str,
    "title": str,
    "addresses": dict,
    "siteUrls": list,
    "loginEnabled": bool,
}


def person_json(call: Call, person: Person, viewer: Person) -> dict[str, Any]:
    """Render a person as the viewer may see them, with the fields in the order of the cloud's recorded answers."""
    set_ = {name: value for name, value in person.extra.items() if name in FIELDS}
    if person.kind == "bot":
        return _bot(call, person, set_)
    admin = viewer.admin
    presence = call.state.presences.get(person.id)
    last_active = max(person.created, presence.last_active if presence is not None else 0.0)
    local = person.email.partition("@")[0]
    return present(
        id=to_hydra_id("PEOPLE", person.id),
        emails=[person.email],
        phoneNumbers=set_.get("phoneNumbers", None if admin else []),
        extension=set_.get("extension"),
        locationId=set_.get("locationId") if admin else None,
        sipAddresses=[{"type": "enterprise", "value": f"{local}@sip.example.com", "primary": True}] if admin else None,
        displayName=person.display_name,
        nickName=set_.get("nickName") or person.first_name or None,
        firstName=person.first_name or None,
        lastName=person.last_name or None,
        avatar=set_.get("avatar"),
        userName=person.email if viewer is person and not admin else None,
        orgId=to_hydra_id("ORGANIZATION", person.org_id),
        roles=set_.get("roles", [to_hydra_id("ROLE", FULL_ADMIN)] if person.admin else []) if admin else None,
        licenses=set_.get("licenses", [_license(person)]) if admin else None,
        department=set_.get("department"),
        manager=set_.get("manager"),
        managerId=set_.get("managerId"),
        title=set_.get("title"),
        addresses=set_.get("addresses"),
        created=iso(person.created),
        lastModified=iso(person.created),
        lastActivity=None if admin else iso(last_active),
        status="active",
        invitePending=False if admin else None,
        loginEnabled=set_.get("loginEnabled", True) if admin else None,
        type=person.kind,
        siteUrls=set_.get("siteUrls", ["site.example.com"]) if admin else None,
    )


def _bot(call: Call, person: Person, set_: dict[str, object]) -> dict[str, Any]:
    return {
        "id": to_hydra_id("PEOPLE", person.id),
        "emails": [person.email],
        "phoneNumbers": [],
        "displayName": person.display_name,
        "nickName": set_.get("nickName") or person.display_name,
        "avatar": set_.get("avatar") or f"{call.base}/avatar/api/v1/{person.id}",
        "orgId": to_hydra_id("ORGANIZATION", person.org_id),
        "created": iso(person.created),
        "status": "unknown",
        "type": "bot",
    }


def _license(person: Person) -> str:
    return to_hydra_id("LICENSE", f"{person.org_id}:{MESSAGING}")
