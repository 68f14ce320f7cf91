"""The emulator and other processes: started in the background, ended, or wrapped around a command."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from webex.runtime.signals import handled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webex.emulator import Cloud, EmulatorClient

_FORWARDED: Final = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT")
_FROM_KEYBOARD: Final = ("SIGINT", "SIGQUIT")  # a terminal sends them to the command itself
_ENDS_WITHIN: Final = 10.0
T = TypeVar("T")


def start_in_background(arguments: list[str]) -> dict[str, Any]:
    """Start `webex emulator` in a session of its own; where it is, once it serves."""
    process = subprocess.Popen(  # noqa: S603 - this very command
        [sys.executable, "-m", "webex", "emulator", *arguments, "--announce"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        line = process.stdout.readline()
        if line:
            said: dict[str, Any] = json.loads(line)
            process.returncode = 0  # it lives on without this process; nothing is to be waited for
            return said
        complaint = process.stderr.read().strip()
    process.wait()
    raise click.ClickException(complaint.removeprefix("Error: ") or "The emulator could not start.")


def console_url(url: str | None) -> str:
    """Ask the emulator at this URL for the address of its console."""
    return _asked(url, lambda client: client.console_url)


def variables(url: str | None) -> dict[str, str]:
    """Ask the emulator at this URL for its variables."""
    return _asked(url, lambda client: client.env)


def _asked(url: str | None, question: Callable[[EmulatorClient], T]) -> T:
    from webex.emulator import EmulatorError

    try:
        return question(_client(url))
    except (EmulatorError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None


def _client(url: str | None) -> EmulatorClient:
    from webex.emulator import EmulatorClient

    url = url or os.environ.get("WEBEX_EMULATOR_URL") or "http://127.0.0.1:8800"
    return EmulatorClient(url, timeout=5, ca_file=os.environ.get("WEBEX_EMULATOR_CA") or None)


def stop_emulator(url: str | None) -> str:
    """End the emulator at this URL, and wait until it is gone; what to tell the user."""
    from webex.emulator import EmulatorError

    try:
        client = _client(url)
        who = client.who()
        client.stop()
    except (EmulatorError, ValueError, OSError) as error:
        raise click.ClickException(f"Nothing was ended. {error}") from None
    give_up = time.monotonic() + _ENDS_WITHIN
    while time.monotonic() < give_up:
        try:
            client.who()
        except EmulatorError:
            return f"The emulator at {client.url} (process {who['pid']}) has ended."
        time.sleep(0.05)
    raise click.ClickException(f"The emulator at {client.url} (process {who['pid']}) has not ended yet.")


def run_command(command: list[str], cloud: Cloud) -> int:
    """Run a command with the emulator's variables; its exit code, or 128 and the signal that ended it."""
    from webex.emulator.environment import inherited

    try:
        process = subprocess.Popen(command, env=inherited(os.environ, cloud.env))  # noqa: S603 - the user's command
    except FileNotFoundError:
        click.echo(f"Error: there is no command {command[0]!r}.", err=True)
        return 127
    except OSError as error:
        click.echo(f"Error: {command[0]!r} can't be run: {error.strerror}.", err=True)
        return 126
    cloud.on_stop = process.terminate
    with _forwarding(process):
        code = process.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _forwarding(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Hand every signal on to the command, but those that its terminal sends it anyway."""

    def hand_on(number: int, _: object) -> None:
        if signal.Signals(number).name in _FROM_KEYBOARD and _in_foreground():
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)

    with handled(hand_on, _FORWARDED):
        yield


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except (OSError, AttributeError):
        return False
