"""`docs/production.md`, followed: two processes of its app behind its nginx, a fleet, Redis and NATS."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from tests.docs.blocks import ROOT, named
from tests.support.ports import free_port
from tests.support.services import NatsServer, RedisServer
from tests.support.tiers import program
from tests.web.test_nginx import WHOLE, certificate, wait_for
from webex import Webex
from webex.demo.browser import Browser
from webex.emulator import Cloud
from webex.fleet import nats_events
from webex.storage import EncryptedStorage

PAGE = ROOT / "docs" / "production.md"
PATIENCE = 60.0


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    return str(found)


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=PATIENCE)


def until(condition: Callable[[], Any]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


@pytest.mark.services
def test_app_and_fleet_of_the_page_work_and_outlive_a_process(
    webex_cloud: Cloud, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "urllib3")  # it would log the codes in addresses
    authority, port, first, second = certificate(tmp_path), free_port(), free_port(), free_port()
    url = f"https://localhost:{port}"
    webex_cloud.state.integrations[webex_cloud.env["WEBEX_CLIENT_ID"]].redirect_uris.append(f"{url}/auth/callback")
    (tmp_path / "app.py").write_text(named("production-app").code)
    server = block("nginx").replace("listen 443", f"listen 127.0.0.1:{port}").replace("app.example.com;", "localhost;")
    for old, new in {
        "/etc/ssl/app.example.com.pem": f"{tmp_path}/app.pem",
        "/etc/ssl/app.example.com.key": f"{tmp_path}/app.key",
        "/var/log/nginx": str(tmp_path),
        "127.0.0.1:8001": f"127.0.0.1:{first}",
        "127.0.0.1:8002": f"127.0.0.1:{second}",
    }.items():
        assert old in server
        server = server.replace(old, new)
    (tmp_path / "nginx.conf").write_text(WHOLE.format(folder=tmp_path, server=server))
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer("appendonly yes", "maxmemory-policy noeviction"))
        nats = stack.enter_context(NatsServer())
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WEBEX_")},
            **{
                name: webex_cloud.env[name] for name in ("WEBEX_EMULATOR_URL", "WEBEX_CLIENT_ID", "WEBEX_CLIENT_SECRET")
            },
            "WEBEX_SCOPE": re.findall('WEBEX_SCOPE="(.+)"', PAGE.read_text())[0],
            "WEBEX_REDIRECT_URI": f"{url}/auth/callback",
            "SESSION_SECRET": secrets.token_urlsafe(48),
            "WEBEX_STORAGE_KEYS": EncryptedStorage.generate_key(),
            "REDIS_URL": redis.url,
            "NATS_URL": nats.url,
        }
        there: dict[str, Any] = {"cwd": tmp_path, "env": env}

        def webex(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "webex", *arguments]
            return subprocess.run(command, capture_output=True, text=True, check=False, **there)

        examined = webex("doctor", "--storage", "app:storage", "--uses", "rooms,messages,realtime")
        assert (examined.returncode, "No problem was found." in examined.stdout) == (0, True), examined.stdout
        uvicorn = [sys.executable, "-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--no-access-log", "--port"]
        apps = [stack.enter_context(running([*uvicorn, str(at)], **there)) for at in (first, second)]
        nginx = [program("nginx", "/usr/sbin/nginx"), "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
        front = stack.enter_context(running([*nginx, "-g", "daemon off;"]))
        for process, at in zip((*apps, front), (first, second, port), strict=True):
            wait_for(at, process)
        stack.enter_context(running([sys.executable, "-m", "webex", "fleet", "run", "app:fleet"], **there))
        http = stack.enter_context(urllib3.PoolManager(ca_certs=str(authority)))
        assert http.request("GET", f"{url}/rooms").status == 401
        alice = Browser("alice", http)
        login = alice.get(f"{url}/auth/login?return_to=/rooms", follow=False)
        assert alice.get(webex_cloud.sign_in(login.headers["location"])).url == f"{url}/rooms"
        until(lambda: webex_cloud.mercury.connections("alice") == 1)
        until(lambda: webex("fleet", "status", "app:fleet").returncode == 0)  # every shard is held

        async def received() -> str | None:
            async with nats_events(nats.url, stream="webex", durable="test") as events:
                async for event in events:
                    if event.resource == "messages" and event.event == "created":
                        return event.data.text
            return None

        with Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob:
            bob.messages.create(to_person_email="alice@example.com", text="hello")
        assert asyncio.run(asyncio.wait_for(received(), PATIENCE)) == "hello"
        apps[0].kill()
        apps[0].wait(PATIENCE)
        assert {alice.get(f"{url}/rooms").status for _ in range(6)} == {200}
    assert "code=" not in (tmp_path / "app.log").read_text()


def test_unit_of_the_app_keeps_codes_out_of_the_log_and_starts_again() -> None:
    unit = block("ini")
    assert "uvicorn app:app --host 127.0.0.1 --port %i --no-access-log\n" in unit
    assert "Restart=always\n" in unit
    assert {"8001", "8002"} <= set(re.findall(r"webex-app@(\d+)", PAGE.read_text()))
