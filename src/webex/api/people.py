"""`client.people` with many people in few calls."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Final

from webex.api.generated import people as generated
from webex.api.generated.people import LIST
from webex.api.session import Session
from webex.config.shapes import items_of
from webex.errors import ConfigurationError
from webex.http.types import Request
from webex.ids import is_uuid, person_uuid, to_hydra_id
from webex.models.base import page_of
from webex.models.generated.messaging import Person

__all__ = ["AsyncPeople", "People"]

_MOST_IDS: Final = 85  # of `GET /people` (rest §8)


async def _get_many(session: Session, ids: Sequence[str], timeout: float | None) -> list[Person | None]:
    if isinstance(ids, str):
        raise ConfigurationError("get_many takes a list of ids; for one person use get.")
    ids = items_of("ids", ids, "ids of people")
    wrong = next((given for given in ids if not isinstance(given, str) or not given), None)
    if wrong is not None:
        raise ConfigurationError(f"get_many takes ids of people, which are texts; one is {wrong!r}.")
    wanted = [person_uuid(given) for given in ids]
    found: dict[str, Person] = {}
    # A Hydra id names its cluster, so it is sent as it was given; a UUID becomes one.
    distinct: dict[str, str] = {}
    for key, given in zip(wanted, ids, strict=True):
        distinct.setdefault(key, to_hydra_id("PEOPLE", key) if is_uuid(given) else given)
    asked = list(distinct.values())
    for start in range(0, len(asked), _MOST_IDS):
        some = asked[start : start + _MOST_IDS]
        response = await session.send(
            Request(LIST.method, LIST.path, params={"id": some, "max": len(some)}, timeout=timeout)
        )
        for person in page_of(Person, response.content, response):
            if person.id is not None:
                found[person_uuid(person.id)] = person
    return [found.get(key) for key in wanted]


class AsyncPeople(generated.AsyncPeople):
    """`client.people`, in event-loop style."""

    __slots__ = ()

    async def get_many(self, ids: Sequence[str], *, timeout: float | None = None) -> builtins.list[Person | None]:
        """Return the people with these ids (Hydra ids or UUIDs), 85 a call, in their order; None for one not found."""
        return await _get_many(self._session, ids, timeout)


class People(generated.People):
    """`client.people`, in blocking style."""

    __slots__ = ()

    def get_many(self, ids: Sequence[str], *, timeout: float | None = None) -> builtins.list[Person | None]:
        """Return the people with these ids (Hydra ids or UUIDs), 85 a call, in their order; None for one not found."""
        return self._drive(_get_many(self._session, ids, timeout))
