"""Subscriptions of a contact center: which events it posts where. `Cloud.contact_center_event` makes one happen.

Version 1 and version 2 of the API keep theirs apart, as in the cloud; only a version 2 subscription has a
`resourceVersion`, and only its deliveries have the time at which they were sent.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from webex.emulator.rest.render import present
from webex.emulator.rest.rules import text_of
from webex.emulator.state import Subscription
from webex.emulator.wire import REFUSED, Call, Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person

_READ: Final = ("cjp:config_read", "cjp:config_write", "cjp:config")
_WRITE: Final = ("cjp:config_write", "cjp:config")
_MOST_TYPES: Final = 32
_LIMITS: Final = {"name": (4, 64), "description": (0, 1024), "secret": (32, 256), "resourceVersion": (1, 50)}


def routes(table: RouteTable) -> None:
    """Add this service."""
    for version in (1, 2):
        path = f"/v{version}/subscriptions"
        table.add("GET", path, partial(list_subscriptions, version))
        table.add("POST", path, partial(create, version))
        table.add("GET", path + "/{id}", partial(get, version))
        table.add("PATCH", path + "/{id}", partial(update, version))
        table.add("DELETE", path + "/{id}", partial(delete, version))


def list_subscriptions(version: int, call: Call) -> Reply:
    """List those of the organization."""
    admin = _admin(call, *_READ)
    found = [
        _json(call.cloud, each)
        for each in call.state.subscriptions.values()
        if each.org_id == admin.org_id and each.version == version
    ]
    return Reply(200, {"meta": {"orgId": admin.org_id}, "data": found})


def create(version: int, call: Call) -> Reply:
    """Create a subscription."""
    admin = _admin(call, *_WRITE)
    body = call.json()
    now = call.cloud.now()
    subscription = Subscription(
        id=call.cloud.new_uuid(),
        version=version,
        name=_text(body, "name", required=True) or "",
        description=_text(body, "description"),
        event_types=_types(body, required=True),
        target_url=_target(body, required=True),
        secret=_text(body, "secret"),
        resource_version=_text(body, "resourceVersion", required=True) if version == 2 else None,
        org_id=admin.org_id,
        created_by=admin.id,
        created=now,
        updated_by=admin.id,
        updated=now,
    )
    call.state.subscriptions[subscription.id] = subscription
    return _answer(call, subscription, 201)


def get(version: int, call: Call) -> Reply:
    """Return one subscription."""
    return _answer(call, _subscription(version, call, *_READ))


def update(version: int, call: Call) -> Reply:
    """Change one; `status: active` starts again one that the cloud stopped."""
    subscription = _subscription(version, call, *_WRITE)
    body = call.json()
    if version == 2:
        subscription.resource_version = _text(body, "resourceVersion", required=True)
    status = text_of(body, "status")
    if status not in (None, "active", "inactive"):
        raise Problem(400, "status must be active or inactive.")
    subscription.description = _text(body, "description") or subscription.description
    subscription.event_types = _types(body) or subscription.event_types
    subscription.target_url = _target(body) or subscription.target_url
    subscription.secret = _text(body, "secret") or subscription.secret
    if status is not None:
        subscription.status, subscription.failures = status, 0
    subscription.updated, subscription.updated_by = call.cloud.now(), _admin(call).id
    return _answer(call, subscription)


def delete(version: int, call: Call) -> Reply:
    """Delete one."""
    del call.state.subscriptions[_subscription(version, call, *_WRITE).id]
    return Reply(204)


def wants(subscription: Subscription, kind: str, org_id: str) -> bool:
    """Return whether events of this type and organization are posted for a subscription; `task:*` is every task's."""
    return (
        subscription.status == "active"
        and subscription.org_id == org_id
        and any(
            kind == each or (each.endswith("*") and kind.startswith(each[:-1])) for each in subscription.event_types
        )
    )


def envelope(cloud: Cloud, subscription: Subscription, kind: str, data: dict[str, Any]) -> bytes:
    """Return the body of a delivery: a CloudEvents envelope."""
    body: dict[str, Any] = {
        "id": cloud.new_uuid(),
        "specversion": "1.0",
        "type": kind,
        "source": f"/com/cisco/wxcc/{subscription.id}",
        "comciscoorgid": subscription.org_id,
        "datacontenttype": "application/json",
        "data": data,
    }
    if subscription.version == 2:
        body["comciscotimestamp"] = round(cloud.now() * 1000)
    return json.dumps(body, separators=(",", ":")).encode()


def _answer(call: Call, subscription: Subscription, status: int = 200) -> Reply:
    return Reply(status, {"meta": {"orgId": subscription.org_id}, "data": _json(call.cloud, subscription)})


def _json(cloud: Cloud, subscription: Subscription) -> dict[str, Any]:
    def email(person_id: str) -> str:
        person = cloud.state.people.get(person_id)
        return person.email if person is not None else ""

    return present(
        id=subscription.id,
        name=subscription.name,
        description=subscription.description,
        eventTypes=subscription.event_types,
        destinationUrl=subscription.target_url,
        createdTime=round(subscription.created * 1000),
        createdBy=email(subscription.created_by),
        status=subscription.status,
        lastUpdatedTime=round(subscription.updated * 1000),
        lastUpdatedBy=email(subscription.updated_by),
        resourceVersion=subscription.resource_version,
    )


def _subscription(version: int, call: Call, *scopes: str) -> Subscription:
    admin = _admin(call, *scopes)
    found = call.state.subscriptions.get(call.path["id"])
    if found is None or found.org_id != admin.org_id or found.version != version:
        raise Problem(404, "There is no such subscription.")
    return found


def _admin(call: Call, *scopes: str) -> Person:
    person = call.person(*scopes)
    if not person.admin:
        raise Problem(403, REFUSED, hint="Subscriptions are an administrator's.")
    return person


def _text(body: dict[str, Any], name: str, *, required: bool = False) -> str | None:
    text = text_of(body, name, required=required)
    least, most = _LIMITS[name]
    if text is not None and not least <= len(text) <= most:
        raise Problem(400, f"{name} must have {least} to {most} characters.")
    return text


def _types(body: dict[str, Any], *, required: bool = False) -> list[str]:
    found = body.get("eventTypes")
    if found is None and not required:
        return []
    if not isinstance(found, list) or not 1 <= len(found) <= _MOST_TYPES or not all(isinstance(e, str) for e in found):
        raise Problem(400, f"eventTypes must be a list of 1 to {_MOST_TYPES} types of events.")
    return found


def _target(body: dict[str, Any], *, required: bool = False) -> str:
    url = text_of(body, "destinationUrl", required=required) or ""
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise Problem(400, "destinationUrl must be an http or https URL.")
    return url
