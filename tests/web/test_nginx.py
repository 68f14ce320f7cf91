"""The configurations of docs/deployment.md, run by Debian's nginx in front of the page's app with two workers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec

from tests.docs.blocks import ROOT, named
from tests.support.ports import free_port
from tests.support.tiers import program
from tests.web.conftest import SECRET
from webex.demo.browser import Browser
from webex.emulator import Cloud
from webex.emulator.tls import Authority, _key_pem, _pem

pytestmark = pytest.mark.servers
PAGE = ROOT / "docs" / "deployment.md"
WHOLE = """
user root root;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""


def configuration(number: int, **replaced: str) -> str:
    """A configuration of the page, with the addresses and files of this test in place of the page's."""
    text = re.findall(r"^```nginx\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)[number]
    for name, value in replaced.items():
        old = json.loads(f'"{name}"')
        assert old in text, f"{old!r} is not in the configuration"
        text = text.replace(old, value)
    return str(text)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"port {port} stayed closed")


@pytest.fixture
def started() -> Iterator[Callable[..., None]]:
    processes: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], port: int, **options: Any) -> None:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, **options)
        processes.append(process)
        wait_for(port, process)

    yield start
    for process in reversed(processes):
        process.terminate()
    for process in processes:
        process.communicate(timeout=60)


class Deployment:
    """Starts the page's app and nginx; `url` is where browsers find the app."""

    def __init__(self, cloud: Cloud, folder: Path, start: Callable[..., None]) -> None:
        self.cloud, self.folder, self.start = cloud, folder, start
        self.app_port, self.port = free_port(), free_port()

    def serve(self, redirect_uri: str, server: str, *arguments: str) -> None:
        registered = self.cloud.state.integrations[self.cloud.env["WEBEX_CLIENT_ID"]]
        registered.redirect_uris.append(redirect_uri)
        (self.folder / "app.py").write_text(named("deployment-app").code)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEBEX_")}
        variables = {
            **inherited,
            **self.cloud.env,
            "WEBEX_REDIRECT_URI": redirect_uri,
            "SESSION_SECRET": SECRET,
            "DATABASE": str(self.folder / "app.db"),
        }
        command = [sys.executable, "-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port", str(self.app_port)]
        command += ["--workers", "2", "--no-access-log", *arguments]
        self.start(command, self.app_port, cwd=self.folder, env=variables)
        config = self.folder / "nginx.conf"
        config.write_text(WHOLE.format(folder=self.folder, server=server))
        nginx = program("nginx", "/usr/sbin/nginx")
        self.start([nginx, "-p", str(self.folder), "-c", str(config), "-g", "daemon off;"], self.port)


@pytest.fixture
def deployment(webex_cloud: Cloud, tmp_path: Path, started: Callable[..., None]) -> Deployment:
    return Deployment(webex_cloud, tmp_path, started)


def certificate(folder: Path) -> Path:
    """Writes a certificate for localhost; returns the authority to trust."""
    authority = Authority.open(folder / "authority")
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "app.key").write_bytes(_key_pem(key))
    (folder / "app.pem").write_bytes(_pem(authority._sign(key, ["localhost"])))
    return authority.file


@pytest.mark.parametrize("arguments", [(), ("--root-path", "/team")], ids=["without root_path", "with root_path"])
def test_sign_in_returns_to_the_page_below_the_prefix(deployment: Deployment, arguments: tuple[str, ...]) -> None:
    folder = deployment.folder
    authority = certificate(folder)
    url = f"https://localhost:{deployment.port}/team"
    server = configuration(
        0,
        **{
            "listen 443 ssl;": f"listen 127.0.0.1:{deployment.port} ssl;",
            "server_name app.example.com;": "server_name localhost;",
            "/etc/ssl/app.example.com.pem": str(folder / "app.pem"),
            "/etc/ssl/app.example.com.key": str(folder / "app.key"),
            "/var/log/nginx/app.log": str(folder / "access.log"),
            "/var/log/nginx/app-error.log": str(folder / "app-error.log"),
            "server 127.0.0.1:8000;": f"server 127.0.0.1:{deployment.app_port};",
        },
    )
    deployment.serve(f"{url}/auth/callback", server, *arguments)
    with urllib3.PoolManager(ca_certs=str(authority)) as http:
        for name in ("alice", "bob"):
            browser = Browser(name, http)
            wanted = f"{url}/rooms?at=%E6%97%A5"
            first = browser.get(wanted, follow=False)
            assert first.headers["location"].startswith("/team/auth/login?return_to=%2Fteam%2Frooms")
            login = browser.get(f"https://localhost:{deployment.port}{first.headers['location']}", follow=False)
            back = deployment.cloud.sign_in(login.headers["location"], as_=name)
            landed = browser.get(back)
            assert (landed.url, landed.status) == (wanted, 200)
            assert browser.get(back).url == wanted
            login = browser.get(f"{url}/auth/login?return_to=/rooms", follow=False)
            assert browser.get(deployment.cloud.sign_in(login.headers["location"], as_=name)).url == f"{url}/rooms"
        longest = browser.get(f"{url}/auth/login?return_to={quote('/' + 'a' * 1490)}", follow=False)
        assert (longest.status, len(longest.headers["location"]) > 2000) == (303, True)
        page = browser.post(f"{url}/auth/logout", follow=False)
        assert (page.status, page.headers["location"].partition("?")[0]) == (303, "/team/auth/logout")
        signed_out = browser.get(f"https://localhost:{deployment.port}{page.headers['location']}")
        assert (signed_out.status, "signed out" in signed_out.text) == (200, True)
        assert browser.get(f"{url}/rooms", follow=False).status == 303
    logged = (folder / "access.log").read_text() + (folder / "app-error.log").read_text()
    assert '"GET /team/auth/callback" 303' in logged
    for secret in ("code=", "state=", "return_to="):
        assert secret not in logged


def test_loopback_host_without_a_port_redirects_at_most_once(deployment: Deployment) -> None:
    url = f"http://127.0.0.1:{deployment.port}"
    server = configuration(
        1,
        **{
            "listen 127.0.0.1:8080;": f"listen {deployment.port};",
            "http://127.0.0.1:8000;": f"http://127.0.0.1:{deployment.app_port};",
        },
    )
    deployment.serve(f"{url}/auth/callback", server)
    with urllib3.PoolManager() as http:
        for start in (url, url.replace("127.0.0.1", "localhost")):
            browser = Browser("one", http)
            page = browser.get(f"{start}/auth/login?return_to=/rooms")  # an endless redirect raises
            assert "/v1/authorize" in page.url
            assert browser.get(deployment.cloud.sign_in(page.url)).url == f"{url}/rooms"


def test_upstream_host_does_not_redirect_endlessly(deployment: Deployment) -> None:
    url = f"http://127.0.0.1:{deployment.port}"
    server = configuration(
        1,
        **{
            "listen 127.0.0.1:8080;": f"listen 127.0.0.1:{deployment.port};",
            "http://127.0.0.1:8000;": f"http://localhost:{deployment.app_port};",
            "proxy_set_header Host $host;": "",
        },
    )
    deployment.serve(f"{url}/auth/callback", server)
    with urllib3.PoolManager() as http:
        browser = Browser("one", http)
        page = browser.get(f"{url}/auth/login?return_to=/rooms")
        assert browser.get(deployment.cloud.sign_in(page.url)).url == f"{url}/rooms"
