"""`webex bot` as a program of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.secret_scan import note
from webex import Webex
from webex.emulator.accounts import ALICE_TOKEN, BOT_ID
from webex.ids import public_id

__all__ = ["PATIENCE", "Running", "run", "variables"]

PATIENCE = 60.0
BOT = public_id("PEOPLE", BOT_ID)
WEBEX = [sys.executable, "-m", "webex"]


def variables(**more: str) -> dict[str, str]:
    """Return the environment for a bot: without a token and an emulator, but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_BOT", "WEBEX_ACCESS"))}
    return {name: value for name, value in kept.items() if name != "WEBEX_EMULATOR_URL"} | more


def run(*arguments: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command until it ends."""
    return subprocess.run(
        [*WEBEX, *arguments],
        cwd=folder,
        env=variables(**more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Running:
    """A bot that runs as a program, with the emulator that it has started; `ready` is what it writes then."""

    def __init__(self, folder: Path, *options: str, ready: str = "connected") -> None:
        self.log = folder.parent / "log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [*WEBEX, "bot", "run", "--port", "0", *options], cwd=folder, env=variables(), stderr=file, stdout=file
            )
        self.url = self.until(r"emulator: (http://[^/]+)")
        self.until(ready)

    def until(self, pattern: str, count: int = 1) -> str:
        """Wait until it has written this so often; return the last one."""
        give_up = time.monotonic() + PATIENCE
        while len(found := re.findall(pattern, self.log.read_text())) < count:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.05)
        return str(found[-1])

    def ask(self, text: str) -> str:
        """Write to the bot as Alice; return its answer."""
        with Webex(ALICE_TOKEN, emulator_url=self.url) as alice:
            alice.messages.create(to_person_id=BOT, text=text)
            give_up = time.monotonic() + PATIENCE
            while time.monotonic() < give_up:
                last = next(iter(alice.messages.list_direct(person_id=BOT)))
                if last.person_id == BOT:
                    return last.text or ""
                time.sleep(0.05)
        raise AssertionError("no answer")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        note(re.sub(r"\?key=\S+", "", self.log.read_text()))
        return code
