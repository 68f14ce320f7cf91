"""The long run of webhooks in a short form: workers are killed, and every event is handled."""

from __future__ import annotations

from benchmarks.webhooks import run


def test_every_event_is_handled_though_workers_are_killed() -> None:
    report = run(events=300, workers=2, every=0.25, seed=7)
    assert not report.wrong
    assert report.handled == 300
    assert report.kills > 0
    assert report.forged_refused > 0
    assert report.duplicates > 0
