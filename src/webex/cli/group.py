"""The group of subcommands, each found by name and loaded when called."""

from __future__ import annotations

import importlib
from typing import Final

import click

from webex.cli.suggestions import SuggestingGroup
from webex.errors import MissingExtraError
from webex.extras import needed_by

# Name → where its click command is, and the line that `webex --help` shows without importing it.
COMMANDS: Final = {
    "bot": ("webex.cli.bot:command", "Make a bot, and run it."),
    "demo": ("webex.demo.command:command", "Run the demo: an emulator and a small app that signs people in."),
    "doctor": ("webex.cli.doctor:command", "Examine settings, storage, network, token and webhooks."),
    "emulator": ("webex.cli.emulator:command", "Serve a local Webex cloud."),
    "fleet": ("webex.cli.fleet:command", "Run the workers of a fleet, and see what they do."),
    "storage": ("webex.cli.storage:command", "Check, prepare, copy and count the storage of an app."),
    "tokens": ("webex.cli.tokens:command", "List, show and remove the stored tokens of an app's users."),
    "webhooks": ("webex.cli.webhooks:command", "Forward events to an app on this machine; list and keep webhooks."),
}
EXTRA: Final = {"demo": "demo"}  # what to install for it, where that is more than the package that is missing


class LazyGroup(SuggestingGroup):
    """A click group that imports a subcommand when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        try:
            with needed_by(f"webex {cmd_name}", extra=EXTRA.get(cmd_name)):
                command = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            if not isinstance(error, MissingExtraError):
                raise
            raise click.ClickException(str(error)) from None
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="webex")
def webex() -> None:
    """Work with Webex: a local cloud and a demo, webhooks and bots, and what an app has stored."""
