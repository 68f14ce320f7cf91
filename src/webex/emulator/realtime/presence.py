"""Presence (apheleia): whether a person is there, the status that they set, and who is told of it.

Who has an open socket is `active`, unless they set another status, which holds for as long as they said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator import directory
from webex.emulator.clock import iso
from webex.emulator.state import Presence
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person
    from webex.emulator.wire import Call

BASE: Final = "/apheleia/api/v1"
STATUSES: Final = ("active", "inactive", "dnd", "ooo", "call", "meeting", "presenting", "unknown")
_LONGEST: Final = 30 * 86400.0
_DEFAULT: Final = 600.0


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", f"{BASE}/compositions", one)
    table.add("POST", f"{BASE}/compositions", several)
    table.add("POST", f"{BASE}/subscriptions", subscribe)
    table.add("POST", f"{BASE}/events", say)


def one(call: Call) -> Reply:
    """Return whether a person is there."""
    call.person()
    return Reply(200, presence_json(call.cloud, _person(call, call.arg("userId"))))


def several(call: Call) -> Reply:
    """Return the presence of several people."""
    call.person()
    return Reply(200, {"statusList": [presence_json(call.cloud, person) for person in _subjects(call)]})


def subscribe(call: Call) -> Reply:
    """Be told of changes for `subscriptionTtl` seconds; 0 ends it."""
    person = call.person()
    seconds = _seconds(call, "subscriptionTtl")
    responses = []
    for subject in _subjects(call):
        watchers = _record(call.cloud, subject.id).watchers
        watchers[person.id] = call.cloud.now() + seconds
        if not seconds:
            del watchers[person.id]
        status = presence_json(call.cloud, subject)
        responses.append({"responseCode": 200, "subject": subject.id, "status": status})
    return Reply(200, {"responses": responses})


def say(call: Call) -> Reply:
    """Set one's own status for `ttl` seconds."""
    person = call.person()
    body = call.json()
    if body.get("subject") not in (None, person.id):
        raise Problem(403, "The status of another person can't be set.")
    if body.get("eventType") not in STATUSES:
        raise Problem(400, f"eventType is one of {', '.join(STATUSES)}.")
    label = body.get("label")
    if label is not None and not isinstance(label, str):
        raise Problem(400, "label is a text.")
    set_status(call.cloud, person.id, body["eventType"], _seconds(call, "ttl"), label)
    return Reply(200, presence_json(call.cloud, person))


def set_status(cloud: Cloud, who: str, status: str | None, seconds: float = _DEFAULT, label: str | None = None) -> None:
    """Set a person's status for a while; `None` for what their sockets say. Watchers are told."""
    if status is not None and status not in STATUSES:
        raise ValueError(f"{status!r} is no status; there are {', '.join(STATUSES)}.")
    with cloud.lock:
        person = directory.require_person(cloud, who)
        record = _record(cloud, person.id)
        record.status, record.label, record.until = status, label, cloud.now() + seconds
        _tell(cloud, person)


def sockets_changed(cloud: Cloud, person_id: str) -> None:
    """Update the presence after a socket opened or closed; the caller holds the cloud's lock."""
    person = cloud.state.people.get(person_id)
    if person is not None:
        _record(cloud, person_id).last_active = cloud.now()
        _tell(cloud, person)


def presence_json(cloud: Cloud, person: Person) -> dict[str, Any]:
    """Return a person's presence, as the presence service writes it."""
    now, record = cloud.now(), cloud.state.presences.get(person.id) or Presence()
    there = cloud.mercury.connections(person.id) > 0
    said = record.status if record.until > now else None
    shown: dict[str, Any] = {"subject": person.id, "status": said or ("active" if there else "inactive")}
    if there or record.last_active:
        shown["lastActive"] = iso(now if there else record.last_active)
    if said is not None:
        shown["expiresTTL"] = int(record.until - now)
        if record.label is not None:
            shown["label"] = record.label
    return shown


def _tell(cloud: Cloud, person: Person) -> None:
    now = cloud.now()
    watchers = [watcher for watcher, until in _record(cloud, person.id).watchers.items() if until > now]
    if watchers:
        data = {"eventType": "apheleia.subscription_update", **presence_json(cloud, person)}
        cloud.mercury.push(watchers, data, keep=False)


def _record(cloud: Cloud, person_id: str) -> Presence:
    return cloud.state.presences.setdefault(person_id, Presence())


def _person(call: Call, person_id: Any) -> Person:
    person = call.state.people.get(str(person_id or "").lower())
    if person is None:
        raise Problem(404, "The person was not found.")
    return person


def _subjects(call: Call) -> list[Person]:
    given = call.json().get("subjects")
    if not isinstance(given, list) or not given:
        raise Problem(400, "subjects is a list of people.")
    return [_person(call, each) for each in given]


def _seconds(call: Call, name: str) -> float:
    value = call.json().get(name, _DEFAULT)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LONGEST:
        raise Problem(400, f"{name} is a number of seconds.")
    return float(value)
