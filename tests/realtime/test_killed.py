"""A listening process is killed in mid-handling and started again."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.realtime.helpers import client_of, run, say, shared_room
from webex.emulator.cloud import Cloud

ROOT = Path(__file__).parents[2]
PATIENCE = 40  # real seconds before a test gives up


@contextmanager
def listening(cloud: Cloud, token: str, path: Path, slow: str, ack: str = "auto") -> Iterator[subprocess.Popen[str]]:
    """The process, listening; killed at the end."""
    command = [sys.executable, "-m", "tests.realtime.worker", cloud.url, token, str(path), slow, ack]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    try:
        assert _line(process) == "listening"
        yield process
    finally:
        late.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


async def post(cloud: Cloud, room: str | None, *texts: str) -> str:
    """Messages of Alice's in a room that Bob is in."""
    async with client_of(cloud) as alice:
        room = room or await shared_room(alice)
        await say(alice, room, *texts)
        return room


def test_a_killed_process_gets_its_unhandled_event_again(webex_cloud: Cloud, tmp_path: Path) -> None:
    token = webex_cloud.token_for("bob")

    room = run(post(webex_cloud, None))
    with listening(webex_cloud, token, tmp_path / "s.db", "two") as process:
        run(post(webex_cloud, room, "one", "two", "three"))
        assert _line(process) == "one first"
        assert _line(process) == "two first"
        # SIGKILL, while "two" is in hand and "three" waits.
    run(post(webex_cloud, room, "four"))
    with listening(webex_cloud, token, tmp_path / "s.db", "") as process:
        run(post(webex_cloud, room, "five"))
        assert [_line(process) for _ in range(4)] == ["two again", "three first", "four first", "five first"]


def test_unacknowledged_events_are_redelivered_after_a_kill(webex_cloud: Cloud, tmp_path: Path) -> None:
    token = webex_cloud.token_for("bob")
    room = run(post(webex_cloud, None))
    with listening(webex_cloud, token, tmp_path / "s.db", "", "manual") as process:
        run(post(webex_cloud, room, "one", "ack two", "three"))
        assert [_line(process) for _ in range(3)] == ["one first", "ack two first", "three first"]
        # SIGKILL, while "one" and "three" are in hand.
    run(post(webex_cloud, room, "four"))
    with listening(webex_cloud, token, tmp_path / "s.db", "", "manual") as process:
        assert [_line(process) for _ in range(3)] == ["one again", "three again", "four first"]


@pytest.mark.parametrize("gone", ["lose", "expire_devices"])
def test_kill_before_the_first_event_loses_nothing_after_retention(
    webex_cloud: Cloud, tmp_path: Path, gone: str
) -> None:
    token = webex_cloud.token_for("bob")
    room = run(post(webex_cloud, None, "long before"))
    with listening(webex_cloud, token, tmp_path / "s.db", ""):
        pass  # SIGKILL
    run(post(webex_cloud, room, "one"))
    getattr(webex_cloud.mercury, gone)("bob")
    with listening(webex_cloud, token, tmp_path / "s.db", "") as process:
        run(post(webex_cloud, room, "two"))
        assert [_line(process) for _ in range(2)] == ["one first", "two first"]
