"""Bots beside each other: messages handled a second, processor time and memory; writes benchmarks/BOTS.md.

`scripts/bench bots`. Each bot repeats a word in the room where it was asked, over one socket with TLS; the emulator,
with the people who write to the bot, is a process of its own. A measurement goes from the first message to the last
answer.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.arena import FOLDER, ROOT
from benchmarks.report import machine, table
from tools.environments import EnvironmentUnavailableError, make

PATH = Path(__file__).resolve().parent / "BOTS.md"
OURS, WEBEX_BOT, NODE = "webex.bots", "webex_bot 1.3.1", "webex-node-bot-framework 2.3.14"
PEERS = (WEBEX_BOT, NODE)
SIZES = (1, 100, 10_000)  # rooms
MESSAGES, WINDOW = 300, 50
STARTS = 300.0  # seconds that a bot has to start, and again to give its first answer
_BUSY = 0.8  # share of one processor from which a single-threaded program is what limits
_SHARED = 0.25  # share of the machine from which other programs make a rate say little
_TICKS = os.sysconf("SC_CLK_TCK")


class BotsError(Exception):
    """A bot did not start, or ended."""


@dataclass(frozen=True)
class Result:
    """What one bot did with one number of rooms. Times in seconds, memory in bytes."""

    bot: str
    rooms: int
    messages: int
    answers: int
    started: float  # until the first answer
    seconds: float  # from the first message to the last answer
    cpu: float  # of the bot
    emulator_cpu: float  # people's messages included
    others: float  # share of all processors that other programs took
    idle: int  # bytes resident before the first measured message
    resident: int  # bytes resident after the last answer
    failure: str = ""  # why there is nothing to tell

    @property
    def rate(self) -> float:
        """Messages handled a second."""
        return self.answers / self.seconds

    @property
    def lost(self) -> int:
        """Messages that were never answered."""
        return self.messages - self.answers

    @property
    def each(self) -> float:
        """Seconds of the bot's processor time a message."""
        return self.cpu / max(self.answers, 1)

    @property
    def emulator_share(self) -> float:
        """Share of one processor that the emulator took; it runs on one."""
        return self.emulator_cpu / self.seconds


def command(bot: str) -> tuple[list[str], dict[str, str]]:
    """How a bot is started, and the variables that it needs."""
    if bot == WEBEX_BOT:
        return [str(make("webex-bot")), str(FOLDER / "bot_webex_bot.py")], {}
    if bot == NODE:
        modules = make("node-bot-framework") / "node_modules"
        node = shutil.which("node") or "node"
        return [node, str(FOLDER / "bot_node_framework.js")], {"WEBEX_NODE_MODULES": str(modules)}
    return [sys.executable, str(FOLDER / "bot_webex.py")], {}


class Process:
    """A process that answers lines of JSON with lines of JSON."""

    def __init__(self, name: str, arguments: Sequence[str], variables: dict[str, str]) -> None:
        self._name = name
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("WEBEX_")}
        self._process = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env=inherited | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def read(self, patience: float | None = None) -> dict[str, Any]:
        """What it says next; `BotsError` when it says nothing for so many seconds."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], patience)[0]:
            raise BotsError(f"{self._name} was not ready within {patience:g} s.")
        line = self._process.stdout.readline()
        if not line:
            raise BotsError(f"{self._name} ended with status {self._process.wait()}.")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise BotsError(f"{self._name}: {told['error']}")
        return told

    def ask(self, **what: Any) -> dict[str, Any]:
        """Say something, and return what it answers."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self.read()

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident(self) -> int:
        """Bytes of memory now."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.communicate()

    def end(self) -> None:
        """Let it end."""
        self._process.communicate(timeout=60)


@contextmanager
def running(name: str, arguments: Sequence[str], variables: dict[str, str]) -> Iterator[Process]:
    """Run a process for as long as the block runs."""
    process = Process(name, arguments, variables)
    try:
        yield process
    finally:
        process.kill()


def measure(bot: str, rooms: int, messages: int, window: int, folder: Path) -> Result:
    """Start an emulator and a bot, and let people write to it; `folder` keeps the rooms for the next bot."""
    arguments, variables = command(bot)
    cloud_arguments = [
        sys.executable, "-m", "benchmarks.bots_cloud", str(folder / f"{rooms}.cloud"), str(rooms), str(messages)
    ]  # fmt: skip
    with running("The emulator", cloud_arguments, {}) as cloud:
        told = cloud.read()
        variables |= {"BASE": told["url"], "BOT": told["bot"], "CA": told["ca"]}
        variables |= dict.fromkeys(("NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), told["ca"])
        began = time.perf_counter()
        with running(bot, arguments, variables) as process:
            process.read(STARTS)
            if cloud.ask(do="warm", patience=STARTS)["seconds"] < 0:
                raise BotsError(f"{bot} gave no answer within {STARTS:g} s.")
            started, idle = time.perf_counter() - began, process.resident()
            cpu, all_before, waited = process.cpu(), _spent(), time.perf_counter()
            done = cloud.ask(do="run", messages=messages, window=window)
            cpu, waited = process.cpu() - cpu, time.perf_counter() - waited
            others = max(0.0, _spent() - all_before - cpu - done["cpu"]) / (waited * (os.cpu_count() or 1))
            resident = process.resident()
        cloud.end()
    return Result(
        bot, rooms, messages, done["answers"], started, done["seconds"], cpu, done["cpu"], others, idle, resident
    )


def _spent() -> float:
    """Seconds of processor time that all programs of the machine took so far."""
    user, nice, system, _, _, irq, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft) / _TICKS


def run(
    bots: Sequence[str] = (OURS, *PEERS),
    sizes: Sequence[int] = SIZES,
    messages: int = MESSAGES,
    window: int = WINDOW,
    *,
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
) -> list[Result]:
    """Measure these bots with these numbers of rooms, in turn."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for rooms in sizes:
            for bot in bots:
                try:
                    result = measure(bot, rooms, messages, window, Path(folder))
                except BotsError as error:
                    if bot == OURS:
                        raise
                    result = Result(bot, rooms, messages, 0, 0.0, 1.0, 0.0, 0.0, 0.0, 0, 0, str(error))
                say(f"{bot}, {rooms:,} rooms: {result.rate:,.0f} a second, {result.answers:,} of {messages:,} answered")
                results.append(result)
    return results


