"""The list of public names is that of the modules, and the docs use no other names."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of, pages
from tools import api_reference

NAMES = api_reference.public_names()


def test_pages_are_up_to_date() -> None:
    differing = [path.name for path, text in api_reference.written().items() if path.read_text("utf-8") != text]
    assert not differing, "python -m tools.api_reference"


@pytest.mark.parametrize("module", NAMES)
def test_public_module_has_the_listed_names(module: str) -> None:
    imported = importlib.import_module(module)
    assert NAMES[module]
    assert not [name for name in NAMES[module] if not hasattr(imported, name)]
    assert set(NAMES[module]) <= set(imported.__all__)


def test_names_that_are_not_public_exist() -> None:
    assert not {
        f"{module}.{name}"
        for module, names in api_reference.INTERNAL.items()
        for name in names
        if name not in (api_reference.exported(module) or ())
    }


def imports_of(path: Path) -> set[tuple[str, str]]:
    """What the blocks of a page import from the package: modules and names."""
    found = set()
    for block in blocks_of(path):
        if block.language != "python":
            continue
        tree = compile(block.code, block.id, "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "webex":
                found |= {(node.module or "", name.name) for name in node.names}
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.name)
def test_page_imports_only_public_names(page: Path) -> None:
    private = {
        f"{module}.{name}"
        for module, name in imports_of(page)
        if name not in NAMES.get(module, ()) and f"{module}.{name}" not in NAMES
    }
    assert not private
