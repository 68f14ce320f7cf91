"""Webhooks, really delivered: posted, signed, tried again, and stopped after too many failures in a row.

One worker thread delivers in order. Targets other than this machine are refused: a test never leaves it.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import queue
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from webex.emulator.rest.render import present, webhook_json
from webex.emulator.rest.rules import hears, membership_of
from webex.ids import parse_id, to_hydra_id

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.state import Webhook
    from webex.emulator.wire import Change

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CONTENT = ("text", "markdown", "html", "attachments", "inputs")


class Delivery:
    """Brings changes to the webhooks that want them."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._queue: queue.Queue[tuple[str, bytes] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def publish(self, change: Change) -> None:
        """Queue what the webhooks of those who may hear of it want."""
        with self._cloud.lock:
            for webhook in list(self._cloud.state.webhooks.values()):
                if self._wants(webhook, change):
                    self._queue.put((webhook.id, self._body(webhook, change)))
        if self._thread is None and not self._queue.empty():
            self._thread = threading.Thread(target=self._work, name="webex-emulator-webhooks", daemon=True)
            self._thread.start()

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
        """Forget what is queued."""
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return
            self._queue.task_done()

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
            job = self._queue.get()
            try:
                if job is None:
                    return
                self._deliver(*job)
            finally:
                self._queue.task_done()

    def _deliver(self, webhook_id: str, body: bytes) -> None:
        settings = self._cloud.settings
        for pause in (0.0, *settings.webhook_retry_delays):
            if pause and self._stop.wait(pause):
                return
            with self._cloud.lock:
                webhook = self._cloud.state.webhooks.get(webhook_id)
                if webhook is None or webhook.status != "active":
                    return
                target, secret = webhook.target_url, webhook.secret
            if self._post(target, secret, body):
                webhook.failures = 0
                return
        with self._cloud.lock:
            webhook = self._cloud.state.webhooks.get(webhook_id)
            if webhook is None:
                return
            webhook.failures += 1
            if webhook.failures >= settings.webhook_failure_limit:
                webhook.status = "inactive"

    def _post(self, target: str, secret: str | None, body: bytes) -> bool:
        parts = urlsplit(target)
        if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
            return False
        headers = {"Content-Type": "application/json;charset=UTF-8", "User-Agent": "webex-emulator"}
        if secret:
            headers["X-Spark-Signature"] = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port or 80, timeout=self._cloud.settings.webhook_timeout
        )
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, headers)
            return 200 <= connection.getresponse().status < 300
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
