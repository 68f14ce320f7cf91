"""The pages of the documentation hold together."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, pages

DOCS = ROOT / "docs"
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?:|mailto:)(?P<target>[^)\s#]*)(?:#(?P<part>[^)\s]+))?\)")


def heading_ids(text: str) -> set[str]:
    """As Markdown's table of contents makes them."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    found = set()
    for title in re.findall(r"^#+ (.+)$", without_code, flags=re.M):
        plain = re.sub(r"[^\w\s-]", "", title).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", plain))
    return found


def test_the_errors_page_matches_the_classes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.errors_page", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| `\w+Error`[^|]*\| (.*?) \|", (DOCS / "errors.md").read_text(), flags=re.M)
    assert rows
    assert all(rows)


@pytest.mark.parametrize("overview", [DOCS / "index.md", ROOT / "README.md"], ids=lambda path: path.name)
def test_every_page_is_linked(overview: Path) -> None:
    linked = {(overview.parent / match["target"]).resolve() for match in _LINK.finditer(overview.read_text())}
    assert not set(DOCS.glob("*.md")) - linked - {DOCS / "index.md"}


def test_every_page_is_in_the_navigation() -> None:
    navigation = re.findall(r"^ +- .+?: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.M)
    assert sorted(navigation) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_resolve(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for match in _LINK.finditer(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
        target = (page.parent / match["target"]).resolve() if match["target"] else page
        assert target.exists(), f"{page.name}: {match.group()} leads nowhere"
        if match["part"] and target.suffix == ".md":
            assert match["part"] in heading_ids(target.read_text(encoding="utf-8")), f"{page.name}: {match.group()}"
