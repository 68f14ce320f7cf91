"""The demo plays its story to the end, and says so when it can't."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from webex.cli.group import webex
from webex.demo import story
from webex.demo.faces import clock_time, initials, size


def test_the_headless_demo_runs_completely() -> None:
    result = CliRunner().invoke(webex, ["demo", "--headless"])
    assert result.exit_code == 0, result.output
    for told in (
        "Bob's open page shows",
        "Alice's open page shows",
        "Alice is still signed in",
        "Bob is still signed in",
        "the cloud counted exactly one refresh",
        "the app asks him for a new login",
        "nothing is left in the app's storage",
        "Alice's old cookie is dead",
        "The story ended well",
    ):
        assert told in result.output


def test_a_failed_demo_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story.Story, "_is_down", lambda self: False)
    result = CliRunner().invoke(webex, ["demo", "--headless"])
    assert result.exit_code == 1
    assert "not so" in result.output
    assert "SIGKILL" in result.output


def test_avatars_handle_unusual_names() -> None:
    assert [initials(name) for name in ("Alice Anderson", "Bob", "", None, "a b c")] == ["AA", "B", "?", "?", "AC"]
    assert [size(count) for count in (None, 0, 999, 1500, 2_500_000)] == ["", "0 B", "999 B", "1.5 KB", "2.5 MB"]
    assert clock_time(None) == ""
