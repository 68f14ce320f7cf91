"""The `webex` command. Each subcommand is imported when it is called, so that `webex --help` is quick."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    from webex.extras import require

    try:
        require("The webex command", "click")
    except ImportError as error:
        sys.exit(str(error).replace("webex[cli]", "webex[cli,emulator]"))
    from webex.cli.group import webex

    webex(prog_name="webex")
