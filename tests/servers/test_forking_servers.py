"""Under real servers that fork, the parent having made calls before, the calls of every worker succeed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import urllib3

from tests.support.ports import free_port
from tests.support.secret_scan import note
from tests.support.tiers import environment
from tests.transports.hostile import Peer, Server, answered
from webex import Integration
from webex.emulator import Cloud
from webex.storage import SQLiteStorage

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[2]
APPS = Path(__file__).parent / "apps"
WORKERS = 3
NAMES = ["Alice Example", "Bob Example"]  # whose token is in the environment, and who signed in


@pytest.fixture
def variables(webex_cloud: Cloud, tmp_path: Path) -> dict[str, str]:
    """The environment of a server: the emulator's, and Bob signed in, his tokens in a file."""
    database = str(tmp_path / "webex.db")
    settings = {"scope": "openid spark:all", "redirect_uri": webex_cloud.env["WEBEX_REDIRECT_URI"]}
    app = {"client_id": webex_cloud.env["WEBEX_CLIENT_ID"], "client_secret": webex_cloud.env["WEBEX_CLIENT_SECRET"]}
    with Integration(storage=SQLiteStorage(database), emulator_url=webex_cloud.url, **settings, **app) as integration:
        login = integration.begin_login()
        back = urlsplit(webex_cloud.sign_in(login.url, as_="bob"))
        key = integration.finish_login(dict(parse_qsl(back.query)), browser=login.browser).user.key
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_", "CISCOSPARK_"))}
    path = [str(APPS), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return {
        **inherited,
        **webex_cloud.env,
        "WEBEX_SCOPE": settings["scope"],
        "DATABASE": database,
        "USER_KEY": key,
        "PYTHONPATH": os.pathsep.join(path),
    }


@contextmanager
def running(
    command: list[str], variables: dict[str, str], folder: Path, is_ready: Callable[[str], bool]
) -> Iterator[Callable[[], str]]:
    """A server, once it is ready; gives a function that reads what it has logged so far."""
    log = folder / "server.log"

    def read() -> str:
        return log.read_text(errors="replace")

    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=file, stderr=file, start_new_session=True)
    try:
        deadline = time.monotonic() + 40
        while not is_ready(read()):
            assert process.poll() is None, f"the server ended:\n{read()[-3000:]}"
            assert time.monotonic() < deadline, f"the server is not ready:\n{read()[-3000:]}"
            time.sleep(0.05)
        yield read
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        note(read())


@pytest.mark.parametrize(
    ("worker", "application"),
    [
        pytest.param(["sync"], "wsgi:application", id="sync"),
        pytest.param(["gthread", "--threads", "4"], "wsgi:application", id="threads"),
        pytest.param(["gevent", "--worker-connections", "50"], "wsgi:application", id="gevent"),
        pytest.param(["uvicorn_worker.UvicornWorker"], "asgi:application", id="uvicorn"),
    ],
)
def test_every_gunicorn_worker_calls(
    worker: list[str], application: str, variables: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    command = [str(environment("servers")), "-m", "gunicorn", "--preload", "--workers", str(WORKERS), "-k", *worker]
    command += ["--bind", f"127.0.0.1:{port}", "--log-level", "info", "--worker-tmp-dir", str(tmp_path), application]
    with running(command, variables, tmp_path, lambda log: log.count("Booting worker") == WORKERS) as log:

        def ask(_: int) -> dict[str, Any]:
            answer = urllib3.request("GET", f"http://127.0.0.1:{port}/", timeout=30, retries=False)
            assert answer.status == 200, f"{answer.status}\n{log()[-3000:]}"
            return dict(json.loads(answer.data))

        answers: list[dict[str, Any]] = []
        with ThreadPoolExecutor(12) as pool:
            deadline = time.monotonic() + 30
            while len({answer["process"] for answer in answers}) < WORKERS and time.monotonic() < deadline:
                answers += pool.map(ask, range(24))
    workers = {answer["process"] for answer in answers}
    assert len(workers) == WORKERS
    assert len({answer["parent"] for answer in answers} | workers) == WORKERS + 1, "the parent loaded it once"
    assert all(answer["names"] == NAMES for answer in answers)


def test_a_server_that_makes_a_thread_for_each_request(variables: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    command = [str(environment("servers")), str(APPS / "threading_server.py"), str(port)]
    with running(command, variables, tmp_path, lambda log: "ready" in log) as log:
        for _ in range(5):
            answer = urllib3.request("GET", f"http://127.0.0.1:{port}/", timeout=30, retries=False)
            assert answer.status == 200, log()[-3000:]
            assert json.loads(answer.data) == {"names": NAMES[:1]}
        assert "Traceback" not in log()


def test_greenlets_overlap_their_calls(variables: dict[str, str]) -> None:
    """The server answers only when all ten requests have come."""
    together = threading.Barrier(10)

    def handler(peer: Peer) -> None:
        while peer.request():
            together.wait(60)
            peer.say(answered(b"content-type: application/json", body=b"{}"))

    server = Server(handler, None)
    command = [str(environment("servers")), str(APPS / "greenlets.py"), f"http://127.0.0.1:{server.port}"]
    try:
        ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=90, check=False)
    finally:
        server.close()
    assert ended.returncode == 0, ended.stderr[-3000:]
    result = json.loads(ended.stdout)
    assert result["statuses"] == [200] * 10
    assert result["together"] == 10


def test_every_process_of_a_celery_pool_calls(variables: dict[str, str], tmp_path: Path) -> None:
    for name in ("queue", "control", "results"):
        (tmp_path / name).mkdir()
    variables |= {"CELERY_FOLDER": str(tmp_path), "C_FORCE_ROOT": "1"}
    python = str(environment("servers"))
    command = [python, "-m", "celery", "-A", "jobs", "worker", "--pool", "prefork", "--concurrency", str(WORKERS)]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    with running(command, variables, tmp_path, lambda log: " ready." in log) as log:
        ended = subprocess.run(
            [python, str(APPS / "jobs.py"), "15"], env=variables, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr[-3000:] + log()[-3000:]
    results = json.loads(ended.stdout)
    assert len(results) == 30
    assert all(result["names"] == NAMES for result in results)
    processes = {result["process"] for result in results}
    assert len(processes) > 1
    assert {result["parent"] for result in results}.isdisjoint(processes)
