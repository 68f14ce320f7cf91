"""The `webex` command. Each subcommand is imported when it is called, so that `webex --help` is quick."""

from __future__ import annotations

import io
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

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 lacks characters, of names above all
    webex(prog_name="webex")
