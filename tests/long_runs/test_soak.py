"""The soak in a short form: it works, and it notices what grows."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.soak import Sample, growth, main


def test_short_soak_has_no_growth(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--minutes", "0.08", "--every", "0.15"]) == 0, capsys.readouterr().out
    assert "flat over" in capsys.readouterr().out


def sample(**changes: Any) -> Sample:
    return Sample(**{"rss": 60.0, "descriptors": 30, "threads": 6, "tasks": 8, "calls": 1, "errors": 0, **changes})


@pytest.mark.parametrize(("name", "value"), [("rss", 75.0), ("descriptors", 39), ("threads", 11), ("tasks", 17)])
def test_growth_is_detected(name: str, value: float) -> None:
    samples = [sample()] * 6 + [sample(**{name: value})] * 3
    assert [line.split()[0] for line in growth(samples)] == [name]
    assert growth([sample()] * 9) == []


def test_a_burst_is_not_growth() -> None:
    assert growth([sample()] * 6 + [sample(tasks=17), sample(), sample(tasks=17)]) == []
