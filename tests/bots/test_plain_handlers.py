"""Plain `def` handlers: threads of their own, and clients of blocking style that stay open while they run."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from webex.bots import Bot, blocking_clients, from_data
from webex.bots.blocking_clients import BlockingClients
from webex.models import Message
from webex.storage import SQLiteStorage
from webex.testing.bots import BotTest


def test_plain_handlers_that_wait_for_a_blocking_storage_do_not_take_its_threads(tmp_path: Path) -> None:
    bot, both = Bot(), threading.Barrier(2)

    @bot.message()
    def act(ctx: Any) -> None:
        both.wait(60)
        ctx.state.room.put("x", 1)  # SQLite writes in a thread of the loop's default executor

    with BotTest(bot, storage=SQLiteStorage(tmp_path / "bot.db")) as t:
        t._loop.set_default_executor(ThreadPoolExecutor(2))
        rooms = [t.room("One", t.alice), t.room("Two", t.alice)]

        def message(room: str) -> Any:
            said = Message(id=room, room_id=room, person_id=t.alice.id, text="x")
            return bot.handle(from_data("messages", "created", said, client=bot.client))

        async def both_at_once() -> list[str]:
            async with asyncio.timeout(60):
                return await asyncio.gather(*map(message, rooms))

        assert t.run(both_at_once()) == ["handled", "handled"]


def test_blocking_clients_are_bounded_and_those_in_use_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking_clients, "_MOST", 2)
    with BotTest(Bot()) as t:

        async def main() -> None:
            clients, running, over = BlockingClients(), object(), object()
            tokens = [t.cloud.token_for(who) for who in ("alice", "bob", "admin", "alice")]
            first = await clients.of(t.client_of(tokens[0]), running)
            for token in tokens[1:]:
                await clients.of(t.client_of(token), over)
            clients.release(over)
            assert await clients.of(t.client_of(tokens[0]), running) is first
            assert len(clients._clients) == 2
            clients.release(running)
            assert not clients._users
            await clients.aclose()

        t.run(main())


def test_health_counts_what_runs() -> None:
    bot, seen = Bot(), []

    @bot.command("act")
    def act(ctx: Any) -> str:
        seen.append(bot.health.running)
        return ctx.client.people.me().display_name

    with BotTest(bot) as t:
        seen.append(bot.health.running)
        t.alice.says("act")
        seen.append(bot.health.running)
    assert seen == [0, 1, 0]
