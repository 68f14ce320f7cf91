"""The suite watches itself: what it prints, and what it leaves out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.inner_pytest import run_pytest
from tests.support.secret_scan import Scanner

ROOT = Path(__file__).resolve().parents[2]
ISSUE = "from webex.emulator.cloud import Cloud\ntoken = Cloud().new_secret()\n"


def run_suite(folder: Path, source: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with this suite's plugins over one file."""
    (folder / "test_it.py").write_text(source)
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "pytest.ini").write_text(
        "[pytest]\nlog_level = DEBUG\nmarkers =\n prints_secrets(reason): x\n node: x\n browser: x\n"
    )
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    if "CI" not in variables:
        environment.pop("CI", None)
    return run_pytest(ROOT, "--rootdir", str(folder), *arguments, str(folder), variables=environment)


LEAKS = (
    "print(token)",
    "print(token[:20] + '...')",
    "import logging; logging.getLogger('webex').debug('using %s', token)",
    "import sys; sys.stderr.write(f'Bearer {token}_A52D_0')",
    "import subprocess; subprocess.run(['echo', token], capture_output=True)",
    "from tests.support.secret_scan import note; note(token)",
    f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ISSUE + 'print(token)'!r}], capture_output=True)",
)


def test_every_issued_token_in_the_output_fails_the_run(tmp_path: Path) -> None:
    leaking = "".join(f"\ndef test_{number}():\n    {leak}\n" for number, leak in enumerate(LEAKS))
    ended = run_suite(tmp_path, f"{ISSUE}{leaking}\ndef test_clean(): pass\n")
    assert ended.returncode == 1, ended.stdout
    told = ended.stdout.partition("SECRETS IN THE OUTPUT")[2]
    found = set(re.findall(r"test_it\.py::(\w+)", told))
    assert found == {f"test_{number}" for number in range(len(LEAKS))}, ended.stdout


def test_one_leak_fails_a_run_whose_tests_pass(tmp_path: Path) -> None:
    ended = run_suite(tmp_path, f"{ISSUE}\ndef test_a():\n    print(token)\n")
    assert ended.returncode == 1, ended.stdout
    assert "1 passed" in ended.stdout


def test_output_without_secrets_passes(tmp_path: Path) -> None:
    clean = "\ndef test_a():\n    print(len(token), '0123456789abcdef' * 4)\n"
    marked = "\nimport pytest\n@pytest.mark.prints_secrets('it is the point')\ndef test_b():\n    print(token)\n"
    ended = run_suite(tmp_path, ISSUE + clean + marked)
    assert ended.returncode == 0, ended.stdout
    assert "No secret of" in ended.stdout


def test_signed_tokens_are_known_by_their_shape() -> None:
    assert list(Scanner([]).found_in("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl"))


def test_deselected_tests_are_reported(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.node\ndef test_a(): pass\ndef test_b(): pass\n"
    offline = run_suite(tmp_path, source)
    assert "LEFT OUT: 1 tests marked node" in offline.stdout
    assert "1 passed, 1 deselected" in offline.stdout
    assert "2 passed" in run_suite(tmp_path, source, "--tier", "all").stdout


def test_ci_must_run_every_test(tmp_path: Path) -> None:
    source = "from tests.support.tiers import program\ndef test_a(): program('no-such-program')\n"
    assert run_suite(tmp_path, source).returncode == 0
    ended = run_suite(tmp_path, source, CI="true")
    assert ended.returncode == 1
    assert "nothing may be left out" in ended.stdout


def test_no_test_folder_shadows_a_python_module() -> None:
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()}
    assert not folders & sys.stdlib_module_names
