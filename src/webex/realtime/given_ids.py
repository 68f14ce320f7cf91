"""Read the ids that a caller gives: public ids, UUIDs, or models that have one. `ConfigurationError` for others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webex.errors import ConfigurationError
from webex.ids import is_uuid, person_uuid, to_uuid


def uuid_of(id: Any) -> str:
    """Return the UUID in an id."""
    if isinstance(id, str):
        try:
            return to_uuid(id)
        except ValueError:
            pass
    raise ConfigurationError(f"{id!r} is no id of Webex: it holds no UUID.")


def uuid_of_person(id: Any) -> str:
    """Return the UUID of a person."""
    if isinstance(id, str):
        uuid = person_uuid(id)
        if is_uuid(uuid):
            return uuid
    raise ConfigurationError(f"{id!r} is no id of a person. people.list(email=…) finds a person by an address.")


def uuids_of_people(ids: str | Iterable[str]) -> list[str]:
    """Return the UUIDs of one person or of several, each once."""
    if not isinstance(ids, Iterable):
        raise ConfigurationError(f"person_ids is a list of ids, not {type(ids).__name__}.")
    return list(dict.fromkeys(map(uuid_of_person, [ids] if isinstance(ids, str) else ids)))


def id_of(message: Any) -> str:
    """Return the id of a message, which is given as a model or by its id."""
    given = getattr(message, "id", message)
    if not isinstance(given, str) or not given:
        raise ConfigurationError(f"A message or its id is expected, not {type(message).__name__}.")
    return given
