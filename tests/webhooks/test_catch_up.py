"""What came while no worker received is taken from the history, once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.conftest import SECRET, posted
from webex import AsyncWebex, Integration, Webex
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_TOKEN, CLIENT_ID, CLIENT_SECRET, REDIRECT_URIS
from webex.errors import ConfigurationError, WebexError
from webex.storage import SQLiteStorage
from webex.webhooks import ReceivedEvent, WebhookReceiver

URL = "http://127.0.0.1:1/hooks"


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SQLiteStorage]:
    store = SQLiteStorage(tmp_path / "webex.db")
    yield store
    store.close()


@pytest.fixture
def bob(webex_cloud: Cloud) -> Iterator[Webex]:
    webex_cloud.set(webhook_failure_limit=1000, webhook_retry_delays=())
    with Webex(BOB_TOKEN, emulator_url=webex_cloud.url) as client:
        yield client


def test_missed_messages_matching_the_webhook_are_taken_once(
    webex_cloud: Cloud, storage: SQLiteStorage, bob: Webex
) -> None:
    app = Integration(
        storage=storage,
        emulator_url=webex_cloud.url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uri=REDIRECT_URIS[0],
        scope="spark:all",
    )
    app.adopt(ALICE_ID, ALICE_TOKEN)
    hooks = WebhookReceiver(app, secret=SECRET, url=URL, check_every=0)
    seen: list[str | None] = []

    @hooks.on("messages")
    def handle(event: ReceivedEvent[Any, Webex]) -> None:
        assert event.raw.get("text") is None
        seen.append(event.fetch().text)

    with app, hooks:
        hooks.reconcile(ALICE_ID, {"messages:created": "roomType=direct"})
        room = bob.rooms.create(title="A group")
        bob.memberships.create(room_id=room.id, person_email="alice@example.com")
        bob.messages.create(room_id=room.id, text="in a group")
        first = bob.messages.create(to_person_email="alice@example.com", text="first")
        bob.messages.create(to_person_email="alice@example.com", text="second")
        found = hooks.catch_up(since=3600)
        hooks.drain()
        assert (sorted(filter(None, seen)), [each.events for each in found]) == (["first", "second"], [2])
        assert found[0].complete
        assert [each.events for each in hooks.catch_up(since=datetime.now(UTC) - timedelta(minutes=5))] == [0]
        assert hooks.receive(*posted(id=first.id, roomId=first.room_id)).text == "A repetition."  # it comes late
        hooks.drain()
    assert len(seen) == 2


def test_the_offline_period_is_read_from_the_storage(webex_cloud: Cloud, storage: SQLiteStorage, bob: Webex) -> None:
    async def main() -> tuple[list[str], list[int]]:
        async with AsyncWebex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice:
            seen: list[str] = []
            counts: list[int] = []
            for run in range(3):
                hooks = WebhookReceiver(alice, secret=SECRET, storage=storage)

                @hooks.on("messages", "created")
                async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
                    seen.append((await event.fetch()).text or "")

                async with hooks:
                    if run:
                        counts += [each.events for each in await hooks.catch_up()]
                    await hooks.drain()
                if run == 0:
                    await asyncio.to_thread(bob.messages.create, to_person_email="alice@example.com", text="missed")
            return seen, counts

    assert asyncio.run(main()) == (["missed"], [1, 0])


@pytest.mark.parametrize(
    "since", [datetime(2026, 1, 1), "yesterday", True, float("nan"), -1], ids=["naive", "text", "bool", "nan", "future"]
)
def test_an_invalid_since_is_refused(storage: SQLiteStorage, since: Any) -> None:
    with (
        WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage) as hooks,
        pytest.raises(ConfigurationError, match="since"),
    ):
        hooks.catch_up(since=since)


def test_a_user_whose_history_fails_does_not_keep_the_others_from_theirs(
    webex_cloud: Cloud, storage: SQLiteStorage, bob: Webex
) -> None:
    app = Integration(
        storage=storage,
        emulator_url=webex_cloud.url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uri=REDIRECT_URIS[0],
        scope="spark:all",
    )
    hooks = WebhookReceiver(app, secret=SECRET, url=URL, check_every=0)
    hooks.on("messages")(lambda event: None)
    with app, hooks:
        for key, token in (("a", BOB_TOKEN), ("b", ALICE_TOKEN), ("c", BOB_TOKEN)):
            app.adopt(key, token)
            hooks.reconcile(key, ["messages:created"])
        bob.messages.create(to_person_email="alice@example.com", text="missed")
        app.adopt("a", "no-such-token")
        app.adopt("c", "no-such-token")
        found = {each.user_key: each for each in hooks.catch_up(since=3600)}
        assert {key: (each.events, each.complete) for key, each in found.items()} == {
            "a": (0, False),
            "b": (1, True),
            "c": (0, False),
        }
        assert found["b"].error is None
        assert isinstance(found["a"].error, WebexError)
        assert isinstance(found["c"].error, WebexError)
        with pytest.raises(type(found["a"].error)):
            hooks.catch_up("a", since=3600)
