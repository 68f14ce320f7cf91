"""What the console shows and does, route by route, over plain requests."""

from __future__ import annotations

import http.client
import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.emulator.console_browser import SEED, Browser
from tests.emulator.helpers import fetch
from webex.emulator import Cloud, Emulator
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOT_ID, CLIENT_ID


@pytest.fixture
def browser(webex_cloud: Cloud) -> Browser:
    webex_cloud.load_seed(SEED)
    return Browser(webex_cloud)


@pytest.fixture
def target() -> Iterator[Any]:
    """A webhook's target on this machine; `answers` are its next statuses, `got` what came."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            server.got.append((dict(self.headers), body))  # type: ignore[attr-defined]  # of this test
            self.send_response(server.answers.pop(0) if server.answers else 200)  # type: ignore[attr-defined]  # the same
            self.end_headers()
            self.wfile.write(b"thank <you>")

        def log_message(self, *args: object) -> None:
            pass

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.answers = [], []
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_people_and_tokens(browser: Browser) -> None:
    alice = next(each for each in browser.view("people") if each["id"] == ALICE_ID)
    assert alice["email"] == "alice@example.com"
    assert [token["value"] for token in alice["tokens"]] == [ALICE_TOKEN]
    value = browser.act("add_token", person=ALICE_ID)
    assert fetch(browser.cloud.url + "/v1/people/me", token=value).json()["displayName"] == "Alice Example"
    browser.act("add_person", email="carol@example.com", name="Carol Example", kind="bot")
    carol = browser.view("people")[-1]
    assert (carol["name"], carol["kind"], carol["tokens"]) == ("Carol Example", "bot", [])
    assert browser.post("add_person", {"email": "carol@example.com"}).status == 400
    assert browser.post("add_person", {"email": "x@example.com", "kind": "robot"}).status == 400
    assert browser.post("add_person", {"colour": "red"}).status == 400


def test_apps_and_redirect_uris(browser: Browser) -> None:
    uris = browser.act("add_redirect_uri", client_id=CLIENT_ID, uri=" https://app.example.com/back ")
    assert uris[-1] == "https://app.example.com/back"
    page = f"{browser.cloud.url}/v1/authorize?client_id={CLIENT_ID}&response_type=code&scope=openid&state=s"
    assert fetch(f"{page}&redirect_uri=https%3A%2F%2Fapp.example.com%2Fback").status == 200
    browser.act("remove_redirect_uri", client_id=CLIENT_ID, uri=uris[-1])
    assert fetch(f"{page}&redirect_uri=https%3A%2F%2Fapp.example.com%2Fback").status == 400
    client_id = browser.act("add_app", name="Mine", redirect_uri="myapp://back")
    app = next(each for each in browser.view("apps") if each["client_id"] == client_id)
    assert app["redirect_uris"] == ["myapp://back"]
    assert app["client_secret"]


@pytest.mark.parametrize(
    "uri",
    ["", "back", "/back", "https://", "http:///back", "javascript:alert(1)", "https://a.example/#x", "https://a b/"],
)
def test_wrong_redirect_uris_are_refused(browser: Browser, uri: str) -> None:
    assert browser.post("add_redirect_uri", {"client_id": CLIENT_ID, "uri": uri}).status == 400


def test_rooms_show_messages_opened_beside_the_encrypted_activity(browser: Browser) -> None:
    room = browser.view(f"room?id={browser.view('rooms')[0]['id']}")
    assert room["title"] == "Launch <b>& co</b>"
    assert {member["email"] for member in room["members"]} == {f"{n}@example.com" for n in ("alice", "bob", "bot")}
    texts = [each["message"]["text"] for each in room["activities"] if "message" in each]
    assert texts == ["Hello Bob", "plain"]
    posted = next(each for each in room["activities"] if "message" in each)
    assert posted["encrypted"]
    found = browser.view(f"activity?id={posted['id']}")
    assert found["raw"]["object"]["displayName"].count(".") == 4  # a JWE
    assert found["opened"]["displayName"] == "Hello Bob"
    assert "<strong>Bob</strong>" in found["message"]["html"]
    seen = browser.view(f"room?id={room['id']}&as={BOT_ID}")
    assert not [each for each in seen["activities"] if "message" in each]  # bots receive what mentions them


def test_posting_and_new_rooms_go_through_the_api(browser: Browser) -> None:
    room = browser.act("add_room", title="Mine", person=ALICE_ID, members=["bob@example.com"])
    browser.act("post", room=room, person=ALICE_ID, markdown="**Hi**")
    shown = browser.view(f"room?id={room}")
    assert len(shown["members"]) == 2
    assert shown["activities"][-1]["message"]["text"] == "Hi"
    assert browser.view("requests?method=POST&path=messages")["items"][0]["person"] == "Alice Example"
    assert browser.post("post", {"room": room, "person": BOT_ID, "markdown": "x"}).status == 400  # it is no member
    assert browser.post("post", {"room": "x", "person": ALICE_ID, "markdown": "x"}).status == 400
    assert browser.post("post", {"room": room, "person": ALICE_ID, "markdown": ""}).status == 400


def test_new_room_without_a_title_is_the_direct_room(browser: Browser) -> None:
    room = browser.act("add_room", title="", person=ALICE_ID, members=["bot@example.com"])
    browser.act("post", room=room, person=ALICE_ID, markdown="Hi")
    seen = browser.view(f"room?id={room}&as={BOT_ID}")
    assert [each["message"]["text"] for each in seen["activities"] if "message" in each] == ["Hi"]
    assert browser.act("add_room", title="", person=BOT_ID, members=["alice@example.com"]) == room


def test_webhooks_show_every_attempt_and_can_redeliver(browser: Browser, target: Any) -> None:
    target.answers = [500, 200]
    hook = {"name": "Hook", "targetUrl": target.url, "resource": "messages", "event": "created", "secret": "s3cret"}
    assert fetch(browser.cloud.url + "/v1/webhooks", json_body=hook, token=ALICE_TOKEN).status == 200
    room = browser.view("rooms")[0]
    browser.act("post", room=room["id"], person=ALICE_ID, markdown="Ping")
    browser.cloud.settle()
    shown = browser.view("webhooks")[0]
    assert "s3cret" not in json.dumps(shown)
    assert [(each["number"], each["status"]) for each in shown["attempts"]] == [(2, 200), (1, 500)]
    latest = shown["attempts"][0]
    assert latest["answer"] == "thank <you>"
    assert latest["payload"]["resource"] == "messages"
    assert latest["headers"]["X-Spark-Signature"] == target.got[-1][0]["X-Spark-Signature"]
    assert browser.act("redeliver", attempt=latest["id"])["status"] == 200
    assert len(target.got) == 3
    assert target.got[-1][1] == target.got[0][1]
    assert browser.view("webhooks")[0]["attempts"][0]["redelivered"]
    assert browser.post("redeliver", {"attempt": 999}).status == 400


def test_unreachable_target_is_an_attempt_with_its_error(browser: Browser) -> None:
    for url in ("http://127.0.0.1:1/hook", "https://app.example.com/hook"):
        hook = {"name": "Hook", "targetUrl": url, "resource": "messages", "event": "created"}
        fetch(browser.cloud.url + "/v1/webhooks", json_body=hook, token=ALICE_TOKEN)
    browser.cloud.set(webhook_failure_limit=1)
    browser.act("post", room=browser.view("rooms")[0]["id"], person=ALICE_ID, markdown="Ping")
    browser.cloud.settle()
    for shown in browser.view("webhooks"):
        assert [each["status"] for each in shown["attempts"]] == [0, 0, 0]
        assert shown["attempts"][0]["error"]
        assert shown["webhook"]["status"] == "inactive"
        browser.act("activate", webhook=shown["id"])
    assert [each["webhook"]["status"] for each in browser.view("webhooks")] == ["active", "active"]


def test_sockets_show_their_unacknowledged_frames(browser: Browser) -> None:
    device = fetch(browser.cloud.url + "/wdm/api/v1/devices", json_body={"name": "a phone"}, token=ALICE_TOKEN)
    assert device.status == 200, device.text
    browser.act("post", room=browser.view("rooms")[0]["id"], person=ALICE_ID, markdown="Waits")
    shown = browser.view("sockets")[0]
    assert (shown["person"]["id"], shown["sockets"], shown["name"]) == (ALICE_ID, 0, "a phone")
    assert shown["waiting"] == len(shown["frames"]) >= 1
    assert shown["frames"][-1]["type"] == "conversation.activity"
    assert browser.view("overview")["unacknowledged"] == shown["waiting"]
    assert browser.act("drop") == 0


def test_kms_traffic_is_shown_decrypted_without_bearers(browser: Browser) -> None:
    from webex import Webex

    room = browser.view("rooms")[0]
    with Webex(ALICE_TOKEN, emulator_url=browser.cloud.url) as client:
        client.conversations.post(room["public_id"], text="Encrypted")
    shown = browser.view("keys")
    methods = [each["request"]["method"] for each in shown["exchanges"]]
    assert methods[-1] == "create"
    assert all(each["by"] == "Alice Example" for each in shown["exchanges"])
    assert all(each["answer"]["status"] < 300 for each in shown["exchanges"])
    assert ALICE_TOKEN not in json.dumps(shown)
    activities = browser.view(f"room?id={room['id']}")["activities"]
    assert activities[-1]["message"]["text"] == "Encrypted"


def test_requests_with_filters_and_as_curl(browser: Browser) -> None:
    base = browser.cloud.url
    fetch(f"{base}/v1/rooms?max=1", token=ALICE_TOKEN)
    fetch(f"{base}/v1/rooms", json_body={"title": "it's <b>"}, token=ALICE_TOKEN)
    fetch(f"{base}/v1/nothing")
    form = {"grant_type": "refresh_token", "refresh_token": "secret-of-mine", "client_secret": "another"}
    fetch(f"{base}/v1/access_token", form=form)
    browser.cloud.faults.add("/v1/people/me", status=503, count=1)
    fetch(f"{base}/v1/people/me", token="a-real-token-of-the-real-cloud")
    shown = browser.view("requests")
    assert shown["total"] == 5  # those of the console are not among them
    assert [each["path"] for each in browser.view("requests?faults=1")["items"]] == ["/v1/people/me"]
    assert [each["method"] for each in browser.view(f"requests?person={ALICE_ID}")["items"]] == ["POST", "GET"]
    assert {each["status"] for each in browser.view("requests?status=4")["items"]} == {401, 404}
    assert browser.view("requests?path=ROOMS&method=get")["found"] == 1
    commands = [
        browser.view(f"curl?number={each['number']}&tracking={each['tracking_id']}")["command"]
        for each in shown["items"]
    ]
    assert commands[-1] == f"curl '{base}/v1/rooms?max=1' -H 'Authorization: Bearer {ALICE_TOKEN}'"
    assert """--data '{"title":"it'"'"'s <b>"}'""" in commands[-2]
    assert "real-token" not in "".join(commands)
    assert '"Authorization: Bearer $WEBEX_ACCESS_TOKEN"' in commands[0]
    assert "secret-of-mine" not in "".join(commands)
    assert browser.get("/_console/api/curl?number=99&tracking=x").status == 404
    browser.act("clear_requests")
    assert browser.view("requests")["total"] == 0


def test_clock_faults_and_settings(browser: Browser) -> None:
    real = browser.view("clock")["time"]
    assert browser.act("clock", advance=14 * 86400) >= real + 14 * 86400
    browser.act("clock", freeze=True)
    assert browser.view("clock")["frozen"]
    browser.act("clock", set=5000)
    assert browser.view("clock")["time"] == 5000
    browser.act("clock", reset=True)
    assert not browser.view("clock")["frozen"]
    number = browser.act("add_fault", path="/v1/rooms", status=503)
    assert fetch(browser.cloud.url + "/v1/rooms", token=ALICE_TOKEN).status == 503
    assert browser.view("faults")["http"][0]["hits"] == 1
    browser.act("remove_fault", id=number)
    assert fetch(browser.cloud.url + "/v1/rooms", token=ALICE_TOKEN).status == 200
    for service, values in {
        "mercury": {"duplicate": 0.5},
        "kms": {"drop": 2},
        "conversation": {"rotate": 1},
        "catalog": {"missing": ["wdm"]},
        "settings": {"rotation": "strict"},
    }.items():
        browser.act("change", service=service, values=values)
        shown = browser.view("faults")["services"][service]
        name, value = next(iter(values.items()))
        assert shown["values"][name] == value != shown["defaults"][name]
    browser.act("clear_faults")
    assert browser.cloud.mercury.faults.duplicate == 0
    assert browser.cloud.catalog.faults.missing == []
    for wrong in ({"service": "x", "values": {}}, {"service": "kms", "values": {"x": 1}}, {"service": "kms"}):
        assert browser.post("change", wrong).status == 400


def test_faults_do_not_affect_the_console(browser: Browser) -> None:
    browser.cloud.faults.add("*", drop=True)
    assert browser.get("/").status == 200
    assert browser.view("people")


def test_snapshots(browser: Browser) -> None:
    taken = browser.act("snapshot", name="before")
    browser.act("add_person", email="carol@example.com")
    assert len(browser.view("people")) == 6
    browser.act("restore", id=taken["id"])
    assert len(browser.view("people")) == 5
    file = browser.get(f"/_console/snapshot?id={taken['id']}")
    assert file.headers["content-disposition"].startswith("attachment")
    browser.act("add_person", email="carol@example.com")
    browser.act("restore", data=b64encode(file.body).decode())
    assert len(browser.view("people")) == 5
    assert [each["name"] for each in browser.view("snapshots")] == ["before"]
    browser.act("forget_snapshot", id=taken["id"])
    assert browser.view("snapshots") == []
    assert browser.get("/_console/snapshot?id=1").status == 404
    for wrong in ({"id": "9"}, {"data": "AAAA"}, {"data": "!"}, {}):
        assert browser.post("restore", wrong).status == 400
    browser.act("add_person", email="carol@example.com")
    browser.act("reset")
    assert len(browser.view("people")) == 5


def test_unknown_views_and_actions_are_404(browser: Browser) -> None:
    for path in ("/_console/api/nothing", "/_console/nothing", "/_console/", "/_console/api/room?id=x"):
        assert browser.get(path).status == 404
    for path in ("/_console/api/activity?id=x", "/_console/html?id=x"):
        assert browser.get(path).status == 404
    assert browser.post("nothing").status == 404


def test_events_name_the_changed_view(browser: Browser) -> None:
    parts = urlsplit(browser.cloud.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.request("GET", "/_console/events", headers={"Cookie": browser.cookie})
    answer = connection.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")

    def changed() -> list[str]:
        for line in iter(answer.readline, b""):
            if line.startswith(b"data: "):
                return list(json.loads(line[6:])["changed"])
        return []

    assert "people" not in changed()  # all parts, once
    browser.cloud.clock.advance(3600)
    assert changed() == ["clock"]
    browser.cloud.faults.add("/v1/nothing", status=500)
    assert changed() == ["faults"]
    browser.cloud.add_person("carol@example.com")
    assert "state" in changed()
    connection.close()


def records(cloud: Cloud) -> bytes:
    """What the cloud knows, without the counter that tracking ids move."""
    return msgspec.msgpack.encode(msgspec.structs.replace(cloud.state, next_id=0))


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("add_person", {"email": 5}),
        ("add_person", {"email": "carol@example.com", "admin": "yes"}),
        ("add_person", {"email": "carol@example.com", "name": ["Carol"]}),
        ("add_token", {"person": 5}),
        ("add_token", {"person": "carol"}),
        ("add_app", {"name": None}),
        ("add_app", {"name": "x", "redirect_uri": "http://["}),
        ("add_redirect_uri", {"client_id": CLIENT_ID, "uri": 5}),
        ("add_redirect_uri", {"client_id": [], "uri": "http://a.example/"}),
        ("add_room", {"title": "x", "person": ALICE_ID, "members": "bob"}),
        ("add_room", {"title": "", "person": ALICE_ID, "members": []}),
        ("add_room", {"title": "", "person": ALICE_ID, "members": ["alice@example.com"]}),
        ("clock", {"advance": "soon"}),
        ("clock", {"advance": 1e300}),
        ("clock", {"advance": -1e12}),
        ("clock", {"set": -1}),
        ("add_fault", {"path": 5}),
        ("add_fault", {"path": "*", "status": "503"}),
        ("add_fault", {"path": "*", "latency": "long"}),
        ("add_fault", {"path": "*", "headers": {"x": 1}}),
        ("add_fault", {"path": "*", "broken_next": "somehow"}),
        ("add_fault", {"path": "*", "hits": 1}),
        ("change", {"service": "settings", "values": {"max_body": "large"}}),
        ("change", {"service": "mercury", "values": {"duplicate": "often"}}),
        ("change", {"service": "mercury", "values": []}),
        ("redeliver", {"attempt": "1"}),
        ("remove_fault", {"id": "1"}),
        ("drop", {"code": 12}),
        ("drop", {"person": "carol"}),
        ("snapshot", {"name": 5}),
        ("restore", {"data": "ggg="}),
        ("reset", {"really": True}),
        ("leave", []),
    ],
)
def test_wrong_arguments_are_refused_without_side_effects(browser: Browser, action: str, body: Any) -> None:
    before = records(browser.cloud)
    answer = browser.post(action, body) if body else browser.post(action, [1])
    assert answer.status == 400, answer.text
    assert answer.json()["message"]
    assert records(browser.cloud) == before
    assert fetch(browser.cloud.url + "/v1/people/me", token=ALICE_TOKEN).status == 200
    browser.cloud.restore(browser.cloud.snapshot())


def test_open_console_does_not_delay_the_shutdown(caplog: pytest.LogCaptureFixture) -> None:
    with Emulator() as cloud:
        browser, parts = Browser(cloud), urlsplit(cloud.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        connection.request("GET", "/_console/events", headers={"Cookie": browser.cookie})
        answer = connection.getresponse()
        assert answer.readline()
    assert answer.read().count(b"data: ") == 1  # it ended as a whole answer does
    connection.close()
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_card_is_submitted_as_a_person(browser: Browser) -> None:
    cloud = browser.cloud
    room = browser.view("rooms")[0]
    card = {"type": "AdaptiveCard", "version": "1.3", "body": []}
    body = {
        "roomId": room["public_id"],
        "text": "A card",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }
    sent = fetch(cloud.url + "/v1/messages", json_body=body, token=ALICE_TOKEN).json()
    bob = next(each["id"] for each in browser.view("people") if each["email"] == "bob@example.com")
    browser.act("submit_card", message=sent["id"], person=bob, inputs={"why": "<b>"})
    (action,) = cloud.state.attachment_actions.values()
    assert (action.person_id, action.inputs) == (bob, {"why": "<b>"})
    for wrong in (
        {"message": sent["id"], "person": ALICE_ID, "inputs": {}},
        {"message": "nothing", "person": bob, "inputs": {}},
        {"message": sent["id"], "person": bob, "inputs": "text"},
    ):
        assert browser.post("submit_card", wrong).status == 400
