"""What an administrator reads of the organization: licenses, roles, locations, itself, and what administrators did."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.clock import iso
from webex.emulator.rest.paging import paged
from webex.emulator.rest.rules import inner_id, moment_in
from webex.emulator.state import AuditEvent
from webex.emulator.wire import NOT_FOUND, REFUSED, Problem, Reply
from webex.ids import to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Org, Person
    from webex.emulator.wire import Call

FULL_ADMIN: Final = "id_full_admin"
MESSAGING: Final = "MS_11112222-3333-4444-8555-666677778888"
_ROLES: Final = {
    FULL_ADMIN: "Full Administrator",
    "id_readonly_admin": "Read-only Administrator",
    "id_user_admin": "User and Device Administrator",
    "id_compliance_user": "Compliance Officer",
}
_UNITS: Final = 1000
# The part behind the organization in a license's id, its name, and its subscription; free ones have none.
_LICENSES: Final = (
    (MESSAGING, "Advanced Messaging", "Sub100448"),
    ("CF_11112222-3333-4444-8555-666677778889", "Advanced Space Meetings", "Sub100448"),
    ("MSF_11112222-3333-4444-8555-666677778890", "Messaging", None),
)
_CATEGORIES: Final = ("LOGINS", "LOGOUT", "COMPLIANCE", "ORG_SETTINGS", "USERS", "USER_ROLES")


def routes(table: RouteTable) -> None:
    """Add these services."""
    table.add("GET", "/v1/licenses", licenses)
    table.add("GET", "/v1/licenses/{licenseId}", get_license)
    table.add("GET", "/v1/roles", roles)
    table.add("GET", "/v1/roles/{roleId}", get_role)
    table.add("GET", "/v1/organizations", organizations)
    table.add("GET", "/v1/organizations/{orgId}", get_organization)
    table.add("GET", "/v1/locations", locations)
    table.add("GET", "/v1/locations/{locationId}", get_location)
    table.add("GET", "/v1/adminAudit/events", audit_events)
    table.add("GET", "/v1/adminAudit/eventCategories", audit_categories)


def record(call: Call, actor: Person, target: Person, category: str, text: str) -> None:
    """Write down what an administrator did, for `/adminAudit/events`."""
    data = {
        "actorOrgName": call.state.orgs[actor.org_id].name,
        "targetName": target.display_name,
        "eventDescription": text.replace(actor.display_name, "An administrator", 1),
        "actorName": actor.display_name,
        "actorEmail": actor.email,
        "trackingId": call.tracking_id,
        "targetType": "PERSON",
        "targetId": target.id,
        "eventCategory": category,
        "actorUserAgent": call.headers.get("user-agent", ""),
        "actionText": text,
        "targetOrgId": target.org_id,
    }
    event = AuditEvent(call.cloud.new_uuid(), actor.id, actor.org_id, call.cloud.now(), dict(data))
    call.state.audit[event.id] = event


def licenses(call: Call) -> Reply:
    """List the licenses of the organization."""
    org = _organization(_administrator(call, "spark-admin:licenses_read"), call)
    return Reply(200, {"items": [_license(call, org, *each) for each in _LICENSES]})


def get_license(call: Call) -> Reply:
    """Return one license."""
    org = _organization(_administrator(call, "spark-admin:licenses_read"), call)
    return _one([_license(call, org, *each) for each in _LICENSES], call.path["licenseId"])


def roles(call: Call) -> Reply:
    """List the roles that administrators can have."""
    _administrator(call, "spark-admin:roles_read")
    return Reply(200, {"items": _roles()})


def get_role(call: Call) -> Reply:
    """Return one role."""
    _administrator(call, "spark-admin:roles_read")
    return _one(_roles(), call.path["roleId"])


def organizations(call: Call) -> Reply:
    """List the organizations of an administrator: the own one."""
    person = _administrator(call, "spark-admin:organizations_read", "spark:organizations_read")
    return Reply(200, {"items": [_org(call.cloud, call.state.orgs[person.org_id])]})


def get_organization(call: Call) -> Reply:
    """Return the own organization."""
    person = call.person("spark-admin:organizations_read", "spark:organizations_read")
    if inner_id(call.path["orgId"], "ORGANIZATION") != person.org_id:
        raise Problem(404, NOT_FOUND)
    return Reply(200, _org(call.cloud, call.state.orgs[person.org_id]))


def locations(call: Call) -> Reply:
    """List the locations of the organization: there are none."""
    _administrator(call, "spark-admin:locations_read", "spark-admin:organizations_read")
    return Reply(200, {"items": []})


def get_location(call: Call) -> Reply:
    """Return a location: there is none."""
    _administrator(call, "spark-admin:locations_read", "spark-admin:organizations_read")
    raise Problem(404, NOT_FOUND)


def audit_events(call: Call) -> Reply:
    """List what administrators did between two moments, the newest first."""
    person = _administrator(call, "audit:events_read", "spark-admin:organizations_read")
    for name in ("orgId", "from", "to"):
        if call.arg(name) is None:
            raise Problem(400, f"Required String parameter '{name}' is not present")
    org = _organization(person, call)
    since, until = moment_in(call, "from"), moment_in(call, "to")
    actor = call.arg("actorId")
    actor_id = inner_id(actor, "PEOPLE") if actor else None
    wanted = {part for values in call.query.get("eventCategories", ()) for part in values.split(",")}
    found = [
        event
        for event in call.state.audit.values()
        if event.org_id == org.id
        and since <= event.created <= until
        and actor_id in (None, event.actor_id)
        and (not wanted or event.data.get("eventCategory") in wanted)
    ]
    found.sort(key=lambda event: event.created, reverse=True)
    return paged(call, found, lambda event: event.id, _audit, most=200)


def audit_categories(call: Call) -> Reply:
    """List the categories of these events."""
    _administrator(call, "audit:events_read", "spark-admin:organizations_read")
    return Reply(200, {"eventCategories": list(_CATEGORIES)})


def _administrator(call: Call, *scopes: str) -> Person:
    person = call.person(*scopes)
    if not person.admin:
        raise Problem(403, REFUSED, hint="Only an administrator may read that.")
    return person


def _organization(person: Person, call: Call) -> Org:
    asked = call.arg("orgId")
    if asked and _bare(asked) != person.org_id:
        raise Problem(404, NOT_FOUND)
    return call.state.orgs[person.org_id]


def _bare(org_id: str) -> str:
    return inner_id(org_id, "ORGANIZATION")


def _one(items: list[dict[str, Any]], public_id: str) -> Reply:
    for item in items:
        if item["id"] == public_id.rstrip("="):
            return Reply(200, item)
    raise Problem(404, NOT_FOUND)


def _license(call: Call, org: Org, key: str, name: str, subscription: str | None) -> dict[str, Any]:
    public = to_hydra_id("LICENSE", f"{org.id}:{key}")
    users = 0
    for person in call.state.people.values():
        held = person.extra.get("licenses")
        own = public in held if isinstance(held, list) else key == MESSAGING
        users += own and person.kind == "person" and person.org_id == org.id and not person.deleted
    return {
        "id": public,
        "name": name,
        "totalUnits": _UNITS,
        "consumedUnits": users,
        "consumedByUsers": users,
        "consumedByWorkspaces": 0,
        **({"subscriptionId": subscription} if subscription is not None else {}),
    }


def _roles() -> list[dict[str, Any]]:
    return [{"id": to_hydra_id("ROLE", key), "name": name} for key, name in _ROLES.items()]


def _org(cloud: Cloud, org: Org) -> dict[str, Any]:
    founded = min((each.created for each in cloud.state.people.values() if each.org_id == org.id), default=cloud.now())
    return {"id": to_hydra_id("ORGANIZATION", org.id), "displayName": org.name, "created": iso(founded)}


def _audit(event: AuditEvent) -> dict[str, Any]:
    # These ids are base64 of bare UUIDs, not of URIs as elsewhere (recorded).
    return {
        "data": event.data,
        "created": iso(event.created),
        "actorOrgId": _base64(event.org_id),
        "id": _base64(event.id),
        "actorId": _base64(event.actor_id),
    }


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
