"""Mutation testing of one room: mutmut breaks its code in small ways, the room's fast tests have to notice.

    scripts/mutate auth --sample 200 --seed 1
    scripts/mutate src/webex/api/paging.py --tests tests/api/test_paging.py
    scripts/mutate --all --write

Works in a copy in a temporary folder, so that the checkout stays as it is. Only lines that the tests run are changed.
Left out are changes of log lines, of `cast` and of the wording of messages: no test should pin those. A mutant that no
test can kill, because the changed code does the same, stands with its reason in `tools/mutation/equivalent.toml`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from tools.environments import ROOT, EnvironmentUnavailableError, make
from tools.mutation.results import EQUIVALENT, Mutant, write_results
from tools.mutation.rooms import ROOMS, Room

COPIED = ("src", "tests", "tools", "docs", "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
LEFT_OUT_LINES = (r"_logger\.\w+\(", r"\bcast\(")  # a log line and a cast change nothing that a caller sees
_OPEN = ("survived", "timeout", "not run")  # what --again runs: a time-out may be the fault of a busy machine
ENOUGH = 0.9  # the share of mutants that must be killed


@dataclass(frozen=True)
class Result:
    """What became of the mutants of a room."""

    room: str
    population: int
    seconds: float
    mutants: list[Mutant] = field(repr=False)

    @property
    def counts(self) -> Counter[str]:
        """Return how many mutants ended in which way."""
        return Counter(mutant.status for mutant in self.mutants)

    @property
    def score(self) -> float:
        """Return the share that was killed, of those that can be."""
        counts = self.counts
        killable = counts.total() - counts["equivalent"] - counts["not run"]
        return (counts["killed"] + counts["timeout"]) / killable if killable else 1.0

    def told(self, *, survivors: bool = True) -> str:
        """Return one line with the figures, and the diffs of what survived."""
        counts = self.counts
        parts = [f"{counts[each]} {each}" for each in ("killed", "timeout", "survived", "equivalent", "not run")]
        head = (
            f"{self.room}: {counts.total()} of {self.population} mutants, {', '.join(parts)}: "
            f"{self.score:.1%} in {self.seconds:.0f} s"
        )
        left = [mutant for mutant in self.mutants if mutant.status == "survived"] if survivors else []
        return "\n".join([head, *(f"\n{mutant.path}, {mutant.function}:\n{mutant.diff}" for mutant in left)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Mutate what the command line names; 1 when fewer than 90 % were killed."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("room", nargs="?", help=f"{', '.join(ROOMS)}; or a file or folder, with --tests")
    parser.add_argument("--all", action="store_true", help="all rooms, one after the other")
    parser.add_argument("--tests", action="append", default=[], help="a test file or folder; may be repeated")
    parser.add_argument("--sample", type=int, default=200, help="how many mutants, chosen by the seed; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60.0, help="for one room; what is left then is not run")
    parser.add_argument("--report", type=Path, help="write every mutant and what became of it, as JSON")
    parser.add_argument("--again", type=Path, help="run what this report has not as killed, and take the rest from it")
    parser.add_argument("--write", action="store_true", help="write the figures into benchmarks/MUTATION.md")
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout")
    chosen = parser.parse_args(arguments)
    if bool(chosen.room) == chosen.all:
        parser.error("name a room, or give --all")
    if chosen.room and chosen.room not in ROOMS and not chosen.tests:
        parser.error(f"there is no room {chosen.room!r}; a file or folder needs --tests")
    rooms = [*ROOMS.values()] if chosen.all else [_room(chosen.room, chosen.tests)]
    done = []
    try:
        for room in rooms:
            done.append(
                mutate(
                    room,
                    root=chosen.root,
                    sample=chosen.sample,
                    seed=chosen.seed,
                    processes=chosen.processes,
                    minutes=chosen.minutes,
                    again=chosen.again,
                )
            )
            print(done[-1].told(), flush=True)
    except (EnvironmentUnavailableError, MutationError) as error:
        print(error, file=sys.stderr)
        return 1
    if chosen.report:
        chosen.report.write_text(json.dumps([mutant.as_json() for each in done for mutant in each.mutants], indent=1))
    if chosen.write:
        rows = {each.room: (each.population, each.counts, each.score, each.seconds) for each in done}
        write_results(rows, commit=_commit(), seed=chosen.seed)
    return int(any(each.score < ENOUGH for each in done))


class MutationError(Exception):
    """The tool could not do its work; the text has its last lines."""


def mutate(
    room: Room,
    *,
    root: Path = ROOT,
    sample: int = 200,
    seed: int = 1,
    processes: int = 2,
    minutes: float = 60.0,
    again: Path | None = None,
    equivalent: Path = EQUIVALENT,
) -> Result:
    """Run `sample` mutants of `room` (0: all), and return what became of each.

    `again` is an earlier report: what it has as killed stands. Only survivors, time-outs (which a busy machine may have
    caused) and what was not run are run.
    """
    python = make("mutate")
    earlier = None if again is None else _reported(again, room)
    began = time.monotonic()
    with _copy(root) as copy:
        _configure(copy, room)
        order = {
            "sample": sample,
            "seed": seed,
            "processes": processes,
            "only": None if earlier is None else [[*each.identity] for each in earlier if each.status in _OPEN],
        }
        (copy / "order.json").write_text(json.dumps(order))
        _drive(python, copy, "run", minutes * 60)
        _drive(python, copy, "report", 600)
        found = json.loads((copy / "report.json").read_text())
    named = _equivalents(equivalent)
    mutants = [Mutant(**each) for each in found["mutants"]]
    if earlier is not None:
        mutants = _merged(earlier, mutants)
    mutants = [_judged(mutant, named) for mutant in mutants]
    return Result(room.name, found["population"], time.monotonic() - began, mutants)


def _room(named: str, tests: Sequence[str]) -> Room:
    known = ROOMS.get(named)
    if known is not None:
        return replace(known, tests=tuple(tests) or known.tests)
    return Room(named, (named if named.endswith(".py") else f"{named.rstrip('/')}/*.py",), tuple(tests))


def _judged(mutant: Mutant, named: dict[tuple[str, str, str], str]) -> Mutant:
    if mutant.status == "survived" and mutant.change in named:
        mutant.status = "equivalent"
    return mutant


def _equivalents(path: Path) -> dict[tuple[str, str, str], str]:
    """The reason of every change that does nothing, by file, old and new lines."""
    entries = tomllib.loads(path.read_text())["equivalent"] if path.exists() else []
    return {
        (each["path"], each["was"].strip(), new.strip()): each["reason"] for each in entries for new in each["becomes"]
    }


def _reported(report: Path, room: Room) -> list[Mutant]:
    """The mutants of this room in a report, which may have other rooms' too."""
    mutants = [Mutant(**each) for each in json.loads(report.read_text())]
    return [each for each in mutants if any(fnmatch(each.path, source) for source in room.sources)]


