"""Several hosts meet one expired token, and things go wrong meanwhile.

`scripts/bench --long hosts` runs 4 hosts with 4 workers each that make 50 calls at once, for SQLite (on one host),
Redis, PostgreSQL and MariaDB, both styles mixed, on servers of the run's own. It prints a line for each run and fails
when a promise of docs/storage-guarantees.md is broken.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Iterator

from benchmarks.hosts import scenarios, storages
from benchmarks.hosts.run import Result, Run
from benchmarks.hosts.storages import Kept


def runs(
    names: list[str],
    *,
    hosts: int,
    workers: int,
    calls: int,
    only: str = "",
    rotation: str = "",
    namespaces: bool | None = None,
    verbose: bool = False,
) -> Iterator[Result]:
    """Run scenarios over storages."""
    for name in names:
        with storages.STORAGES[name]() as kept:
            for scenario in _of(kept):
                for each in scenarios.ROTATION[scenario]:
                    if only not in scenario.__name__ or rotation not in each:
                        continue
                    with (
                        Run(kept, hosts=hosts, workers=workers, rotation=each, namespaces=namespaces) as run,
                        run.watch,
                    ):
                        run.verbose = verbose
                        yield scenario(run, calls)


def _of(kept: Kept) -> Iterator[Callable[[Run, int], Result]]:
    if kept.fail_over is not None:
        yield scenarios.failed_over
        return
    yield from scenarios.ANYWHERE
    if kept.server is not None:
        yield from scenarios.OVER_A_NETWORK
    if kept.own is not None:
        yield scenarios.restarted


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosts", description=__doc__)
    parser.add_argument("storages", nargs="*", default=list(storages.STORAGES), help=", ".join(storages.STORAGES))
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--workers", type=int, default=4, help="of each host")
    parser.add_argument("--calls", type=int, default=50, help="of each worker, at once")
    parser.add_argument("--only", default="", help="scenarios with this text in their name")
    parser.add_argument("--rotation", default="", help="only with this rotation of refresh tokens")
    parser.add_argument("--plain", action="store_true", help="plain processes, no network namespaces")
    parser.add_argument("--verbose", action="store_true", help="the first errors of each worker")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # also in the background, so that nothing is left behind
        signal.signal(number, _interrupted)
    logging.getLogger("webex").setLevel(logging.CRITICAL)
    broken = 0
    for result in runs(
        options.storages,
        hosts=options.hosts,
        workers=options.workers,
        calls=options.calls,
        only=options.only,
        rotation=options.rotation,
        namespaces=False if options.plain else None,
        verbose=options.verbose,
    ):
        print(result, flush=True)
        broken += bool(result.broken)
    return 1 if broken else 0


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
