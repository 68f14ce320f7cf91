"""The pytest plugin, in a pytest run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.inner_pytest import run_pytest

PROJECT = """
import os, socket, pytest
from webex.emulator.accounts import ALICE_TOKEN

def test_a_cloud(webex_cloud):
    assert webex_cloud.url.startswith("http://127.0.0.1:")
    assert webex_cloud.settings.rotation == "off"

@pytest.mark.webex_cloud(rotation="strict")
def test_its_settings(webex_cloud):
    assert webex_cloud.settings.rotation == "strict"

def test_the_environment(webex_env):
    assert os.environ["WEBEX_EMULATOR_URL"] == webex_env.url
    assert os.environ["WEBEX_ACCESS_TOKEN"] == ALICE_TOKEN

@pytest.mark.webex_loopback_only
def test_inside(webex_cloud):
    host, _, port = webex_cloud.url.removeprefix("http://").partition(":")
    socket.create_connection((host, int(port))).close()
    socket.getaddrinfo("localhost", 80)

@pytest.mark.webex_loopback_only
def test_outside():
    socket.create_connection(("192.0.2.1", 80), timeout=1)

@pytest.mark.webex_loopback_only
def test_outside_but_swallowed():
    try:
        socket.getaddrinfo("webexapis.com", 443)
    except OSError:
        pass

@pytest.mark.webex_loopback_only("192.0.2.7")
def test_allowed():
    with pytest.raises(OSError) as caught:
        socket.create_connection(("192.0.2.7", 80), timeout=0.01)
    assert "leave this machine" not in str(caught.value)

def test_without_a_guard():
    with pytest.raises(OSError) as caught:
        socket.create_connection(("192.0.2.1", 80), timeout=0.01)
    assert "leave this machine" not in str(caught.value)
"""


def run(folder: Path, *arguments: str) -> str:
    (folder / "test_it.py").write_text(PROJECT)
    done = run_pytest(folder, "--strict-markers", "-rA", *arguments, variables=os.environ, by_entry_point=True)
    return done.stdout + done.stderr


def test_the_fixtures_work_and_the_guard_blocks_outside_connections(tmp_path: Path) -> None:
    output = run(tmp_path)
    for name in ("a_cloud", "its_settings", "the_environment", "inside", "allowed", "without_a_guard"):
        assert f"PASSED test_it.py::test_{name}" in output, output
    assert "FAILED test_it.py::test_outside" in output
    assert "ERROR test_it.py::test_outside_but_swallowed" in output
    assert "wanted to leave this machine (look up 192.0.2.1)" in output


def test_the_ini_option_guards_every_test(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nwebex_loopback_only = true\n")
    assert "FAILED test_it.py::test_without_a_guard" in run(tmp_path)


def test_the_plugin_imports_next_to_nothing() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import webex.testing.plugin; "
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('webex')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stdout.split(",")) < 5, done.stdout
    assert "msgspec" not in done.stdout
