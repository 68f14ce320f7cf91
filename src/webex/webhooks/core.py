"""Verify, write down, answer, handle: what a receiver does, as `async def` for both styles.

`receive` knows nothing of HTTP beyond bytes and headers, and `process` nothing of how an event came.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from webex.errors import ConfigurationError, DecodeError, SignatureError, StorageError
from webex.http.timing import Backoff
from webex.webhooks.handlers import TRIES, Handlers, Work
from webex.webhooks.inbox import INBOX, Entry, Inbox, root_of
from webex.webhooks.leases import renewing
from webex.webhooks.received import ReceivedEvent
from webex.webhooks.repeats import Seen, hashed, repeat_key
from webex.webhooks.signatures import verify

if TYPE_CHECKING:
    from webex.runtime.protocol import Runtime
    from webex.storage import StorageAccess
    from webex.webhooks.events import WebhookEvent
    from webex.webhooks.signatures import Signature

_logger = logging.getLogger("webex.webhooks")

Mode = Literal["inbox", "inline", "lossy"]
MODES: Final = ("inbox", "inline", "lossy")
_MOST_RUNS: Final = 10  # beginnings of one event after which it is given up: it ends every worker that has it
_SOON: Final = 5.0  # seconds: inline, a handler that asks for its event sooner is called again before the answer
_LONGEST_PAUSE: Final = 30.0  # seconds between two attempts while the storage fails
CLOSED: Final = "The receiver is closed."
_RETRY_AFTER: Final = {"retry-after": "5"}


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a delivery."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ReceiverHealth:
    """What one process has received and done since it began."""

    received: int = 0  # signed deliveries
    repeats: int = 0  # of these, dropped as repetitions
    handled: int = 0
    redelivered: int = 0  # of these, after another worker had begun and ended
    given_up: int = 0  # events that end every worker that has them
    refused: dict[int, int] = field(default_factory=dict)  # answers by status, other than 200
    last_refusal: str | None = None  # why, in one sentence
    waiting: int = 0
    in_hand: int = 0


@dataclass(slots=True)
class Job:
    """An event to be handled: its entry, and what is left of it once its handling has begun."""

    entry: Entry
    event: WebhookEvent
    work: Work | None = None
    failures: int = 0  # of ours in a row, not of its handlers

    @property
    def room_id(self) -> str | None:
        """The room, whose events are handled one after the other; None for an event without one."""
        data = self.event.data
        found = getattr(data, "id" if self.event.resource == "rooms" else "room_id", None)
        return found if isinstance(found, str) else None


class Core:
    """One receiver at work."""

    def __init__(
        self,
        runtime: Runtime,
        access: StorageAccess,
        client_of: Callable[[Any], Awaitable[Any]],
        *,
        client_id: str | None,
        secret: Sequence[bytes | str] | str | bytes,
        mode: Mode,
        name: str,
        lease: float,
        max_size: int,
        each_owner: bool,
        concurrency: int,
        max_waiting: int,
    ) -> None:
        if mode not in MODES:
            raise ConfigurationError(f"mode is {mode!r}; it is 'inbox', 'inline' or 'lossy'.")
        self.runtime: Runtime = runtime
        self.access: StorageAccess = access
        self.secret: Sequence[bytes | str] | str | bytes = secret
        self.mode: Mode = mode
        self.inbox: Inbox
        self._client_of, self._max_size, self._each_owner = client_of, max_size, each_owner
        self._max_waiting, self._lease = max_waiting, lease
        self.root: str = root_of(client_id, name)
        self.seen: Seen = Seen(access, self.root)
        self.renew()
        self.handlers: Handlers = Handlers(runtime, concurrency)
        self.health: ReceiverHealth = ReceiverHealth()
        if mode == "inbox":
            self.inbox.check()
            if not (access.capabilities.durable or access.capabilities.shared):
                _logger.warning("the inbox is in %r: what it holds is lost when the process ends", access.storage)
        elif mode == "lossy":
            _logger.warning('mode="lossy": events that were answered and not handled are lost when the process ends')

    def renew(self) -> None:
        """Become another worker: after a fork, or in another event loop."""
        self.inbox = Inbox(self.access, self.runtime, self.root, self.seen, lease=self._lease)

    async def receive(self, body: bytes, headers: Signature, submit: Callable[[Job], bool]) -> Reply:
        """Answer one delivery; what is to be handled goes to `submit` before the answer."""
        if len(body) > self._max_size:
            return self.refuse(413, f"The body is larger than {self._max_size} bytes.")
        try:
            event = verify(body, headers, self.secret)
            text = body.decode()
        except SignatureError as error:
            return self.refuse(401, str(error))
        except (DecodeError, UnicodeDecodeError):
            return self.refuse(400, "The body is signed and is no webhook event.")
        self.health.received += 1
        if not self.handlers.of(event.resource, event.event):
            return Reply(200, "No handler takes this event.")
        try:
            return await self._accept(event, text, submit)
        except StorageError as error:
            _logger.error("a delivery could not be written down: %s", type(error).__name__)
            return self.refuse(503, f"The storage failed ({type(error).__name__}).", _RETRY_AFTER)

    async def _accept(self, event: WebhookEvent, text: str, submit: Callable[[Job], bool]) -> Reply:
        if self.mode == "inline":
            return await self._inline(event, text)
        if self.mode == "lossy":
            return await self._lossy(event, text, submit)
        inbox = self.inbox
        entry = await inbox.store(self._key(event), text, self.runtime.clock.time())
        if entry is None:
            self.health.repeats += 1
            return Reply(200, "A repetition.")
        # What has no room here, or came while the receiver was stopped, is taken from the inbox.
        if self.room <= 0 or inbox is not self.inbox or not submit(Job(entry, event)):
            inbox.leave_for_later(entry)
        return Reply(200, "Received.")

    async def _lossy(self, event: WebhookEvent, text: str, submit: Callable[[Job], bool]) -> Reply:
        if self.room <= 0:
            return self.refuse(503, f"{self._max_waiting} events wait already.", _RETRY_AFTER)
        key = self._key(event)
        if not await self.seen.first(key):
            self.health.repeats += 1
            return Reply(200, "A repetition.")
        if not submit(Job(Entry("", text, self.runtime.clock.time()), event)):
            await self.seen.remove(key)
            return self.refuse(503, CLOSED, _RETRY_AFTER)
        return Reply(200, "Received.")

    @property
    def room(self) -> int:
        """How many more events may wait in memory."""
        return self._max_waiting - self.health.waiting

    async def _inline(self, event: WebhookEvent, text: str) -> Reply:
        """Handle before the answer, under a lease of the event's own."""
        key = self._key(event)
        lease = await self.access.try_lease(INBOX, f"{self.root}inline/{hashed(key)}", self._lease)
        if lease is None:
            return self.refuse(503, "Another worker is handling this event.", _RETRY_AFTER)
        try:
            async with renewing(lease, self._lease, self.runtime.style):
                entry = await self.inbox.note(key, text, self.runtime.clock.time())
                if entry is None:
                    self.health.repeats += 1
                    return Reply(200, "A repetition.")
                after = await self._until_postponed(Job(entry, event))
        finally:
            await lease.release()
        if after is None:
            return Reply(200, "Handled.")
        return self.refuse(503, "The handler asks for the event again.", {"retry-after": f"{max(1, round(after))}"})

    async def _until_postponed(self, job: Job) -> float | None:
        """Handle an event, also a few times in a row; the seconds after which Webex is to deliver it again, or None."""
        after: float | None = None
        for _ in range(TRIES):
            after = await self.process(job)
            if after is None:
                return None
            if after > _SOON:
                break
            await self.runtime.sleep(after)
        await self.inbox.postpone(job.entry, job.work.tries if job.work is not None else 0)
        return after

    async def attempt(self, job: Job) -> float | None:
        """Handle an event as `process` does; what fails here and not in a handler is tried again.

        A storage is waited for. Another failure ends the third time: then the event is given up and stays in the log.
        """
        try:
            after = await self.process(job)
        except StorageError as error:
            job.failures += 1
            pause = min(2.0 ** min(job.failures - 1, 5), _LONGEST_PAUSE)
            _logger.warning("an event waits for the storage (%s), for %g s", type(error).__name__, pause)
            return pause
        except Exception:
            job.failures += 1
            _logger.exception("an event could not be handled: %s", job.event.key)
            if job.failures < TRIES:
                return _SOON
            self.health.given_up += 1
            await self._finish(job.entry)
            return None
        job.failures = 0
        return after

    async def process(self, job: Job) -> float | None:
        """Handle an event; return the seconds after which it is to be tried again, None when it is done.

        Raises `StorageError` when the storage fails; the event is as it was then.
        """
        entry = job.entry
        if job.work is None:
            # It may need the storage, so it comes before the mark that a worker has begun.
            redelivered = entry.begun > 0
            work = await self.work(job.event, redelivered=redelivered)
            work.tries = entry.tries
            if self.mode != "lossy" and not await self.inbox.begin(entry):
                return None  # another worker has taken it
            if entry.begun > _MOST_RUNS:
                self.health.given_up += 1
                _logger.error("given up, because %d workers ended with it: %s", _MOST_RUNS, job.event.key)
                await self._finish(entry)
                return None
            self.health.redelivered += redelivered
            job.work = work
        after = await self.handlers.run(job.work)
        if after is None:
            await self._finish(entry)
            self.health.handled += 1
        return after

    async def work(self, event: Any, *, redelivered: bool = False) -> Work:
        """Return an event with the handlers that it is for."""
        given: ReceivedEvent[Any, Any] = ReceivedEvent(event, await self._client_of(event), redelivered=redelivered)
        return Work(given, self.handlers.of(given.resource, given.event))

    async def ingest(self, event: WebhookEvent, text: str, submit: Callable[[Job], bool]) -> bool:
        """Take an event that came by another way than a delivery; False for a repetition."""
        if not self.handlers.of(event.resource, event.event):
            return False
        reply = await self._accept(event, text, submit)
        if reply.status != 200:
            raise StorageError(reply.text)
        return reply.text != "A repetition."

    async def _finish(self, entry: Entry) -> None:
        if self.mode == "lossy":
            return
        backoff = Backoff(0.1, 5.0)
        while True:
            try:
                await self.inbox.finish(entry)
                return
            except StorageError as error:
                _logger.warning("that an event was handled can't be noted (%s); once more", type(error).__name__)
            await self.runtime.sleep(backoff.next())

    def refuse(self, status: int, why: str, headers: dict[str, str] | None = None) -> Reply:
        """Return the answer to a delivery that is not taken, and count it."""
        self.health.refused[status] = self.health.refused.get(status, 0) + 1
        self.health.last_refusal = f"{status}: {why}"
        _logger.info("a delivery was refused with %d: %s", status, why)
        return Reply(status, why, headers or {})

    def _key(self, event: WebhookEvent) -> str:
        key = repeat_key(event)
        if key is None:
            import uuid

            key = f"{event.key}:{uuid.uuid4().hex}"
        return f"{event.created_by or event.org_id}|{key}" if self._each_owner else key
