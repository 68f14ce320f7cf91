"""Deliver webhooks to workers that are killed, with repetitions, forgeries and in disorder: every event is handled.

`python -m benchmarks.webhooks --events 10000 --workers 4 --every 2 --seed 1` prints the figures and fails when an event
was lost, handled twice without being in hand at a kill, handled again without `redelivered`, or forged.
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
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.webhooks_worker import CONCURRENCY, LEASE, SECRET
from webex import Webex
from webex.emulator import Cloud, Emulator
from webex.emulator.accounts import ALICE_TOKEN

ROOT = Path(__file__).resolve().parents[1]
_LONGEST_WAIT = 120.0


@dataclass
class Report:
    """What happened."""

    seed: int
    events: int
    workers: int
    seconds: float = 0.0
    kills: int = 0
    deliveries: int = 0  # requests that the emulator made
    duplicates: int = 0  # of these, repetitions of one that was answered
    forged: int = 0
    forged_refused: int = 0
    forged_without_answer: int = 0  # the worker was killed with it in hand; it is not repeated
    without_answer: int = 0  # the worker was killed, and the delivery was repeated
    given_up: int = 0  # deliveries that no try brought to a worker: nothing was promised of them
    handled: int = 0
    second_runs: int = 0
    marked: int = 0  # runs that were marked redelivered
    answer_p50_ms: float = 0.0
    answer_p99_ms: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Workers:
    """Processes that serve one listening socket; one that is killed is replaced."""

    def __init__(self, count: int, folder: Path, seed: int) -> None:
        self._folder, self._random, self._seed = folder, random.Random(seed), seed
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(512)
        self.port: int = self._listening.getsockname()[1]
        self.log = folder / "log.txt"
        self.log.touch()
        self._started = 0
        self.processes = [self._start() for _ in range(count)]

    def _start(self) -> subprocess.Popen[bytes]:
        self._started += 1
        descriptor = self._listening.fileno()
        arguments = [str(descriptor), str(self._folder / "inbox.db"), str(self.log), str(self._seed + self._started)]
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.webhooks_worker", *arguments],
            cwd=ROOT,
            pass_fds=[descriptor],
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "errors.txt").open("ab"),
        )

    def kill_one(self) -> None:
        """Kill a worker and start another."""
        at = self._random.randrange(len(self.processes))
        self.processes[at].send_signal(signal.SIGKILL)
        self.processes[at].wait()
        self.processes[at] = self._start()

    def close(self) -> None:
        """End all."""
        for process in self.processes:
            process.kill()
            process.wait()
        self._listening.close()

    def ended(self) -> set[str]:
        """Return the ids of the events that were handled to the end."""
        return {line.split()[1] for line in self.log.read_text().splitlines() if line.startswith("end ")}


def run(events: int, workers: int, every: float, seed: int) -> Report:
    """Run it; the report says in `wrong` what must not be."""
    report = Report(seed, events, workers)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Emulator(random_seed=seed) as cloud:
        crew = Workers(workers, Path(folder), seed)
        try:
            _deliver(cloud, crew, events, every, report)
            report.seconds = round(time.monotonic() - began, 1)
            _judge(crew, cloud, report)
        finally:
            crew.close()
        errors = (Path(folder) / "errors.txt").read_text()
    if errors.strip():
        report.wrong.append(f"a worker wrote: {errors[-2000:]}")
    return report


def _deliver(cloud: Cloud, crew: Workers, events: int, every: float, report: Report) -> None:
    from collections import deque

    cloud.delivery.attempts = deque(maxlen=events * 4)  # type: ignore[misc]  # all of them are judged
    cloud.set(webhook_duplicate=0.1, webhook_reorder=0.2, webhook_forged=0.05, webhook_failure_limit=10**9)
    cloud.set(webhook_retry_delays=(0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 2.0, 2.0), webhook_timeout=20.0)
    done = threading.Event()

    def killing() -> None:
        while not done.wait(every):
            crew.kill_one()
            report.kills += 1

    killer = threading.Thread(target=killing, daemon=True)
    with Webex(ALICE_TOKEN, emulator_url=cloud.url) as alice:
        url = f"http://127.0.0.1:{crew.port}/hooks"
        alice.webhooks.create(name="long run", target_url=url, resource="messages", event="created", secret=SECRET)
        rooms = [alice.rooms.create(title=f"Room {number}").id for number in range(20)]
        killer.start()
        sent = {alice.messages.create(room_id=rooms[number % 20], text=str(number)).id for number in range(events)}
    cloud.settle(timeout=3600)
    done.set()
    killer.join(30)
    give_up = time.monotonic() + _LONGEST_WAIT
    while sent - crew.ended() and time.monotonic() < give_up:
        time.sleep(0.2)  # what was in hand is taken over within a lease
    time.sleep(2 * LEASE)  # and nothing more is
    lost = sent - crew.ended()
    report.handled = len(crew.ended())
    answered = {attempt.body for attempt in cloud.delivery.attempts if attempt.succeeded and not attempt.forged}
    undelivered = {name for name in lost if not any(name.encode() in body for body in answered)} if lost else set()
    report.given_up = len(undelivered)
    if lost - undelivered:
        report.wrong.append(f"{len(lost - undelivered)} events were answered with 200 and not handled")
    if undelivered:
        report.wrong.append(f"{len(undelivered)} events were not delivered at all")
    if strange := crew.ended() - sent:
        report.wrong.append(f"{len(strange)} events were handled that nobody sent")


def _judge(crew: Workers, cloud: Cloud, report: Report) -> None:
    attempts = list(cloud.delivery.attempts)
    report.deliveries = len(attempts)
    report.forged = sum(attempt.forged for attempt in attempts)
    report.forged_refused = sum(attempt.forged and attempt.status == 401 for attempt in attempts)
    report.forged_without_answer = sum(attempt.forged and attempt.status == 0 for attempt in attempts)
    report.without_answer = sum(attempt.status == 0 for attempt in attempts)
    taken = sum(attempt.succeeded for attempt in attempts)
    report.duplicates = taken - len({attempt.body for attempt in attempts if attempt.succeeded})
    if report.forged_refused + report.forged_without_answer < report.forged:
        report.wrong.append("a forged delivery was answered with something other than 401")
    times = sorted(attempt.seconds * 1000 for attempt in attempts if attempt.succeeded)
    report.answer_p50_ms = round(statistics.median(times), 1)
    report.answer_p99_ms = round(times[int(len(times) * 0.99)], 1)
    runs: dict[str, list[tuple[bool, str]]] = {}
    finished: set[tuple[str, str]] = set()
    for line in crew.log.read_text().splitlines():
        what, name, redelivered, process, forged = line.split()
        if forged == "1":
            report.wrong.append("a forged body reached a handler")
        if what == "begin":
            runs.setdefault(name, []).append((redelivered == "1", process))
        else:
            finished.add((name, process))
    alive = {str(process.pid) for process in crew.processes}
    for name, begun in runs.items():
        report.marked += sum(marked for marked, _ in begun)
        report.second_runs += len(begun) - 1
        if not all(marked for marked, _ in begun[1:]):
            report.wrong.append(f"{name} was handled again and not marked")
        if any(process in alive for _, process in begun[:-1]):
            report.wrong.append(f"{name} was handled again although its worker lives")
    if report.second_runs > report.kills * CONCURRENCY:
        report.wrong.append(f"{report.second_runs} second runs are more than {report.kills} kills had in hand")


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 when something was wrong."""
    parser = argparse.ArgumentParser(prog="benchmarks.webhooks", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--every", type=float, default=2.0, help="seconds from one kill to the next")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    report = run(options.events, options.workers, options.every, options.seed)
    for name, value in asdict(report).items():
        print(f"{name:>16}: {value}")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
