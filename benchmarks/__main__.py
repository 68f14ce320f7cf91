"""Measures and writes RESULTS.md.

Every contestant lives in a process of its own for the whole run. A case is measured in rounds: in each round every
contestant runs once, in an order that moves on, so that whatever else the machine does falls on all of them alike. What
counts is the median of the rounds, and of that only the ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks import report, startup
from benchmarks.arena import (
    NODE,
    PEERS,
    PYREQWEST,
    WEBEX,
    WEBEXPYTHONSDK,
    WXC_SDK,
    Contestant,
    ContestantError,
    Sink,
)
from tools.environments import ROOT, EnvironmentUnavailableError, make

ROOMS = 10_000  # as many as the sink has
Entry = tuple[str, str, dict[str, int]]  # contestant, case, parameters


@contextmanager
def contestants(names: tuple[str, ...], url: str) -> Iterator[dict[str, Contestant]]:
    """All of them, started; they end with the block."""
    started: dict[str, Contestant] = {}
    try:
        for name in names:
            started[name] = Contestant(name, url)
        yield started
    finally:
        for contestant in started.values():
            contestant.close()


def rounds(started: dict[str, Contestant], entries: dict[str, Entry], count: int) -> dict[str, dict[str, float]]:
    """The median of every number that a case gives, by label. The first round warms up and is forgotten."""
    seen: dict[str, list[dict[str, float]]] = {label: [] for label in entries}
    labels = list(entries)
    for number in range(count + 1):
        for label in labels[number % len(labels) :] + labels[: number % len(labels)]:
            name, case, parameters = entries[label]
            result = started[name].run(case, **parameters)
            if result.get("count", ROOMS) != ROOMS:
                raise ContestantError(f"{label} listed {result['count']} rooms of {ROOMS}.")
            if "n" in parameters and "seconds" in result:
                result["each"] = result["seconds"] / parameters["n"]
            if number:
                seen[label].append(result)
    return {
        label: {key: statistics.median(each[key] for each in results) for key in results[0]}
        for label, results in seen.items()
    }


def long_runs() -> int:
    """Real time and its figures, two minutes of chaos, ten minutes of fuzzing; 1 when one of them failed."""
    runs = (
        (sys.executable, "benchmarks.realtime"),
        (sys.executable, "benchmarks.chaos", "--seconds", "120"),
        (fuzzer(), "tools.fuzz", "--seconds", "600"),
    )
    path = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return max(
        subprocess.run([python, "-m", *run], cwd=ROOT, env=path, check=False).returncode != 0 for python, *run in runs
    )


def fuzzer() -> str:
    """An interpreter with atheris; this one, which fuzzes without guidance, where there is none."""
    try:
        return str(make("fuzz"))
    except EnvironmentUnavailableError as error:
        print(f"{error}\nFuzzing goes on without atheris.", file=sys.stderr)
        return sys.executable


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure webex beside its peers.")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that everything runs; writes nothing")
    parser.add_argument("--long", action="store_true", help="the long runs instead: real time, chaos, fuzzing")
    options = parser.parse_args()
    if options.long:
        return long_runs()
    count, share = (2, 10) if options.quick else (7, 1)

    try:
        with Sink() as sink, contestants((WEBEX, PYREQWEST, *PEERS), sink.url) as started:

            def measure(title: str, entries: dict[str, Entry]) -> dict[str, dict[str, float]]:
                print(title, file=sys.stderr, flush=True)
                return rounds(started, entries, count)

            views = measure(
                "views",
                {
                    WEBEX: (WEBEX, "view", {"n": 10_000 // share}),
                    "webex, without `ready`": (WEBEX, "view_alone", {"n": 10_000 // share}),
                    WEBEXPYTHONSDK: (WEBEXPYTHONSDK, "view", {"n": 1_000 // share}),
                    WXC_SDK: (WXC_SDK, "view", {"n": 200 // share}),
                    NODE: (NODE, "view", {"n": 100 // share}),
                },
            )
            n = 500 // share
            sequential = measure(
                "people.me, one after another",
                {
                    "webex, blocking": (WEBEX, "sequential", {"n": n}),
                    "webex, event loop": (WEBEX, "async_sequential", {"n": n}),
                    "bare pyreqwest, blocking": (PYREQWEST, "sequential", {"n": n}),
                    "bare pyreqwest, event loop": (PYREQWEST, "async_sequential", {"n": n}),
                    **{peer: (peer, "sequential", {"n": n}) for peer in PEERS},
                },
            )
            at_once = {}
            for width in (50, 500):
                n = 4_000 // share
                at_once[width] = measure(
                    f"people.me, {width} at once",
                    {
                        "webex, event loop": (WEBEX, "concurrent", {"n": n, "at_once": width}),
                        "webex, threads": (WEBEX, "threads", {"n": n, "at_once": width}),
                        PYREQWEST: (PYREQWEST, "concurrent", {"n": n, "at_once": width}),
                        **{peer: (peer, "concurrent", {"n": n, "at_once": width}) for peer in PEERS},
                    },
                )
            before = sink.spent()
            started[PYREQWEST].run("concurrent", n=10_000 // share, at_once=50)
            after = sink.spent()
            sink_seconds = (after[1] - before[1]) / (after[0] - before[0])
            listings = {}
            for size in (100, 1000):
                listings[size] = measure(
                    f"10,000 rooms in pages of {size}",
                    {
                        "webex, blocking": (WEBEX, "blocking_list", {"size": size}),
                        "webex, event loop": (WEBEX, "list", {"size": size}),
                        **{peer: (peer, "list", {"size": size}) for peer in PEERS},
                    },
                )
            print("imports", file=sys.stderr)
            starts = startup.measure(sink.url, 15 // (share if share == 1 else 5))
            print("10,000 users", file=sys.stderr)
            with contestants((WEBEX,), sink.url) as alone:
                users = alone[WEBEX].run("users", n=10_000 // share)
    except (ContestantError, EnvironmentUnavailableError) as error:
        print(error, file=sys.stderr)
        return 1

    text = report.write(
        views=views,
        sequential=sequential,
        at_once=at_once,
        listings=listings,
        starts=starts,
        users=users,
        sink_seconds=sink_seconds,
        rounds=count,
    )
    if not options.quick:
        report.PATH.write_text(text)
        print(f"Written to {report.PATH}", file=sys.stderr)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
