"""`/people`: oneself, others; for administrators also creating, changing and deleting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator.oauth.clients import find_person
from webex.emulator.rest.paging import paged
from webex.emulator.rest.render import person_json
from webex.emulator.rest.rules import inner_id, text_of
from webex.emulator.wire import Problem, Reply
from webex.ids import is_uuid, parse_id

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person
    from webex.emulator.wire import Call

_MOST_IDS: Final = 85
_KNOWN: Final = frozenset(
    {"id", "emails", "displayName", "firstName", "lastName", "orgId", "created", "type", "status"}
)


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", "/v1/people/me", me)
    table.add("GET", "/v1/people", list_people)
    table.add("POST", "/v1/people", create)
    table.add("GET", "/v1/people/{personId}", get)
    table.add("PUT", "/v1/people/{personId}", update)
    table.add("DELETE", "/v1/people/{personId}", delete)


def me(call: Call) -> Reply:
    """Who the token belongs to."""
    return Reply(200, person_json(call.person("spark:people_read")))


def list_people(call: Call) -> Reply:
    """By `id` (up to 85), `email` or the beginning of `displayName`; administrators may list everybody."""
    asking = call.person("spark:people_read", "spark-admin:people_read")
    people = [person for person in call.state.people.values() if not person.deleted]
    ids, email, name = call.arg("id"), call.arg("email"), call.arg("displayName")
    extra: dict[str, Any] = {}
    if ids:
        wanted = [part for part in ids.split(",") if part]
        if len(wanted) > _MOST_IDS:
            raise Problem(400, f"At most {_MOST_IDS} ids can be asked for at once.")
        found = {part: _known(call, part) for part in wanted}
        people = [person for person in found.values() if person is not None]
        missing = [part for part, person in found.items() if person is None]
        if missing:
            extra["notFoundIds"] = missing
    elif email:
        people = [person for person in people if person.email.lower() == email.lower()]
    elif name:
        people = [person for person in people if person.display_name.lower().startswith(name.lower())]
    elif not asking.admin:
        raise Problem(400, "Email, displayName, or id list should be specified.")
    people.sort(key=lambda person: (person.display_name, person.id))
    return paged(call, people, lambda person: person.id, person_json, extra=extra)


def get(call: Call) -> Reply:
    """One person."""
    call.person("spark:people_read", "spark-admin:people_read")
    return Reply(200, person_json(_person(call)))


def create(call: Call) -> Reply:
    """A new account, by an administrator."""
    _administrator(call)
    body = call.json()
    emails = body.get("emails")
    if not isinstance(emails, list) or not emails or not isinstance(emails[0], str):
        raise Problem(400, "emails must be a list with one address.")
    if find_person(call.state, emails[0]) is not None:
        raise Problem(409, f"There is somebody with the address {emails[0]!r} already.")
    person = call.cloud.add_person(emails[0], text_of(body, "displayName"))
    _change(person, body)
    return Reply(200, person_json(person))


def update(call: Call) -> Reply:
    """Change an account, by an administrator."""
    _administrator(call)
    person = _person(call)
    _change(person, call.json())
    return Reply(200, person_json(person))


def delete(call: Call) -> Reply:
    """Delete an account, by an administrator."""
    administrator = _administrator(call)
    person = _person(call)
    if person.id == administrator.id:
        raise Problem(400, "An administrator can't delete the own account.")
    person.deleted = True
    return Reply(204)


def _known(call: Call, public_id: str) -> Person | None:
    try:
        key = public_id.lower() if is_uuid(public_id) else parse_id(public_id).id
    except ValueError:
        return None
    person = call.state.people.get(key)
    return None if person is None or person.deleted else person


def _person(call: Call) -> Person:
    person = call.state.people.get(inner_id(call.path["personId"], "PEOPLE"))
    if person is None or person.deleted:
        raise Problem(404, "The requested person could not be found.")
    return person


def _administrator(call: Call) -> Person:
    person = call.person("spark-admin:people_write")
    if not person.admin:
        raise Problem(403, "Only an administrator may do that.")
    return person


def _change(person: Person, body: dict[str, Any]) -> None:
    person.display_name = text_of(body, "displayName") or person.display_name
    person.first_name = text_of(body, "firstName") or person.first_name
    person.last_name = text_of(body, "lastName") or person.last_name
    person.extra = {**person.extra, **{name: value for name, value in body.items() if name not in _KNOWN}}
