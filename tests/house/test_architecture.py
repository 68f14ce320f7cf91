"""The map in `docs/internals/` shows what is there: rooms, layers, files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.house.test_rules import ROOT, text_of

SOURCE = ROOT / "src" / "webex"
INTERNALS = ROOT / "docs" / "internals"
MAP = (INTERNALS / "architecture.md").read_text(encoding="utf-8")
PAGES = [*sorted(INTERNALS.rglob("*.md")), ROOT / "CONTRIBUTING.md"]
# What a recipe tells to write.
EXAMPLES = {
    f"src/webex/{name}"
    for name in ("api/rooms.py", "storage/json_file.py", "web/bottle.py", "emulator/rest/reports.py")
}
# Paths in code marks: `http/retry.py`, `storage/`, `tools/generate/`.
FILE = re.compile(r"`((?:src/webex/|tests/|tools/|docs/|scripts/)?[a-z_]+(?:/[a-z_]+)*(?:\.py|/))`")


def rooms() -> set[str]:
    """The packages and modules right below `src/webex`."""
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    return packages | {path.stem for path in SOURCE.glob("*.py") if not path.stem.startswith("__")}


def layers() -> list[set[str]]:
    """The layers contract, top first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    return [{name.removeprefix("webex.") for name in re.split(r"[|:\s]+", layer)} for layer in contract["layers"]]


def test_each_package_is_on_the_map() -> None:
    assert not {room for room in rooms() if f"`{room}`" not in MAP and not re.search(rf"^ +.*\b{room}\b", MAP, re.M)}


def test_each_layer_of_the_contract_exists() -> None:
    assert set().union(*layers()) <= rooms()


def test_each_package_has_its_layer() -> None:
    outside = {"extras"}  # named below the picture
    assert rooms() - set().union(*layers()) == outside


def test_picture_shows_the_layers_in_their_order() -> None:
    picture = MAP.split("```text\n", 1)[1].split("```", 1)[0]
    shown = [set(re.split(r"\s*[|:]\s*", re.split(r"\s{2,}", line.strip())[0])) for line in picture.splitlines()]
    assert shown == layers()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = FILE.findall(page.read_text(encoding="utf-8"))
    assert not [name for name in {*named} - EXAMPLES if not (SOURCE / name).exists() and not (ROOT / name).exists()]


def test_pages_name_files() -> None:
    assert len(FILE.findall(MAP)) > 20


def test_glossary_is_sorted() -> None:
    words = re.findall(r"^\| (.+?) \|", (INTERNALS / "glossary.md").read_text(encoding="utf-8"), flags=re.M)[2:]
    assert words == sorted(words, key=str.lower)


def test_glossary_has_words_of_the_code() -> None:
    source = " ".join(text_of(path) for path in SOURCE.rglob("*.py"))
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|[_\s-]+", " ", source).lower()
    rows = re.findall(r"^\| (.+?) \|", (INTERNALS / "glossary.md").read_text(encoding="utf-8"), flags=re.M)[2:]
    words = [word.lower().replace("-", " ") for row in rows for word in row.split(", ")]
    assert len(words) > 40
    assert not [word for word in words if not re.search(rf"\b{re.escape(word)}", spaced)]
