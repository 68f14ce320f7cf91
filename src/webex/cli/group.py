"""The group of subcommands, each found by name and loaded when called."""

from __future__ import annotations

import importlib
from typing import Final

import click

# Name → where its click command is, and the line that `webex --help` shows without importing it.
COMMANDS: Final = {
    "demo": ("webex.demo.command:command", "Run the demo: an emulator and a small app that signs people in."),
    "emulator": ("webex.cli.emulator:command", "Serve a local Webex cloud."),
}


class LazyGroup(click.Group):
    """A click group that imports a subcommand when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing == "webex":
                raise
            raise click.ClickException(
                f"webex {cmd_name} needs {missing}, which is not installed: pip install 'webex[demo]'."
            ) from None
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="webex")
def webex() -> None:
    """The Python SDK for Cisco Webex."""
