"""What the cloud really posts is believed and read; the same app refuses what others post."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import urllib3
from fastapi import FastAPI, Request, Response

from tests.support.ports import free_port
from tests.web.conftest import Server
from webex import Webex
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN, BOB_TOKEN
from webex.webhooks import MembershipEvent, MessageEvent, SignatureError, WebhookEvent, verify

SECRET = "the secret of this webhook"


@pytest.fixture
def hook() -> Iterator[tuple[str, list[WebhookEvent]]]:
    events: list[WebhookEvent] = []
    app = FastAPI()

    @app.post("/hooks/webex")
    async def receive(request: Request) -> Response:
        try:
            events.append(verify(await request.body(), request.headers, secret=SECRET))
        except SignatureError:
            return Response(status_code=401)
        return Response(status_code=204)

    port = free_port()
    server = Server(app, port)
    yield f"http://127.0.0.1:{port}/hooks/webex", events
    server.stop()


def test_events_of_the_cloud_arrive_typed(webex_cloud: Cloud, hook: tuple[str, list[WebhookEvent]]) -> None:
    url, events = hook
    with (
        Webex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice,
        Webex(BOB_TOKEN, emulator_url=webex_cloud.url) as bob,
    ):
        for resource in ("messages", "memberships"):
            alice.webhooks.create(name="mine", target_url=url, resource=resource, event="created", secret=SECRET)
        room = alice.rooms.create(title="Hooked")
        alice.memberships.create(room_id=room.id or "", person_email="bob@example.com")
        sent = bob.messages.create(room_id=room.id, text="Did you hear that?")
        webex_cloud.settle()
        joined = [event for event in events if isinstance(event, MembershipEvent)]
        written = [event for event in events if isinstance(event, MessageEvent)]
        assert "bob@example.com" in [event.data.person_email for event in joined if event.data is not None]
        assert [event.data.id for event in written if event.data is not None] == [sent.id]
        assert written[0].data is not None
        assert written[0].data.text is None
        assert alice.messages.get(written[0].data.id or "").text == "Did you hear that?"


def test_unsigned_deliveries_are_refused(hook: tuple[str, list[WebhookEvent]]) -> None:
    url, events = hook
    http = urllib3.PoolManager()
    for headers in ({}, {"x-spark-signature": "0" * 40}):
        answer = http.request("POST", url, body=b'{"resource":"messages"}', headers=headers, retries=False)
        assert answer.status == 401
    http.clear()
    assert not events
