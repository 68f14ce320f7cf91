"""Measures and writes RESULTS.md.

Every contestant lives in a process of its own for the whole run. A case is measured in rounds: in each round every
contestant runs once, in an order that moves on, so that whatever else the machine does falls on all of them alike. What
counts is the median of the rounds, and of that only the ratio.
"""

from __future__ import annotations

import argparse
import compileall
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import emulated, report, startup
from benchmarks.arena import (
    AIOHTTP,
    BARE,
    BEFORE,
    FAST,
    NODE,
    PEERS,
    PYREQWEST,
    URLLIB3,
    WEBEX,
    WEBEXPYTHONSDK,
    WXC_SDK,
    Contestant,
    ContestantError,
    Sink,
)
from tools.environments import ROOT, EnvironmentUnavailableError, make

LONG = ("realtime", "chaos", "webhooks", "soak", "fuzzing", "hosts", "model", "mutation", "fleet")
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


def long_runs(only: str | None) -> int:
    """Real time, chaos, webhooks, twenty minutes of soak, ten of fuzzing, hosts, thirty of the model, mutation, fleet.

    `only` names one of them. 1 when one of them failed.
    """
    runs = [
        run
        for name, run in (
            ("realtime", (sys.executable, "benchmarks.realtime")),
            ("chaos", (sys.executable, "benchmarks.chaos", "--seconds", "120")),
            ("webhooks", (sys.executable, "benchmarks.webhooks")),
            ("soak", (sys.executable, "benchmarks.soak", "--minutes", "20")),
            ("fuzzing", (fuzzer() if only in (None, "fuzzing") else "", "tools.fuzz", "--seconds", "600")),
            ("hosts", (sys.executable, "benchmarks.hosts")),
            ("model", (sys.executable, "benchmarks.refresh_model", "--minutes", "30")),
            ("mutation", (sys.executable, "tools.mutate", "--all", "--write")),
            ("fleet", (sys.executable, "benchmarks.fleet", "--long")),
        )
        if only in (None, name)
    ]
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
    parser.add_argument(
        "what", nargs="?", choices=("bots", "storages", *LONG), help="only this; all but the first two with --long"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that everything runs; writes nothing")
    parser.add_argument("--long", action="store_true", help="the long runs instead: real time, chaos, fuzzing")
    parser.add_argument(
        "--before", metavar="FOLDER", help="a checkout of an earlier commit, to measure beside this one"
    )
    parser.add_argument("--small", action="store_true", help="storages: smaller sizes, for a machine that is busy")
    options = parser.parse_args()
    if options.what == "storages":
        from benchmarks import storages

        return storages.run(quick=options.quick, sizes=storages.SMALL if options.small else None)
    if options.what == "bots":
        from benchmarks import bots

        return bots.main(quick=options.quick)
    if options.long:
        return long_runs(options.what)
    if options.what in LONG:
        parser.error(f"{options.what} is a long run: scripts/bench --long {options.what}")
    count, share = (2, 10) if options.quick else (7, 1)
    ours: tuple[str, ...] = (WEBEX, FAST)
    roots = [ROOT]
    if options.before:
        roots.append(Path(options.before).resolve())
        os.environ["BENCHMARKED_BEFORE"] = str(roots[-1])
        ours = (*ours, BEFORE)
    for root in roots:  # an installed package is compiled as well
        compileall.compile_dir(root / "src", quiet=1)

    try:
        with Sink() as sink, contestants((*ours, *BARE, *PEERS), sink.url) as started:

            def measure(title: str, entries: dict[str, Entry]) -> dict[str, dict[str, float]]:
                print(title, file=sys.stderr, flush=True)
                return rounds(started, entries, count)

            views = measure(
                "views",
                {
                    **{name: (name, "view", {"n": 10_000 // share}) for name in ours if name != FAST},
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
                    **{f"{name}, blocking": (name, "sequential", {"n": n}) for name in ours},
                    **{f"{name}, event loop": (name, "async_sequential", {"n": n}) for name in ours},
                    f"{URLLIB3}, blocking": (URLLIB3, "sequential", {"n": n}),
                    f"{AIOHTTP}, event loop": (AIOHTTP, "async_sequential", {"n": n}),
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
                        **{f"{name}, event loop": (name, "concurrent", {"n": n, "at_once": width}) for name in ours},
                        **{f"{name}, threads": (name, "threads", {"n": n, "at_once": width}) for name in ours},
                        f"{URLLIB3}, threads": (URLLIB3, "threads", {"n": n, "at_once": width}),
                        AIOHTTP: (AIOHTTP, "concurrent", {"n": n, "at_once": width}),
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
                        **{f"{name}, blocking": (name, "blocking_list", {"size": size}) for name in ours},
                        **{f"{name}, event loop": (name, "list", {"size": size}) for name in ours},
                        **{peer: (peer, "list", {"size": size}) for peer in PEERS},
                    },
                )
            print("imports", file=sys.stderr)
            starts = startup.measure(sink.url, 15 // (share if share == 1 else 5))
            print("10,000 users", file=sys.stderr)
            with contestants((WEBEX,), sink.url) as alone:
                users = alone[WEBEX].run("users", n=10_000 // share)
            emulator = emulated.measure(2_000 // share)
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
        emulator=emulator,
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
