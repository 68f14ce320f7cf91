"""Starts an adapter's example app in a real server, and browsers that visit it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from tests.support.ports import free_port
from tests.support.secret_scan import note
from tests.support.tiers import environment
from webex.demo.browser import Browser, Page
from webex.emulator import Cloud

ROOT = Path(__file__).resolve().parents[3]
APPS = Path(__file__).parent / "apps"
FIRST_SECRET, SECOND_SECRET = ("a secret of at least thirty-two bytes: " + name for name in ("first", "second"))
PROXIED = "https://app.example.com"  # where the proxy of a test is found

Command = Callable[[str, str, int], list[str]]  # Python, the module of the app, the port → what to start


@dataclass(frozen=True)
class Server:
    """A server. `keeps_slash`: whether it tells the app that a slash of the path arrived as %2F."""

    command: Command
    keeps_slash: bool = True
    streams: bool = True
    is_offline: bool = False  # runs in the environment of the tests
    is_quiet: bool = True  # no log of its own of requests, which would hold codes


SERVERS: dict[str, Server] = {
    "uvicorn": Server(
        lambda python, module, port: [
            *(python, "-m", "uvicorn", f"{module}:application", "--port", str(port)),
            *("--no-access-log", "--no-proxy-headers", "--lifespan", "off", "--log-level", "warning"),
        ],
        is_offline=True,
    ),
    "hypercorn": Server(
        lambda python, module, port: [
            *(python, "-m", "hypercorn", f"{module}:application", "--bind", f"127.0.0.1:{port}"),
            *("--log-level", "WARNING"),
        ],
        is_offline=True,
    ),
    "wsgiref": Server(
        lambda python, module, port: [python, str(APPS / "serve_wsgiref.py"), module, str(port)],
        keeps_slash=False,
        is_offline=True,
    ),
    "aiohttp": Server(
        lambda python, module, port: [python, str(APPS / "serve_aiohttp.py"), module, str(port)], is_offline=True
    ),
    **{
        kind: Server(
            lambda python, module, port, kind=kind: [  # type: ignore[misc]  # its default binds the loop's value
                *(python, str(APPS / "serve_lambda.py"), module, str(port), kind)
            ],
            keeps_slash=kind != "payload-2.0",
            streams=False,
            is_offline=True,
        )
        for kind in ("payload-1.0", "payload-2.0", "alb", "alb-single")
    },
    "gunicorn-sync": Server(lambda python, module, port: _gunicorn(python, module, port, "sync", "--workers", "3")),
    "gunicorn-gevent": Server(lambda python, module, port: _gunicorn(python, module, port, "gevent", "--workers", "2")),
    "gunicorn-uvicorn": Server(
        lambda python, module, port: _gunicorn(
            *(python, module, port, "uvicorn_worker.UvicornWorker"),
            *("--workers", "2", "--forwarded-allow-ips", "192.0.2.1"),
        )
    ),
    "waitress": Server(
        lambda python, module, port: [
            *(python, "-m", "waitress", f"--listen=127.0.0.1:{port}", "--threads=8", f"{module}:application")
        ]
    ),
    "runserver": Server(
        lambda python, module, port: [
            *(python, str(APPS / f"{module}.py"), "runserver", "--noreload", "--skip-checks", f"127.0.0.1:{port}")
        ],
        keeps_slash=False,
        is_quiet=False,
    ),
}


def _gunicorn(python: str, module: str, port: int, worker: str, *options: str) -> list[str]:
    command = [python, "-m", "gunicorn", "-k", worker, *options, "--bind", f"127.0.0.1:{port}"]
    return [*command, "--log-level", "warning", f"{module}:application"]


@dataclass
class Site:
    """An app in a server. `url` is where browsers find it."""

    cloud: Cloud
    url: str
    http: Any
    folder: Path
    server: Server

    def browser(self, name: str = "one") -> Browser:
        return Browser(name, self.http)

    def begin(self, browser: Browser, return_to: str = "/me") -> str:
        page = browser.get(f"{self.url}/auth/login?return_to={return_to}", follow=False)
        assert page.status == 303, page.text
        return page.headers["location"]

    def sign_in(self, browser: Browser, who: str = "alice", return_to: str = "/me") -> Page:
        return browser.get(self.cloud.sign_in(self.begin(browser, return_to), as_=who))

    def me(self, browser: Browser, **headers: str) -> Page:
        return browser.get(f"{self.url}/me", follow=False, headers={"accept": "application/json", **headers})

    @contextmanager
    def without_storage(self) -> Iterator[None]:
        down = self.folder / "down"
        down.touch()
        try:
            yield
        finally:
            down.unlink()


class Proxy:
    """What a TLS proxy is to the app: it is reached as `PROXIED`, and forwards over plain http.

    It is what `Browser` sends its requests through. With `strips` it takes the prefix away.
    """

    def __init__(self, http: urllib3.PoolManager, port: int, *, strips: str = "") -> None:
        self._http, self._port, self._strips = http, port, strips

    def request(self, method: str, url: str, **options: Any) -> Any:
        if not url.startswith(PROXIED):
            return self._http.request(method, url, **options)
        parts = urlsplit(url)
        path = parts.path.removeprefix(self._strips) + (f"?{parts.query}" if parts.query else "")
        forwarded = {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.7", "host": parts.netloc}
        options["headers"] = {**options["headers"], **forwarded}
        return self._http.request(method, f"http://127.0.0.1:{self._port}{path}", **options)


@contextmanager
def running(cloud: Cloud, module: str, server: str, folder: Path, **variables: str) -> Iterator[Site]:
    """The example app of a module in a server."""
    python = sys.executable if SERVERS[server].is_offline else str(environment("servers"))
    port = free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_", "CISCOSPARK_"))}
    path = [str(APPS), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    url = f"http://127.0.0.1:{port}"
    env = {
        **inherited,
        **cloud.env,
        "WEBEX_SCOPE": "openid email profile spark:all spark:kms",
        "WEBEX_REDIRECT_URI": f"{url}/auth/callback",
        "SESSION_SECRETS": FIRST_SECRET,
        "APP_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join(path),
        **variables,
    }
    log = folder / f"{server}-{port}.log"
    known = SERVERS[server]
    with log.open("w") as file:
        process = subprocess.Popen(
            known.command(python, module, port), cwd=folder, env=env, stdout=file, stderr=file, start_new_session=True
        )
    http = urllib3.PoolManager(maxsize=20)
    try:
        _wait_for(port, process, log)
        yield Site(cloud, url, http, folder, known)
    finally:
        http.clear()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if known.is_quiet:
            note(log.read_text(errors="replace"))


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, f"the server ended:\n{log.read_text()[-3000:]}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, f"the server is not ready:\n{log.read_text()[-3000:]}"
        time.sleep(0.03)
