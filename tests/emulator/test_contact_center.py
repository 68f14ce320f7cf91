"""Subscriptions of a contact center: their rules, and what is posted for them."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.emulator.helpers import Answer, fetch
from webex.emulator import Cloud
from webex.emulator.accounts import ADMIN_ID, ADMIN_TOKEN, ALICE_TOKEN

SECRET = "a secret of thirty-two characters or more"


@pytest.fixture
def posted() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A URL, and what was posted to it."""
    received: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hooks", received
        server.shutdown()
        thread.join(60)


def create(cloud: Cloud, url: str, version: int = 2, token: str = ADMIN_TOKEN, **changes: Any) -> Answer:
    body = {"name": "A subscription", "destinationUrl": url, "eventTypes": ["task:ended"], "secret": SECRET}
    body |= {"resourceVersion": "task:1.0.0"} if version == 2 else {}
    body |= changes
    return fetch(f"{cloud.url}/v{version}/subscriptions", json_body=body, token=token)


def test_a_subscription_is_made_read_changed_and_deleted(webex_cloud: Cloud) -> None:
    made = create(webex_cloud, "http://127.0.0.1:1/hooks")
    assert made.status == 201
    data = made.json()["data"]
    assert {"id", "createdTime", "lastUpdatedTime"} < data.keys()
    assert (data["status"], data["createdBy"], data["resourceVersion"]) == ("active", "admin@example.com", "task:1.0.0")
    assert "secret" not in data
    assert made.json()["meta"] == {"orgId": webex_cloud.state.people[ADMIN_ID].org_id}
    one = f"{webex_cloud.url}/v2/subscriptions/{data['id']}"
    assert fetch(one, token=ADMIN_TOKEN).json()["data"] == data
    changed = fetch(
        one, "PATCH", json_body={"resourceVersion": "task:1.0.0", "status": "inactive"}, token=ADMIN_TOKEN
    ).json()["data"]
    assert changed["status"] == "inactive"
    # The two versions keep theirs apart.
    assert fetch(one.replace("/v2/", "/v1/"), token=ADMIN_TOKEN).status == 404
    assert fetch(f"{webex_cloud.url}/v1/subscriptions", token=ADMIN_TOKEN).json()["data"] == []
    listed = fetch(f"{webex_cloud.url}/v2/subscriptions", token=ADMIN_TOKEN).json()["data"]
    assert [each["id"] for each in listed] == [data["id"]]
    assert fetch(one, "DELETE", token=ADMIN_TOKEN).status == 204
    assert fetch(one, token=ADMIN_TOKEN).status == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"token": ALICE_TOKEN}, 403),
        ({"secret": "too short"}, 400),
        ({"name": "abc"}, 400),
        ({"eventTypes": []}, 400),
        ({"destinationUrl": "ftp://127.0.0.1/"}, 400),
        ({"resourceVersion": None}, 400),
    ],
    ids=["no-administrator", "secret", "name", "no-types", "url", "no-version"],
)
def test_what_the_rules_forbid_is_refused(webex_cloud: Cloud, changes: dict[str, Any], status: int) -> None:
    assert create(webex_cloud, "http://127.0.0.1:1/hooks", **changes).status == status


def test_version_2_tells_when_it_was_sent_and_version_1_does_not(
    webex_cloud: Cloud, posted: tuple[str, list[tuple[dict[str, str], bytes]]]
) -> None:
    url, received = posted
    for version in (1, 2):
        assert create(webex_cloud, url, version).status == 201
    create(webex_cloud, url, eventTypes=["agent:*"])
    assert webex_cloud.contact_center_event("task:ended", {"taskId": "T1"}) == 2
    assert webex_cloud.contact_center_event("task:new", {"taskId": "T2"}) == 0
    assert webex_cloud.contact_center_event("agent:login", {"agentId": "A1"}) == 1
    webex_cloud.settle()
    for headers, body in received:
        assert headers["x-webexcc-signature"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert "x-spark-signature" not in headers
    first, second, third = [json.loads(body) for _, body in received]
    assert first.keys() == {"id", "specversion", "type", "source", "comciscoorgid", "datacontenttype", "data"}
    assert (first["type"], first["data"], third["type"]) == ("task:ended", {"taskId": "T1"}, "agent:login")
    assert "x-webexcc-timestamp" not in received[0][0]
    assert received[1][0]["x-webexcc-timestamp"] == str(second["comciscotimestamp"])
    assert received[1][0]["x-webexcc-webhook-version"] == "task:1.0.0"


def test_a_subscription_without_a_secret_is_not_signed_and_ends_after_too_many_failures(webex_cloud: Cloud) -> None:
    webex_cloud.set(webhook_failure_limit=2, webhook_retry_delays=())
    made = create(webex_cloud, "http://127.0.0.1:1/hooks", secret=None).json()["data"]
    for _ in range(3):
        webex_cloud.contact_center_event("task:ended", {})
        webex_cloud.settle()
    assert len(webex_cloud.delivery.attempts) == 2
    assert not any(name.lower().endswith("signature") for name in webex_cloud.delivery.attempts[0].headers)
    found = fetch(f"{webex_cloud.url}/v2/subscriptions/{made['id']}", token=ADMIN_TOKEN).json()["data"]
    assert found["status"] == "inactive"
