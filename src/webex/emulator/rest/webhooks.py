"""`/webhooks`: where the cloud posts what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from webex.emulator.rest.paging import paged
from webex.emulator.rest.render import webhook_json
from webex.emulator.rest.rules import inner_id, text_of
from webex.emulator.state import Webhook
from webex.emulator.wire import NOT_FOUND, Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person
    from webex.emulator.wire import Call

_EVENTS: Final = frozenset(
    [
        "created",
        "updated",
        "deleted",
        "started",
        "ended",
        "joined",
        "left",
        "migrated",
        "authorized",
        "deauthorized",
        "statusChanged",
        "all",
    ]
)
_RESOURCES: Final = frozenset(
    [
        "attachmentActions",
        "dataSources",
        "memberships",
        "messages",
        "rooms",
        "meetings",
        "recordings",
        "convergedRecordings",
        "meetingParticipants",
        "meetingTranscripts",
        "telephony_calls",
        "telephony_conference",
        "telephony_mwi",
        "uc_counters",
        "serviceApp",
        "adminBatchJobs",
        "all",
    ]
)

# Which filters a resource has; of other resources any is taken.
_FILTERS: Final[dict[str, frozenset[str]]] = {
    "attachmentActions": frozenset({"roomId", "messageId", "personId", "type"}),
    "memberships": frozenset({"roomId", "personId", "personEmail", "isModerator"}),
    "messages": frozenset({"roomId", "roomType", "personId", "personEmail", "mentionedPeople", "hasFiles"}),
    "rooms": frozenset({"type", "isLocked"}),
    "all": frozenset(),
}


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", "/v1/webhooks", list_webhooks)
    table.add("POST", "/v1/webhooks", create)
    table.add("GET", "/v1/webhooks/{webhookId}", get)
    table.add("PUT", "/v1/webhooks/{webhookId}", update)
    table.add("DELETE", "/v1/webhooks/{webhookId}", delete)


def list_webhooks(call: Call) -> Reply:
    """One's own webhooks."""
    person = call.person("spark:all", "spark:webhooks_read")
    mine = [webhook for webhook in call.state.webhooks.values() if webhook.created_by == person.id]
    owned_by = call.arg("ownedBy")
    if owned_by is not None:
        if owned_by != "org":
            raise Problem(400, "ownedBy can only be org.")
        mine = [webhook for webhook in mine if webhook.owned_by == owned_by]
    mine.sort(key=lambda webhook: (webhook.created, webhook.id))
    return paged(call, mine, lambda webhook: webhook.id, webhook_json, most=100)


def create(call: Call) -> Reply:
    """Create a webhook."""
    person = call.person("spark:all", "spark:webhooks_write")
    body = call.json()
    name = text_of(body, "name", required=True, missing="name cannot be empty") or ""
    resource = text_of(body, "resource", required=True) or ""
    event = text_of(body, "event", required=True) or ""
    if resource not in _RESOURCES or event not in _EVENTS:
        raise Problem(400, f"There is no event {event!r} of {resource!r}.")
    owned_by = text_of(body, "ownedBy") or "creator"
    if owned_by == "org" and not person.admin:
        raise Problem(403, "Only an administrator may make a webhook of the organization.")
    assert call.token is not None
    webhook = Webhook(
        id=call.cloud.new_uuid(),
        name=name,
        target_url=_target(body),
        resource=resource,
        event=event,
        created_by=person.id,
        org_id=person.org_id,
        app_id=call.token.app_id,
        created=call.cloud.now(),
        filter=_filter(call, body, resource),
        secret=text_of(body, "secret"),
        owned_by=owned_by,
    )
    call.state.webhooks[webhook.id] = webhook
    return Reply(200, webhook_json(webhook))


def get(call: Call) -> Reply:
    """One webhook."""
    return Reply(200, webhook_json(_webhook(call)[0]))


def update(call: Call) -> Reply:
    """Change it; `status: active` starts again one that the cloud stopped."""
    webhook, _ = _webhook(call)
    body = call.json()
    webhook.name = text_of(body, "name", required=True, missing="name cannot be empty") or webhook.name
    webhook.target_url = _target(body)
    if "secret" in body:
        webhook.secret = text_of(body, "secret")
    status = text_of(body, "status")
    if status is not None:
        if status != "active":
            raise Problem(400, "status can only be set to active.")
        webhook.status, webhook.failures = "active", 0
    return Reply(200, webhook_json(webhook))


def delete(call: Call) -> Reply:
    """Delete it."""
    webhook, _ = _webhook(call)
    del call.state.webhooks[webhook.id]
    return Reply(204)


def _target(body: dict[str, Any]) -> str:
    url = text_of(body, "targetUrl", required=True) or ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Problem(400, "targetUrl must be an http or https URL.")
    return url


def _filter(call: Call, body: dict[str, Any], resource: str) -> str | None:
    text = text_of(body, "filter")
    known = _FILTERS.get(resource)
    if text is None or known is None:
        return text
    for part in text.split("&"):
        name, equals, value = part.partition("=")
        if name not in known or not equals or not value:
            url = f"{call.base}/webhook-engine/api/v1/webhooks"
            raise Problem(
                400,
                f"POST failed: HTTP/1.1 400 Bad Request (url = {url}, request/response TrackingId = "
                f"{call.tracking_id}, error = 'Invalid filter {part!r}')",
                hint=f"Filters of {resource} are {', '.join(sorted(known)) or 'none'}, as NAME=VALUE joined by &.",
            )
    return text


def _webhook(call: Call) -> tuple[Webhook, Person]:
    person = call.person("spark:all", "spark:webhooks_read", "spark:webhooks_write")
    webhook = call.state.webhooks.get(inner_id(call.path["webhookId"], "WEBHOOK"))
    if webhook is None or webhook.created_by != person.id:
        raise Problem(404, NOT_FOUND)
    return webhook, person
