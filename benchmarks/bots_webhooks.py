"""A bot behind webhooks, with workers that are killed and deliveries that come three times: each event is handled once.

    python -m benchmarks.bots_webhooks --messages 300 --workers 8 --kills 2 --seconds 5 --seed 1

Alice writes numbers in several rooms. Three webhooks of the bot lead to one socket that all workers listen on, so that
every event is delivered three times. Workers are killed at random moments and not replaced. At the end every message
has been handled to its end, and again only when its worker was killed, with `ctx.redelivered`.
"""

from __future__ import annotations

import argparse
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from webex import Webex
from webex.emulator import Cloud, Emulator
from webex.emulator.accounts import ALICE_TOKEN, BOT_TOKEN

ROOT = Path(__file__).resolve().parents[1]
SECRET = "the secret of the webhooks of the run"  # of a cloud that ends with the run
COPIES = 3
ROOMS = 20
LEASE = 2.0  # seconds until the events of a worker that was killed are taken over
PATIENCE = 300.0  # seconds until the last event is handled
WORKER = """
import asyncio, os, socket, sys
import uvicorn
from benchmarks.bots_webhooks import LEASE, SECRET
from webex.bots import Bot, Context
from webex.storage import SQLiteStorage

descriptor, url, database, log, seconds = sys.argv[1:]
written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
bot = Bot(
    os.environ["BOT_TOKEN"], storage=SQLiteStorage(database), secret="a secret of the run, long enough",
    settings={"emulator_url": url}, lease=LEASE,
)


@bot.command("say")
async def say(ctx: Context, number: int) -> str:
    line = f"{number} {int(ctx.redelivered)} {os.getpid()}"
    os.write(written, f"begin {line}\\n".encode())
    await asyncio.sleep(float(seconds))
    os.write(written, f"end {line}\\n".encode())
    return f"said {number}{' again' if ctx.redelivered else ''}"


hooks = bot.webhooks(secret=SECRET)
config = uvicorn.Config(hooks.asgi, log_config=None, access_log=False)
asyncio.run(uvicorn.Server(config).serve(sockets=[socket.socket(fileno=int(descriptor))]))
"""


