"""The benchmarks run, every contestant in every case."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bots import OURS, Result, _ratios
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
    whole = [row for row in rows if "webex_bot" not in row]  # which loses messages, and ends now and then
    assert len(whole) == 4
    assert all(row.split(" | ")[4] == "60 of 60" for row in whole)


def test_bot_that_was_gone_when_it_was_measured_is_told_of() -> None:
    ours = Result(OURS, 1, 60, 60, 1.0, 2.0, 1.0, 1.0, 0.0, 5, 6)
    gone = replace(ours, bot="another", answers=56, resident=0)
    assert _ratios([ours, gone]) == ["- 1 rooms, another: it ended, 4 of 60 messages unanswered."]