def _merged(earlier: Sequence[Mutant], anew: Sequence[Mutant]) -> list[Mutant]:
    """The earlier mutants, with what became of those that ran anew. Equal changes of a function keep their order."""
    ran: defaultdict[tuple[str, str, str, str], list[Mutant]] = defaultdict(list)
    for mutant in anew:
        ran[mutant.identity].append(mutant)
    return [ran[each.identity].pop(0) if ran[each.identity] else each for each in earlier]


@contextlib.contextmanager
def _copy(root: Path) -> Iterator[Path]:
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", ".*")
    with tempfile.TemporaryDirectory(prefix="webex-mutate-") as folder:
        copy = Path(folder) / root.resolve().name
        copy.mkdir()
        for name in COPIED:
            source = root / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=ignored)
            elif source.exists():
                shutil.copy(source, copy)
        yield copy


def _configure(copy: Path, room: Room) -> None:
    beside = [name for name in COPIED if (copy / name).exists() and name not in ("src", "tests", "pyproject.toml")]
    arguments = ["-p", "no:tests.support.secret_scan"]  # it knows one run in a process, and here are many
    if (copy / "src/webex/testing/plugin.py").exists():
        arguments += ["-p", "webex.testing.plugin"]
    if room.without:
        arguments += ["-k", " and ".join(f"not {word}" for word in room.without.split())]
    settings: dict[str, object] = {
        "source_paths": ["src"],
        "only_mutate": [*room.sources],
        "also_copy": beside,
        "mutate_only_covered_lines": True,
        "do_not_mutate_patterns": [*LEFT_OUT_LINES],
        "pytest_add_cli_args": arguments,
        "pytest_add_cli_args_test_selection": [*room.tests],
        "timeout_multiplier": 4.0,
        "timeout_constant": 8.0,
        "use_git_change_detection": False,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    with (copy / "pyproject.toml").open("a") as file:
        file.write("\n".join(["\n[tool.mutmut]", *lines, ""]))


def _drive(python: Path, copy: Path, step: str, seconds: float) -> None:
    """Run a step of `tools/mutation/driver.py`; one that takes too long is ended, with all that it started."""
    driver = ROOT / "tools" / "mutation" / "driver.py"
    log = copy.parent / "log"
    nice = ["nice", "-n", "19"] if shutil.which("nice") else []  # it runs for long: other work goes first
    with (
        log.open("w") as output,
        subprocess.Popen(
            [*nice, str(python), str(driver), step],
            cwd=copy,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        try:
            code = process.wait(seconds)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired) and (copy / "sample.json").exists():
                return
            raise
    if code != 0:
        last = "\n".join(log.read_text(errors="replace").replace("\r", "\n").splitlines()[-40:])
        raise MutationError(f"mutmut failed:\n{last}")


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the copy is removed
    sys.exit(main())
