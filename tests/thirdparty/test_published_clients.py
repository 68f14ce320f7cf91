"""`webexpythonsdk` 2.0.6 and npm `webex` 3.12.0, unchanged, find in the emulator the cloud they were written for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.thirdparty.clients import ClientError
from webex.emulator import Cloud, accounts

Ask = Callable[..., dict[str, Any]]
REDIRECT_URI = accounts.REDIRECT_URIS[0]
APP = {"client_id": accounts.CLIENT_ID, "client_secret": accounts.CLIENT_SECRET, "redirect_uri": REDIRECT_URI}


@pytest.fixture
def hook() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A target for webhooks: its URL, and what came."""
    came: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", came
    server.shutdown()
    thread.join()
    server.server_close()


def login_url(cloud: Cloud) -> str:
    """As `webexpythonsdk`'s users write it by hand: it has no call for that."""
    from urllib.parse import urlencode

    query = {"response_type": "code", "state": "s", "scope": "spark:all spark:kms", **APP}
    del query["client_secret"]
    return f"{cloud.url}/v1/authorize?{urlencode(query)}"


def code_in(redirect: str) -> str:
    return parse_qs(urlsplit(redirect).query)["code"][0]


@pytest.mark.thirdparty
def test_webexpythonsdk_signs_in_with_a_code(cloud: Cloud, start: Callable[[str], Ask]) -> None:
    ask = start("python")
    ask("sign_in", code=code_in(cloud.sign_in(login_url(cloud), as_="bob")), **APP)
    assert ask("me")["emails"] == ["bob@example.com"]


@pytest.mark.thirdparty
def test_webexpythonsdk_exchanges_and_refreshes(cloud: Cloud, start: Callable[[str], Ask]) -> None:
    ask = start("python")
    code = code_in(cloud.sign_in(login_url(cloud), as_="bob"))
    got = ask("exchange", token="none-yet", code=code, **APP)
    assert got["changed"]
    assert 0 < got["expires_in"] <= 14 * 86400
    assert ask("me")["emails"] == ["bob@example.com"]


@pytest.mark.thirdparty
@pytest.mark.node
def test_npm_webex_signs_in_refreshes_and_reduces_its_scopes(cloud: Cloud, start: Callable[[str], Ask]) -> None:
    ask = start("node")
    assert ask("with_app", **APP, scope="spark:all spark:kms") == {"canAuthorize": False}
    redirect = cloud.sign_in(ask("login_url")["url"], as_="alice")
    state = parse_qs(urlsplit(redirect).query)["state"][0]
    assert json.loads(base64.urlsafe_b64decode(state + "==="))["from"] == "a test"
    assert ask("exchange", code=code_in(redirect)) == {"canAuthorize": True, "canRefresh": True}
    assert ask("me")["emails"] == ["alice@example.com"]
    grants = {entry.grant_type for entry in cloud.requests}
    assert "urn:cisco:oauth:grant-type:scope-reduction" in grants, "its calls use a token without spark:kms"
    assert ask("refresh") == {"changed": True}
    assert ask("me")["emails"] == ["alice@example.com"]
    assert ask("unhandled") == {"unhandled": []}


@pytest.mark.thirdparty
@pytest.mark.node
def test_npm_webex_finds_its_services_in_the_catalog(cloud: Cloud, start: Callable[[str], Ask]) -> None:
    ask = start("node")
    ask("with_token", token=accounts.ALICE_TOKEN)
    assert ask("me")["displayName"] == "Alice Example"
    cloud_calls = [(entry.path, entry.status) for entry in cloud.requests]
    assert any(path.startswith("/u2c/api/v1/limited/catalog") and status == 200 for path, status in cloud_calls)
    assert ask("unhandled") == {"unhandled": []}


def test_a_refused_token_is_an_error(client: Ask) -> None:
    with pytest.raises(ClientError) as refused:
        client("with_token", token="nobody_A52D_0a57ab1e-0000-4000-8000-000000000001")
        client("me")
    assert refused.value.status == 401


def test_pages_are_followed_to_the_end(client: Ask) -> None:
    made = {client("create_room", title=f"Room {number}")["id"] for number in range(7)}
    listed = client("list_rooms", max=3)
    assert {room["id"] for room in listed["items"]} == made
    assert len(listed["items"]) == 7
    assert listed.get("pages", 3) == 3


def test_rooms_are_read_changed_and_deleted(client: Ask) -> None:
    room = client("create_room", title="My First Room!")
    assert client("rename_room", id=room["id"], title="Mine")["title"] == "Mine"
    assert client("get_room", id=room["id"])["title"] == "Mine"
    client("remove_room", id=room["id"])
    with pytest.raises(ClientError) as gone:
        client("get_room", id=room["id"])
    assert gone.value.status == 404


def test_messages_are_sent_listed_and_deleted(client: Ask) -> None:
    room = client("create_room", title="Talk")
    client("add", roomId=room["id"], personEmail="bob@example.com")
    assert {each["personEmail"] for each in client("members", roomId=room["id"], max=1)["items"]} == {
        "alice@example.com",
        "bob@example.com",
    }
    sent = [client("send", roomId=room["id"], markdown=f"**Hello** {number}") for number in range(5)]
    listed = client("messages", roomId=room["id"], max=2)["items"]
    assert [message["id"] for message in listed] == [message["id"] for message in reversed(sent)]
    assert listed[0]["html"] == "<strong>Hello</strong> 4" or "<strong>Hello</strong>" in listed[0]["html"]
    assert listed[0]["text"].strip() == "Hello 4"
    client("remove_message", id=sent[0]["id"])
    assert len(client("messages", roomId=room["id"], max=50)["items"]) == 4


def test_a_direct_message_makes_the_room(client: Ask) -> None:
    message = client("send", toPersonEmail="bob@example.com", text="Psst")
    assert message["roomType"] == "direct"
    assert client("get_room", id=message["roomId"])["type"] == "direct"


def test_a_local_file_arrives_byte_by_byte(client: Ask, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1024
    (tmp_path / "some bytes.bin").write_bytes(content)
    room = client("create_room", title="Files")
    message = client("upload", roomId=room["id"], text="Here", path=str(tmp_path / "some bytes.bin"))
    assert message["text"] == "Here"
    assert len(message["files"]) == 1
    assert base64.b64decode(client("download", url=message["files"][0])["base64"]) == content


def test_webhooks_are_managed_and_delivered(
    cloud: Cloud, client: Ask, hook: tuple[str, list[tuple[dict[str, str], bytes]]]
) -> None:
    url, came = hook
    room = client("create_room", title="Watched")
    made = client("create_webhook", name="Mine", targetUrl=url, resource="messages", event="created", secret="s3cret")
    assert made["status"] == "active"
    assert [each["id"] for each in client("list_webhooks")["items"]] == [made["id"]]
    sent = client("send", roomId=room["id"], text="Hello")
    cloud.settle()
    headers, body = came[-1]
    assert headers["x-spark-signature"] == hmac.new(b"s3cret", body, hashlib.sha1).hexdigest()
    assert json.loads(body)["data"]["id"] == sent["id"]
    assert client("update_webhook", id=made["id"], name="Yours", targetUrl=url)["name"] == "Yours"
    client("remove_webhook", id=made["id"])
    assert client("list_webhooks")["items"] == []
    client("send", roomId=room["id"], text="Nobody hears this")
    cloud.settle()
    assert len(came) == 1
