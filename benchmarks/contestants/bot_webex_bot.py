"""A bot of `webex_bot` that repeats the last word of `echo …`. BASE and BOT say where the emulator is.

The package's hosts are fixed, so every name of this process is the emulator. Nothing of the package is changed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "thirdparty"))

from checks import resolve_all_names

resolve_all_names()

from webex_bot.models.command import Command  # noqa: E402
from webex_bot.webex_bot import WebexBot  # noqa: E402


class Echo(Command):
    """Its echo command, without a card."""

    def __init__(self) -> None:
        super().__init__(command_keyword="echo", help_message="Repeats what you say")

    def execute(self, message: str, attachment_actions: Any, activity: Any) -> str:
        """Answer."""
        return message.rsplit(maxsplit=1)[-1]


bot = WebexBot(os.environ["BOT"], log_level="CRITICAL")
bot.add_command(Echo())


def tell() -> None:
    """Say when it is connected."""
    while not bot.websocket:
        time.sleep(0.01)
    print(json.dumps({"ready": True}), flush=True)


threading.Thread(target=tell, daemon=True).start()
asyncio.set_event_loop(asyncio.new_event_loop())
bot.run()
