"""Dispatch incoming activities to the subscriptions: each once, decrypted, in the order of its room.

Activities whose key is missing are queued per room; other rooms are not delayed. While a gap is being filled, live
activities wait behind it. No activity is acknowledged before it is handled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from webex.encryption.content import Ciphers, decrypt_activity, key_urls_of
from webex.encryption.jose import Cipher
from webex.errors import (
    ApiError,
    DecryptionError,
    KMSError,
    KMSIdentityError,
    TransportError,
)
from webex.http.timing import Backoff
from webex.realtime.catchup import find_missed, published_at
from webex.realtime.delivery import Delivery
from webex.realtime.event import Audience, Event, Occurrence
from webex.realtime.events import Reader
from webex.realtime.kinds import RealtimeGapEvent, make_event
from webex.realtime.mercury.close_codes import is_transient
from webex.realtime.tasks import Tasks
from webex.telemetry import CatchUpFinished, CatchUpStarted, EventHandled, GapReported

if TYPE_CHECKING:
    from webex.encryption.keys import UserKeys
    from webex.realtime.checkpoint import Checkpoint
    from webex.realtime.health import Health
    from webex.realtime.notices import Notice
    from webex.realtime.service_client import ServiceClient
    from webex.realtime.subscription import Subscription
    from webex.realtime.wire import Activity
    from webex.telemetry import Telemetry

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


class Dispatcher:
    """Dispatch the activities of one user. `ack` acknowledges a frame, `again` requests redelivery by the cloud."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        keys: UserKeys,
        health: Health,
        services: ServiceClient,
        *,
        ack: Callable[[str], None],
        again: Callable[[], None],
        caught_up: Callable[[], None],
        now: Callable[[], float],
        catch_up_limit: float,
        telemetry: Telemetry,
    ) -> None:
        self.checkpoint: Checkpoint = checkpoint
        self.keys: UserKeys = keys
        self.health: Health = health
        self._services, self._again, self._caught_up, self._now = services, again, caught_up, now
        self.ack: Callable[[str], None] = ack
        self._catch_up_limit = catch_up_limit
        self._telemetry = telemetry
        self.user = "an unknown user"  # in telemetry: the app's key of the user, else the UUID
        self.reader: Reader = Reader("", lambda url: "us")
        self.audience: Audience = Audience()
        self.is_bot = False
        self.clock_offset: float = 0.0  # seconds by which the cloud's clock is ahead of ours
        self.subscriptions: list[Subscription[Any]] = []
        self._open: dict[str, Delivery] = {}  # activities on their way
        self._partly: dict[str, set[Subscription[Any]]] = {}  # left by one subscription, and who had handled it by then
        self._room_queues: dict[str, deque[tuple[Activity, str | None]]] = {}  # by room, what waits for a key
        self._waiting = 0  # activities in all room queues
        self._held: list[tuple[Activity, str | None]] | None = None  # what came live while catching up
        self._skipped = False  # frames were left unacknowledged: there was no room for them
        self._filling: asyncio.Task[None] | None = None
        self._gaps: list[str] = []  # why something has to be listed
        self._redelivery_requested = False  # the socket is being closed, so that the cloud sends again
        self._unclaimed = False  # something was left unacknowledged that a subscription yet to come may want
        self._unacked_since: float | None = None  # since when something is left unacknowledged, by the loop's clock
        self._began = 0.0  # when listening began, by the loop's clock
        self._unsaved = False  # something was acknowledged by hand, and that is not written down
        self._saving: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._tasks = Tasks()

    def begin(self) -> None:
        """Note that the connection starts."""
        self._began = _clock()

    async def close(self) -> None:
        """End what is under way; it stays unacknowledged."""
        await self._tasks.close()
        self._room_queues.clear()
        self._open.clear()
        self._waiting = 0
        self._held, self._skipped = None, False
        self._gaps.clear()
        self._redelivery_requested, self._unclaimed, self._unacked_since = False, False, None

    def reconnected(self, because: str | None) -> None:
        """Continue on a new socket, which brings what is unacknowledged; `because`: why that may not be all."""
        self._skipped = self._redelivery_requested = self._unclaimed = False
        since, self._unacked_since = self._unacked_since, None
        if because is None and since is not None and _clock() - since > _CLOUD_KEEPS:
            because = "some events were left unacknowledged for longer than the cloud keeps them"
        if because is not None:
            self.catch_up(because)
        self.drained()

    def attached(self) -> None:
        """Request what was left unacknowledged, for one more subscription."""
        for delivery in self._open.values():
            delivery.is_owed = delivery.is_owed or delivery.abandoned
        if self._unclaimed:
            self._redeliver()

    def finished(self, delivery: Delivery) -> None:
        """Acknowledge an activity that all subscriptions are done with, unless one left it."""
        activity_id = delivery.activity_id
        self._open.pop(activity_id, None)
        if delivery.abandoned:
            self.checkpoint.mark_failed(activity_id)
            self._leave()
            self._partly[activity_id] = delivery.finished_by
            if len(self._partly) > _MOST_PARTLY:
                del self._partly[next(iter(self._partly))]
            if delivery.is_owed:
                self._redeliver()
            return
        self.checkpoint.mark_handled(activity_id, delivery.published)
        if self._telemetry.wants(EventHandled):
            self._tell_handled(delivery.published)
        for message_id in delivery.message_ids:
            self.ack(message_id)

    def save_soon(self) -> None:
        """Write down what was acknowledged by hand: the next delivery, which would do so, may be long in coming."""
        self._unsaved = True
        if self._saving is None or self._saving.done():
            self._saving = self._tasks.start(self._save())

    async def _save(self) -> None:
        while self._unsaved:
            self._unsaved = False
            try:
                await self.checkpoint.save()
            except Exception as error:  # the next delivery, or the end, writes it
                _logger.warning("an acknowledgement could not be stored: %s", type(error).__name__)

    def drained(self) -> None:
        """Request what was left unacknowledged, if there is room again."""
        if not self._is_full():
            self._room.set()
            if self._skipped:
                self._request_redelivery()

    def _redeliver(self) -> None:
        self._unclaimed = False
        self._skipped = True  # what comes until then is later, and comes again too
        self._request_redelivery()

    def _request_redelivery(self) -> None:
        if not self._redelivery_requested:
            self._redelivery_requested = True
            self._again()

    def _leave(self) -> None:
        """Note that an activity stays unacknowledged."""
        self._unclaimed = True
        if self._unacked_since is None:
            self._unacked_since = _clock()

    def gap(self, reason: str, since: str | None = None, until: str | None = None) -> RealtimeGapEvent:
        """Return the event that reports a gap."""
        self._telemetry.tell(GapReported(self.user, reason))
        data = {"reason": reason, "since": since, "until": until}
        found = {name: value for name, value in data.items() if value is not None}
        return RealtimeGapEvent(Occurrence("gap", "gap", "", found), self.audience, {})

    def take(self, activity: Activity, message_id: str | None, *, listed: bool = False) -> None:
        """Take an activity: of the frame `message_id`, or `listed` by a catch-up."""
        if not self.subscriptions:
            self._leave()  # a later subscription may want it
            return
        activity_id: str = activity["id"]
        open_one = self._open.get(activity_id)
        if open_one is not None or self.checkpoint.is_handled(activity_id):
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
        if self._room_queues and (queue := self._room_queues.get(_room_of(activity))) is not None:
            self._enqueue(queue, activity, message_id)
            return
        ciphers: dict[str, Cipher] = {}
        for url in key_urls_of(activity):
            cipher = self.keys.cached(url)
            if cipher is None:
                room = _room_of(activity)
                queue = self._room_queues[room] = deque()
                self._enqueue(queue, activity, message_id)
                self._tasks.start(self._run_room_queue(room, queue))
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

    def _enqueue(self, queue: deque[tuple[Activity, str | None]], activity: Activity, message_id: str | None) -> None:
        queue.append((activity, message_id))
        self.checkpoint.mark_received(activity["id"], published_at(activity))
        self._waiting += 1

    async def _run_room_queue(self, room: str, queue: deque[tuple[Activity, str | None]]) -> None:
        """Fetch the keys that one room waits for, and deliver its activities in order."""
        try:
            while queue:
                activity, message_id = queue[0]
                ciphers = {url: await self._key(url) for url in key_urls_of(activity)}
                queue.popleft()
                self._waiting -= 1
                try:
                    self._deliver(activity, message_id, ciphers)
                except Exception:  # it stays unacknowledged; those behind it go on
                    _logger.exception("an activity could not be delivered")
                    self._leave()
        finally:
            self._waiting -= len(queue)
            self._room_queues.pop(room, None)
        self.drained()

    async def _key(self, url: str) -> Cipher | DecryptionError:
        """Return the key, or why there is none; waits for a key service that can't be reached."""
        backoff, end = Backoff(_FIRST_KEY_PAUSE, _LONGEST_PAUSE), _clock() + _KEY_PATIENCE
        while True:
            try:
                return await self.keys.get(url)
            except Exception as error:  # whatever it is: the room must not wait for nothing
                if _is_final(error) or _clock() > end:
                    failure = DecryptionError(f"The key could not be had: {error}")
                    failure.__cause__ = error
                    return failure
            await asyncio.sleep(backoff.next())

    def _deliver(self, activity: Activity, message_id: str | None, ciphers: Ciphers) -> None:
        activity_id: str = activity["id"]
        open_one = self._open.get(activity_id)
        if open_one is not None or self.checkpoint.is_handled(activity_id):  # it came twice into a queue
            self._repeated(open_one, message_id)
            return
        failure = _opened(activity, ciphers)
        if failure is not None:
            self.health.undecryptable += 1
        published = published_at(activity)
        had = self._partly.pop(activity_id, None) if self._partly else None
        occurrences = self.reader.read(activity)
        if not occurrences and any("*" in each.resources for each in self.subscriptions):
            occurrences = [_unnamed(activity)]
        wanted = [
            (subscription, occurrence)
            for occurrence in occurrences
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
            self.checkpoint.mark_handled(activity_id, published)
            if message_id is not None:
                self.ack(message_id)
            return
        self.health.heard_at = self._now()
        delivery = Delivery(self, activity_id, published, message_id, len(wanted), durable=self.checkpoint.durable)
        self._open[activity_id] = delivery
        redelivered = self.checkpoint.was_delivered(activity_id)
        self.checkpoint.mark_received(activity_id, published)
        for subscription, occurrence in wanted:
            event = make_event(occurrence, self.audience, activity, redelivered=redelivered, decryption_error=failure)
            subscription.offer(event, delivery)

    def announce(self, event: Event[Any], to: Iterable[Subscription[Any]] | None = None) -> None:
        """Deliver an event that is no activity, to those who asked for its resource: it is not stored or repeated."""
        if to is None:
            to = [each for each in self.subscriptions if event.resource in each.resources and each.wants(event)]
        for subscription in tuple(to):
            subscription.offer(event, Delivery(self, "", "", None, 1, durable=False, is_notice=True))

    # Catching up

    def catch_up(self, reason: str) -> None:
        """List what was missed since the watermark; live activities wait behind it."""
        if not self.subscriptions:
            return
        self._gaps.append(reason)
        if self._filling is None or self._filling.done():
            self._held = []
            self._filling = self._tasks.start(self._fill())

    async def _fill(self) -> None:
        """Fill gaps, also those found meanwhile; then deliver the live activities, which are later."""
        total, start = 0, _clock()
        try:
            while self._gaps:
                reason = self._gaps[-1]
                self._gaps.clear()
                since, until, began = self.checkpoint.watermark, self.cloud_moment(), _clock()
                self._telemetry.tell(CatchUpStarted(self.user, since))
                try:
                    found, complete = await self._list_missed(since, until)
                except Exception as error:  # whatever it is: then it is a gap
                    _logger.warning("what was missed can't be listed (%s)", type(error).__name__, exc_info=error)
                    found, complete = 0, False
                self._telemetry.tell(CatchUpFinished(self.user, found, _clock() - began))
                total += found
                if found:
                    self.health.gaps_filled += 1
                if not complete:
                    self.announce(self.gap(reason, since, until), self.subscriptions)
        except asyncio.CancelledError:
            self._held = None  # the listener ends: what was held stays unacknowledged
            raise
        held, self._held = self._held or [], None
        for activity, message_id in held:
            self.take(activity, message_id)
        self._caught_up()
        self.tell(CatchUpFinished(self.user, total, _clock() - start))

    def tell(self, notice: Notice) -> None:
        """Tell the callbacks of all subscriptions what happened to the connection."""
        for subscription in tuple(self.subscriptions):
            subscription.tell(notice)

    async def _list_missed(self, since: str, until: str) -> tuple[int, bool]:
        """Deliver what was missed; return how many that were, and whether that is all."""
        if not self._catch_up_limit:
            return 0, False
        limit = _shifted(until, -self._catch_up_limit)
        start = _shifted(max(since, limit), -_OVERLAP)
        backoff, tries = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE), 0
        while True:
            tries += 1
            try:
                missed = await find_missed(self._services, start, is_bot=self.is_bot, by_rest=tries > _REST_AFTER)
                break
            except (TransportError, ApiError) as error:
                if not is_transient(error):
                    raise
                await asyncio.sleep(backoff.next())
        for activity_id in missed.gone:  # its frame may be yet to come, and would be told of after the deletion
            if activity_id not in self._open and not self.checkpoint.is_handled(activity_id):
                self.checkpoint.mark_handled(activity_id, "")  # the watermark stays: earlier ones are to come
        found = 0
        for activity in missed.activities:
            if published_at(activity) < self.checkpoint.floor:
                continue  # from before listening began
            await self._until_room()
            found += not self.checkpoint.is_handled(activity["id"]) and activity["id"] not in self._open
            self.take(activity, None, listed=True)
        return found, missed.complete and since >= limit

    async def _until_room(self) -> None:
        while self._skipped or self._is_full():
            self._room.clear()
            await self._room.wait()

    def is_long_ago(self, moment: str) -> bool:
        """Return whether the cloud may no longer keep what was unacknowledged at that moment."""
        return moment < _shifted(self.cloud_moment(), -_CLOUD_KEEPS)

    def _is_full(self) -> bool:
        for subscription in self.subscriptions:
            if subscription.is_full:
                return True
        return self._waiting >= _MOST_HELD

    def _tell_handled(self, published: str) -> None:
        with suppress(ValueError):  # without a time there is no lag
            moment = datetime.fromisoformat(published).timestamp()
            self._telemetry.tell(EventHandled(self.user, self._now() + self.clock_offset - moment))

    def cloud_moment(self) -> str:
        """Return the present moment by the cloud's clock, as the cloud writes it."""
        return _iso(datetime.fromtimestamp(self._now() + self.clock_offset, UTC))


