"""Events as `listen()` delivers them, and what all events of one user have in common."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, Self, TypeVar

from webex.errors import ConfigurationError
from webex.ids import public_id
from webex.models.base import ABSENT, Model, Timestamp, from_data
from webex.models.generated.messaging import AttachmentAction, Membership, Message, Room
from webex.models.keys import event_key
from webex.realtime.presence_data import Presence

if TYPE_CHECKING:
    from webex.errors import DecryptionError
    from webex.realtime.delivery import Delivery
    from webex.realtime.subscription import Subscription

T_co = TypeVar("T_co", covariant=True)


class Gap(Model):
    """A gap: between two moments events may be missing that can't be listed any more."""

    reason: str | None = None
    since: str | None = None
    until: str | None = None


class Reaction(Model):
    """A reaction to a message. `id` is what `client.messages.unreact` takes; one that was taken back has no name."""

    id: str = ABSENT
    name: str | None = None
    message_id: str = ABSENT
    room_id: str = ABSENT
    room_type: Literal["direct", "group"] | str | None = None
    person_id: str = ABSENT
    person_email: str | None = None
    created: Timestamp | None = None


class Typing(Model):
    """A person is typing, or has stopped."""

    person_id: str | None = None
    person_email: str | None = None
    room_id: str | None = None


MODELS: Final[dict[str, type[Model]]] = {
    "messages": Message,
    "rooms": Room,
    "memberships": Membership,
    "attachmentActions": AttachmentAction,
    "reactions": Reaction,
    "typing": Typing,
    "presence": Presence,
    "gap": Gap,
}
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


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


@dataclass(slots=True, frozen=True)
class Actor:
    """The account that did something. `kind` is `bot` for a bot, `person` for every other account."""

    id: str
    email: str | None = None
    display_name: str | None = None
    org_id: str | None = None
    kind: Literal["person", "bot"] = "person"


BOT_DOMAINS: Final = ("@webex.bot", "@sparkbot.io")  # where an activity does not say the kind
_FORMER_NAMES: Final[dict[str, str]] = {"resource": "_resource", "event": "_event"}  # in what earlier versions pickled
_LONGEST_POSTPONEMENT: Final = 86_400.0  # seconds


class Event(Generic[T_co]):
    """Something that happened; `webex.realtime.kinds` has a class for each resource.

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
        "_event",
        "_person",
        "_published",
        "_resource",
        "activity_id",
        "decryption_error",
        "raw",
        "receipt",
        "redelivered",
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
        self._resource = occurrence.resource
        self._event = occurrence.event
        self.raw: dict[str, Any] = occurrence.data
        self._actor = occurrence.actor
        self._audience = audience
        self.activity_id: str = activity.get("id", "")
        self._published: Any = activity.get("published")
        self._person: Any = activity.get("actor")
        content = activity.get("object")
        self._activity = activity if isinstance(content, dict) and "files" in content else None
        self.redelivered: bool = redelivered
        self.decryption_error: DecryptionError | None = decryption_error
        self._data: Any = None
        self.receipt: tuple[Delivery, Subscription[Any]] | None = None  # until it is acknowledged or left

    @property
    def resource(self) -> str:
        """The public name of what the event is about: `messages`, `rooms`, …; `gap` for a gap."""
        return self._resource

    @property
    def event(self) -> str:
        """The public name of what happened: `created`, `updated`, `deleted`, …."""
        return self._event

    @property
    def data(self) -> T_co:
        """The model of the resource."""
        if self._data is None:
            model = MODELS.get(self.resource)
            self._data = self.raw if model is None else from_data(model, self.raw)
        return self._data  # type: ignore[no-any-return]  # it is the model of this resource

    @property
    def actor_id(self) -> str | None:
        """The id of the account that did it."""
        return person_id(self._actor) if self._actor else None

    @property
    def actor(self) -> Actor | None:
        """The account that did it, as the activity describes it; None where there is none."""
        if not self._actor:
            return None
        person = self._person if isinstance(self._person, dict) else {}
        email = _text(person.get("entryEmail")) or _text(person.get("emailAddress"))
        organization, kind = _text(person.get("orgId")), person.get("type")
        is_bot = kind == "BOT" if isinstance(kind, str) else (email or "").endswith(BOT_DOMAINS)
        return Actor(
            person_id(self._actor),
            email,
            _text(person.get("displayName")),
            public_id("ORGANIZATION", organization) if organization else None,
            "bot" if is_bot else "person",
        )

    @property
    def key(self) -> str:
        """`resource:event:id[:updated]`: what this event and its repetitions have in common, as in webhooks.

        A read receipt has the id of what was read in the last place.
        """
        return event_key(self.resource, self.event, self.raw)

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

    def __getstate__(self) -> Any:
        """Return all but the subscription, which belongs to this process: a copy can't be acknowledged."""
        return None, {name: getattr(self, name) for name in Event.__slots__} | {"receipt": None}

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """Take the state of a copy; one that 0.1.0 pickled lacks what came later."""
        added: dict[str, Any] = {"_person": None, "receipt": None}
        for name, value in (added | state[1]).items():
            if name != "_in_hand":
                setattr(self, _FORMER_NAMES.get(name, name), value)

    def __repr__(self) -> str:
        marks = [name for name in ("redelivered", "decryption_error") if getattr(self, name)]
        return f"<Event {self.resource}:{self.event} {self.activity_id} {' '.join(marks)}".rstrip() + ">"

    def ack(self) -> None:
        """Acknowledge: the event is handled and does not come again. May be called from any thread, and twice.

        Without `ack="manual"` it happens by itself when the next event is asked for.
        """
        in_hand = self.receipt
        if in_hand is not None:
            in_hand[1].settle(self)

    def nack(self, after: float = 0.0) -> None:
        """Hand the event out again here after so many seconds, with `redelivered`; other events go on meanwhile.

        Until then it stays unacknowledged, so that it also comes again after a restart. May be called from any thread;
        nothing happens once the event is acknowledged, or its subscription has ended. `ConfigurationError` for a
        time that is negative or longer than a day.
        """
        if isinstance(after, bool) or not isinstance(after, int | float) or math.isnan(after):
            raise ConfigurationError(f"after is {after!r}; it takes seconds.")
        if not 0 <= after <= _LONGEST_POSTPONEMENT:
            raise ConfigurationError(f"after is {after!r}; it takes 0 to {_LONGEST_POSTPONEMENT:.0f} seconds.")
        in_hand = self.receipt
        if in_hand is not None:
            in_hand[1].settle(self, after)

    def as_redelivered(self) -> Self:
        """Return a copy that says that it was handed out before."""
        again = copy.copy(self)
        again.redelivered = True
        return again

    def to_dict(self) -> dict[str, Any]:
        """Return the public envelope, as plain data."""
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


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


@lru_cache(maxsize=4096)
def person_id(uuid: str) -> str:
    """Return the public id of a person."""
    return public_id("PEOPLE", uuid)
