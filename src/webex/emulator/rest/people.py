"""`/people`: oneself, others; for administrators also creating, changing and deleting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.emulator import directory
from webex.emulator.oauth.clients import find_person
from webex.emulator.rest.organization import record
from webex.emulator.rest.paging import paged
from webex.emulator.rest.person import FIELDS, person_json
from webex.emulator.rest.rules import inner_id, text_of
from webex.emulator.wire import REFUSED, Problem, Reply
from webex.ids import is_uuid, parse_id

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.state import Person
    from webex.emulator.wire import Call

_MOST_IDS: Final = 85
_UNKNOWN: Final = "Person not found"


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", "/v1/people/me", me)
    table.add("GET", "/v1/people", list_people)
    table.add("POST", "/v1/people", create)
    table.add("GET", "/v1/people/{personId}", get)
    table.add("PUT", "/v1/people/{personId}", update)
    table.add("DELETE", "/v1/people/{personId}", delete)


def me(call: Call) -> Reply:
    """Return the owner of the token."""
    person = call.person("spark:people_read")
    return Reply(200, person_json(call, person, person))


def list_people(call: Call) -> Reply:
    """List by `id` (up to 85), `email` or the beginning of `displayName`; administrators may list all people."""
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
        raise Problem(400, "Email, displayName, role, or id list should be specified.")
    people.sort(key=lambda person: (person.display_name, person.id))
    return paged(call, people, lambda person: person.id, lambda person: person_json(call, person, asking), extra=extra)


def get(call: Call) -> Reply:
    """Return one person."""
    asking = call.person("spark:people_read", "spark-admin:people_read")
    return Reply(200, person_json(call, _person(call), asking))


def create(call: Call) -> Reply:
    """Create an account, by an administrator."""
    administrator = _administrator(call)
    body = call.json()
    email = _email(call, body, None)
    if email is None:
        raise Problem(400, "emails must be a list with one address.")
    fields = _fields(body)
    person = call.cloud.add_person(email, text_of(body, "displayName"))
    _change(person, body, fields)
    record(call, administrator, person, "USERS", f"{administrator.display_name} created user {person.display_name}")
    return Reply(200, person_json(call, person, administrator))


def update(call: Call) -> Reply:
    """Change an account, by an administrator; what `GET` gives and can't be changed is left alone."""
    administrator = _administrator(call)
    person = _person(call)
    body = call.json()
    text_of(body, "displayName", required=True)
    email, fields = _email(call, body, person), _fields(body)
    person.email = email or person.email
    _change(person, body, fields)
    record(call, administrator, person, "USERS", f"{administrator.display_name} changed user {person.display_name}")
    return Reply(200, person_json(call, person, administrator))


def delete(call: Call) -> Reply:
    """Delete an account, by an administrator."""
    administrator = _administrator(call)
    person = _person(call)
    if person.id == administrator.id:
        raise Problem(400, "An administrator can't delete the own account.")
    person.deleted = True
    call.cloud.tokens.end_person(person.id)
    record(call, administrator, person, "USERS", f"{administrator.display_name} deleted user {person.display_name}")
    return Reply(204)


def _known(call: Call, public_id: str) -> Person | None:
    try:
        key = public_id.lower() if is_uuid(public_id) else parse_id(public_id).id
    except ValueError:
        return None
    person = call.state.people.get(key)
    return None if person is None or person.deleted else person


def _person(call: Call) -> Person:
    person = call.state.people.get(inner_id(call.path["personId"], "PEOPLE", _UNKNOWN))
    if person is None or person.deleted:
        raise Problem(404, _UNKNOWN)
    return person


def _administrator(call: Call) -> Person:
    person = call.person("spark-admin:people_write")
    if not person.admin:
        raise Problem(403, REFUSED, hint="Only an administrator may do that.")
    return person


def _email(call: Call, body: dict[str, Any], person: Person | None) -> str | None:
    emails = body.get("emails")
    if emails is None:
        return None
    if not isinstance(emails, list) or not emails or not isinstance(emails[0], str):
        raise Problem(400, "emails must be a list with one address.")
    if not directory.is_email(emails[0]):
        raise Problem(400, "emails must be a list with one address.", hint=f"{emails[0]!r} is no address.")
    other = find_person(call.state, emails[0])
    if other is not None and other is not person:
        raise Problem(409, "User already exists.", hint=f"There is an account with the address {emails[0]!r} already.")
    return emails[0]


def _fields(body: dict[str, Any]) -> dict[str, object]:
    """Return the changeable fields beside the names, each of its type; leave out unknown and read-only ones."""
    for name in ("displayName", "firstName", "lastName", "nickName"):
        text_of(body, name)
    found: dict[str, object] = {}
    for name, kind in FIELDS.items():
        value = body.get(name)
        if value is None:
            continue
        if kind is bool:
            fits = isinstance(value, bool)
        elif kind is str:
            fits = isinstance(value, str)
        else:
            inner = dict if kind is dict else str
            fits = isinstance(value, list) and all(isinstance(each, inner) for each in value)
        if not fits:
            raise Problem(400, f"{name} has a wrong type.")
        found[name] = value
    return found


def _change(person: Person, body: dict[str, Any], fields: dict[str, object]) -> None:
    person.display_name = text_of(body, "displayName") or person.display_name
    person.first_name = text_of(body, "firstName") or person.first_name
    person.last_name = text_of(body, "lastName") or person.last_name
    person.extra = {**person.extra, **fields}
