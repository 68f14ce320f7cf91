"""Activities on their way in: each once, in the order of its room, opened, and to those who want it.

What can be opened at once goes out at once. What needs a key waits in a lane of its room, and only that room waits.
While a gap is being filled, what comes live waits behind it. Nothing is acknowledged before it was handled.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from webex.encryption.content import Ciphers, key_urls_of, open_activity
from webex.encryption.jose import Cipher
from webex.errors import (
    ApiError,
    DecryptionError,
    KMSError,
    KMSIdentityError,
    TransportError,
)
from webex.ids import to_hydra_id
from webex.realtime.catchup import find_missed, published_at
from webex.realtime.closing import is_passing
from webex.realtime.delivery import Delivery
from webex.realtime.event import Audience, Event, Occurrence
from webex.realtime.events import Reader
from webex.realtime.tasks import Tasks

if TYPE_CHECKING:
    from webex.encryption.keys import UserKeys
    from webex.realtime.catchup import CatchUpDoor
    from webex.realtime.health import Health
    from webex.realtime.journal import Journal
    from webex.realtime.listening import Listening

_logger = logging.getLogger("webex.realtime")

_FIRST_KEY_PAUSE: Final = 0.2
_KEY_PATIENCE: Final = 900.0  # seconds that a room waits for a key service that can't be reached
_CLOUD_KEEPS: Final = 600.0  # seconds that the cloud surely keeps what is unacknowledged (about 15 minutes)
_GRACE: Final = 5.0  # seconds after the start in which further subscriptions may come
_REST_AFTER: Final = 3  # tries of the conversation service before REST is asked for what was missed
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 32.0
_MOST_HELD: Final = 10_000  # activities that wait while a gap is filled, or for their keys
_MOST_PARTLY: Final = 1_024
_OVERLAP: Final = 30.0  # seconds that a catch-up looks back further, for activities that were published out of order


class Intake:
    """The activities of one user. `ack` acknowledges a frame, `again` has the cloud send unacknowledged ones again."""

    def __init__(
        self,
        journal: Journal,
        keys: UserKeys,
        health: Health,
        door: CatchUpDoor,
        *,
        ack: Callable[[str], None],
        again: Callable[[], None],
        caught_up: Callable[[], None],
        now: Callable[[], float],
        catch_up_limit: float,
    ) -> None:
        self.journal, self.keys, self.health = journal, keys, health
        self._door, self.ack, self._again, self._caught_up, self._now = door, ack, again, caught_up, now
        self._catch_up_limit = catch_up_limit
        self.reader = Reader("", lambda url: "us")
        self.audience = Audience()
        self.is_bot = False
        self.clock_offset = 0.0  # seconds by which the cloud's clock is ahead of ours
        self.subscriptions: list[Listening[Any]] = []
        self._open: dict[str, Delivery] = {}  # activities on their way
        self._partly: dict[str, set[Listening[Any]]] = {}  # left by one subscription, and who had handled it by then
        self._lanes: dict[str, deque[tuple[dict[str, Any], str | None]]] = {}  # by room, what waits for a key
        self._waiting = 0  # activities in all lanes
        self._held: list[tuple[dict[str, Any], str | None]] | None = None  # what came live while catching up
        self._skipped = False  # frames were left unacknowledged, because nobody took them
        self._filling: asyncio.Task[None] | None = None
        self._gaps: list[str] = []  # why something has to be listed
        self._calling_again = False  # the socket is being closed, so that the cloud sends again
        self._unheard = False  # something was left unacknowledged that a subscription yet to come may want
        self._neglected: float | None = None  # since when something is left unacknowledged, by the loop's clock
        self._began = 0.0  # when listening began, by the loop's clock
        self._room = asyncio.Event()
        self._tasks = Tasks()

    def begin(self) -> None:
        """The listener starts."""
        self._began = _clock()

    async def close(self) -> None:
        """End what is under way; it stays unacknowledged."""
        await self._tasks.close()
        self._lanes.clear()
        self._open.clear()
        self._waiting = 0
        self._held, self._skipped = None, False
        self._gaps.clear()
        self._calling_again, self._unheard, self._neglected = False, False, None

    def reconnected(self, because: str | None) -> None:
        """A new socket is ready, and brings what is unacknowledged; `because`: why that can't be all."""
        self._skipped = self._calling_again = self._unheard = False
        since, self._neglected = self._neglected, None
        if because is None and since is not None and _clock() - since > _CLOUD_KEEPS:
            because = "some events were left unacknowledged for longer than the cloud keeps them"
        if because is not None:
            self.catch_up(because)
        self.drained()

    def attached(self) -> None:
        """There is one more subscription: have the cloud send what was left for it."""
        for delivery in self._open.values():
            delivery.owed = delivery.owed or delivery.abandoned
        if self._unheard:
            self._hear_again()

    def finished(self, delivery: Delivery) -> None:
        """All subscriptions are done with an activity."""
        activity_id = delivery.activity_id
        self._open.pop(activity_id, None)
        if delivery.abandoned:
            self.journal.left(activity_id)
            self._leave()
            self._partly[activity_id] = delivery.finished_by
            if len(self._partly) > _MOST_PARTLY:
                del self._partly[next(iter(self._partly))]
            if delivery.owed:
                self._hear_again()
            return
        self.journal.done(activity_id, delivery.published)
        for message_id in delivery.message_ids:
            self.ack(message_id)

    def drained(self) -> None:
        """There may be room again: have the cloud send what was left unacknowledged."""
        if not self._is_full():
            self._room.set()
            if self._skipped:
                self._call_again()

    def _hear_again(self) -> None:
        self._unheard = False
        self._skipped = True  # what comes until then is later, and comes again too
        self._call_again()

    def _call_again(self) -> None:
        if not self._calling_again:
            self._calling_again = True
            self._again()

    def _leave(self) -> None:
        """Something stays unacknowledged."""
        self._unheard = True
        if self._neglected is None:
            self._neglected = _clock()

    def gap(self, reason: str, since: str | None = None, until: str | None = None) -> Event[Any]:
        """An event that tells of what could not be heard."""
        data = {"reason": reason, "since": since, "until": until}
        found = {name: value for name, value in data.items() if value is not None}
        return Event(Occurrence("gap", "gap", "", found), self.audience, {})

    def take(self, activity: dict[str, Any], message_id: str | None, *, listed: bool = False) -> None:
        """Take an activity: of the frame `message_id`, or `listed` by a catch-up."""
        if not self.subscriptions:
            self._leave()  # whoever listens later has a right to it
            return
        activity_id: str = activity["id"]
        open_one = self._open.get(activity_id)
        if open_one is not None or self.journal.is_done(activity_id):
            if not listed:
                self.health.repeats_dropped += 1
            self._repeated(open_one, message_id)
            return
        if self._held is not None and not listed:
            if len(self._held) < _MOST_HELD:
                self._held.append((activity, message_id))
            else:  # they stay unacknowledged, and the history has them
                self._held.clear()
                self._gaps.append("more came than could be held while a gap was filled")
            return
        if self._skipped or self._is_full():
            self._skipped = True  # it stays unacknowledged, and so does all after it, until there is room
            self._leave()
            return
        if self._lanes and (lane := self._lanes.get(_room_of(activity))) is not None:
            self._line_up(lane, activity, message_id)
            return
        ciphers: dict[str, Cipher] = {}
        for url in key_urls_of(activity):
            cipher = self.keys.cached(url)
            if cipher is None:
                room = _room_of(activity)
                lane = self._lanes[room] = deque()
                self._line_up(lane, activity, message_id)
                self._tasks.start(self._lane(room, lane))
                return
            ciphers[url] = cipher
        self._deliver(activity, message_id, ciphers)

    def _repeated(self, open_one: Delivery | None, message_id: str | None) -> None:
        """Acknowledge a repeat: now if it was handled, else together with the first."""
        if message_id is None:
            return
        if open_one is None:
            self.ack(message_id)
        elif message_id not in open_one.message_ids:
            open_one.message_ids.append(message_id)

    def _line_up(
        self, lane: deque[tuple[dict[str, Any], str | None]], activity: dict[str, Any], message_id: str | None
    ) -> None:
        lane.append((activity, message_id))
        self.journal.arrived(activity["id"], published_at(activity))
        self._waiting += 1

    async def _lane(self, room: str, lane: deque[tuple[dict[str, Any], str | None]]) -> None:
        """Fetch the keys that one room waits for, and let its activities go in their order."""
        try:
            while lane:
                activity, message_id = lane[0]
                ciphers = {url: await self._key(url) for url in key_urls_of(activity)}
                lane.popleft()
                self._waiting -= 1
                try:
                    self._deliver(activity, message_id, ciphers)
                except Exception:  # it stays unacknowledged; those behind it go on
                    _logger.exception("an activity could not be delivered")
                    self._leave()
        finally:
            self._waiting -= len(lane)
            self._lanes.pop(room, None)
        self.drained()

    async def _key(self, url: str) -> Cipher | DecryptionError:
        """The key, or why there is none; a key service that can't be reached is waited for."""
        pause, end = _FIRST_KEY_PAUSE, _clock() + _KEY_PATIENCE
        while True:
            try:
                return await self.keys.get(url)
            except Exception as error:  # whatever it is: the room must not wait for nothing
                if _is_final(error) or _clock() > end:
                    failure = DecryptionError(f"The key could not be had: {error}")
                    failure.__cause__ = error
                    return failure
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _deliver(self, activity: dict[str, Any], message_id: str | None, ciphers: Ciphers) -> None:
        activity_id: str = activity["id"]
        open_one = self._open.get(activity_id)
        if open_one is not None or self.journal.is_done(activity_id):  # it came twice into a lane
            self._repeated(open_one, message_id)
            return
        failure = open_activity(activity, ciphers)
        if failure is not None:
            self.health.undecryptable += 1
        published = published_at(activity)
        had = self._partly.pop(activity_id, None) if self._partly else None
        wanted = [
            (subscription, occurrence)
            for occurrence in self.reader.read(activity)
            for subscription in self.subscriptions
            if occurrence.resource in subscription.resources and (had is None or subscription not in had)
        ]
        if not wanted:
            kept = had is not None and not self.is_long_ago(published)  # who left it may listen again
            if kept or _clock() - self._began < _GRACE:  # who subscribes in a moment may want it
                if had is not None:
                    self._partly[activity_id] = had
                self._leave()
                return
            self.journal.done(activity_id, published)
            if message_id is not None:
                self.ack(message_id)
            return
        self.health.heard_at = self._now()
        delivery = Delivery(self, activity_id, published, message_id, len(wanted), durable=self.journal.durable)
        self._open[activity_id] = delivery
        redelivered = self.journal.was_in_hand(activity_id)
        self.journal.arrived(activity_id, published)
        for subscription, occurrence in wanted:
            event: Event[Any] = Event(
                occurrence, self.audience, activity, redelivered=redelivered, decryption_error=failure
            )
            subscription.offer(event, delivery)

    def typing(self, data: Mapping[str, Any], kind: str) -> None:
        actor = data.get("actor")
        if not isinstance(actor, dict):
            return
        person, room = actor.get("entryUUID") or actor.get("id"), data.get("conversationId")
        if not isinstance(person, str) or not isinstance(room, str):
            return
        raw = {
            "personId": to_hydra_id("PEOPLE", person),
            "personEmail": actor.get("entryEmail") or actor.get("emailAddress"),
            "roomId": to_hydra_id("ROOM", room),
        }
        verb = "started" if kind == "status.start_typing" else "stopped"
        event: Event[Any] = Event(Occurrence("typing", verb, person, raw), self.audience, {})
        self._announce_to([each for each in self.subscriptions if "typing" in each.resources], event)

    def _announce_to(self, subscriptions: Iterable[Listening[Any]], event: Event[Any]) -> None:
        """Tell of something that is no activity: it is neither stored nor repeated."""
        for subscription in tuple(subscriptions):
            subscription.offer(event, Delivery(self, "", "", None, 1, durable=False, told_only=True))

    # Catching up

    def catch_up(self, reason: str) -> None:
        """List what was missed since everything was handled; what comes live waits behind it."""
        if not self.subscriptions:
            return
        self._gaps.append(reason)
        if self._filling is None or self._filling.done():
            self._held = []
            self._filling = self._tasks.start(self._fill())

    async def _fill(self) -> None:
        """Fill gaps, also those that are found meanwhile; only then let go what came live, for it is later."""
        try:
            while self._gaps:
                reason = self._gaps[-1]
                self._gaps.clear()
                since, until = self.journal.watermark, self.cloud_moment()
                try:
                    found, complete = await self._list_missed(since, until)
                except Exception as error:  # whatever it is: then it is a gap
                    _logger.warning("what was missed can't be listed (%s)", type(error).__name__, exc_info=error)
                    found, complete = 0, False
                if found:
                    self.health.gaps_filled += 1
                if not complete:
                    self._announce_to(self.subscriptions, self.gap(reason, since, until))
        except asyncio.CancelledError:
            self._held = None  # the listener ends: what was held stays unacknowledged
            raise
        held, self._held = self._held or [], None
        for activity, message_id in held:
            self.take(activity, message_id)
        self._caught_up()

    async def _list_missed(self, since: str, until: str) -> tuple[int, bool]:
        """How many were missed, and whether that is all there was."""
        if not self._catch_up_limit:
            return 0, False
        limit = _shifted(until, -self._catch_up_limit)
        start = _shifted(max(since, limit), -_OVERLAP)
        pause, tries = _FIRST_PAUSE, 0
        while True:
            tries += 1
            try:
                missed = await find_missed(self._door, start, is_bot=self.is_bot, by_rest=tries > _REST_AFTER)
                break
            except (TransportError, ApiError) as error:
                if not is_passing(error):
                    raise
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
                pause = min(pause * 2, _LONGEST_PAUSE)
        found = 0
        for activity in missed.activities:
            if published_at(activity) < self.journal.floor:
                continue  # from before anybody listened
            await self._until_room()
            found += not self.journal.is_done(activity["id"]) and activity["id"] not in self._open
            self.take(activity, None, listed=True)
        return found, missed.complete and since >= limit

    async def _until_room(self) -> None:
        while self._skipped or self._is_full():
            self._room.clear()
            await self._room.wait()

    def is_long_ago(self, moment: str) -> bool:
        """Whether the cloud may have let go of what was unacknowledged at that moment."""
        return moment < _shifted(self.cloud_moment(), -_CLOUD_KEEPS)

    def _is_full(self) -> bool:
        for subscription in self.subscriptions:
            if subscription.is_full:
                return True
        return self._waiting >= _MOST_HELD

    def cloud_moment(self) -> str:
        """Now, by the cloud's clock, as the cloud writes it."""
        return _iso(datetime.fromtimestamp(self._now() + self.clock_offset, UTC))


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _is_final(error: Exception) -> bool:
    """Whether asking for a key again would be in vain."""
    if is_passing(error):
        return False
    return not isinstance(error, KMSError) or error.status is not None or isinstance(error, KMSIdentityError)


def _room_of(activity: Mapping[str, Any]) -> str:
    place = activity.get("target") or activity.get("object")
    return str(place.get("id")) if isinstance(place, dict) else ""


def _shifted(moment: str, seconds: float) -> str:
    shifted = datetime.fromtimestamp(datetime.fromisoformat(moment).timestamp() + seconds, UTC)
    return _iso(shifted)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
