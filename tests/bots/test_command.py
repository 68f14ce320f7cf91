"""`webex bot new` and `webex bot run`, as a newcomer types them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bot_command import PATIENCE, Running, run, variables
from tests.support.inner_pytest import run_pytest
from webex import Webex
from webex.emulator.accounts import ALICE_TOKEN
from webex.ids import to_uuid


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = run("bot", "new", "mine", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "cd mine && webex bot run" in made.stdout
    return tmp_path / "mine"


def _running_in(folder: Path) -> list[str]:
    """Return the processes that work in this folder (Linux)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cwd").resolve() == folder:
                found.append(process.name)
        except OSError:
            continue
    return found


@pytest.fixture
def running(project: Path) -> Iterator[Running]:
    program = Running(project, "--reload")
    yield program
    program.end()


def test_new_project_has_tests_that_pass(project: Path) -> None:
    ended = run_pytest(project, "-q", variables=variables())
    assert "2 passed" in ended.stdout, ended.stdout[-3000:]


def test_new_project_overwrites_nothing(project: Path) -> None:
    (project / "bot.py").write_text("mine")
    again = run("bot", "new", ".", folder=project)
    assert again.returncode == 1
    assert "bot.py" in again.stderr
    assert (project / "bot.py").read_text() == "mine"


def test_bot_starts_at_once_and_reloads_when_its_file_changes(project: Path, running: Running) -> None:
    assert running.ask("ping") == "pong"
    with Webex(ALICE_TOKEN, emulator_url=running.url) as alice:  # whose room with the bot is the page that is printed
        (room,) = alice.rooms.list(type="direct")
        assert running.until(r"\?key=\S+#/rooms/(\S+)") == to_uuid(room.id)
    code = (project / "bot.py").read_text()
    (project / "bot.py").write_text(code.replace('return "pong"', 'return "pong again"'))
    running.until("begins again")
    running.until("socket of .* connected", 2)
    assert running.ask("ping") == "pong again"
    assert running.end() == 0
    assert not _running_in(project), "the bot was left behind"


@pytest.mark.parametrize("code", ['Bot("a token")', 'Bot(settings={"access_token": "a token"})', "Bot()"])
def test_emulator_is_started_only_for_a_bot_without_a_token(tmp_path: Path, code: str) -> None:
    end = "__import__('os')._exit(7)"  # in place of listening
    (tmp_path / "bot.py").write_text(f"from webex.bots import Bot\nbot = {code}\nbot.run = lambda: {end}\n")
    ended = run("bot", "run", "--port", "0", folder=tmp_path)
    assert ended.returncode == 7, ended.stderr
    assert ("emulator: http" in ended.stderr) == (code == "Bot()")


@pytest.mark.parametrize("way", [["app.py"], ["-m", "app"], ["-c", "import app"]], ids=["script", "module", "imported"])
def test_buttons_have_one_name_whichever_way_their_module_is_run(tmp_path: Path, way: list[str]) -> None:
    (tmp_path / "app.py").write_text(
        "from webex.bots import Bot\nfrom webex.bots.buttons import name_of\nbot = Bot()\n"
        "@bot.button\nasync def approve(ctx): ...\nprint(*bot.handlers.buttons)\n"
    )
    ended = subprocess.run(
        [sys.executable, *way], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert ended.stdout.split() == ["app:approve"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing:bot"], "There is no module 'nothing'"),
        (["bot:other"], "bot has no bot 'other'. It has bot."),
        (["bot.py"], "'bot.py' is a file; name the module: webex bot run bot:bot"),
    ],
    ids=["module", "name", "file"],
)
def test_wrong_usage_is_explained(project: Path, arguments: list[str], words: str) -> None:
    ended = run("bot", "run", "--port", "0", *arguments, folder=project)
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "emulator" not in ended.stderr, "one was started for nothing"
