"""The benchmarks run, every contestant in every case."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tiers import environment, program

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.thirdparty
@pytest.mark.node
def test_every_contestant_runs_every_case() -> None:
    program("node")
    for name in ("node-webex", "webexpythonsdk", "wxc-sdk"):
        environment(name)
    command = [sys.executable, "-m", "benchmarks", "--quick"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("# Results")
    assert "## 10,000 users in one process" in ended.stdout


@pytest.mark.thirdparty
@pytest.mark.node
def test_every_bot_answers_every_message_of_the_short_form() -> None:
    program("node")
    for name in ("webex-bot", "node-bot-framework"):
        environment(name)
    command = [sys.executable, "-m", "benchmarks", "bots", "--quick"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = [line for line in ended.stdout.splitlines() if line.startswith(("| 1 |", "| 20 |"))]
    assert len(rows) == 6
    assert all(row.split(" | ")[4] == "60 of 60" for row in rows if "webex_bot" not in row)
