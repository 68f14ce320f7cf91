"""Every code block of the README and the docs does what it says, against an emulator."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, BadDirectiveError, Block, blocks_of, pages
from tests.docs.run_block import Ended, run_in_process
from tests.support.secret_scan import note

BLOCKS = [block for page in pages() for block in blocks_of(page)]


def run(block: Block, folder: Path) -> Ended:
    job = {
        "language": block.language,
        "with": " ".join(each.directives.get("with", "") for each in (*block.before, block)),
        "blocks": [{"code": each.code, "page": each.page, "line": each.line} for each in (*block.before, block)],
        **{key: block.directives[key] for key in ("raises", "serves") if key in block.directives},
    }
    home = folder / "home"
    work = folder / "work"
    home.mkdir()
    work.mkdir()
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("WEBEX_", "CISCOSPARK_"))}
    variables |= {key: value for key, value in os.environ.items() if key.startswith("WEBEX_TESTS_")}
    path = os.pathsep.join(part for part in (os.environ.get("PYTHONPATH"), str(ROOT)) if part)
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = run_in_process(job, work, variables | {"PYTHONPATH": path, "HOME": str(home), "PATH": programs})
    note(ended.output)
    return ended


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.id)
def test_block(block: Block, tmp_path: Path) -> None:
    if "not run" in block.directives:
        if block.language == "python":
            compile(block.code, block.id, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return
    ended = run(block, tmp_path)
    assert ended.code == 0, f"{block.id}\n{ended.output[-6000:]}"


def test_blocks_not_run_have_a_reason_and_are_few() -> None:
    reasons = {block.id: block.directives["not run"] for block in BLOCKS if "not run" in block.directives}
    print("\n".join(f"{where} is not run: {reason}" for where, reason in reasons.items()))
    assert len(reasons) <= max(1, len(BLOCKS) // 5), reasons


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("<!-- skip -->\n```python\n1\n```\n", "'skip' is none of"),
        ("<!-- not run -->\n```python\n1\n```\n", "say why"),
        ("<!-- continues -->\n```python\n1\n```\n", "no python block above"),
    ],
)
def test_an_unknown_directive_is_an_error(tmp_path: Path, page: str, complaint: str) -> None:
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(BadDirectiveError, match=complaint):
        list(blocks_of(tmp_path / "page.md"))


@pytest.mark.parametrize(
    ("text", "works"),
    [
        ("```python\nassert False\n```\n", False),
        ("```python\nimport asyncio\nawait asyncio.sleep(0)\n```\n", True),
        ("<!-- raises: ZeroDivisionError -->\n```python\n1 / 0\n```\n", True),
        ("<!-- raises: ArithmeticError -->\n```python\n1 + 0\n```\n", False),
        ("```python\nx = 1\n```\n<!-- continues -->\n```python\nassert x == 1\n```\n", True),
        ("```sh\nfalse\n```\n", False),
        ('```sh\ntest -n "$WEBEX_EMULATOR_URL"\n```\n', True),
        ("```console\n$ false\nas expected\n```\n", False),
    ],
)
def test_the_runner_detects_failing_blocks(tmp_path: Path, text: str, works: bool) -> None:
    (tmp_path / "page.md").write_text(text)
    *_, last = blocks_of(tmp_path / "page.md")
    assert (run(last, tmp_path).code == 0) is works
