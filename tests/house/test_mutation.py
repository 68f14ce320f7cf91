"""The mutation runner, over a package of three functions: what it samples, counts, reports, and leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.tiers import environment
from tools import mutate
from tools.mutation.results import Mutant, write_results
from tools.mutation.rooms import ROOMS, Room

ROOT = Path(__file__).resolve().parents[2]
SOURCE = """
import logging

_logger = logging.getLogger("tiny")


def larger(one, other):
    _logger.info("comparing %s with %s", one, other)
    if one >= other:
        return one
    return other


async def half(number):
    if number < 0:
        raise ValueError("The number must not be negative.")
    return number / 2


def untested(number):
    return number + 1
"""
TESTS = """
import asyncio

import pytest

from tiny import half, larger


def test_larger():
    assert larger(1, 2) == 2
    assert larger(2, 1) == 2


def test_half():
    assert asyncio.run(half(4)) == 2
    with pytest.raises(ValueError):
        asyncio.run(half(-1))
"""
EQUIVALENT = """
[[equivalent]]
path = "src/tiny/__init__.py"
was = "if one >= other:"
becomes = ["if one > other:"]
reason = "Of two equal numbers either is the larger one."
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "tiny"
    for name, text in {
        "src/tiny/__init__.py": SOURCE,
        "tests/test_tiny.py": TESTS,
        "pyproject.toml": "",
        "equivalent.toml": EQUIVALENT,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.thirdparty
def test_survivors_are_found_and_equivalent_ones_named(checkout: Path) -> None:
    environment("mutate")
    before = sorted(checkout.rglob("*"))
    room = Room("tiny", ("src/tiny/*.py",), ("tests",))
    result = mutate.mutate(room, root=checkout, sample=0, processes=1, equivalent=checkout / "equivalent.toml")
    assert sorted(checkout.rglob("*")) == before
    assert [mutant.status for mutant in result.mutants if "one > other" in mutant.diff] == ["equivalent"]
    survived = {mutant.function for mutant in result.mutants if mutant.status == "survived"}
    assert survived == {"half"}  # no test has the number 0, or reads the text of the error
    assert result.counts["killed"] > 0
    assert not [mutant for mutant in result.mutants if mutant.function == "untested" or "_logger" in mutant.diff]
    assert not [mutant for mutant in result.mutants if "XXThe number" in mutant.diff]
    assert "number <= 0" in result.told()

    some = mutate.mutate(room, root=checkout, sample=3, seed=5, processes=1)
    again = mutate.mutate(room, root=checkout, sample=3, seed=5, processes=1)
    assert some.population == len(result.mutants) + 3  # the wording of the error
    assert [mutant.name for mutant in some.mutants] == [mutant.name for mutant in again.mutants]
    assert len(some.mutants) == 3

    report = checkout.parent / "report.json"
    report.write_text(json.dumps([mutant.as_json() for mutant in result.mutants]))
    (checkout / "tests" / "test_tiny.py").write_text(TESTS.replace("half(4)) == 2", "half(0)) == 0"))
    repeated = mutate.mutate(room, root=checkout, processes=1, again=report)
    assert [mutant.change for mutant in repeated.mutants] == [mutant.change for mutant in result.mutants]
    assert "number <= 0" not in repeated.told()
    assert repeated.counts["killed"] > result.counts["killed"]


@pytest.mark.thirdparty
def test_failing_tests_are_reported_before_mutating(checkout: Path) -> None:
    environment("mutate")
    (checkout / "tests" / "test_tiny.py").write_text(TESTS.replace("== 2\n", "== 3\n"))
    with pytest.raises(mutate.MutationError, match="test_larger"):
        mutate.mutate(Room("tiny", ("src/tiny/*.py",), ("tests",)), root=checkout)


def _mutant(status: str, number: int) -> Mutant:
    return Mutant(f"m{number}", "src/a.py", "f", status, "-    a\n+    b")


def test_a_second_run_distinguishes_mutants_of_two_functions(tmp_path: Path) -> None:
    def of(function: str, *statuses: str) -> list[Mutant]:
        return [Mutant(f"m_{function}", "src/a.py", function, status, "-    a\n+    b") for status in statuses]

    elsewhere = Mutant("m", "src/b.py", "f", "survived", "-    a\n+    b")
    report = tmp_path / "report.json"
    report.write_text(json.dumps([m.as_json() for m in [*of("f", "killed"), *of("g", "survived"), elsewhere]]))
    earlier = mutate._reported(report, Room("a", ("src/a.py",), ()))
    assert [(each.function, each.status) for each in earlier] == [("f", "killed"), ("g", "survived")]
    merged = mutate._merged([*earlier, *of("h", "survived", "timeout")], [*of("g", "survived"), *of("h", "killed")])
    assert [(each.function, each.status) for each in merged] == [
        ("f", "killed"), ("g", "survived"), ("h", "killed"), ("h", "timeout")
    ]  # fmt: skip


def test_score_counts_killable_mutants() -> None:
    statuses = ["killed"] * 6 + ["timeout"] * 2 + ["survived"] * 2 + ["equivalent"] * 5 + ["not run"] * 5
    result = mutate.Result("room", 100, 1.0, [_mutant(status, number) for number, status in enumerate(statuses)])
    assert result.score == 0.8
    assert "20 of 100 mutants, 6 killed, 2 timeout, 2 survived, 5 equivalent, 5 not run: 80.0%" in result.told()
    assert mutate.Result("room", 0, 1.0, []).score == 1.0


def test_page_keeps_rows_of_rooms_not_run(tmp_path: Path) -> None:
    page = tmp_path / "MUTATION.md"
    one = mutate.Result("one", 9, 1.0, [_mutant("killed", 1), _mutant("survived", 2)])
    for room, commit in (("one", "aaa"), ("two", "bbb"), ("one", "ccc")):
        write_results({room: (9, one.counts, one.score, 1.0)}, commit=commit, seed=1, page=page)
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    assert rows == [
        "| `one` | 2 of 9 | 1 | 0 | 1 | 0 | 50.0% | 1 | ccc |",
        "| `two` | 2 of 9 | 1 | 0 | 1 | 0 | 50.0% | 1 | bbb |",
    ]


@pytest.mark.parametrize("room", ROOMS.values(), ids=lambda room: room.name)
def test_rooms_have_files_and_tests(room: Room) -> None:
    for pattern in (*room.sources, *room.tests):
        assert list(ROOT.glob(pattern)), pattern


def test_equivalent_mutants_are_of_lines_that_exist() -> None:
    for path, was, _ in mutate._equivalents(mutate.EQUIVALENT):
        lines = {line.strip() for line in (ROOT / path).read_text().splitlines()}
        assert set(was.splitlines()) <= lines, f"{path}: {was}"


@pytest.mark.parametrize(
    "arguments", [[], ["auth", "--all"], ["no-such-room"]], ids=["nothing", "both", "unknown without tests"]
)
def test_command_line_that_names_no_room_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        mutate.main(arguments)
