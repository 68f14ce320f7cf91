"""`webex webhooks`: events of the socket reach an app on this machine as signed deliveries, over its restarts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.support.ports import free_port
from tests.webhooks.conftest import SECRET
from webex import Webex
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN, BOB_TOKEN

APP = """
import os
from flask import Flask
from webex import Webex
from webex.storage import SQLiteStorage
from webex.webhooks import WebhookReceiver
from webex.webhooks.flask import install

VERSION = 1
client = Webex()
hooks = WebhookReceiver(client, secret=os.environ["WEBEX_WEBHOOK_SECRET"], storage=SQLiteStorage("inbox.db"))

@hooks.on("messages", "created")
def handle(event):
    with open("seen.txt", "a") as seen:
        seen.write(f"{VERSION} {event.fetch().text}\\n")

app = Flask(__name__)
install(app, hooks, "/hooks")
"""
RUN = [sys.executable, "-m", "webex"]


def environment(cloud: Cloud, token: str = ALICE_TOKEN) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_", "CISCOSPARK_"))},
        "WEBEX_EMULATOR_URL": cloud.url,
        "WEBEX_ACCESS_TOKEN": token,
        "WEBEX_WEBHOOK_SECRET": SECRET,
        "PYTHONUNBUFFERED": "1",
    }


def until(true: Callable[[], Any], what: str) -> None:
    give_up = time.monotonic() + 60
    while not true():
        assert time.monotonic() < give_up, what
        threading.Event().wait(0.05)


@contextmanager
def running(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, 15)  # the reloader has a child
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


def test_flask_development_server_gets_every_event_across_restarts(webex_cloud: Cloud, tmp_path: Path) -> None:
    port = free_port()
    env = environment(webex_cloud)
    (tmp_path / "app.py").write_text(APP)
    seen = tmp_path / "seen.txt"
    flask = [sys.executable, "-m", "flask", "--app", "app", "run", "--debug", "--port", str(port)]
    http = urllib3.PoolManager(retries=False)

    def is_up() -> bool:
        try:
            return http.request("GET", f"http://127.0.0.1:{port}/hooks").status == 405
        except urllib3.exceptions.HTTPError:
            return False

    def texts() -> list[str]:
        return [line.split()[1] for line in seen.read_text().splitlines()] if seen.exists() else []

    url = f"http://127.0.0.1:{port}/hooks"
    listen = [*RUN, "webhooks", "listen", "--forward-to", url, "--events", "messages:created"]
    with Webex(BOB_TOKEN, emulator_url=webex_cloud.url) as bob, running(listen, tmp_path, env) as forwarder:
        assert forwarder.stdout is not None
        assert "Listening" in forwarder.stdout.readline()
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(forwarder.stdout or ()), daemon=True)
        reader.start()

        def say(text: str) -> None:
            bob.messages.create(to_person_email="alice@example.com", text=text)

        with running(flask, tmp_path, env):
            until(is_up, "the app did not start")
            say("first")
            until(lambda: texts() == ["first"], "the first event did not arrive")
            (tmp_path / "app.py").write_text(APP.replace("VERSION = 1", "VERSION = 2"))
            say("second")  # while the reloader restarts the app
            until(lambda: texts() == ["first", "second"], "the second event did not arrive")
        say("third")  # while there is no app
        until(lambda: any("no answer" in line for line in lines), "the third event was not tried")
        with running(flask, tmp_path, env):
            until(lambda: "third" in texts(), "the third event did not arrive")
    reader.join(60)
    http.clear()
    assert texts() == ["first", "second", "third"]
    assert seen.read_text().splitlines()[-1] == "2 third"
    assert sum("[200]" in line for line in lines) == 3


def webex(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, "webhooks", *arguments], env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_sync_and_list(webex_cloud: Cloud) -> None:
    env = environment(webex_cloud)
    wanted = ["messages:created?roomType=direct", "rooms:created", "--url", "http://127.0.0.1:1/hooks"]
    planned = webex("sync", *wanted, "--dry-run", env=env)
    assert planned.stdout.splitlines()[0].startswith("would be created  messages:created?roomType=direct"), (
        planned.stderr
    )
    assert webex("list", env=env).stdout == ""
    assert len(webex("sync", *wanted, env=env).stdout.splitlines()) == 2
    assert webex("sync", *wanted, env=env).stdout == "Nothing to do.\n"
    listed = [json.loads(line) for line in webex("list", "--json", env=env).stdout.splitlines()]
    assert [each["resource"] for each in listed] == ["messages", "rooms"]
    assert "secret" not in listed[0]
    table = webex("list", env=env).stdout.splitlines()
    assert table[0].split() == ["status", "event", "name", "url", "id"]
    assert table[1].split()[:2] == ["active", "messages:created?roomType=direct"]
    assert len(webex("sync", "--url", "http://127.0.0.1:1/hooks", env=env).stdout.splitlines()) == 2
    assert webex("list", env=env).stdout == ""


def test_trigger_posts_one_delivery(webex_cloud: Cloud) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from webex.webhooks import MessageEvent, verify

    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(verify(body, dict(self.headers), SECRET))
            self.send_response(204 if len(received) == 1 else 500)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    env = environment(webex_cloud)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/hooks"
        done = [webex("trigger", "messages:created", "--forward-to", url, "--data", "id=M1", env=env) for _ in range(2)]
        server.shutdown()
    assert [each.returncode for each in done] == [0, 1]
    assert "<-- [204]" in done[0].stdout
    assert isinstance(received[0], MessageEvent)
    assert received[0].key == "messages:created:M1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["listen", "--forward-to", "https://example.com/hooks"], "not on this machine"),
        (["listen", "--forward-to", "localhost:8000"], "whole URL"),
        (["listen", "--forward-to", "http://localhost:1/", "--events", "meetings"], "not available over the socket"),
        (["trigger", "messages", "--forward-to", "http://localhost:1/"], "is no event"),
        (["sync", "messages", "--url", "http://localhost:1/"], "resource:event"),
        (["list"], "WEBEX_ACCESS_TOKEN"),
    ],
    ids=["remote", "no-url", "resource", "trigger", "sync", "no-token"],
)
def test_invalid_arguments_are_refused(webex_cloud: Cloud, arguments: list[str], told: str) -> None:
    env = environment(webex_cloud, "" if arguments == ["list"] else ALICE_TOKEN)
    ended = webex(*arguments, env=env)
    assert ended.returncode != 0
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def listening(webex_cloud: Cloud, folder: Path, *options: str, secret: str | None) -> tuple[list[str], list[str]]:
    """Run `listen` until one event was posted to a port where no app is; its lines on stdout and on stderr."""
    env = environment(webex_cloud)
    if secret is None:
        del env["WEBEX_WEBHOOK_SECRET"]
    else:
        env["WEBEX_WEBHOOK_SECRET"] = secret
    command = [*RUN, "webhooks", "listen", "--forward-to", f"http://127.0.0.1:{free_port()}/hooks", *options]
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        errors = [process.stderr.readline()]
        assert "Listening" in errors[0]
        with Webex(BOB_TOKEN, emulator_url=webex_cloud.url) as bob:
            bob.messages.create(to_person_email="alice@example.com", text="Hello")
        lines = [process.stdout.readline() for _ in range(3)]
        process.terminate()
        lines += process.stdout.readlines()
        errors += process.stderr.readlines()
    return lines, errors


@pytest.mark.parametrize("given", [None, "", SECRET], ids=["made", "empty", "given"])
def test_every_line_is_json_and_the_secret_is_told_once_where_it_was_made(
    webex_cloud: Cloud, tmp_path: Path, given: str | None
) -> None:
    lines, errors = listening(webex_cloud, tmp_path, "--json", "--events", "messages:created", secret=given)
    told = [json.loads(line) for line in lines]
    if given == SECRET:
        assert SECRET not in "".join([*lines, *errors])
    else:
        assert list(told[0]) == ["secret"]
        assert len(told[0]["secret"]) > 20
        assert "".join([*lines, *errors]).count(told[0]["secret"]) == 1
        told = told[1:]
    assert {each["event"] for each in told} == {"messages:created"}


def test_a_secret_that_was_made_is_a_line_for_a_shell(webex_cloud: Cloud, tmp_path: Path) -> None:
    lines, errors = listening(webex_cloud, tmp_path, "--events", "messages:created", secret=None)
    name, _, secret = lines[0].strip().partition("=")
    assert name == "WEBEX_WEBHOOK_SECRET"
    assert "".join([*lines, *errors]).count(secret) == 1
