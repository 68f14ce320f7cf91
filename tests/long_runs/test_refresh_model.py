"""The exploration of the refresh in a short form: it works, and it fails where a promise is broken."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

import pytest

from benchmarks.refresh_model import main


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Undo what the program changes for its own process."""
    uniform = random.uniform
    yield
    random.uniform = uniform  # type: ignore[method-assign]  # as it was
    logging.disable(logging.NOTSET)


def test_exploration_reports_its_states(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "strict, 2 workers, 1 ticks"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("strict, 2 workers, 1 ticks: ")
    assert "not complete" not in out


def test_broken_invariant_fails_with_its_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("webex.auth.unsaved.is_newer", lambda stored, ours: True)
    assert main(["--only", "strict, 2 workers, 1 ticks"]) == 1
    assert "flight: answer" in capsys.readouterr().out
