"""The `webex` command. Each subcommand is imported when it is called, so that `webex --help` is quick."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from webex.cli.group import webex
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit("The webex command needs click: pip install 'webex[cli,emulator]'.")
    webex(prog_name="webex")
