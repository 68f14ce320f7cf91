"""`webex fleet run` and `webex fleet status`, as processes; and the probes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.fleet.test_fleet import site_of
from tests.realtime.helpers import run, until
from webex.cli.fleet import command
from webex.emulator import accounts
from webex.emulator.cloud import Cloud
from webex.fleet import FleetHealth, Probes
from webex.fleet.delivery import Counts

PATIENCE = 60.0
APP = """
from webex import AsyncIntegration
from webex.fleet import Fleet
from webex.storage import SQLiteStorage

integration = AsyncIntegration(
    client_id={client_id!r}, client_secret={secret!r}, redirect_uri={redirect!r}, emulator_url={url!r},
    storage=SQLiteStorage({path!r}),
)
fleet = Fleet(integration, shards=16, lease=3.0, poll=0.1, first_pause=0.05)


@fleet.on("messages", "created")
def note(event):
    with open({log!r}, "a") as file:
        file.write(event.data.text + "\\n")


nothing = 1
"""


@pytest.fixture
def app(webex_cloud: Cloud, tmp_path: Path) -> Path:
    """A folder with `app.py`, whose fleet writes what it receives into `log`."""
    (tmp_path / "app.py").write_text(
        APP.format(
            client_id=accounts.CLIENT_ID,
            secret=accounts.CLIENT_SECRET,
            redirect=accounts.REDIRECT_URIS[0],
            url=webex_cloud.url,
            path=str(tmp_path / "s.db"),
            log=str(tmp_path / "log"),
        )
    )
    (tmp_path / "log").touch()
    return tmp_path


def status_of(app: Path) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "webex", "fleet", "status", "app:fleet", "--json"],
        cwd=app,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def wait_for(condition: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return found


def whole(app: Path, workers: int, *, without: int = 0) -> dict[str, Any] | None:
    code, found = status_of(app)
    pids = [each["pid"] for each in found["workers"]]
    return found if code == 0 and len(pids) == workers and without not in pids else None


def test_workers_are_started_again_and_hand_over_when_the_command_is_ended(webex_cloud: Cloud, app: Path) -> None:
    arguments = [sys.executable, "-m", "webex", "fleet", "run", "app:fleet", "--workers", "2", "--probes", "0"]
    with (app / "errors").open("w+") as errors:
        process = subprocess.Popen(arguments, cwd=app, stderr=errors)
        try:
            found = wait_for(lambda: whole(app, 2))
            assert found["shards"] == 16
            assert sum(len(each["shards"]) for each in found["workers"]) == 16
            address = re.findall(r"http://\S+", (app / "errors").read_text())[0]
            with urllib.request.urlopen(address) as answer:
                assert json.load(answer)["ready"]

            async def play() -> None:
                async with site_of(webex_cloud, app, 3) as site:
                    await until(lambda: webex_cloud.mercury.connections() == 3, PATIENCE)
                    await site.write("hello")
                    await until(lambda: (app / "log").read_text().count("hello") == 3, PATIENCE)

            run(play(), 2 * PATIENCE)
            victim = found["workers"][0]["pid"]
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: whole(app, 2, without=victim))
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE)
        assert f"ended with {-signal.SIGKILL}" in (app / "errors").read_text()
    code, found = status_of(app)
    assert code == 1
    assert found["workers"] == []
    assert len(found["free"]) == 16


@pytest.mark.parametrize(
    ("target", "message"),
    [("nowhere:fleet", "no module 'nowhere'"), ("app:nothing", "It has fleet"), ("app:missing", "no fleet 'missing'")],
)
def test_wrong_names_are_told(app: Path, monkeypatch: pytest.MonkeyPatch, target: str, message: str) -> None:
    monkeypatch.chdir(app)
    monkeypatch.setattr(sys, "path", [str(app), *sys.path])
    monkeypatch.delitem(sys.modules, "app", raising=False)
    try:
        done = CliRunner().invoke(command, ["status", target])
    finally:
        sys.modules.pop("app", None)
    assert done.exit_code == 1
    assert message in done.output


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("from webex import AsyncIntegration\nAsyncIntegration()", "client_id is not set"),
        ("import no_such_package", "app can't be imported: No module named 'no_such_package'"),
    ],
    ids=["setting", "package"],
)
def test_what_an_app_lacks_is_told_without_a_traceback(tmp_path: Path, code: str, message: str) -> None:
    (tmp_path / "app.py").write_text(code)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEBEX_")}
    done = subprocess.run(
        [sys.executable, "-m", "webex", "fleet", "status", "app:fleet"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {message}")


def test_status_is_a_table_for_people(app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(app)
    monkeypatch.setattr(sys, "path", [str(app), *sys.path])
    try:
        done = CliRunner().invoke(command, ["status"])
    finally:
        sys.modules.pop("app", None)
    assert done.exit_code == 1  # none works
    assert "0 of 0 shards are held, 0 users" in done.output


def test_wrong_address_of_probes_is_told() -> None:
    for wrong in ("host", ":80", "a:b", "1:99999"):
        done = CliRunner().invoke(command, ["run", "--probes", wrong])
        assert done.exit_code == 2
        assert "[HOST:]PORT" in done.output


def test_probes_answer_by_health() -> None:
    health = {"live": True, "ready": False}

    def told() -> FleetHealth:
        rest = {"draining": False, "shards": 1, "users": 2, "connecting": 0, "refused": 0, "in_hand": 0}
        return FleetHealth(worker="w", counts=Counts(), **health, **rest)  # type: ignore[arg-type]  # all of them are given

    def ask(path: str, port: int) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    async def main() -> None:
        probes = Probes(told, "127.0.0.1", 0)
        await probes.start()
        try:
            for live, ready, expected in (
                (True, False, (200, 503)),
                (True, True, (200, 200)),
                (False, True, (503, 503)),
            ):
                health.update(live=live, ready=ready)
                answers = [await asyncio.to_thread(ask, path, probes.port) for path in ("/livez", "/readyz?verbose")]
                assert tuple(answers) == expected
            assert await asyncio.to_thread(ask, "/", probes.port) == 404
        finally:
            await probes.stop()

    run(main())
