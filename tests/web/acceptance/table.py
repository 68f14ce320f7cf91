"""Run the acceptance suite, and write what passed into `docs/frameworks.md`.

`python -m tests.web.acceptance.table` runs every adapter in every server; `… table flask_app litestar_app-uvicorn`
only these apps or pairs, and leaves the other cells as they are. `--check` runs nothing: it compares the table with the
suite.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from tests.support.tiers import make
from tests.web.acceptance import sites
from tests.web.acceptance import test_acceptance as suite

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "frameworks.md"
BEGIN = "<!-- table: written by tests/web/acceptance/table.py -->\n"
END = "<!-- table: end -->\n"
ADAPTERS = {
    "plain_asgi": "plain ASGI",
    "starlette_app": "Starlette",
    "fastapi_app": "FastAPI",
    "fastapi_session": "FastAPI, Starlette's session",
    "litestar_app": "Litestar",
    "litestar_session": "Litestar, its session",
    "quart_app": "Quart",
    "aiohttp_app": "aiohttp",
    "plain_wsgi": "plain WSGI",
    "flask_app": "Flask",
    "flask_session": "Flask, its session",
    "django_site": "Django",
    "django_session": "Django, its session",
    "django_asgi": "Django, ASGI",
    "django_asgi_session": "Django, ASGI, its session",
    "lambda_app": "AWS Lambda",
}
PAIRS = [*suite.OFFLINE, *suite.WITH_SERVERS]
EVENTS = ("payload-1.0", "payload-2.0", "alb", "alb-single")
SERVERS = [server for server in sites.SERVERS if server not in EVENTS]
IDS = {"-".join(pair): pair for pair in PAIRS}
Cells = dict[tuple[str, str], str]


def checks() -> int:
    """How many tests one pair has."""
    count = 0
    for name, test in vars(suite).items():
        if name.startswith("test_"):
            marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
            count += len(marks[0].args[1]) if marks else 1
    return count


def run(chosen: list[str]) -> Cells:
    """The cells of the chosen apps or pairs, or of all."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--tier", "all", f"--junitxml={report}"]
        wanted = [*(("-k", " or ".join(chosen)) if chosen else ())]
        subprocess.run([*command, suite.__file__, *wanted], cwd=ROOT, check=False)
        cases = ElementTree.parse(report).iter("testcase")
        passed: Counter[tuple[str, str]] = Counter()
        seen: set[tuple[str, str]] = set()
        for case in cases:
            parameters = (case.get("name") or "").partition("[")[2]
            pair = IDS[max((name for name in IDS if parameters.startswith(name)), key=len)]
            seen.add(pair)
            passed[pair] += all(child.tag not in ("failure", "error", "skipped") for child in case)
    return {pair: "yes" if passed[pair] == checks() else f"{passed[pair]} of {checks()}" for pair in seen}


def rendered(cells: Cells) -> str:
    """The two tables, one of servers and one of AWS's events."""
    lines = []
    for columns in (SERVERS, list(EVENTS)):
        apps = [app for app in ADAPTERS if any((app, column) in PAIRS for column in columns)]
        lines += [f"| adapter | {' | '.join(column.replace('-', ' ', 1) for column in columns)} |"]
        lines += ["| --- |" + " --- |" * len(columns)]
        lines += [
            f"| {ADAPTERS[app]} | " + " | ".join(cells.get((app, column), "") for column in columns) + " |"
            for app in apps
        ]
        lines += [""]
    python = ".".join(map(str, sys.version_info[:3]))
    names = ("uvicorn", "hypercorn", "aiohttp", "flask", "django", "fastapi", "starlette", "litestar", "quart")
    said = [f"Python {python}", *(f"{name} {version(name)}" for name in names), *_in_servers("gunicorn", "waitress")]
    return "\n".join([*lines, f"A cell is {checks()} tests. Last run: {', '.join(said)}.", ""])


def _in_servers(*names: str) -> list[str]:
    code = (
        "import sys, importlib.metadata as m; print(*(f'{name} {m.version(name)}' for name in sys.argv[1:]), sep=',')"
    )
    ran = subprocess.run([make("servers"), "-c", code, *names], capture_output=True, text=True, check=True)
    return ran.stdout.strip().split(",")


def told(page: str) -> Cells:
    """The cells that stand in the page."""
    cells, columns = {}, list[str]()
    apps = {label: app for app, label in ADAPTERS.items()}
    for line in page.partition(BEGIN)[2].partition(END)[0].splitlines():
        first, *rest = (cell.strip() for cell in re.sub(r"^\||\|$", "", line).split("|"))
        if first == "adapter":
            columns = [name.replace(" ", "-") for name in rest]
        elif first in apps:
            cells |= {(apps[first], column): cell for column, cell in zip(columns, rest, strict=True) if cell}
    return cells


def problems() -> list[str]:
    """What the table does not say as the suite has it."""
    page = PAGE.read_text(encoding="utf-8")
    cells = told(page)
    found = [f"{'-'.join(pair)} is not in the table" for pair in PAIRS if pair not in cells]
    found += [f"{'-'.join(pair)} is not in the suite" for pair in cells if pair not in PAIRS]
    found += [f"{'-'.join(pair)}: {cell}" for pair, cell in cells.items() if cell != "yes"]
    if f"A cell is {checks()} tests." not in page:
        found.append(f"a cell is {checks()} tests now")
    return found


def main(arguments: list[str]) -> int:
    """Write the table, or compare it."""
    if arguments != ["--check"]:
        ran = run(arguments)
        page = PAGE.read_text(encoding="utf-8")
        cells = told(page) | ran
        before, _, rest = page.partition(BEGIN)
        kept = {pair: cell for pair, cell in cells.items() if pair in PAIRS}
        PAGE.write_text(f"{before}{BEGIN}\n{rendered(kept)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    for problem in (found := problems()):
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