def _opened(activity: Activity, ciphers: Ciphers) -> DecryptionError | None:
    """Decrypt in place; return the error of this activity, which affects no other."""
    try:
        return decrypt_activity(activity, ciphers)
    except Exception as error:
        _logger.exception("an activity could not be opened")
        return DecryptionError(f"The message can't be opened ({type(error).__name__}).")


def _unnamed(activity: Activity) -> Occurrence:
    """Return an activity that no resource has a name for."""
    actor = activity.get("actor")
    uuid = (actor.get("entryUUID") or actor.get("id")) if isinstance(actor, dict) else None
    return Occurrence(
        "*", "conversation.activity", uuid if isinstance(uuid, str) else "", cast("dict[str, Any]", activity)
    )


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _is_final(error: Exception) -> bool:
    """Return whether asking for a key again can't succeed."""
    if is_transient(error):
        return False
    return not isinstance(error, KMSError) or error.status is not None or isinstance(error, KMSIdentityError)


def _room_of(activity: Activity) -> str:
    place = activity.get("target") or activity.get("object")
    return str(place.get("id")) if isinstance(place, dict) else ""


def _shifted(moment: str, seconds: float) -> str:
    shifted = datetime.fromtimestamp(datetime.fromisoformat(moment).timestamp() + seconds, UTC)
    return _iso(shifted)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
