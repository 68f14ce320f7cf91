"""A bot that is killed while people write to it, in a short form of the long run."""

from __future__ import annotations

from benchmarks.bots_killed import run


def test_every_message_is_answered_across_kills() -> None:
    outcome = run(messages=24, kills=3, storage=None, seed=3)
    assert outcome.kills == 3
    assert outcome.dialogs
    assert outcome.is_clean, str(outcome)
