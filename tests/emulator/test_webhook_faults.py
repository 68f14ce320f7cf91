"""Deliveries that the emulator disturbs on request, and webhooks of service apps."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from webex import Webex
from webex.emulator import Cloud, Emulator, delivery
from webex.emulator.accounts import ADMIN_TOKEN, ALICE_TOKEN, ORG_ID, SERVICE_APP_ID, SERVICE_APP_SECRET
from webex.errors import ApiError, SignatureError
from webex.ids import to_hydra_id
from webex.webhooks import ServiceAppEvent, verify

SECRET = "the secret of this webhook"


@pytest.fixture
def target() -> Iterator[tuple[str, list[Any]]]:
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                received.append(verify(body, dict(self.headers), SECRET))
                self.send_response(204)
            except SignatureError:
                received.append("forged")
                self.send_response(401)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", received
        server.shutdown()


def test_deliveries_are_duplicated_forged_and_reordered(
    webex_cloud: Cloud, target: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_REORDER_PATIENCE", 60.0)  # each waits for the next one, however slow the machine
    url, received = target
    webex_cloud.set(webhook_duplicate=1.0, webhook_forged=1.0)
    with Webex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice:
        alice.webhooks.create(name="a", target_url=url, resource="rooms", event="created", secret=SECRET)
        alice.rooms.create(title="One")
        webex_cloud.settle()
        assert [each if each == "forged" else "real" for each in received] == ["forged", "real", "real"]
        assert [attempt.forged for attempt in webex_cloud.delivery.attempts] == [True, False, False]
        assert next(iter(webex_cloud.state.webhooks.values())).failures == 0

        received.clear()
        webex_cloud.set(webhook_duplicate=0.0, webhook_forged=0.0, webhook_reorder=1.0)
        made = [alice.rooms.create(title=f"Room {number}").id for number in range(6)]
        webex_cloud.settle()
        assert [made.index(event.data.id) for event in received] == [1, 0, 3, 2, 5, 4]


def test_a_reset_repeats_the_random_faults(target: tuple[str, list[Any]]) -> None:
    url, _ = target
    runs = []
    with Emulator(random_seed=7) as cloud:
        for _ in range(2):
            cloud.reset()
            cloud.set(webhook_duplicate=0.5)
            with Webex(ALICE_TOKEN, emulator_url=cloud.url) as alice:
                alice.webhooks.create(name="a", target_url=url, resource="rooms", event="created", secret=SECRET)
                for number in range(16):
                    alice.rooms.create(title=f"Room {number}")
            cloud.settle()
            runs.append([attempt.number for attempt in cloud.delivery.attempts])
    assert 2 in runs[0]
    assert runs[0] == runs[1]


def test_a_deauthorized_service_app_sends_a_webhook(webex_cloud: Cloud, target: tuple[str, list[Any]]) -> None:
    url, received = target
    application, org = to_hydra_id("APPLICATION", SERVICE_APP_ID), to_hydra_id("ORGANIZATION", ORG_ID)
    body = {"clientId": SERVICE_APP_ID, "clientSecret": SERVICE_APP_SECRET, "targetOrgId": org}
    with Webex(ADMIN_TOKEN, emulator_url=webex_cloud.url) as admin:
        for event in ("authorized", "deauthorized"):
            admin.webhooks.create(name="a", target_url=url, resource="serviceApp", event=event, secret=SECRET)
        token = admin.request("POST", f"/applications/{application}/token", json=body).json()["access_token"]
        assert webex_cloud.deauthorize_service_app() == 2
        with pytest.raises(ApiError, match="not authorized"):
            admin.request("POST", f"/applications/{application}/token", json=body)
        with Webex(token, emulator_url=webex_cloud.url) as dead, pytest.raises(ApiError):
            dead.people.me()
        webex_cloud.authorize_service_app()
        assert admin.request("POST", f"/applications/{application}/token", json=body).status == 200
        webex_cloud.settle()
    assert [type(event) for event in received] == [ServiceAppEvent, ServiceAppEvent]
    assert [(event.event, event.organization, event.data.id) for event in received] == [
        ("deauthorized", org, application),
        ("authorized", org, application),
    ]
