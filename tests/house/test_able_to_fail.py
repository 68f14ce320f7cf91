"""No test is written so that it cannot fail: expectations that everything meets are found by their shape."""

from __future__ import annotations

import ast
import builtins
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import webex.errors

ROOT = Path(__file__).resolve().parents[2]
_BROAD = {"Exception", "BaseException"}  # also what a wrong name or an assertion in the block raises


def unable_to_fail(source: str) -> Iterator[str]:
    """Describe each expectation of this source that nothing can break."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert) and (why := _always_holds(node.test)):
            yield f"line {node.lineno}: {why}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and _name(node.func) == "raises" and node.args:
            kinds = node.args[0].elts if isinstance(node.args[0], ast.Tuple) else [node.args[0]]
            names = [_name(kind) for kind in kinds]
            if _BROAD.intersection(names):
                yield f"line {node.lineno}: anything that is raised fits: {ast.unparse(node)}"
            for one, other in itertools.permutations(names, 2):
                if _is_kind_of(one, other):
                    yield f"line {node.lineno}: {other} says it already, without {one}: {ast.unparse(node)}"
        elif isinstance(node, ast.Try | ast.With | ast.AsyncWith) and _hides_assertions(node):
            yield f"line {node.lineno}: an assertion that fails in this block is swallowed"


def _always_holds(test: ast.expr) -> str | None:
    if isinstance(test, ast.Constant | ast.JoinedStr | ast.Lambda) or (isinstance(test, ast.Tuple) and test.elts):
        return "a constant"
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return next((why for value in test.values if (why := _always_holds(value))), None)
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq | ast.Is):
        calls = any(isinstance(node, ast.Call | ast.Subscript | ast.Await) for node in ast.walk(test))
        if not calls and ast.dump(test.left) == ast.dump(test.comparators[0]):
            return "compared with itself"
    return None


def _hides_assertions(node: ast.Try | ast.With | ast.AsyncWith) -> bool:
    if isinstance(node, ast.Try):
        if any(isinstance(inner, ast.Raise | ast.Call) for handler in node.handlers for inner in ast.walk(handler)):
            return False  # it is told elsewhere
        caught = [name for handler in node.handlers for name in _names(handler.type)]
    else:
        calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
        caught = [
            name for call in calls if _name(call.func) == "suppress" for each in call.args for name in _names(each)
        ]
    hides = {"AssertionError", *_BROAD}.intersection(caught)
    return bool(hides) and any(isinstance(inner, ast.Assert) for each in node.body for inner in ast.walk(each))


def _names(kinds: ast.expr | None) -> list[str]:
    if kinds is None:
        return ["BaseException"]
    return [_name(kind) for kind in (kinds.elts if isinstance(kinds, ast.Tuple) else [kinds])]


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_kind_of(name: str, other: str) -> bool:
    kind, base = (getattr(webex.errors, each, None) or getattr(builtins, each, None) for each in (name, other))
    return isinstance(kind, type) and isinstance(base, type) and issubclass(kind, base)


def test_every_expectation_can_be_broken() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {each}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for each in unable_to_fail(path.read_text(encoding="utf-8"))
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "assert True",
        "assert (1, 'message')",
        "assert found or 'message'",
        "assert f'{found}'",
        "assert found == found",
        "assert found.name is found.name",
        "with pytest.raises(Exception, match='x'): call()",
        "with pytest.raises((TransportError, Exception)): call()",
        "with pytest.raises((ConnectError, TransportError)): call()",
        "with pytest.raises((KeyError, LookupError)): call()",
        "try:\n assert found\nexcept Exception:\n pass",
        "try:\n assert found\nexcept (ValueError, AssertionError):\n pass",
        "try:\n assert found\nexcept:\n pass",
        "with contextlib.suppress(Exception):\n assert found",
    ],
)
def test_vacuous_expectation_is_found(source: str) -> None:
    assert list(unable_to_fail(source))


@pytest.mark.parametrize(
    "source",
    [
        "assert found",
        "assert ()",
        "assert found == other",
        "assert make() == make()",
        "assert found != found",
        "with pytest.raises((KeyError, ValueError)): call()",
        "with pytest.raises(WebexError, match='x'): call()",
        "try:\n assert found\nexcept ValueError:\n pass",
        "try:\n assert found\nexcept BaseException as error:\n failures.append(error)",
        "with contextlib.suppress(OSError):\n assert found",
    ],
)
def test_expectation_that_can_be_broken_is_accepted(source: str) -> None:
    assert not list(unable_to_fail(source))
