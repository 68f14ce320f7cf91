"""`webex fleet`: run workers, and see what they do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from webex.cli.loading import load_object
from webex.cli.suggestions import ReportingGroup
from webex.runtime.signals import handled

if TYPE_CHECKING:
    from webex.fleet import Fleet, FleetStatus

_FIRST_PAUSE: Final = 0.5  # seconds until a worker that ended by itself is started again; doubled each time
_LONGEST_PAUSE: Final = 30.0
_LONG_ENOUGH: Final = 60.0  # seconds after which a worker counts as one that works
_LOOK: Final = 0.1
_MORE_THAN_GRACE: Final = 10.0  # seconds


@click.group("fleet", cls=ReportingGroup)
def command() -> None:
    """Run the workers of a fleet, and see what they do."""


@command.command("run")
@click.argument("target", default="app:fleet", metavar="[MODULE:NAME]")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="How many processes.")
@click.option(
    "--probes",
    metavar="[HOST:]PORT",
    help="Where /livez and /readyz are served; with several workers each takes the next port.",
)
@click.option("--log-level", default="INFO", show_default=True)
def run(target: str, *, workers: int, probes: str | None, log_level: str) -> None:
    """Run the fleet NAME of MODULE (default: app:fleet) until SIGTERM or Ctrl-C.

    \b
    With several workers each is a process of its own; one that ends by itself is started again.
    When asked to end, each finishes what it has in hand and hands its users over.
    """
    host, port = _address(probes)
    if workers > 1:
        fleet = load(target)  # so that a mistake is told once
        sys.exit(supervise(target, workers, probes=(host, port), log_level=log_level, grace=fleet.grace))
    from webex import configure_logging

    configure_logging(log_level)
    asyncio.run(_run(load(target), host, port))


@command.command("status")
@click.argument("target", default="app:fleet", metavar="[MODULE:NAME]")
@click.option("--json", "as_json", is_flag=True, help="For other programs.")
def status(target: str, *, as_json: bool) -> None:
    """Say who holds what, and how it goes. Exit code 1 when a shard is held by no worker."""
    fleet = load(target, "status")
    found = asyncio.run(_status(fleet))
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    else:
        show(found)
    sys.exit(0 if found.is_whole or fleet.mode == "all" else 1)


def load(target: str, command: str = "run") -> Fleet:
    """Import a fleet; a click error says what is missing."""
    from webex.fleet import Fleet

    return load_object(target, Fleet, default="fleet", command=f"webex fleet {command}")


def show(found: FleetStatus) -> None:
    """Print a table."""
    header = ("worker", "pid", "shards", "users", "connecting", "refused", "in hand", "delivered", "failed", "gaps")
    rows: list[tuple[str, ...]] = [(*header, "lag", "last event", "told")]
    for each in found.workers:
        rows.append(
            (
                f"{each.worker}{' (leaving)' if each.leaving else ''}",
                str(each.pid),
                str(len(each.shards)),
                *(str(value) for value in (each.users, each.connecting, each.refused, each.in_hand)),
                *(str(value) for value in (each.delivered, each.failed, each.gaps)),
                *(_seconds(value) for value in (each.lag, each.last_event, each.told)),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    held = found.shards - len(found.free)
    users = sum(each.users for each in found.workers)
    click.echo(f"{held} of {found.shards} shards are held, {users} users, generation {found.generation}")


def supervise(target: str, workers: int, *, probes: tuple[str, int | None], log_level: str, grace: float) -> int:
    """Run workers as processes, and start those again that end by themselves; return the exit code."""
    stopping = False

    def stop(*_: Any) -> None:
        nonlocal stopping
        stopping = True

    with handled(stop):
        children = [_Child(target, number, probes, log_level) for number in range(workers)]
        for child in children:
            child.start()
        while not stopping:
            for child in children:
                child.look_after()
            time.sleep(_LOOK)
        for child in children:
            child.terminate()
        give_up = time.monotonic() + grace + _MORE_THAN_GRACE
        return max(child.wait(give_up - time.monotonic()) for child in children)


class _Child:
    """One worker."""

    def __init__(self, target: str, number: int, probes: tuple[str, int | None], log_level: str) -> None:
        self._arguments = [sys.executable, "-m", "webex", "fleet", "run", target, "--log-level", log_level]
        if probes[1] is not None:
            self._arguments += ["--probes", f"{probes[0]}:{probes[1] and probes[1] + number}"]
        self._number = number
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause = _FIRST_PAUSE
        self._again_at: float | None = None

    def start(self) -> None:
        self._again_at = None
        self._started = time.monotonic()
        self._process = subprocess.Popen(self._arguments)  # noqa: S603  # this program itself

    def look_after(self) -> None:
        """Start it again, after a pause, when it has ended."""
        now = time.monotonic()
        if self._again_at is not None:
            if now >= self._again_at:
                self.start()
            return
        code = None if self._process is None else self._process.poll()
        if code is None:
            return
        if now - self._started > _LONG_ENOUGH:
            self._pause = _FIRST_PAUSE
        click.echo(f"worker {self._number} ended with {code}; another one in {self._pause:g} s", err=True)
        self._again_at = now + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def terminate(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, seconds: float) -> int:
        """Return 0 for a worker that has ended well, 1 for one that had to be killed."""
        if self._process is None:
            return 0
        try:
            code = self._process.wait(max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return 1
        return int(code != 0 and self._again_at is None)


async def _run(fleet: Fleet, host: str, port: int | None) -> None:
    from webex.fleet.probes import Probes

    probes = None if port is None else Probes(lambda: fleet.health, host, port)
    try:
        where = ""
        if probes is not None:
            await probes.start()
            where = f", probes at http://{host}:{probes.port}/readyz"
        click.echo(f"worker {fleet.worker} starts{where}", err=True)
        await fleet.run()
    finally:
        if probes is not None:
            await probes.stop()
        await fleet.integration.aclose()


async def _status(fleet: Fleet) -> FleetStatus:
    try:
        return await fleet.status()
    finally:
        with contextlib.suppress(Exception):
            await fleet.integration.aclose()


def _address(probes: str | None) -> tuple[str, int | None]:
    if probes is None:
        return "127.0.0.1", None
    host, colon, port = probes.rpartition(":")
    if not port.isdecimal() or int(port) > 65535 or (colon and not host):
        raise click.BadParameter(f"{probes!r} is no [HOST:]PORT.", param_hint="--probes")
    return host or "127.0.0.1", int(port)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
