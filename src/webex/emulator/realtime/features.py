"""Feature toggles: what a device is told of its person, and how one is changed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from webex.emulator.clock import iso
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call

KINDS: Final = ("developer", "entitlement", "user")


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("POST", "/feature/api/v1/features/users/{userId}/{kind}", change)
    table.add("POST", "/feature/api/v1/features/users/{userId}/toggles", change_several)


def change(call: Call) -> Reply:
    """Set one toggle of one's own; every device of the person is told."""
    person, kind = call.person(), call.path["kind"]
    if call.path["userId"] != person.id:
        raise Problem(403, "The features of another person can't be changed.")
    key, text = _toggle(kind, call.json())
    return Reply(200, set_feature(call.cloud, person.id, kind, key, text))


def change_several(call: Call) -> Reply:
    """Set several toggles of one's own at once: a list of objects with `key`, `val` and `type`."""
    person = call.person()
    if call.path["userId"] != person.id:
        raise Problem(403, "The features of another person can't be changed.")
    try:
        given = msgspec.json.decode(call.body, type=list[dict[str, Any]])
    except msgspec.DecodeError:
        raise Problem(400, "A list of features is expected.") from None
    wanted = [(str(each.get("type") or "USER").lower(), each) for each in given]
    wanted = [("developer" if kind == "dev" else kind, each) for kind, each in wanted]
    toggles = [(kind, *_toggle(kind, each)) for kind, each in wanted]
    # Clients file the toggles of the answer by their type.
    shown = [{**set_feature(call.cloud, person.id, *each), "type": each[0].upper()} for each in toggles]
    return Reply(200, {"featureToggles": shown})


def _toggle(kind: str, body: dict[str, Any]) -> tuple[str, str]:
    key, value = body.get("key"), body.get("val")
    if kind not in ("developer", "user") or not isinstance(key, str) or not isinstance(value, str | bool | int):
        raise Problem(400, "A feature is of kind developer or user, and has a key and a val.")
    return key, str(value).lower() if isinstance(value, bool) else str(value)


def set_feature(cloud: Cloud, person_id: str, kind: str, key: str, value: str) -> dict[str, Any]:
    """Set one toggle of a person; their devices are told over Mercury."""
    toggle: dict[str, Any] = {"key": key, "val": value, "mutable": True, "lastModified": iso(cloud.now())}
    cloud.state.features.setdefault(person_id, {}).setdefault(kind, {})[key] = toggle
    shown = {**toggle, "type": kind.upper()}
    cloud.mercury.push([person_id], {"eventType": "featureToggle_update", "featureToggle": shown})
    return toggle


def features_of(cloud: Cloud, person_id: str) -> dict[str, list[dict[str, Any]]]:
    """All toggles of a person, by kind."""
    kept = cloud.state.features.get(person_id, {})
    return {kind: list(kept.get(kind, {}).values()) for kind in KINDS}


def etag_of(cloud: Cloud, person_id: str) -> str:
    """Return the ETag of the developer features of a person."""
    return hashlib.sha256(msgspec.json.encode(features_of(cloud, person_id)["developer"])).hexdigest()[:32]
