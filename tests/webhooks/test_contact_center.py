"""Events of a contact center, from its subscription to a handler."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.test_contact_center import SECRET, create
from tests.support.ports import free_port
from tests.web.conftest import Server
from webex import Webex
from webex.emulator import Cloud
from webex.emulator.accounts import ADMIN_ID, ADMIN_TOKEN
from webex.storage import SQLiteStorage
from webex.webhooks import ContactCenterEvent, ReceivedEvent, WebhookReceiver, read_event


@contextmanager
def served(app: Any) -> Iterator[str]:
    port = free_port()
    server = Server(app, port)
    try:
        yield f"http://127.0.0.1:{port}/hooks"
    finally:
        server.stop()


@pytest.mark.parametrize("version", [1, 2])
def test_an_event_of_a_subscription_is_verified_and_handled_once(
    webex_cloud: Cloud, tmp_path: Path, version: int
) -> None:
    webex_cloud.set(webhook_duplicate=1.0)
    storage = SQLiteStorage(tmp_path / "inbox.db")
    client = Webex(ADMIN_TOKEN, emulator_url=webex_cloud.url, storage=storage)
    hooks = WebhookReceiver(client, secret=["an older one", SECRET])
    seen: list[ReceivedEvent[Any, Webex]] = []
    handled = threading.Semaphore(0)

    @hooks.on("task", "ended")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        seen.append(event)
        handled.release()

    with client, served(hooks.asgi) as url:
        made = create(webex_cloud, url, version, eventTypes=["task:*"]).json()["data"]
        other = create(webex_cloud, url, version, secret="another secret, which the receiver does not know")
        assert other.status == 201
        webex_cloud.contact_center_event("task:ended", {"taskId": "T1"})
        webex_cloud.contact_center_event("task:new", {"taskId": "T2"})
        webex_cloud.settle()
        assert handled.acquire(timeout=60)
        hooks.drain()
        answers = [attempt.status for attempt in webex_cloud.delivery.attempts]
    storage.close()
    assert [event.data for event in seen] == [{"taskId": "T1"}]
    envelope = seen[0].webhook
    assert isinstance(envelope, ContactCenterEvent)
    assert envelope.subscription_id == made["id"]
    assert envelope.org_id == webex_cloud.state.people[ADMIN_ID].org_id
    assert (envelope.created is not None) is (version == 2)
    assert hooks.health.repeats >= 1
    assert set(answers) == {200, 401}


@pytest.mark.parametrize("moment", [1697211697694, "1697211697694"], ids=["number", "text"])
def test_the_moment_of_an_envelope_is_read_as_number_and_as_text(moment: Any) -> None:
    event = read_event(json.dumps({"specversion": "1.0", "type": "agent:login", "comciscotimestamp": moment}).encode())
    assert event.created is not None
    assert event.created.timestamp() == pytest.approx(1697211697.694)
