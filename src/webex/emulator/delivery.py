"""Webhooks, really delivered: posted, signed, tried again, and stopped after too many failures in a row.

One worker thread delivers, in order unless `webhook_reorder` is set. Targets other than this machine are refused: a
test never leaves it.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import queue
import random
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from webex.emulator.rest.contact_center import envelope, wants
from webex.emulator.rest.render import present, webhook_json
from webex.emulator.rest.rules import hears, membership_of
from webex.emulator.state import Subscription
from webex.ids import parse_id, to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.state import Webhook
    from webex.emulator.wire import Change

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CONTENT = ("text", "markdown", "html", "attachments", "inputs")
_MOST_ATTEMPTS: Final = 1000
_LONGEST_ANSWER: Final = 8192
_REORDER_PATIENCE: Final = 0.25  # real seconds that a delivery waits for another one to change places with


@dataclass(slots=True)
class Attempt:
    """One request to a webhook's target, and what came back. `status` is 0 when nothing did; `error` says why."""

    id: int
    webhook_id: str  # of a webhook, or of a subscription of the contact center
    target: str
    number: int  # 1 for the first try of a delivery
    time: float  # by the cloud's clock
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0
    answer: str = ""  # the beginning of its body
    error: str | None = None
    seconds: float = 0.0
    redelivered: bool = False  # asked for by hand
    forged: bool = False  # its body was changed after it was signed (`webhook_forged`)

    @property
    def succeeded(self) -> bool:
        """Whether the target took it."""
        return 200 <= self.status < 300