@dataclass
class Report:
    """What happened; `wrong` says what must not be."""

    seed: int
    messages: int
    workers: int
    kills: int
    seconds: float = 0.0
    deliveries: int = 0
    handled: int = 0
    second_runs: int = 0
    answers: int = 0
    answer_p50_ms: float = 0.0  # of the HTTP answers to the deliveries
    answer_p99_ms: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Workers:
    """Processes that serve one listening socket."""

    def __init__(self, count: int, folder: Path, url: str, seconds: float) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/hooks"
        self.log = folder / "log.txt"
        self.log.touch()
        self.errors = folder / "errors.txt"
        descriptor = self._listening.fileno()
        arguments = [str(descriptor), url, str(folder / "bot.db"), str(self.log), str(seconds)]
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, *arguments],
                cwd=ROOT,
                pass_fds=[descriptor],
                env={"BOT_TOKEN": BOT_TOKEN, "PYTHONPATH": ":".join(filter(None, sys.path))},
                stdout=subprocess.DEVNULL,
                stderr=self.errors.open("ab"),
            )
            for _ in range(count)
        ]
        self.killed: set[str] = set()

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a worker, as a machine that fails would."""
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.killed.add(str(process.pid))

    def busy(self) -> list[subprocess.Popen[bytes]]:
        """Return the workers that have an event in hand."""
        in_hand: set[tuple[str, str]] = set()
        for what, number, _, process in self.lines():
            (in_hand.add if what == "begin" else in_hand.discard)((number, process))
        working = {process for _, process in in_hand} - self.killed
        return [process for process in self.processes if str(process.pid) in working]

    def close(self) -> None:
        """End all."""
        for process in self.processes:
            process.kill()
            process.wait()
        self._listening.close()

    def lines(self) -> list[list[str]]:
        """Return what the handlers wrote: begin or end, number, whether redelivered, process."""
        return [line.split() for line in self.log.read_text().splitlines()]

    def ended(self) -> set[str]:
        """Return the numbers that were handled to the end."""
        return {number for what, number, _, _ in self.lines() if what == "end"}


def run(messages: int, workers: int, kills: int, seconds: float, seed: int) -> Report:
    """Play the run; a handler takes `seconds`."""
    report, chance = Report(seed, messages, workers, kills), random.Random(seed)  # repeatable on purpose
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, Emulator(random_seed=seed) as cloud:
        cloud.set(webhook_retry_delays=(0.05, 0.2, 0.5, 1.0, 2.0, 4.0), webhook_timeout=60.0)
        crew = Workers(workers, Path(name), cloud.url, seconds)
        try:
            _deliver(cloud, crew, report, chance)
            _judge(cloud, crew, report)
        finally:
            crew.close()
        if errors := crew.errors.read_text().strip():
            report.wrong.append(f"a worker wrote: {errors[-2000:]}")
    report.seconds = round(time.monotonic() - began, 1)
    return report


def _deliver(cloud: Cloud, crew: Workers, report: Report, chance: random.Random) -> None:
    moments = sorted(chance.sample(range(report.messages), report.kills))
    with (
        Webex(ALICE_TOKEN, emulator_url=cloud.url) as alice,
        Webex(BOT_TOKEN, emulator_url=cloud.url) as account,
    ):
        me = account.people.me().id
        rooms = [alice.rooms.create(title=f"Room {number}").id for number in range(ROOMS)]
        for room in rooms:
            alice.memberships.create(room_id=room, person_id=me)
        for number in range(COPIES):
            account.webhooks.create(
                name=f"run {number}", target_url=crew.url, resource="messages", event="created", secret=SECRET
            )
        for number in range(report.messages):
            text = f"<@personId:{me}> say {number}"
            alice.messages.create(room_id=rooms[number % ROOMS], markdown=text)
            if moments and number == moments[0]:
                moments.pop(0)
                _until(lambda: bool(crew.busy()))
                crew.kill(chance.choice(crew.busy()))
        cloud.settle(timeout=PATIENCE)
        if not _until(lambda: len(crew.ended()) >= report.messages):
            missing = sorted(set(map(str, range(report.messages))) - crew.ended())
            report.wrong.append(f"not handled: {', '.join(missing[:20])}")
        _until(lambda: _said(alice, rooms) >= report.messages, 30.0)
        report.answers = _said(alice, rooms)


def _said(alice: Webex, rooms: list[str]) -> int:
    texts = {
        (message.text or "").split()[1]
        for room in rooms
        for message in alice.messages.list(room_id=room, page_size=1000)
        if (message.text or "").startswith("said ")
    }
    return len(texts)


def _judge(cloud: Cloud, crew: Workers, report: Report) -> None:
    attempts = list(cloud.delivery.attempts)
    report.deliveries, report.handled = len(attempts), len(crew.ended())
    times = sorted(attempt.seconds * 1000 for attempt in attempts if attempt.succeeded)
    report.answer_p50_ms = round(statistics.median(times), 1)
    report.answer_p99_ms = round(times[int(len(times) * 0.99)], 1)
    runs: dict[str, list[tuple[bool, str]]] = {}
    for what, number, redelivered, process in crew.lines():
        if what == "begin":
            runs.setdefault(number, []).append((redelivered == "1", process))
    for number, begun in runs.items():
        report.second_runs += len(begun) - 1
        if not all(marked for marked, _ in begun[1:]):
            report.wrong.append(f"{number} was handled again and not marked")
        if any(process not in crew.killed for _, process in begun[:-1]):
            report.wrong.append(f"{number} was handled again although its worker lives")
    if report.answers < report.messages:
        report.wrong.append(f"{report.messages - report.answers} messages have no answer")


def _until(condition: object, patience: float = PATIENCE) -> bool:
    assert callable(condition)
    give_up = time.monotonic() + patience
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 when something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bots_webhooks")
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="that a handler takes")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    report = run(options.messages, options.workers, options.kills, options.seconds, options.seed)
    for name, value in asdict(report).items():
        print(f"{name:>14}: {value}")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
