"""`webex emulator` in the background, around a command, and ended again."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ports import free_port
from webex.emulator import Emulator, EmulatorClient
from webex.emulator.accounts import BOT_TOKEN

WEBEX = [sys.executable, "-m", "webex"]


def webex(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEBEX_EMULATOR")}
    return subprocess.run(
        [*WEBEX, *arguments], env=environment | variables, capture_output=True, text=True, timeout=30, check=False
    )


def shell(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script that finds `webex` on its path, as an installed one."""
    script = folder / "webex"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m webex "$@"\n')
    script.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEBEX_EMULATOR")}
    environment["PATH"] = f"{folder}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["sh", "-euc", code], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def exports(text: str) -> dict[str, str]:
    pairs = (line.removeprefix("export ").partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs}


@contextlib.contextmanager
def in_background(*arguments: str) -> Iterator[str]:
    started = webex("emulator", "--background", "--env", "--port", "0", *arguments)
    assert started.returncode == 0, started.stderr
    url = exports(started.stdout)["WEBEX_EMULATOR_URL"]
    try:
        yield url
    finally:
        webex("emulator", "stop", "--url", url)


@pytest.mark.prints_secrets("env is there to print them")
def test_env_prints_the_variables_of_one_that_runs() -> None:
    with Emulator() as cloud:
        assert exports(webex("emulator", "env", "--url", cloud.url).stdout)["WEBEX_BOT_TOKEN"] == BOT_TOKEN
        assert webex("emulator", "env", WEBEX_EMULATOR_URL=cloud.url).returncode == 0
    missing = webex("emulator", "env", "--url", cloud.url)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "There is no emulator at" in missing.stderr


@pytest.mark.prints_secrets("--env is there to print them")
def test_background_returns_when_ready_and_stop_ends_it() -> None:
    with in_background() as url:
        client = EmulatorClient(url)
        who = client.who()
        os.kill(who["pid"], 0)
        ended = webex("emulator", "stop", WEBEX_EMULATOR_URL=url)
        assert (ended.returncode, str(who["pid"]) in ended.stdout) == (0, True), ended.stderr
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=5)


@pytest.mark.prints_secrets("--env is there to print them")
def test_background_accepts_the_other_options(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"people": [{"email": "carol@example.com"}]}))
    with in_background("--seed", str(seed), "--rotation", "strict") as url:
        assert EmulatorClient(url).token_for("carol")
        assert EmulatorClient(url).command("settings")["rotation"] == "strict"


def test_background_reports_why_it_could_not_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        started = webex("emulator", "--background", "--port", port)
    assert started.returncode == 1
    assert f"port {port}" in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.prints_secrets("--env is there to print them")
@pytest.mark.parametrize("how", ["--env &", "--background --env"])
def test_eval_in_a_shell_does_not_wait_for_the_emulator(tmp_path: Path, how: str) -> None:
    done = shell(
        f'eval "$(webex emulator --port 0 {how})"\ntrap "webex emulator stop" EXIT\n'
        "webex emulator stop\ntrap - EXIT\nprintenv WEBEX_BOT_TOKEN",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert BOT_TOKEN in done.stdout
    assert "has ended" in done.stdout


def test_exports_unset_conflicting_variables() -> None:
    from webex.emulator.environment import shell_exports

    text = shell_exports({"WEBEX_CLIENT_ID": "C"}, {"WEBEX_AUTHORIZATION_STRING": "https://…", "PATH": "/bin"})
    assert text == "export WEBEX_CLIENT_ID=C\nunset WEBEX_AUTHORIZATION_STRING\n"


class Stranger(http.server.BaseHTTPRequestHandler):
    """Another program's server, which answers everything with a process id."""

    answer = b'{"result": {"pid": 1}}'
    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, b'{"result": {"pid": 1}}'), (200, b"<html>"), (200, b"[]"), (404, b"no"), (500, b"{}"), (200, b'{"a": 1}')],
)
def test_stop_ends_no_other_program(status: int, answer: bytes) -> None:
    handler = type("Handler", (Stranger,), {"status": status, "answer": answer})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            done = webex("emulator", "stop", "--port", str(server.server_port))
        finally:
            server.shutdown()
            thread.join()
    assert done.returncode == 1
    assert "Nothing was ended" in done.stderr
    assert "Traceback" not in done.stderr


