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

from webex.encryption.content import key_urls_of, open_activity
from webex.encryption.jose import Cipher
from webex.errors import ApiError, DecryptionError, KMSError, KMSIdentityError, TransportError, WebexError
from webex.ids import to_hydra_id
from webex.realtime.catchup import find_missed
from webex.realtime.delivery import Delivery
from webex.realtime.events import Event, Occurrence, Reader, person_id
from webex.realtime.tasks import Tasks

if TYPE_CHECKING:
    from webex.encryption.keys import UserKeys
    from webex.realtime.catchup import CatchUpDoor
    from webex.realtime.health import Health
    from webex.realtime.journal import Journal
    from webex.realtime.listening import Listening

_logger = logging.getLogger("webex.realtime")

_KEY_TRIES: Final = 5
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 32.0
_MOST_HELD: Final = 10_000  # frames that wait while a gap is filled
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
        now: Callable[[], float],
        catch_up_limit: float,
    ) -> None:
        self.journal, self.keys, self.health = journal, keys, health
        self._door, self.ack, self._again, self._now = door, ack, again, now
        self._catch_up_limit = catch_up_limit
        self.reader = Reader("", lambda url: "us")
        self.me = self.org = ""
        self.is_bot = False
        self.listening_since = datetime.now(UTC)
        self.subscriptions: list[Listening[Any]] = []
        self.again_because: str | None = None  # a gap that was found while another was being filled
        self._open: dict[str, Delivery] = {}  # activities on their way
        self._lanes: dict[str, deque[tuple[dict[str, Any], str | None]]] = {}
        self._held: list[tuple[dict[str, Any], str | None]] | None = None  # what came live while catching up
        self._skipped = False  # frames were left unacknowledged, because nobody took them
        self._filling: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._tasks = Tasks()

    async def close(self) -> None:
        """End what is under way; it stays unacknowledged."""
        await self._tasks.close()
        self._lanes.clear()
        self._open.clear()
        self._held, self._skipped = None, False

    def finished(self, delivery: Delivery) -> None:
        """All subscriptions are done with an activity."""
        self._open.pop(delivery.activity_id, None)
        if delivery.abandoned:
            return
        self.journal.done(delivery.activity_id, delivery.published)
        for message_id in delivery.message_ids:
            self._ack(message_id)

    def drained(self) -> None:
        """A subscription has room again: have the cloud send what was left unacknowledged."""
        self._room.set()
        if self._skipped and not self._is_full():
            self._skipped = False
            self._again()

    def gap(self, reason: str, since: str | None = None, until: str | None = None) -> Event[Any]:
        """An event that tells of what could not be heard."""
        data = {"reason": reason, "since": since, "until": until}
        found = {name: value for name, value in data.items() if value is not None}
        return self._event(Occurrence("gap", "gap", "", found), {}, "")

    def take(self, activity: dict[str, Any], message_id: str | None, *, listed: bool = False) -> None:
        activity_id: str = activity["id"]
        if self.journal.is_done(activity_id):
            if not listed:
                self.health.repeats_dropped += 1
            self._ack(message_id)
            return
        open_one = self._open.get(activity_id)
        if open_one is not None:
            if not listed:
                self.health.repeats_dropped += 1
            if message_id is not None and message_id not in open_one.message_ids:
                open_one.message_ids.append(message_id)
            return
        if self._held is not None and not listed:
            if len(self._held) < _MOST_HELD:
                self._held.append((activity, message_id))
            else:  # it stays unacknowledged, and the history has it
                self.again_because = "more came than could be held while a gap was filled"
            return
        if self._skipped or self._is_full():
            self._skipped = True  # it stays unacknowledged, and so does all after it, until there is room
            return
        room = str((activity.get("target") or activity.get("object") or {}).get("id"))
        lane = self._lanes.get(room)
        if lane is not None:
            lane.append((activity, message_id))
            return
        if all(self.keys.cached(url) is not None for url in key_urls_of(activity)):
            self._deliver(activity, message_id, {})
            return
        self._lanes[room] = deque([(activity, message_id)])
        self._tasks.start(self._lane(room))

    async def _lane(self, room: str) -> None:
        """Fetch the keys that one room waits for, and let its activities go in their order."""
        lane = self._lanes[room]
        try:
            while lane:
                activity, message_id = lane[0]
                failures: dict[str, DecryptionError] = {}
                for url in key_urls_of(activity):
                    try:
                        await self._key(url)
                    except (WebexError, OSError) as error:
                        failures[url] = DecryptionError(f"The key could not be had: {error}")
                        failures[url].__cause__ = error
                lane.popleft()
                self._deliver(activity, message_id, failures)
        finally:
            self._lanes.pop(room, None)

    async def _key(self, url: str) -> Cipher:
        for attempt in range(_KEY_TRIES):
            try:
                return await self.keys.get(url)
            except DecryptionError:
                raise
            except (WebexError, OSError) as error:
                refused = isinstance(error, KMSIdentityError) or (
                    isinstance(error, KMSError) and error.status is not None
                )
                if refused or attempt == _KEY_TRIES - 1:
                    raise
                await asyncio.sleep(min(0.2 * 2**attempt, 5.0))
        raise AssertionError("unreachable")

    def _deliver(
        self, activity: dict[str, Any], message_id: str | None, failures: Mapping[str, DecryptionError]
    ) -> None:
        activity_id = activity["id"]
        if self.journal.is_done(activity_id) or activity_id in self._open:
            self._ack(message_id)
            return

        def cipher_of(url: str) -> Cipher | DecryptionError:
            failed = failures.get(url)
            if failed is not None:
                return failed
            return self.keys.cached(url) or DecryptionError("The key is not at hand.")

        failure = open_activity(activity, cipher_of)
        published = str(activity.get("published") or "")
        occurrences = self.reader.read(activity)
        wanted = [
            (subscription, occurrence)
            for occurrence in occurrences
            for subscription in self.subscriptions
            if occurrence.resource in subscription.resources
        ]
        if failure is not None:
            self.health.undecryptable += 1
        if not wanted:
            self.journal.done(activity_id, published)
            self._ack(message_id)
            return
        self.health.last_event = datetime.now(UTC)
        redelivered = self.journal.was_in_hand(activity_id)
        message_ids = [message_id] if message_id is not None else []
        delivery = Delivery(self, activity_id, published, message_ids, durable=self.journal.durable)
        delivery.pending = len(wanted)
        self._open[activity_id] = delivery
        for subscription, occurrence in wanted:
            event = self._event(occurrence, activity, published)
            event.redelivered = redelivered
            event.decryption_error = failure
            event._acknowledge = delivery.finish
            subscription.offer(event, delivery)

    def _event(self, occurrence: Occurrence, activity: Mapping[str, Any], published: str) -> Event[Any]:
        content = activity.get("object")
        files = content.get("files") if isinstance(content, dict) else None
        return Event(
            resource=occurrence.resource,
            event=occurrence.event,
            actor_id=person_id(occurrence.actor) if occurrence.actor else None,
            created_by=self.me,
            org_id=self.org,
            created=self.listening_since,
            published=_moment(published),
            activity_id=str(activity.get("id", "")),
            user_key=self.health.user_key,
            raw=occurrence.data,
            files=[
                {"encryptionKeyUrl": activity.get("encryptionKeyUrl"), **item}
                for item in (files.get("items") or () if isinstance(files, dict) else ())
                if isinstance(item, dict)
            ],
        )

    def typing(self, data: Mapping[str, Any], kind: str) -> None:
        actor = data.get("actor") or {}
        person, room = actor.get("entryUUID") or actor.get("id"), data.get("conversationId")
        if not isinstance(person, str) or not isinstance(room, str):
            return
        raw = {
            "personId": to_hydra_id("PEOPLE", person),
            "personEmail": actor.get("entryEmail") or actor.get("emailAddress"),
            "roomId": to_hydra_id("ROOM", room),
        }
        verb = "started" if kind == "status.start_typing" else "stopped"
        event = self._event(Occurrence("typing", verb, person, raw), {}, "")
        self._announce_to([each for each in self.subscriptions if "typing" in each.resources], event)

    def _announce_to(self, subscriptions: Iterable[Listening[Any]], event: Event[Any]) -> None:
        """Tell of something that is no activity: it is neither stored nor repeated."""
        for subscription in tuple(subscriptions):
            delivery = Delivery(self, "", "", [], durable=False)
            delivery.pending, delivery.handed = 1, True
            subscription.offer(event, delivery)

    # Catching up

    def catch_up(self, reason: str) -> None:
        if self._filling is not None and not self._filling.done():
            self.again_because = reason
            return
        self._held = []
        self._filling = self._tasks.start(self._fill(reason))

    async def _fill(self, reason: str) -> None:
        since = self.journal.watermark
        now = self.cloud_moment()
        limit = _shifted(now, -self._catch_up_limit)
        complete = since >= limit
        found = 0
        pause = _FIRST_PAUSE
        try:
            while self._catch_up_limit:
                try:
                    missed = await find_missed(self._door, _shifted(max(since, limit), -_OVERLAP), is_bot=self.is_bot)
                except (TransportError, ApiError) as error:
                    if isinstance(error, ApiError) and error.status < 500 and error.status != 429:
                        complete = False
                        break
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
                    pause = min(pause * 2, _LONGEST_PAUSE)
                    continue
                complete = complete and missed.complete
                for activity in missed.activities:
                    if str(activity.get("published") or "") < self.journal.floor:
                        continue  # from before anybody listened
                    await self._until_room()
                    found += not self.journal.is_done(activity["id"]) and activity["id"] not in self._open
                    self.take(activity, None, listed=True)
                break
            else:
                complete = False
        finally:
            held, self._held = self._held or [], None
            for activity, message_id in held:
                self.take(activity, message_id)
        if found:
            self.health.gaps_filled += 1
        if not complete:
            self._announce_to(self.subscriptions, self.gap(reason, since, now))
        again, self.again_because = self.again_because, None
        if again is not None:
            self._filling = None
            self.catch_up(again)

    async def _until_room(self) -> None:
        while self._skipped or self._is_full():
            self._room.clear()
            await self._room.wait()

    def _is_full(self) -> bool:
        return any(subscription.is_full for subscription in self.subscriptions)

    def cloud_moment(self) -> str:
        """Now, by the cloud's clock, as the cloud writes it."""
        return _iso(datetime.fromtimestamp(self._now(), UTC))

    def _ack(self, message_id: str | None) -> None:
        if message_id is not None:
            self.ack(message_id)


def _shifted(moment: str, seconds: float) -> str:
    shifted = datetime.fromtimestamp(datetime.fromisoformat(moment).timestamp() + seconds, UTC)
    return _iso(shifted)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
