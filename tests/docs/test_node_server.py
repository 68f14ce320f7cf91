"""The Node guide's server example in Python, as it stands in the docs: two browsers, and a restart."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from tests.docs.blocks import ROOT, named
from tests.support.ports import free_port
from webex.emulator import Cloud, Emulator


class Browser:
    """Keeps cookies, follows nothing."""

    def __init__(self, base: str) -> None:
        self._base, self._cookies = base, dict[str, str]()

    def get(self, url: str) -> urllib3.BaseHTTPResponse:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        answer = urllib3.request("GET", self._base + url.removeprefix(self._base), headers=headers, redirect=False)
        for line in answer.headers.getlist("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self._cookies[name] = value
        return answer

    def sign_in(self, cloud: Cloud, person: str) -> urllib3.BaseHTTPResponse:
        back = self.get(cloud.sign_in(self.get("/login").headers["location"], as_=person))
        assert back.status in {302, 303, 307}, back.data
        assert back.headers["location"] == "/"
        return self.get("/")


@contextmanager
def server(folder: Path, cloud: Cloud, port: int) -> Iterator[None]:
    (folder / "example.py").write_text(named("node-server").code)
    command = [sys.executable, "-m", "uvicorn", "example:app", "--port", str(port), "--log-level", "warning"]
    variables = {
        **os.environ,
        **cloud.env,
        "WEBEX_REDIRECT_URI": f"http://127.0.0.1:{port}/oauth/redirect",
        "SESSIONS": str(folder / "sessions"),
        "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT)]),
    }
    process = subprocess.Popen(command, cwd=folder, env=variables)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "the example ended"
                assert time.monotonic() < deadline, "the example does not answer"
                time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_two_browsers_sign_in_and_both_stay_signed_in_over_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="urllib3")  # the browsers' own log has the codes that pass through their URLs
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    alice, bob, stranger = Browser(base), Browser(base), Browser(base)
    with Emulator() as cloud:
        with server(tmp_path, cloud, port):
            assert b"Sign in with Webex" in alice.get("/").data
            assert b"Hello Alice Example" in alice.sign_in(cloud, "alice").data
            assert b"Hello Bob Example" in bob.sign_in(cloud, "bob").data
            assert b"Hello Alice Example" in alice.get("/").data
        with server(tmp_path, cloud, port):
            assert b"Hello Alice Example" in alice.get("/").data
            assert b"Hello Bob Example" in bob.get("/").data
            assert b"Sign in with Webex" in stranger.get("/").data
