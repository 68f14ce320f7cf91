"""Write the python blocks of the documentation as modules, and translate what a type checker says of them to the page.

A block becomes a module: its preamble, the blocks that it continues, the block itself. Code with `await` at the top
level stands in an `async def`, because only notebooks may have it elsewhere. Every line of a module knows the page and
line that it comes from.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.docs.blocks import Block
from tests.docs.preamble import preamble

# What these give has no types, or none that is installed: that a block's names are unknown is not the block's fault.
UNTYPED: Final = ("django", "structlog", "fastapi.testclient")
HELP: Final = "Mend the block, or the library's annotation, whichever is wrong; see CONTRIBUTING.md, *Documentation*."
# What `run_block.py` puts beside a block.
_PROVIDED: Final = "from webex.emulator import Cloud, accounts\ncloud = Cloud()\n"
_HEAD: Final = (
    "# pyright: strict, reportUnusedVariable=false, reportUnusedExpression=false, reportUnusedImport=false, "
    "reportUnusedCoroutine=true, reportUnusedFunction=false, reportUnusedClass=false\n"
    "# ruff: noqa\n"
)
_LENIENT: Final = (
    "# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, "
    "reportUnknownParameterType=false, reportMissingTypeStubs=false, reportUntypedFunctionDecorator=false, "
    "reportAttributeAccessIssue=false, reportMissingImports=false, reportConstantRedefinition=false\n"
    '# mypy: disable-error-code="untyped-decorator, no-any-return, import-untyped, attr-defined"\n'
)
_COMPLAINT: Final = re.compile(r"^\s*(?P<path>[^\s:][^:]*\.py):(?P<line>\d+)(?::\d+)?(?: -)?:? ?(?P<text>.*)$")


@dataclass
class Module:
    """One block as a module, and where each of its lines stands in the documentation."""

    name: str
    block: Block
    lines: list[str] = field(default_factory=list)
    places: list[str | None] = field(default_factory=list)  # None: no line of a page

    def add(self, code: str, *, page: str | None = None, line: int = 0, indent: str = "") -> None:
        """Append code, which begins at a line of a page."""
        inside = _inside_of_texts(code) if indent else set()
        for number, text in enumerate(code.splitlines()):
            self.lines.append(text if number + 1 in inside or not text else indent + text)
            self.places.append(f"{page}:{line + number}" if page else None)

    def place(self, line: int) -> str:
        """Return the page and line of a line of the module."""
        there = self.places[line - 1] if 0 < line <= len(self.places) else None
        return there or f"{self.block.id}, in what stands before it (tests/docs/preamble.py)"


def _inside_of_texts(code: str) -> set[int]:
    """Return the lines that go on within a text of several lines: indenting them would change the text."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno and node.end_lineno > node.lineno:
            found.update(range(node.lineno + 1, node.end_lineno + 1))
    return found


def module_of(block: Block) -> Module:
    """Return the module of a block."""
    sections = (*block.before, block)
    before = preamble(" ".join(each.directives.get("with", "") for each in sections))
    made = Module(re.sub(r"\W", "_", block.id.replace(".md", "")), block)
    made.add("from __future__ import annotations")
    made.add(_HEAD + (_LENIENT if any(name in block.code for name in UNTYPED) else ""))
    if "def cloud(" not in block.code:
        made.add(_PROVIDED)
    waits = any(_awaits(code) for code in (before, *(each.code for each in sections)))
    indent = "    " if waits else ""
    if waits:
        made.add("async def _block() -> None:")
    made.add(before, indent=indent)
    for each in sections:
        made.add(_without_future(each.code), page=each.page, line=each.line, indent=indent)
    return made


def _awaits(code: str) -> bool:
    compiled = compile(code, "<block>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return bool(compiled.co_flags & inspect.CO_COROUTINE)


def _without_future(code: str) -> str:
    return code.replace("from __future__ import annotations\n", "\n")


def write_modules(blocks: Iterable[Block], folder: Path) -> dict[str, Module]:
    """Write a module for each python block; return them by the name of their file."""
    made = {}
    for block in blocks:
        module = module_of(block)
        (folder / f"{module.name}.py").write_text("\n".join(module.lines) + "\n", encoding="utf-8")
        made[f"{module.name}.py"] = module
        if block.code.startswith("# app.py\n"):  # other blocks import it
            (folder / "app.py").write_text("\n".join(module.lines) + "\n", encoding="utf-8")
    return made


def complaints(output: str, modules: dict[str, Module]) -> Iterator[str]:
    """Yield the errors of mypy or pyright, each with page and line, once."""
    seen = set()
    for line in output.splitlines():
        match = _COMPLAINT.match(line)
        module = modules.get(Path(match["path"]).name) if match else None
        if match is None or module is None or not match["text"].lstrip().startswith("error"):
            continue
        complaint = f"{module.place(int(match['line']))}: {match['text'].lstrip()}"
        if complaint not in seen:
            seen.add(complaint)
            yield complaint
