"""`webex bot run --webhook`: the bot receives webhooks in place of a socket."""

from __future__ import annotations

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.bot_command import Running, run
from tests.support.ports import free_port
from webex import Webex
from webex.cli import bot as command
from webex.emulator import Cloud
from webex.emulator.accounts import BOT_TOKEN

CODE = """
from webex.bots import Bot, Context
from webex.storage import SQLiteStorage
bot = Bot(storage=SQLiteStorage("bot.db"))
@bot.command("ping")
async def ping(ctx: Context) -> str:
    return f"pong by {ctx.happening.door}"
@bot.joined
async def joined(ctx: Context) -> None: ...
"""
TAKES = "takes webhooks at"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "bot.py").write_text(CODE)
    return folder


def target() -> str:
    return f"http://127.0.0.1:{free_port()}/webex/my%20bot"


def registered(url: str) -> list[tuple[str, str, str]]:
    with Webex(BOT_TOKEN, emulator_url=url) as bot:
        found = [
            (f"{each.resource}:{each.event}", str(each.target_url), str(each.status)) for each in bot.webhooks.list()
        ]
    return sorted(found)


def post(url: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, b"{}", method="POST")) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_bot_answers_by_webhooks_until_it_is_interrupted(project: Path, number: signal.Signals) -> None:
    url = target()
    bot = Running(project, "--webhook", url, ready=TAKES)
    try:
        wanted = [("memberships:created", url, "active"), ("messages:created", url, "active")]
        assert registered(bot.url) == wanted
        assert bot.ask("ping") == "pong by webhook"
        assert (post(url), post(url + "/other")) == (401, 404)
        assert bot.end(number) == 0
    finally:
        bot.end()
    assert "Traceback" not in bot.log.read_text()


def test_bot_behind_webhooks_reloads_when_its_file_changes(project: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    bot = Running(project, "--reload", "--webhook", url, "--listen", f"127.0.0.1:{port}", ready=TAKES)
    try:
        assert bot.ask("ping") == "pong by webhook"
        (project / "bot.py").write_text(CODE.replace("pong by", "again by").replace("@bot.joined", ""))
        bot.until(TAKES, 2)
        assert bot.ask("ping") == "again by webhook"
        assert registered(bot.url) == [("messages:created", url, "active")]
        assert bot.end() == 0
    finally:
        bot.end()


def test_wrong_token_ends_it_before_anything_is_served(webex_cloud: Cloud, project: Path) -> None:
    wrong = run(
        *("bot", "run", "--webhook", target()),
        folder=project,
        WEBEX_BOT_TOKEN="no-such-token",
        WEBEX_EMULATOR_URL=webex_cloud.url,
    )
    assert wrong.returncode == 1
    assert "Error: " in wrong.stderr
    assert "the access token is no longer accepted" in wrong.stderr
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--webhook", "bot.example.com/hooks"], 2, "'bot.example.com/hooks' is no whole URL, such as https://"),
        (["--webhook", "ftp://bot.example.com/hooks"], 2, "is no whole URL"),
        (["--webhook", "https://bot.example.com/hooks"], 1, "The emulator delivers to this machine only"),
        (["--webhook", "http://127.0.0.1/", "--listen", "here"], 2, "'here' is no [HOST:]PORT"),
        (["--listen", "8000"], 2, "it needs --webhook URL"),
    ],
    ids=["no scheme", "other scheme", "another machine", "no port", "no url"],
)
def test_wrong_usage_is_explained(project: Path, arguments: list[str], code: int, words: str) -> None:
    ended = run("bot", "run", "--port", "0", *arguments, folder=project)
    assert (ended.returncode, words in " ".join(ended.stderr.split())) == (code, True), ended.stderr
    assert "Traceback" not in ended.stderr


def test_url_that_webex_cannot_reach_is_refused(project: Path) -> None:
    ended = run("bot", "run", "--webhook", "http://localhost:8000/hooks", folder=project, WEBEX_BOT_TOKEN="a token")
    assert ended.returncode == 1
    assert "Webex can't reach localhost: give the public URL" in ended.stderr


def test_port_that_is_taken_is_named(project: Path, webex_cloud: Cloud) -> None:
    port = webex_cloud.url.rpartition(":")[2]
    ended = run("bot", "run", "--port", "0", "--webhook", f"http://127.0.0.1:{port}/hooks", folder=project)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port} can't be listened on" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_missing_web_server_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = CliRunner().invoke(command.command, ["run", "--webhook", "https://bot.example.com/hooks"])
    assert result.exit_code == 1
    assert "pip install 'webex[emulator]'" in result.output


def test_command_leaves_the_variables_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBEX_CLIENT_ID", "of the app")
    for name in ("WEBEX_BOT_TOKEN", "WEBEX_ACCESS_TOKEN", "WEBEX_EMULATOR_URL"):
        monkeypatch.delenv(name, raising=False)
    seen: dict[str, str] = {}

    class Started:
        run: Callable[[], None] = staticmethod(lambda: seen.update(os.environ))

    monkeypatch.setattr(command, "_has_token", lambda *_, **__: False)
    monkeypatch.setattr(command, "load", lambda _: Started)
    monkeypatch.setattr("webex.configure_logging", lambda _: None)
    before = dict(os.environ)
    result = CliRunner().invoke(command.command, ["run", "--port", "0"])
    assert result.exit_code == 0, result.output
    assert seen["WEBEX_EMULATOR_URL"].startswith("http://127.0.0.1")
    assert seen["WEBEX_CLIENT_ID"] != "of the app"
    assert {name for name in before | os.environ if before.get(name) != os.environ.get(name)} <= {"PYTEST_CURRENT_TEST"}