def test_stop_does_not_end_a_program_embedding_an_emulator() -> None:
    with Emulator() as cloud:
        done = webex("emulator", "stop", "--url", cloud.url)
        assert done.returncode == 1
        assert str(os.getpid()) in done.stderr
        assert cloud.now() > 0


def test_stop_reports_a_missing_emulator() -> None:
    port = str(free_port())
    done = webex("emulator", "stop", "--port", port)
    assert (done.returncode, port in done.stderr) == (1, True)


def test_a_command_runs_with_the_variables_and_its_exit_code() -> None:
    code = (
        "import os, sys; from webex import Webex\n"
        "print(Webex().people.me().display_name, os.environ.get('WEBEX_AUTHORIZATION_STRING'), sys.argv[1:])\n"
        "sys.exit(7)"
    )
    done = webex("emulator", "--", sys.executable, "-c", code, "--port", "--", WEBEX_AUTHORIZATION_STRING="x")
    assert done.returncode == 7, done.stderr
    assert done.stdout.split("\n")[0] == "Alice Example None ['--port', '--']"


def test_the_emulator_takes_options_before_the_command(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"settings": {"rotation": "grace"}}))
    code = (
        "import os; from webex.emulator import EmulatorClient\n"
        "print(EmulatorClient(os.environ['WEBEX_EMULATOR_URL']).command('settings')['rotation'])"
    )
    done = webex("emulator", "--seed", str(seed), "--rotation", "grace", "--", sys.executable, "-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, "grace"), done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_signals_reach_the_command(name: str) -> None:
    code = (
        "import signal, sys, time\n"
        f"signal.signal(signal.{name}, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(10)\n"
    )
    process = subprocess.Popen(
        [*WEBEX, "emulator", "--", sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(getattr(signal, name))
        assert process.wait(timeout=60) == 5


def test_a_command_ended_by_a_signal_exits_with_128_plus_its_number() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert webex("emulator", "--", sys.executable, "-c", code).returncode == 128 + 9


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--", "there-is-no-such-command"), 127, "there-is-no-such-command"),
        (("--", "/dev/null"), 126, "/dev/null"),
        (("--",), 2, "webex emulator -- python app.py"),
        (("python", "app.py"), 2, "webex emulator -- python app.py"),
        (("--background", "--", "true"), 2, "--background"),
    ],
)
def test_wrong_commands_are_reported(arguments: tuple[str, ...], code: int, text: str) -> None:
    done = webex("emulator", *arguments)
    assert (done.returncode, text in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_python_m_webex_is_the_command() -> None:
    done = webex("--help")
    assert done.returncode == 0
    assert "emulator" in done.stdout


@pytest.mark.parametrize(
    ("missing", "code", "extra"),
    [
        ("click", "from webex.cli import main; main()", "webex[cli"),
        (
            "uvicorn",
            "import sys; sys.argv[1:] = ['emulator', '--port', '0']; from webex.cli import main; main()",
            "webex[emulator]",
        ),
        ("jinja2", "from webex.emulator import Emulator; Emulator().start()", "webex[emulator]"),
        ("python_multipart", "from webex.emulator import Emulator; Emulator().start()", "webex[emulator]"),
        ("fastapi", "import webex.web.fastapi", "webex[fastapi]"),
        ("starlette", "import webex.web.starlette", "webex[fastapi]"),
        ("fastapi", "import sys; sys.argv[1:] = ['demo', '--headless']; from webex.cli import main; main()", "webex["),
    ],
)
def test_a_missing_extra_names_itself(missing: str, code: str, extra: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules[{missing!r}] = None\n{code}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert missing in last
    assert f"pip install '{extra}" in last
    if "main()" in code:
        assert "Traceback" not in done.stderr


def test_a_missing_extra_is_an_import_error() -> None:
    from webex.errors import ConfigurationError
    from webex.extras import needed_by, require

    with pytest.raises(ImportError, match="no_such_module") as caught:
        require("This", "no_such_module", extra="thing")
    assert isinstance(caught.value, ConfigurationError)
    with pytest.raises(ModuleNotFoundError), needed_by("This"):
        import no_such_module  # type: ignore[import-not-found]  # the point of the test  # noqa: F401
