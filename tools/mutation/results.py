"""What became of mutants, and the page with the figures."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.environments import ROOT

PAGE = ROOT / "benchmarks" / "MUTATION.md"
EQUIVALENT = ROOT / "tools" / "mutation" / "equivalent.toml"
_COLUMNS = ("room", "mutants", "killed", "timeout", "survived", "equivalent", "killed of the rest", "seconds", "commit")
_ROW = re.compile(r"^\| `(?P<room>[^`]+)` \|.*$", re.MULTILINE)


@dataclass
class Mutant:
    """One change of one function. `diff` has only the lines that differ."""

    name: str
    path: str
    function: str
    status: str
    diff: str

    @property
    def change(self) -> tuple[str, str, str]:
        """Return the file, the old lines and the new ones: what stays the same when the mutant's number does not."""
        lines = self.diff.splitlines()
        was, becomes = ("\n".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+")
        return self.path, was, becomes

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Return the change with its function: two functions may hold the same line."""
        return (self.path, self.function, *self.change[1:])

    def as_json(self) -> dict[str, str]:
        """Return what a report keeps."""
        return asdict(self)


def write_results(
    rows: Mapping[str, tuple[int, Counter[str], float, float]], *, commit: str, seed: int, page: Path = PAGE
) -> None:
    """Write the rows of these rooms into the page; those of other rooms stay. Each names its commit."""
    kept = {found["room"]: found.group() for found in _ROW.finditer(page.read_text())} if page.exists() else {}
    for room, (population, counts, score, seconds) in rows.items():
        cells = [f"`{room}`", f"{counts.total()} of {population}"]
        cells += [str(counts[each]) for each in ("killed", "timeout", "survived", "equivalent")]
        kept[room] = f"| {' | '.join([*cells, f'{score:.1%}', f'{seconds:.0f}', commit])} |"
    head = [f"| {' | '.join(_COLUMNS)} |", f"| {' | '.join('---' for _ in _COLUMNS)} |"]
    page.write_text("\n".join([_INTRODUCTION.format(seed=seed), *head, *kept.values(), "", _equivalents(), ""]))


def _equivalents() -> str:
    entries = tomllib.loads(EQUIVALENT.read_text())["equivalent"] if EQUIVALENT.exists() else []
    lines = ["## Equivalent mutants", "", "No test can kill these: the changed code does the same.", ""]
    for each in entries:
        was, becomes = (
            each["was"].strip().replace("\n", " "),
            [new.strip().replace("\n", " ") for new in each["becomes"]],
        )
        lines.append(f"- `{each['path'].removeprefix('src/webex/')}`: {each['reason']}")
        lines += ["", "    ```text", f"    {was}", *(f"    -> {new}" for new in becomes), "    ```", ""]
    return "\n".join(lines).rstrip()


_INTRODUCTION = """# Mutation testing

`scripts/mutate ROOM` breaks one room of the SDK in small ways, one at a time (mutmut 3), and runs the room's fast tests
until one fails. A change that no test notices survived. The sample is seeded ({seed}), of lines that the tests run;
changes of log lines, casts and the wording of messages are left out. `scripts/mutate --all --write` writes this page,
`scripts/bench --long` does it too. After new tests, `--again REPORT` runs the survivors of a report.

Compared on `storage/access`, on two busy cores: mutmut 3.8 made 647 mutants and ran them in 6 minutes, because it forks
from a process that has imported everything, and runs only the tests that call the changed function. Cosmic Ray 8.7 made
518, none in the arguments of calls, and ran 3 in 90 seconds: it starts the tests anew for each.
"""
