"""Code blocks of the documentation, and what the page says (invisibly) about how to run them.

A fenced block of `python`, `sh` or `console` is run as it stands, each in a process and an empty folder of its own,
with an emulator behind it and its variables set. An HTML comment right above the fence says what a reader need not see:

    <!-- name: node-server -->            another test takes it by this name (and it is still run)
    <!-- continues -->                    it goes on where the block before it on the page ended
    <!-- with: client room -->            these names stand already (see `preamble.py`)
    <!-- raises: NotFoundError -->        it ends with this exception, and shall
    <!-- serves: / -->                    it defines an ASGI `app`; this path of it is asked for
    <!-- not run: needs an account -->    only read, for the reason that stands here

Several go into one comment, split by `;`. Blocks of other languages are pictures of text and are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("python", "sh", "console")
DIRECTIVES = ("name", "continues", "with", "raises", "serves", "not run")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.M | re.S)
_COMMENT = re.compile(r"<!--\s*((?:(?!-->).)*?)\s*-->\s*\Z", re.S)


@dataclass(frozen=True)
class Block:
    """One block of a page. `line` is where its code begins."""

    page: str
    line: int
    language: str
    code: str
    directives: dict[str, str] = field(default_factory=dict)
    before: tuple[Block, ...] = ()  # the blocks that it continues, first one first

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


class BadDirectiveError(ValueError):
    """A comment above a block says something that the runner does not know."""


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(path: Path) -> Iterator[Block]:
    """The blocks of a page that are run, in order."""
    text = path.read_text(encoding="utf-8")
    page = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    last: dict[str, Block] = {}
    for match in _FENCE.finditer(text):
        language = match["language"]
        if language not in LANGUAGES:
            continue
        line = text.count("\n", 0, match.start("code")) + 1
        indent = len(match["indent"])
        code = "".join(each[indent:] for each in match["code"].splitlines(keepends=True))
        directives = _directives(text[: match.start()], f"{page}:{line}")
        before: tuple[Block, ...] = ()
        if "continues" in directives:
            if language not in last:
                raise BadDirectiveError(f"{page}:{line} continues, but there is no {language} block above it.")
            before = (*last[language].before, last[language])
        last[language] = Block(page, line, language, code, directives, before)
        yield last[language]


def named(name: str) -> Block:
    """The block that a page names; for tests of a particular example."""
    found = [block for path in pages() for block in blocks_of(path) if block.directives.get("name") == name]
    assert len(found) == 1, f"{len(found)} blocks are named {name!r}"
    return found[0]


def _directives(text_above: str, where: str) -> dict[str, str]:
    comment = _COMMENT.search(text_above)
    found = {}
    for part in comment[1].split(";") if comment else ():
        key, _, value = part.strip().partition(":")
        if key not in DIRECTIVES:
            raise BadDirectiveError(f"{where}: {key!r} is none of {', '.join(DIRECTIVES)}.")
        found[key] = value.strip()
    if "not run" in found and not found["not run"]:
        raise BadDirectiveError(f"{where}: say why the block is not run.")
    return found
