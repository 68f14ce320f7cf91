"""The benchmark of bots runs: rooms are made once, every message is answered, and the page tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import bots


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the benchmark reads Linux's /proc")
def test_benchmark_counts_what_our_bot_answers(tmp_path: Path) -> None:
    first, second = (bots.measure(bots.OURS, 2, 40, 10, tmp_path) for _ in range(2))
    assert (first.answers, second.answers) == (40, 40)  # the second one with the rooms of the first
    assert min(first.cpu, first.emulator_cpu, first.seconds, first.started) > 0
    assert first.resident >= 20e6  # bytes: an interpreter with the SDK
    page = bots.report([first])
    assert "| 2 | webex.bots |" in page
    assert "| 40 of 40 |" in page


def test_page_compares_with_ours_of_the_same_size() -> None:
    def result(bot: str, seconds: float, cpu: float, emulator: float) -> bots.Result:
        return bots.Result(bot, 7, 100, 100, 1.0, seconds, cpu, emulator, 0.0, 50_000_000, 60_000_000)

    peers = [result(bots.WEBEX_BOT, 6.0, 1.0, 0.5), result(bots.NODE, 2.0, 1.0, 0.5)]
    page = bots.report([result(bots.OURS, 1.0, 0.2, 0.9), *peers])
    assert "webex.bots handles 6.0 × as many messages a second, with 5.0 × less processor time" in page
    assert "the aim of 5 × is reached" in page
    assert "the emulator limits the rate of webex.bots" in page  # 2 ×, with the emulator 90 % busy
    assert "the aim of 5 × is not reached" in bots.report([result(bots.OURS, 1.0, 0.2, 0.1), peers[1]])


def test_bot_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bots, "command", lambda bot: (["false"], {}))
    with pytest.raises(bots.BotsError, match="ended with status 1"):
        bots.measure(bots.OURS, 1, 1, 1, tmp_path)
