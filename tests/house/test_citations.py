"""Every `§` of code and docs leads to a numbered heading of `docs/internals/`, or to a public standard."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from tests.house.test_rules import ROOT, text_of, tracked

INTERNALS = ROOT / "docs" / "internals"
STANDARD = re.compile(r"(?:RFC \d+(?:bis)?|OpenID Connect (?:Core|Discovery)|NIST SP [\w-]+)\s\Z")
PAGE = re.compile(r"([\w-]+)(?:\.md)?`?\s\Z")
SECTION = re.compile(r"§(\d+(?:\.\d+)*)(?:-(\d+(?:\.\d+)*))?")
HEADING = re.compile(r"^#{2,4} (\d+(?:\.\d+)*)\.? ", re.MULTILINE)
BETWEEN = re.compile(r"(?:,| and| to)\s\Z")


@cache
def sections(page: str) -> frozenset[str]:
    """The numbers of a page's headings."""
    path = INTERNALS / f"{page}.md"
    return frozenset(HEADING.findall(path.read_text(encoding="utf-8"))) if path.is_file() else frozenset()


def unresolved(text: str, own_page: str | None = None) -> list[str]:
    """The citations of a text that lead nowhere. A page of ours may cite its own sections without its name."""
    wrong: list[str] = []
    source, end = "", 0  # what the citation before this one belonged to, and where that ended
    for cited in SECTION.finditer(text):
        before = re.sub(r"\s*\n[\s#>*|]*", " ", text[max(0, cited.start() - 60) : cited.start()])
        between = text[end : cited.start()]
        end_before, end = end, cited.end()
        if STANDARD.search(before):
            source = "standard"
            continue
        named = PAGE.search(before)
        if named is not None and sections(named[1]):
            source = named[1]
        elif not (end_before and source and BETWEEN.fullmatch(between)):
            source = own_page or (named[1] if named is not None else "")
        if source != "standard" and any(number and number not in sections(source) for number in cited.groups()):
            wrong.append(f"{source or 'nothing'} {cited.group()}")
    return wrong


def files() -> list[Path]:
    return [path for path in tracked("*.py", "*.md", "*.toml", "*.html") if path != Path(__file__).resolve()]


def test_each_citation_leads_to_a_heading() -> None:
    wrong = {
        path.relative_to(ROOT).as_posix(): found
        for path in files()
        if (text := text_of(path)).count("§")
        and (found := unresolved(text, path.stem if path.parent == INTERNALS else None))
    }
    assert not wrong, f"Cite a section of docs/internals/*.md, such as `oauth §4.2`: {wrong}"


def test_pages_of_protocol_facts_are_cited() -> None:
    cited = "\n".join(text_of(path) for path in tracked("src/*.py"))
    assert all(f"{page} §" in cited for page in ("oauth", "rest", "mercury", "kms", "conversations"))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("of oauth §4.2 and", []),
        ("of oauth §4, §6.", []),
        ("kms §2-6", []),
        ("(RFC 6749 §4.1.3, RFC 7636 §4.5)", []),
        ("OpenID Connect Core §3.1.3.7", []),
        ("oauth §99", ["oauth §99"]),
        ("oauth §4, §99", ["oauth §99"]),
        ("kms §2-99", ["kms §2-99"]),
        ("elsewhere §1", ["elsewhere §1"]),
        ("§1", ["nothing §1"]),
        ("RFC 6749 §4.1; elsewhere §7", ["elsewhere §7"]),
    ],
)
def test_unresolved_citation_is_found(text: str, wrong: list[str]) -> None:
    assert unresolved(text) == wrong
