"""The seeded short form of the chaos run."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from benchmarks.chaos import run
from webex.emulator import Emulator


def test_every_user_receives_all_events_once_in_order() -> None:
    with Emulator(random_seed=7) as cloud:
        report = asyncio.run(run(cloud, seed=7, seconds=20.0, users=50, posts=51))
    assert report.posted > 50
    assert report.flawless, asdict(report)
