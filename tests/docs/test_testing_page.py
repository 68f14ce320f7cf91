"""The tests on the page about testing pass, in a pytest run of their own."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from tests.docs.blocks import ROOT, blocks_of, named
from tests.support.inner_pytest import run_pytest

PAGE = ROOT / "docs" / "testing.md"
WEB_APP = ("testing-app", "testing-conftest", "testing-app-tests")


def run(folder: Path) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("WEBEX_", "PYTEST_"))}
    done = run_pytest(folder, "-q", str(folder), variables=variables)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return done.stdout


def test_every_python_block_of_the_page_has_a_name() -> None:
    assert all("name" in block.directives for block in blocks_of(PAGE))


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    blocks = [block for block in blocks_of(PAGE) if block.directives["name"] not in WEB_APP]
    for block in blocks:
        (tmp_path / f"test_{block.directives['name'].replace('-', '_')}.py").write_text(block.code)
    expected = sum(block.code.count("def test_") for block in blocks)
    assert f"{expected} passed" in run(tmp_path)


def test_the_tests_of_the_web_app_pass(tmp_path: Path) -> None:
    for name, file in zip(WEB_APP, ("app.py", "conftest.py", "test_app.py"), strict=True):
        (tmp_path / file).write_text(named(name).code)
    if any(importlib.util.find_spec(name) for name in ("httpx", "httpx2")):  # what FastAPI's TestClient needs
        assert "2 passed" in run(tmp_path)
    else:
        for file in tmp_path.glob("*.py"):
            compile(file.read_text(), file.name, "exec")
