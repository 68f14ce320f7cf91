"""Own tasks end, also where a library has swallowed their cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from tests.support.loops import run
from webex.realtime import tasks


def test_task_whose_cancellation_was_swallowed_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_AGAIN", 0.01)
    reached: list[str] = []

    async def go_on() -> None:
        with suppress(asyncio.CancelledError):
            reached.append("before")
            await asyncio.sleep(3600)
        reached.append("after")
        await asyncio.sleep(3600)

    async def main() -> None:
        own = tasks.Tasks()
        task = own.start(go_on())
        await asyncio.sleep(0)
        await own.close()
        assert task.cancelled()

    run(main())
    assert reached == ["before", "after"]
