"""Published clients, unchanged and each in an environment of its own, go through a story over TLS.

A story tells how many checks it made; the table in `docs/internals/emulator-facts.md` has the numbers.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.tiers import environment, program
from webex.emulator import Cloud, Emulator, accounts

HERE = Path(__file__).parent
FACTS = HERE.parent.parent / "docs" / "internals" / "emulator-facts.md"


@dataclass(frozen=True)
class Client:
    """A published client: its name in the registry, the version that its environment pins, and its story."""

    package: str
    version: str
    environment: str
    story: str

    @property
    def node(self) -> bool:
        return self.story.endswith(".js")


CLIENTS = [
    Client("webex", "3.12.0", "node-webex", "node/story.js"),
    Client("webex", "2.60.4", "node-webex-2", "node/story.js"),
    Client("ciscospark", "1.59.0", "node-ciscospark", "node/story.js"),
    Client("webexpythonsdk", "2.0.6", "webexpythonsdk", "webexpythonsdk_story.py"),
    Client("wxc-sdk", "1.41.0", "wxc-sdk", "wxc_sdk_story.py"),
    Client("webex-bot", "1.3.1", "webex-bot", "webex_bot_story.py"),
    Client("webex-message-handler", "0.6.17", "webex-message-handler", "message_handler_story.py"),
]


@pytest.fixture(scope="module")
def hook() -> Iterator[str]:
    """A target for webhooks: its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    thread.join()
    server.server_close()


def variables(cloud: Cloud, client: Client, hook: str) -> dict[str, str]:
    """What a story has to know; every TLS client takes the emulator's authority from one of them."""
    assert cloud.tls_url is not None
    authority = ("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    return {
        "PATH": os.environ["PATH"],
        "BASE": cloud.tls_url,
        "CONTROL": cloud.url,
        "PACKAGE": client.package,
        "ALICE": accounts.ALICE_TOKEN,
        "BOB": accounts.BOB_TOKEN,
        "ADMIN": accounts.ADMIN_TOKEN,
        "BOT": accounts.BOT_TOKEN,
        "CLIENT_ID": accounts.CLIENT_ID,
        "CLIENT_SECRET": accounts.CLIENT_SECRET,
        "REDIRECT_URI": accounts.REDIRECT_URIS[0],
        "HOOK": hook,
        **dict.fromkeys(authority, str(cloud.ca_file)),
    }


@pytest.mark.thirdparty
@pytest.mark.parametrize(
    "client",
    [
        pytest.param(each, id=f"{each.package}-{each.version}", marks=[pytest.mark.node] if each.node else [])
        for each in CLIENTS
    ],
)
def test_client_completes_its_scenario(client: Client, hook: str) -> None:
    place = environment(client.environment)
    with Emulator(tls=True) as cloud:
        given = variables(cloud, client, hook)
        if client.node:
            given["WEBEX_NODE_MODULES"] = str(place / "node_modules")
        command = [program("node") if client.node else str(place), str(HERE / client.story)]
        ran = subprocess.run(command, env=given, capture_output=True, text=True, timeout=240, check=False)
    assert ran.stdout, ran.stderr[-2000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["failed"] == []
    assert told["version"] == client.version
    steps = ", ".join(told["steps"])
    row = f"| `{client.package}` | {client.version} | {told['checks']} | {steps} |"
    assert row in FACTS.read_text(encoding="utf-8").splitlines(), f"the table needs this row: {row}"