def report(results: Sequence[Result]) -> str:
    """Return the page."""
    rows = [
        (
            f"{each.rooms:,}",
            each.bot,
            f"{each.rate:,.0f}",
            f"{each.each * 1e3:,.1f} ms",
            f"{each.answers:,} of {each.messages:,}",
            f"{each.idle / 1e6:,.0f} MB",
            f"{each.resident / 1e6:,.0f} MB",
            f"{each.started:,.1f} s",
            f"{each.emulator_cpu / max(each.answers, 1) * 1e3:,.1f} ms",
            "" if each.lost else f"{each.emulator_share:.0%}",
            f"{each.others:.0%}",
        )
        for each in results
        if not each.failure
    ]
    head = (
        "rooms", "bot", "messages a second", "bot's processor time a message", "answered", "memory at first",
        "memory at the end", "first answer after", "emulator's processor time a message", "emulator busy",
        "other programs",
    )  # fmt: skip
    parts = [
        f"# Bots\n\nMade by `scripts/bench bots`.\n\n*{machine()}, commit {_commit()}{_priority()}.*\n",
        "People write `echo WORD` with a mention to the bot in rooms, in turn, at most "
        f"{WINDOW} of the messages unanswered at a time; each bot answers with the word in the room, over one Mercury "
        "socket and REST, all with TLS. The emulator is a process of its own, new for every bot, with the same rooms; "
        "people post within it. The time goes from the first message to the last answer. Answers that "
        "never came, and silences of more than 20 seconds, are left out of the rate; the processor times of a bot "
        "that lost messages include them. `emulator busy` is its share "
        "of one processor: it runs on one, so near 100 % it is what is measured, and the processor time of the bot "
        "is what compares. `other programs` is the share of all processors that neither of them took: the rates are "
        "lower than on a machine that does nothing else. At its start, webex-node-bot-framework makes an object for "
        "each membership of the first page (1,000), the other two bots for none.\n",
        table(head, rows),
        "## Beside the others\n",
        "\n".join(_ratios(results)),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _ratios(results: Sequence[Result]) -> list[str]:
    known = {(each.bot, each.rooms): each for each in results}
    lines = []
    for each in results:
        ours = known.get((OURS, each.rooms))
        if each.bot == OURS or ours is None:
            continue
        if each.failure:
            lines.append(f"- {each.rooms:,} rooms: {each.failure}")
            continue
        if not (each.rate and each.resident and ours.each):  # its process was gone when it was measured
            missing = f"{each.lost:,} of {each.messages:,} messages unanswered"
            lines.append(f"- {each.rooms:,} rooms, {each.bot}: it ended, {missing}.")
            continue
        rate, cpu = ours.rate / each.rate, each.each / ours.each
        verdict = "the aim of 5 × is reached" if rate >= 5 else "the aim of 5 × is not reached"
        if rate < 5 and ours.emulator_share >= _BUSY:
            verdict = "the emulator limits the rate of webex.bots"
        elif rate < 5 and ours.others >= _SHARED:
            verdict += f", on a machine of which other programs took {ours.others:.0%} meanwhile"
        told = f"with {cpu:.1f} × less processor time for each"
        if each.lost:
            told = f"of which the other lost {each.lost:,} of {each.messages:,}"
        lines.append(
            f"- {each.rooms:,} room{'s' if each.rooms > 1 else ''}, {each.bot}: webex.bots handles {rate:.1f} × as "
            f"many messages a second, {told}, and takes {ours.resident / each.resident:.1f} × the memory; {verdict}."
        )
    return lines


def _priority() -> str:
    niceness = os.nice(0)
    return f", run with a niceness of {niceness}" if niceness else ""


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    ended = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or "unknown"


def main(*, quick: bool) -> int:
    """Measure, print the page, and write it unless `quick`."""
    try:
        results = run(sizes=(1, 20), messages=60) if quick else run()
    except (BotsError, EnvironmentUnavailableError) as error:
        print(error, file=sys.stderr)
        return 1
    text = report(results)
    if not quick:
        PATH.write_text(text)
        print(f"Written to {PATH}", file=sys.stderr)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(quick="--quick" in sys.argv))
