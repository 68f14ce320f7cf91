"""`/events`: what happened, for compliance officers of all, for others of their own. And `/hds`, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webex.emulator.clock import iso
from webex.emulator.rest.paging import paged
from webex.emulator.rest.rules import inner_id, moment_in
from webex.emulator.state import Event
from webex.emulator.wire import Problem, Reply
from webex.ids import to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call, Change

_MOST_KEPT = 10_000


def routes(table: RouteTable) -> None:
    """Add these services."""
    table.add("GET", "/v1/events", list_events)
    table.add("GET", "/v1/events/{eventId}", get)
    table.add("GET", "/v1/hds/organizations/{organizationId}", hds_organization)
    table.add("GET", "/v1/hds/organizations/{organizationId}/database", hds_database)
    table.add("GET", "/v1/hds/organizations/{organizationId}/tenants", hds_tenants)
    for path in ("/v1/hds/clusters/{id}", "/v1/hds/nodes/{id}", "/v1/hds/clusters/{id}/availability"):
        table.add("GET", path, hds_nothing)
    table.add("GET", "/v1/hds/testResults/nodes/{id}/networkTest", hds_nothing)


def remember(cloud: Cloud, change: Change) -> None:
    """Write a change down as an event."""
    events = cloud.state.events
    event = Event(
        cloud.new_uuid(), change.resource, change.event, change.actor_id, change.org_id, cloud.now(), dict(change.data)
    )
    events[event.id] = event
    if len(events) > _MOST_KEPT:
        del events[next(iter(events))]


def list_events(call: Call) -> Reply:
    """List events, the newest first, by resource, type, actor and time."""
    person = call.person("spark-compliance:events_read", "spark:all")
    found = list(call.state.events.values())
    if not person.compliance:
        found = [event for event in found if event.actor_id == person.id]
    for name, attribute in (("resource", "resource"), ("type", "type")):
        wanted = call.arg(name)
        if wanted is not None:
            found = [event for event in found if getattr(event, attribute) == wanted]
    actor = call.arg("actorId")
    if actor is not None:
        actor_id = inner_id(actor, "PEOPLE")
        found = [event for event in found if event.actor_id == actor_id]
    now, settings = call.cloud.now(), call.cloud.settings
    until = moment_in(call, "to") if call.arg("to") is not None else None
    since = moment_in(call, "from") if call.arg("from") is not None else None
    if since is not None and since < now - settings.events_kept:
        days = settings.events_kept / 86400
        raise Problem(403, "The requested time range is not allowed.", hint=f"Events are kept for {days:g} days.")
    until = now if until is None else until
    since = until - settings.events_window if since is None else since
    found = [event for event in found if since <= event.created <= until]
    found.reverse()
    window = {"from": iso(since), "to": iso(until + 0.001)}
    return paged(call, found, lambda event: event.id, _json, link=lambda kept, _: _link(kept, window))


def _link(kept: dict[str, str], window: dict[str, str]) -> dict[str, str]:
    """Order the parameters of the next page as the cloud does, with the window that it works with."""
    filters = {name: value for name, value in kept.items() if name not in ("cursor", "max", "from", "to")}
    return {**filters, **dict(sorted({**window, "cursor": kept["cursor"], "max": kept["max"]}.items()))}


def get(call: Call) -> Reply:
    """One event."""
    person = call.person("spark-compliance:events_read", "spark:all")
    event = call.state.events.get(inner_id(call.path["eventId"], "EVENT"))
    if event is None or not (person.compliance or event.actor_id == person.id):
        raise Problem(404, "Could not find an event with provided ID.")
    return Reply(200, _json(event))


def hds_organization(call: Call) -> Reply:
    """Hybrid Data Security of the organization: there is none set up."""
    org_id = _organization(call)
    name = call.state.orgs[org_id].name
    return Reply(200, {"items": [{"orgId": org_id, "orgName": name, "orgType": "customer", "clusters": []}]})


def hds_database(call: Call) -> Reply:
    """Its database."""
    return Reply(200, {"context": {"orgId": _organization(call)}, "databaseType": "POSTGRES", "databaseVersion": "15"})


def hds_tenants(call: Call) -> Reply:
    """Its tenants."""
    return Reply(200, {"context": {"partnerOrgId": _organization(call)}, "tenants": []})


def hds_nothing(call: Call) -> Reply:
    """Answer 404 for a cluster or node: there is none."""
    _administrator(call)
    raise Problem(404, "The requested resource could not be found.")


def _administrator(call: Call) -> str:
    person = call.person("spark-admin:hybrid_clusters_read", "spark-admin:organizations_read", "spark:all")
    if not person.admin:
        raise Problem(403, "Only an administrator may do that.")
    return person.org_id


def _organization(call: Call) -> str:
    own = _administrator(call)
    if inner_id(call.path["organizationId"], "ORGANIZATION") != own:
        raise Problem(404, "Could not find that organization.")
    return own


def _json(event: Event) -> dict[str, Any]:
    return {
        "id": to_hydra_id("EVENT", event.id),
        "resource": event.resource,
        "type": event.type,
        "actorId": to_hydra_id("PEOPLE", event.actor_id),
        "created": iso(event.created),
        "data": event.data,
    }
