"""The suite watches itself: what it prints, and what it leaves out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "PYTEST_ADDOPTS")} | variables
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist"]
    return subprocess.run(
        [*command, "--rootdir", str(folder), *arguments, str(folder)],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "leak",
    [
        "print(token)",
        "print(token[:20] + '...')",
        "import logging; logging.getLogger('webex').debug('using %s', token)",
        "import sys; sys.stderr.write(f'Bearer {token}_A52D_0')",
        "import subprocess; subprocess.run(['echo', token], capture_output=True)",
        "from tests.support.secret_scan import note; note(token)",
    ],
)
def test_an_issued_token_in_the_output_fails_the_run(tmp_path: Path, leak: str) -> None:
    ended = run_suite(tmp_path, f"{ISSUE}\ndef test_a():\n    {leak}\n")
    assert ended.returncode == 1, ended.stdout
    assert "test_it.py::test_a" in ended.stdout
    assert "SECRETS IN THE OUTPUT" in ended.stdout


def test_a_token_issued_in_another_process_counts_too(tmp_path: Path) -> None:
    started = (
        "import subprocess, sys\ndef test_a():\n    subprocess.run([sys.executable, '-c', {!r}], capture_output=True)"
    )
    ended = run_suite(tmp_path, started.format(ISSUE + "print(token)"))
    assert ended.returncode == 1, ended.stdout


def test_output_without_secrets_passes(tmp_path: Path) -> None:
    ended = run_suite(tmp_path, f"{ISSUE}\ndef test_a():\n    print(len(token), '0123456789abcdef' * 4)\n")
    assert ended.returncode == 0, ended.stdout
    assert "No secret of" in ended.stdout


def test_a_test_may_be_marked_as_printing_secrets(tmp_path: Path) -> None:
    marked = "import pytest\n@pytest.mark.prints_secrets('it is the point')\ndef test_a():\n    print(token)\n"
    assert run_suite(tmp_path, ISSUE + marked).returncode == 0


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
