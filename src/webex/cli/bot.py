"""`webex bot`: make a project, and run a bot by a socket or webhooks, against the emulator where no token is set."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from webex.cli.bot_webhooks import address_text, listening_address, serve, webhook_url
from webex.cli.loading import load_object
from webex.cli.suggestions import ReportingGroup
from webex.cli.webhooks import SECRET
from webex.extras import require
from webex.runtime.signals import handled

if TYPE_CHECKING:
    from webex.bots import Bot

_DEFAULT: Final = "bot:bot"
_TOKENS: Final = ("WEBEX_BOT_TOKEN", "WEBEX_ACCESS_TOKEN")
_YES: Final = 42  # how a process ends that found a token
_NO_BOT: Final = 43  # and one that found no bot
_LOOK: Final = 0.5  # seconds between two looks at the files, with --reload
# File of the project → where it is kept. Their suffix keeps other tools from taking them for ours.
_FILES: Final = {
    "bot.py": "bot.py.txt",
    "test_bot.py": "test_bot.py.txt",
    "README.md": "README.md.txt",
    "requirements.txt": "requirements.txt.txt",
    "Dockerfile": "Dockerfile.txt",
    ".gitignore": "gitignore.txt",
}


@click.group("bot", cls=ReportingGroup)
def command() -> None:
    """Make a bot, and run it."""


@command.command("new")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def new(folder: Path) -> None:
    """Write a bot with its tests into FOLDER; nothing that is there is overwritten."""
    there = [name for name in _FILES if (folder / name).exists()]
    if there:
        raise click.ClickException(f"{folder} has {', '.join(there)} already; name a folder that is not there yet.")
    folder.mkdir(parents=True, exist_ok=True)
    source = files("webex.cli").joinpath("bot_project")
    for name, kept in _FILES.items():
        (folder / name).write_text(source.joinpath(kept).read_text("utf-8"), "utf-8")
    click.echo(f"{folder}: {', '.join(_FILES)}")
    click.echo(f"Next:  cd {folder} && webex bot run")


@command.command("run")
@click.argument("target", default=_DEFAULT, metavar="[MODULE:NAME]")
@click.option("--reload", "reloads", is_flag=True, help="Begin again when a Python file below this folder changes.")
@click.option(
    "--webhook",
    "url",
    metavar="URL",
    callback=webhook_url,
    help="Receive webhooks, which Webex posts to this URL, in place of a socket.",
)
@click.option(
    "--listen",
    "address",
    metavar="[HOST:]PORT",
    callback=listening_address,
    help="Where they arrive on this machine, with --webhook. Default: 127.0.0.1, and the port of a URL of this machine "
    "or 8000.",
)
@click.option("--secret", envvar=SECRET, help=f"What webhooks are signed with; else {SECRET}, else made of the bot's.")
@click.option("--port", type=click.IntRange(0, 65535), default=8800, help="Of the emulator, where one is started.")
@click.option("--log-level", default="INFO", show_default=True, help="Of what is written about the bot.")
def run(
    target: str,
    *,
    reloads: bool,
    url: str | None,
    address: tuple[str, int] | None,
    secret: str | None,
    port: int,
    log_level: str,
) -> None:
    """Run the bot NAME of MODULE (default: bot:bot) until it is interrupted.

    Without a token, in the code or in WEBEX_BOT_TOKEN, an emulator is started, and the address of its console printed:
    write to the bot there.

    With --webhook the webhooks that the bot's handlers need are registered, and activated again when Webex has
    deactivated them. They stay when the bot ends.
    """
    if url is None and address is not None:
        raise click.UsageError("--listen says where webhooks arrive: it needs --webhook URL.")
    if url is not None:
        require("webex bot run --webhook", "uvicorn")
    with ExitStack() as stack:
        if not any(os.environ.get(name) for name in _TOKENS) and not _has_token(target, may_be_corrected=reloads):
            _start_emulator(stack, port)
        if reloads:
            options = [] if url is None else ["--webhook", url]
            options += [] if address is None else ["--listen", address_text(*address)]
            _reload([target, "--log-level", log_level, *options], {SECRET: secret} if secret else {})
            return
        from webex import configure_logging

        configure_logging(log_level)
        bot = load(target)
        if url is not None:
            serve(bot, url, address, secret)
            return
        click.echo("The bot listens; Ctrl-C ends it.", err=True)
        bot.run()


def load(target: str) -> Bot:
    """Import a bot; a click error says what is missing."""
    from webex.bots import Bot

    more = "A first one is made by: webex bot new DIR"
    return load_object(target, Bot, default="bot", command="webex bot run", more=more)


def _has_token(target: str, *, may_be_corrected: bool) -> bool:
    """Return whether the code of a bot gives it a token; asked in a process of its own, for it is imported later.

    A click error says that there is no such bot, unless it `may_be_corrected`: no emulator is started for it.
    """
    code = (
        "import sys, click; from webex.cli.bot import load\n"
        f"try: sys.exit({_YES} if load(sys.argv[1]).has_token else 0)\n"
        f"except click.ClickException as error: print(error.message, file=sys.stderr); sys.exit({_NO_BOT})"
    )
    asked = subprocess.run([sys.executable, "-c", code, target], capture_output=True, text=True, check=False)  # noqa: S603  # this program itself
    if asked.returncode == _NO_BOT and not may_be_corrected:
        raise click.ClickException(asked.stderr.strip().rpartition("\n")[2])
    return asked.returncode == _YES


def _start_emulator(stack: ExitStack, port: int) -> None:
    from webex.emulator import Emulator, PortInUseError
    from webex.emulator.environment import applied

    try:
        emulator = Emulator(port=port)
        cloud = stack.enter_context(emulator)
    except PortInUseError:
        emulator = Emulator(port=0)
        cloud = stack.enter_context(emulator)
    stack.enter_context(applied(cloud.env))
    cloud.load_seed({"rooms": [{"by": "alice", "members": ["bot"]}]})
    (room,) = cloud.state.rooms
    address = f"{emulator.console_url}#/rooms/{room}"
    click.echo(f"The bot has no token (WEBEX_BOT_TOKEN), so it runs against an emulator: {address}", err=True)
    click.echo("Open that address, and write to the bot as Alice. Try: ping, help", err=True)


def _reload(options: list[str], variables: dict[str, str]) -> None:
    """Run the bot in a child, and start it again when a file changes, also after it failed."""
    arguments = [sys.executable, "-m", "webex", "bot", "run", *options]
    child: subprocess.Popen[bytes] | None = None
    seen: dict[Path, float] = {}
    with handled(lambda *_: sys.exit(0), ["SIGTERM"]):  # so that the child is ended too
        try:
            while True:
                now = _times(Path.cwd())
                if now != seen:
                    if child is not None and child.poll() is None:
                        child.terminate()
                        child.wait()
                    if child is not None:
                        click.echo("A file has changed: the bot begins again.", err=True)
                    seen = now
                    child = subprocess.Popen(arguments, env=os.environ | variables)  # noqa: S603  # this program itself
                time.sleep(_LOOK)
        except KeyboardInterrupt:
            pass
        finally:
            if child is not None:
                child.terminate()
                child.wait()


def _times(folder: Path) -> dict[Path, float]:
    found = {}
    for path in folder.rglob("*.py"):
        if not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts):
            try:
                found[path] = path.stat().st_mtime
            except FileNotFoundError:
                continue
    return found
