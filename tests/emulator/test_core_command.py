"""`webex emulator` as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.emulator.helpers import fetch, is_live
from tests.support.ports import free_port
from webex.emulator import Cloud, EmulatorClient
from webex.emulator.accounts import ALICE_TOKEN, BOT_TOKEN, CLIENT_ID, CLIENT_SECRET

COMMAND = [sys.executable, "-m", "webex.cli", "emulator"]


@contextmanager
def running(*arguments: str, lines: int = 1) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield process, [_line(process) for _ in range(lines)]
    finally:
        process.terminate()
        process.wait(timeout=60)
        process.stdout.close()
        process.stderr.close()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert process.poll() is None, "the emulator ended at once"
    return line


def exports(lines: list[str]) -> dict[str, str]:
    pairs = (line.removeprefix("export ").strip().partition("=") for line in lines)
    return {name: value for name, _, value in pairs}


@pytest.mark.prints_secrets("--env is there to print them")
def test_command_prints_exports_and_keeps_serving() -> None:
    with running("--port", "0", "--env", lines=7) as (process, lines):
        variables = exports(lines)
        assert variables["WEBEX_ACCESS_TOKEN"] == ALICE_TOKEN
        assert variables["WEBEX_BOT_TOKEN"] == BOT_TOKEN
        assert (variables["WEBEX_CLIENT_ID"], variables["WEBEX_CLIENT_SECRET"]) == (CLIENT_ID, CLIENT_SECRET)
        assert variables["WEBEX_REDIRECT_URI"].startswith("http://127.0.0.1:")
        remote = EmulatorClient(variables["WEBEX_EMULATOR_URL"])
        assert is_live(_at(remote), ALICE_TOKEN)
        assert process.poll() is None


def _at(remote: EmulatorClient) -> Cloud:
    cloud = Cloud()
    cloud.url = remote.url
    return cloud


@pytest.mark.prints_secrets("--env is there to print them")
def test_the_authority_is_exported_with_tls(tmp_path: Path) -> None:
    with running("--port", "0", "--env", "--tls", "--tls-dir", str(tmp_path), lines=8) as (_, lines):
        variables = exports(lines)
        assert variables["WEBEX_EMULATOR_URL"].startswith("https://")
        remote = EmulatorClient(variables["WEBEX_EMULATOR_URL"], ca_file=variables["WEBEX_EMULATOR_CA"])
        assert remote.clock.time() > 0
        assert remote.env["WEBEX_EMULATOR_CA"] == variables["WEBEX_EMULATOR_CA"]


def test_without_env_no_secret_is_printed() -> None:
    with running("--port", "0", lines=6) as (_, lines):
        text = "".join(lines)
    assert "http://127.0.0.1:" in text
    assert ALICE_TOKEN not in text
    assert CLIENT_SECRET not in text


def test_a_taken_port_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_command_stops_gracefully_and_saves_its_data(tmp_path: Path, how: signal.Signals) -> None:
    file = tmp_path / "cloud.data"
    with running("--port", "0", "--data", str(file)) as (process, lines):
        EmulatorClient(lines[0].split()[-1]).add_person("carol@example.com")
        process.send_signal(how)
        assert process.wait(timeout=60) == 0
    with running("--port", "0", "--data", str(file)) as (_, lines):
        assert EmulatorClient(lines[0].split()[-1]).token_for("carol")


def test_a_wrong_seed_is_reported(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text('{"peeple": []}')
    done = subprocess.run(
        [*COMMAND, "--port", "0", "--seed", str(seed)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "peeple" in done.stderr
    assert "Traceback" not in done.stderr


def test_rotation_and_seed_are_taken_from_the_command_line(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text('{"people": [{"email": "carol@example.com"}]}')
    with running("--port", "0", "--rotation", "strict", "--seed", str(seed)) as (_, lines):
        remote = EmulatorClient(lines[0].split()[-1])
        assert remote.command("settings")["rotation"] == "strict"
        assert remote.token_for("carol")


def test_a_closed_pipe_does_not_stop_it() -> None:
    port = free_port()
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen([*COMMAND, "--port", str(port)], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                assert time.monotonic() < deadline
                assert process.poll() is None
        assert EmulatorClient(f"http://127.0.0.1:{port}").clock.time() > 0
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0
        assert process.stderr is not None
        process.stderr.close()


def test_help_imports_no_server() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from webex.cli.group import webex; "
        "r = CliRunner().invoke(webex, ['--help']); assert 'emulator' in r.output and 'demo' in r.output, r.output; "
        "print([m for m in ('uvicorn', 'jinja2', 'msgspec', 'webex.demo') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_serving_loads_neither_page_nor_key_libraries() -> None:
    code = (
        "import sys\nfrom webex.emulator import Emulator\n"
        "with Emulator() as cloud:\n    cloud.token_for('alice')\n"
        "print([m for m in ('jinja2', 'joserfc', 'cryptography', 'starlette', 'webex.config', 'webex.errors') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_console_url_is_printed_at_start_and_by_its_command() -> None:
    with running("--port", "0", lines=5) as (_, lines):
        printed = next(line.split()[-1] for line in lines if "console" in line)
        base = printed.partition("/?key=")[0]

        def another() -> str:
            command = [*COMMAND, "console", "--url", base]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

        assert another() == printed  # it was not used yet
        assert fetch(printed).status == 303
        assert fetch(printed).status == 403
        assert another() != printed
        assert fetch(another()).status == 303
    done = subprocess.run([*COMMAND, "console", "--url", base], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "no emulator" in done.stderr
