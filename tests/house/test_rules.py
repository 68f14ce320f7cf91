"""The rules of the house that no linter knows."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE = 500
# Written in pieces, so that this file itself obeys.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![A-Za-z0-9_.\-])/(?:wo" r"rk|fa" r"rm|ro" r"ot)/|\.\./sha" r"red"),
    "a registry's host": re.compile(
        r"https?://[^\s\"']*(?:/sim"
        r"ple/|registry\.|/packages/[0-9a-f]{2}/|/deb"
        r"ian/)"
        r"|files\.python"
        r"hosted|registry\.npm"
        r"js|pypi\.o"
        r"rg/s",
    ),
    "an unfinished thought": re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b"),
}
PERSON = re.compile(r"(?<![\\/:])\b[A-Za-z0-9._%+-]+@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})\b")


def tracked(*patterns: str) -> list[Path]:
    """Files of the checkout that git knows or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return [path for pattern in patterns for path in ROOT.rglob(pattern) if ".venv" not in path.parts]
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""  # a picture


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_contains(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in tracked("*")
        if not path.is_relative_to(ROOT / "tests" / "vectors")
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert not found, f"{what}:\n" + "\n".join(found)


def test_files_written_by_hand_have_at_most_500_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py")
        if "generated" not in path.parts and (lines := len(text_of(path).splitlines())) > LONGEST_FILE
    }
    assert not long, f"Look for the second idea in {long}"


def test_a_type_ignore_names_its_code_and_its_reason() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked("*.py")
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if re.search(r"#\s*type:\s*ig" r"nore(?!\[[a-z, -]+\]\s+#\s*\S)", line)
    ]
    assert not bare, f"Say `# type: ignore[code]  # reason` in {bare}"


def test_every_module_begins_with_a_docstring() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in tracked("src/*.py", "tools/*.py", "benchmarks/*.py")
        if (text := text_of(path).lstrip()) and not text.startswith(('"""', 'r"""', "#!"))
    ]
    assert not silent, f"These modules do not say what they are for: {silent}"


def test_people_have_only_example_domains() -> None:
    strangers = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked("*.py", "*.md", "*.html", "*.json", "*.js", "*.toml")
        if "package-lock" not in path.name
        for match in PERSON.finditer(text_of(path))
        if not re.search(r"(^|\.)example(\.(com|org|net))?$|\.(test|invalid)$", match.group(1).lower())
        and not re.search(r"(^|\.)(webex\.bot|webex\.com|webexapis\.com|png|svg|py|js|css)$", match.group(1).lower())
    ]
    assert not strangers, "\n".join(strangers)


def test_declared_dependencies_are_pinned_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    names = {re.split(r"[<>=~!;\[ ]", line)[0].lower().replace("_", "-") for line in wanted} - {"webex"}
    # The extra `fast` is not for the demo: only the tests install it.
    pinned = "".join((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("core", "dev"))
    missing = {name for name in names if not re.search(rf"^{re.escape(name)}==\S+( ;.*)? \\$", pinned, re.MULTILINE)}
    assert not missing, f"Run scripts/lock core: {missing} are not in requirements/core.txt or dev.txt"


def test_scripts_can_be_run() -> None:
    scripts = [path for path in (ROOT / "scripts").iterdir() if not path.suffix]
    assert scripts
    for path in [*scripts, ROOT / ".ci" / "run"]:
        assert path.stat().st_mode & 0o111, f"{path} is not executable"


def test_foreign_private_names_are_used_in_fewer_than_15_places() -> None:
    places = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked("src/**/*.py")
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if "noqa: SLF001" in line
    ]
    assert 0 < len(places) < 15, f"Give the caller what it needs instead: {places}"
