"""A bot behind webhooks with several workers, in a short form of the long run."""

from __future__ import annotations

from benchmarks.bots_webhooks import COPIES, run


def test_each_event_is_handled_once_though_workers_are_killed() -> None:
    report = run(messages=24, workers=3, kills=1, seconds=0.2, seed=5)
    assert not report.wrong
    assert report.handled == report.answers == 24
    assert report.deliveries >= 24 * COPIES
    assert report.second_runs >= 1  # what the killed worker had in hand