class Delivery:
    """Brings changes to the webhooks that want them. `attempts` are the latest tries, oldest first."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._queue: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._count = 0  # of attempts, ever
        self._random = random.Random(cloud.state.seed)  # noqa: S311 - repeatable on purpose
        self.attempts: deque[Attempt] = deque(maxlen=_MOST_ATTEMPTS)

    def publish(self, change: Change) -> None:
        """Queue a change for the webhooks whose owners may see it."""
        with self._cloud.lock:
            for webhook in list(self._cloud.state.webhooks.values()):
                if self._wants(webhook, change):
                    self._queue.put((webhook.id, self._body(webhook, change)))
        self._begin()

    def publish_contact_center(self, kind: str, data: dict[str, Any], org_id: str) -> int:
        """Queue an event of a contact center for the subscriptions that want it; return how many they are."""
        with self._cloud.lock:
            wanting = [each for each in self._cloud.state.subscriptions.values() if wants(each, kind, org_id)]
            for each in wanting:
                self._queue.put((each.id, envelope(self._cloud, each, kind, data)))
        self._begin()
        return len(wanting)

    def _begin(self) -> None:
        if self._thread is None and not self._queue.empty():
            self._thread = threading.Thread(target=self._work, name="webex-emulator-webhooks", daemon=True)
            self._thread.start()

    def _receiver(self, receiver_id: str) -> Webhook | Subscription | None:
        state = self._cloud.state
        return state.webhooks.get(receiver_id) or state.subscriptions.get(receiver_id)

    def settle(self, timeout: float) -> None:
        """Wait until everything queued was delivered or given up; `TimeoutError` after `timeout` seconds."""
        done = threading.Event()

        def wait() -> None:
            self._queue.join()
            done.set()

        threading.Thread(target=wait, daemon=True).start()
        if not done.wait(timeout):
            raise TimeoutError(f"Webhooks were still being delivered after {timeout:g} s.")

    def reset(self) -> None:
        """Forget what is queued, and what was tried; faults by chance strike as at first."""
        self.attempts.clear()
        self._random.seed(self._cloud.state.seed)
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return
            self._queue.task_done()

    def redeliver(self, attempt_id: int) -> Attempt:
        """Post the body of an attempt once more, now, to its webhook as it stands; `LookupError` when either is gone.

        It is signed with the webhook's present secret, and does not count as a failure.
        """
        with self._cloud.lock:
            old = next((each for each in self.attempts if each.id == attempt_id), None)
            webhook = self._receiver(old.webhook_id) if old is not None else None
            if old is None or webhook is None:
                raise LookupError(f"There is no attempt {attempt_id}, or its webhook was deleted.")
        return self._post(webhook, old.body, old.number + 1, redelivered=True)

    def close(self) -> None:
        """End the worker; what is queued stays undelivered."""
        self._stop.set()
        self.reset()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout=10)
            self._thread = None

    def _wants(self, webhook: Webhook, change: Change) -> bool:
        state = self._cloud.state
        if webhook.status != "active" or webhook.resource not in (change.resource, "all"):
            return False
        if webhook.event not in (change.event, "all"):
            return False
        owner = state.people.get(webhook.created_by)
        if owner is None:
            return False
        if webhook.owned_by == "org":
            heard = change.org_id == webhook.org_id
        elif change.room_id is None:
            heard = True
        else:
            heard = membership_of(state, owner, change.room_id) is not None
            if heard and change.resource == "messages" and change.event != "deleted":
                message = state.messages.get(parse_id(str(change.data["id"])).id)
                heard = message is not None and hears(state, owner, message)
        return heard and self._passes(webhook.filter, change.data, owner.id)

    def _passes(self, filters: str | None, data: Any, owner_id: str) -> bool:
        for part in (filters or "").split("&"):
            name, _, wanted = part.partition("=")
            if not name:
                continue
            value = data.get(name)
            if name == "mentionedPeople":
                me = to_hydra_id("PEOPLE", owner_id)
                if (me if wanted == "me" else wanted) not in (value or []):
                    return False
            elif name == "hasFiles":
                if bool(data.get("files")) != (wanted == "true"):
                    return False
            elif str(value) != wanted and not (isinstance(value, bool) and str(value).lower() == wanted):
                return False
        return True

    def _body(self, webhook: Webhook, change: Change) -> bytes:
        payload = webhook_json(webhook)
        payload.pop("secret", None)
        payload |= present(
            resource=change.resource,
            event=change.event,
            actorId=to_hydra_id("PEOPLE", change.actor_id),
            data={name: value for name, value in change.data.items() if name not in _CONTENT},
        )
        return msgspec.json.encode(payload)

    def _work(self) -> None:
        while True:
            jobs = [self._queue.get()]
            if jobs[0] is not None and self._strikes(self._cloud.settings.webhook_reorder):
                with suppress(queue.Empty):
                    jobs.insert(0, self._queue.get(timeout=_REORDER_PATIENCE))
            for job in sorted(jobs, key=lambda each: each is None):
                try:
                    if job is None:
                        return
                    self._deliver(*job)
                finally:
                    self._queue.task_done()

    def _strikes(self, chance: float) -> bool:
        return chance > 0 and self._random.random() < chance

    def _deliver(self, webhook_id: str, body: bytes) -> None:
        settings = self._cloud.settings
        for number, pause in enumerate((0.0, *settings.webhook_retry_delays), 1):
            if pause and self._stop.wait(pause):
                return
            with self._cloud.lock:
                webhook = self._receiver(webhook_id)
                if webhook is None or webhook.status != "active":
                    return
            if number == 1 and self._strikes(settings.webhook_forged):
                self._post(webhook, body, number, forged=True)
            if self._post(webhook, body, number).succeeded:
                webhook.failures = 0
                if self._strikes(settings.webhook_duplicate):
                    self._post(webhook, body, number + 1)
                return
        with self._cloud.lock:
            webhook = self._receiver(webhook_id)
            if webhook is None:
                return
            webhook.failures += 1
            if webhook.failures >= settings.webhook_failure_limit:
                webhook.status = "inactive"

    def _post(
        self,
        webhook: Webhook | Subscription,
        body: bytes,
        number: int,
        *,
        redelivered: bool = False,
        forged: bool = False,
    ) -> Attempt:
        with self._cloud.lock:
            target, headers = webhook.target_url, _headers(webhook, body)
            if forged:
                body = body.replace(b'"data":{', b'"data":{"forged":true,', 1)
            self._count += 1
            attempt = Attempt(self._count, webhook.id, target, number, self._cloud.now(), body, headers)
            attempt.redelivered, attempt.forged = redelivered, forged
        begun = time.monotonic()
        try:
            attempt.status, attempt.answer = _send(target, body, headers, self._cloud.settings.webhook_timeout)
        except (OSError, http.client.HTTPException, ValueError) as error:
            attempt.error = str(error) or type(error).__name__
        attempt.seconds = time.monotonic() - begun
        self.attempts.append(attempt)
        return attempt


def _headers(webhook: Webhook | Subscription, body: bytes) -> dict[str, str]:
    headers = {"Content-Type": "application/json;charset=UTF-8", "User-Agent": "webex-emulator"}
    secret = webhook.secret.encode() if webhook.secret else b""
    if not isinstance(webhook, Subscription):
        if secret:
            headers["X-Spark-Signature"] = hmac.new(secret, body, hashlib.sha1).hexdigest()
        return headers
    if secret:
        headers["X-WebexCC-Signature"] = hmac.new(secret, body, hashlib.sha256).hexdigest()
    if webhook.version == 2:
        headers["X-WebexCC-Timestamp"] = str(msgspec.json.decode(body)["comciscotimestamp"])
        headers["X-WebexCC-Webhook-Version"] = webhook.resource_version or ""
    return headers


def _send(target: str, body: bytes, headers: dict[str, str], timeout: float) -> tuple[int, str]:
    parts = urlsplit(target)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        raise ValueError("Webhooks are delivered only to http on this machine.")
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        status = answer.status
        try:
            text = answer.read(_LONGEST_ANSWER).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            text = ""  # the status was whole, and it alone decides
        return status, text
    finally:
        connection.close()
