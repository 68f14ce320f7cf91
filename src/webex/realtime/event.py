"""What happened, as whoever listens gets it: an event, and what all events of one user have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from webex.api import AttachmentAction, Membership, Message, Room
from webex.api.models import Model, from_data
from webex.ids import public_id

if TYPE_CHECKING:
    from webex.errors import DecryptionError
    from webex.realtime.delivery import Delivery
    from webex.realtime.listening import Listening

T = TypeVar("T")


class Gap(Model):
    """What could not be heard: between two moments something may have happened that nothing can list any more."""

    reason: str | None = None
    since: str | None = None
    until: str | None = None


class Typing(Model):
    """Somebody types, or has stopped."""

    person_id: str | None = None
    person_email: str | None = None
    room_id: str | None = None


MODELS: Final[dict[str, type[Model]]] = {
    "messages": Message,
    "rooms": Room,
    "memberships": Membership,
    "attachmentActions": AttachmentAction,
    "typing": Typing,
    "gap": Gap,
}
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
RESOURCES: Final = ("messages", "rooms", "memberships", "attachmentActions")


class Occurrence(NamedTuple):
    """One event before it is wrapped: `data` in the names of the wire, `actor` a UUID."""

    resource: str
    event: str
    actor: str
    data: dict[str, Any]


@dataclass(slots=True, frozen=True)
class Audience:
    """What all events of one listening user have in common."""

    person_id: str = ""
    org_id: str = ""
    since: datetime = _NEVER  # when listening began
    user_key: str | None = None


class Event(Generic[T]):
    """Something that happened.

    `resource` and `event` are the public names (`messages`, `created`); `data` is the model of the resource, `raw` the
    same in the names of the wire. `redelivered`: it was handed out before and never acknowledged. With
    `decryption_error` set, what could not be decrypted is missing in `data`. `files` of a message are for
    `client.conversations.download`.
    """

    __slots__ = (
        "_activity",
        "_actor",
        "_audience",
        "_data",
        "_in_hand",
        "_published",
        "activity_id",
        "decryption_error",
        "event",
        "raw",
        "redelivered",
        "resource",
    )

    def __init__(
        self,
        occurrence: Occurrence,
        audience: Audience,
        activity: Mapping[str, Any],
        *,
        redelivered: bool = False,
        decryption_error: DecryptionError | None = None,
    ) -> None:
        self.resource, self.event, self._actor, self.raw = occurrence
        self._audience = audience
        self.activity_id: str = activity.get("id", "")
        self._published: Any = activity.get("published")
        content = activity.get("object")
        self._activity = activity if isinstance(content, dict) and "files" in content else None
        self.redelivered, self.decryption_error = redelivered, decryption_error
        self._data: Any = None
        self._in_hand: tuple[Delivery, Listening[Any]] | None = None  # until it is acknowledged or left

    @property
    def data(self) -> T:
        """The model of the resource."""
        if self._data is None:
            self._data = from_data(MODELS[self.resource], self.raw)
        return self._data  # type: ignore[no-any-return]  # T is the model of this resource

    @property
    def actor_id(self) -> str | None:
        """The id of the person whose doing it is."""
        return person_id(self._actor) if self._actor else None

    @property
    def created_by(self) -> str:
        """The id of the person who listens."""
        return self._audience.person_id

    @property
    def org_id(self) -> str:
        """The organization of the person who listens, as REST names it."""
        return self._audience.org_id

    @property
    def user_key(self) -> str | None:
        """The key of the person who listens, where an integration has one."""
        return self._audience.user_key

    @property
    def created(self) -> datetime:
        """When listening began, as in webhooks."""
        return self._audience.since

    @property
    def published(self) -> datetime | None:
        """When it happened, by the cloud's clock."""
        try:
            return datetime.fromisoformat(self._published)
        except (TypeError, ValueError):
            return None

    @property
    def files(self) -> list[dict[str, Any]]:
        """The files of a message, each for `client.conversations.download`."""
        if self._activity is None:
            return []
        files = self._activity["object"]["files"]
        return [
            {"encryptionKeyUrl": self._activity.get("encryptionKeyUrl"), **item}
            for item in (files.get("items") or () if isinstance(files, dict) else ())
            if isinstance(item, dict)
        ]

    def __repr__(self) -> str:
        marks = [name for name in ("redelivered", "decryption_error") if getattr(self, name)]
        return f"<Event {self.resource}:{self.event} {self.activity_id} {' '.join(marks)}".rstrip() + ">"

    def ack(self) -> None:
        """It is handled: the cloud need not send it again. Happens by itself when the next one is asked for."""
        in_hand, self._in_hand = self._in_hand, None
        if in_hand is not None:
            in_hand[0].finish(in_hand[1])

    def to_dict(self) -> dict[str, Any]:
        """The public envelope, as plain data."""
        return {
            "createdBy": self.created_by,
            "orgId": self.org_id,
            "resource": self.resource,
            "ownedBy": "creator",
            "status": "active",
            "created": self.created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event": self.event,
            "actorId": self.actor_id,
            "data": dict(self.raw),
        }


@lru_cache(maxsize=4096)
def person_id(uuid: str) -> str:
    """The public id of a person."""
    return public_id("PEOPLE", uuid)
