"""Who did something (`event.actor`), and the key that an event of the socket has in common with its webhook."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, activity, client_of, run, say, shared_room, take, tell
from webex import AsyncWebex
from webex.emulator.accounts import ALICE_ID, BOT_ID, BOT_TOKEN, ORG_ID
from webex.emulator.cloud import Cloud
from webex.ids import public_id
from webex.models.keys import event_key
from webex.realtime import Actor
from webex.realtime.event import Audience, Event, Occurrence
from webex.webhooks import WebhookEvent, read_event

OLD_BOT = "a@" + "sparkbot.io"
ORGANIZATION = public_id("ORGANIZATION", ORG_ID)


@pytest.fixture
def hook() -> Iterator[tuple[str, list[WebhookEvent]]]:
    events: list[WebhookEvent] = []

    class Target(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            events.append(read_event(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", events
    server.shutdown()
    server.server_close()
    thread.join()


# Actors


def test_actor_is_the_author(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one")
                (event,) = await take(events)
        alice_is = Actor(public_id("PEOPLE", ALICE_ID), "alice@example.com", "Alice Example", ORGANIZATION, "person")
        assert event.actor == alice_is
        assert event.actor.id == event.actor_id
        for copied in (copy.copy(event), pickle.loads(pickle.dumps(event))):
            assert copied.actor == alice_is

    run(main())


def test_actor_kind_of_a_bot_is_bot(webex_cloud: Cloud) -> None:
    async def main() -> None:
        bot = AsyncWebex(BOT_TOKEN, emulator_url=webex_cloud.url)
        async with client_of(webex_cloud) as alice, bot, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice, "bob@example.com", "bot@example.com")
            async with bob.messages.listen(**QUICK) as events:
                await bot.messages.create(room_id=room, text="I am no person")
                (event,) = await take(events)
        assert event.actor == Actor(public_id("PEOPLE", BOT_ID), "bot@example.com", "Example Bot", ORGANIZATION, "bot")

    run(main())


@pytest.mark.parametrize(
    ("actor", "email", "kind"),
    [
        ({"entryEmail": "a@webex.bot"}, "a@webex.bot", "bot"),
        ({"entryEmail": OLD_BOT}, OLD_BOT, "bot"),
        ({"emailAddress": "a@example.com"}, "a@example.com", "person"),
        ({"entryEmail": "a@webex.bot", "type": "PERSON"}, "a@webex.bot", "person"),
        ({"type": "BOT"}, None, "bot"),
        ({"type": "LYRA_SPACE"}, None, "person"),
        ({"type": 7, "entryEmail": 7, "displayName": ["x"], "orgId": {}}, None, "person"),
        ({}, None, "person"),
    ],
)
def test_actor_fields_come_from_the_activity(
    webex_cloud: Cloud, actor: dict[str, Any], email: str | None, kind: str
) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                made = activity(webex_cloud, room, actor={"id": ALICE_ID, **actor})
                tell(webex_cloud, {"eventType": "conversation.activity", "activity": made})
                (event,) = await take(events)
        assert event.actor == Actor(public_id("PEOPLE", ALICE_ID), email, None, None, kind)  # type: ignore[arg-type]  # by parameter

    run(main())


def test_typing_has_an_actor_and_a_gap_has_none(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen(["typing"], **QUICK) as events:
                await bob.conversations.typing(room)
                await alice.conversations.typing(room)
                (event,) = await take(events)
        assert event.actor is not None
        assert event.actor.id == public_id("PEOPLE", ALICE_ID)
        assert Event(Occurrence("gap", "gap", "", {}), Audience(), {}).actor is None

    run(main())


# Keys


def test_socket_and_webhook_give_the_same_keys(webex_cloud: Cloud, hook: tuple[str, list[WebhookEvent]]) -> None:
    url, told = hook

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            for resource in ("messages", "rooms", "memberships"):
                await bob.webhooks.create(name="mine", target_url=url, resource=resource, event="all")
            async with bob.listen(**QUICK) as events:
                message = await alice.messages.create(room_id=room, text="one")
                await alice.conversations.edit(room, str(message.id), "two")
                await alice.conversations.edit(room, str(message.id), "three")
                await alice.messages.delete(str(message.id))
                await alice.rooms.update(room, title="Another title")
                member = await alice.memberships.create(room_id=room, person_email="bot@example.com")
                await alice.memberships.delete(str(member.id))
                came = await take(events, 7)
            webex_cloud.settle()
        keys = [event.key for event in came]
        assert sorted(keys) == sorted(event.key for event in told)
        assert keys[0] == f"messages:created:{message.id}"
        assert len({key for key in keys if key.startswith(f"messages:updated:{message.id}:")}) == 2
        assert f"memberships:created:{member.id}" in keys

    run(main())


MOMENT = "2026-01-02T03:04:05.600Z"


@pytest.mark.parametrize(
    ("event", "data", "key"),
    [
        ("created", {"id": "M"}, "messages:created:M"),
        ("created", {"id": "M", "updated": MOMENT}, "messages:created:M"),
        ("updated", {"id": "M"}, "messages:updated:M"),
        ("updated", {"id": "M", "updated": None}, "messages:updated:M"),
        ("updated", {"id": "M", "updated": MOMENT}, f"messages:updated:M:{MOMENT}"),
        ("updated", {"id": "M", "updated": "2026-01-02T04:04:05.6+01:00"}, f"messages:updated:M:{MOMENT}"),
        ("updated", {"id": "M", "updated": "2026-01-02T03:04:05.600"}, f"messages:updated:M:{MOMENT}"),
        (
            "updated",
            {"id": "M", "updated": datetime(2026, 1, 2, 3, 4, 5, 600_000, UTC)},
            f"messages:updated:M:{MOMENT}",
        ),
        (
            "updated",
            {"id": "M", "updated": datetime(2026, 1, 2, 4, 4, 5, 600_000, timezone(timedelta(hours=1)))},
            f"messages:updated:M:{MOMENT}",
        ),
        ("updated", {"id": "M", "updated": "yesterday"}, "messages:updated:M:yesterday"),
        ("updated", {"id": "M", "updated": 7}, "messages:updated:M:7"),
        (
            "updated",
            {"id": "M", "updated": "0001-01-01T00:00:00+23:00"},
            "messages:updated:M:0001-01-01T00:00:00+23:00",
        ),
        ("deleted", {}, "messages:deleted:"),
    ],
)
def test_key_names_resource_event_id_and_update(event: str, data: dict[str, Any], key: str) -> None:
    assert event_key("messages", event, data) == key


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"resource":"messages","event":"created","data":{"id":"M"}}', "messages:created:M"),
        (b'{"resource":"messages","event":"updated","data":{"id":"M","updated":"2026-01-02T03:04:05.600Z"}}',
         f"messages:updated:M:{MOMENT}"),
        (b'{"resource":"meetings","event":"started","data":{"id":"X"}}', "meetings:started:X"),
        (b'{"resource":"serviceApp","event":"authorized","data":{"id":"S"}}', "serviceApp:authorized:S"),
        (b'{"resource":"messages","event":"created"}', "messages:created:"),
        (b'{"resource":"odd","event":"created","data":[1]}', "odd:created:"),
    ],
)  # fmt: skip
def test_webhook_has_a_key(body: bytes, key: str) -> None:
    assert read_event(body).key == key
