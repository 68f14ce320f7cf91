"""A listening process is killed in mid-handling and started again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.realtime.helpers import client_of, run, shared_room
from webex.emulator.cloud import Cloud

ROOT = Path(__file__).parents[2]


@contextmanager
def listening(cloud: Cloud, token: str, path: Path, slow: str) -> Iterator[subprocess.Popen[str]]:
    """The process, listening; killed at the end."""
    command = [sys.executable, "-m", "tests.realtime.worker", cloud.url, token, str(path), slow]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert _line(process) == "listening"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_nothing_is_lost_and_the_one_in_hand_comes_again(webex_cloud: Cloud, tmp_path: Path) -> None:
    token = webex_cloud.token_for("bob")

    async def post(room: str | None, *texts: str) -> str:
        async with client_of(webex_cloud) as alice:
            room = room or await shared_room(alice)
            for text in texts:
                await alice.messages.create(room_id=room, text=text)
            return room

    room = run(post(None))
    with listening(webex_cloud, token, tmp_path / "s.db", "two") as process:
        run(post(room, "one", "two", "three"))
        assert _line(process) == "one first"
        assert _line(process) == "two first"
        # SIGKILL, while "two" is in hand and "three" waits.
    run(post(room, "four"))
    with listening(webex_cloud, token, tmp_path / "s.db", "") as process:
        run(post(room, "five"))
        assert [_line(process) for _ in range(4)] == ["two again", "three first", "four first", "five first"]
