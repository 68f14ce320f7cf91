"""What was said and done before, opened on this machine: rooms, mentions, threads, single activities; both styles."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, take
from webex import AsyncWebex, Webex
from webex.emulator.accounts import ADMIN_ID, ALICE_ID, ALICE_TOKEN, BOB_ID, BOT_ID, BOT_TOKEN
from webex.emulator.cloud import Cloud
from webex.errors import ConfigurationError, DecodeError, KMSError, NotFoundError
from webex.ids import membership_id, public_id, to_uuid
from webex.realtime.event import Event

BOB = public_id("PEOPLE", BOB_ID)
TEN = [str(number) for number in range(10)]


def said(events: list[Event[Any]]) -> list[str]:
    """The texts of the messages among these events."""
    return [event.data.text for event in events if (event.resource, event.event) == ("messages", "created")]


def named(events: list[Event[Any]]) -> list[str]:
    return [f"{event.resource}:{event.event}" for event in events]


def mention(who: str, label: str) -> str:
    return f'<spark-mention data-object-type="person" data-object-id="{who}">{label}</spark-mention>'


# Rooms


@pytest.mark.parametrize("page_size", [1, 2, 3, 100, None])
def test_history_has_everything_once_in_either_order(webex_cloud: Cloud, page_size: int | None) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            await say(alice, room, *TEN)
            newest = await bob.conversations.history(room, page_size=page_size).to_list()
            oldest = await bob.conversations.history(room, order="oldest", page_size=page_size).to_list()
            assert (said(oldest), said(newest)) == (TEN, TEN[::-1])
            assert sorted(event.key for event in newest) == sorted(event.key for event in oldest)
            assert len({event.key for event in oldest}) == len(oldest)
            assert named(oldest)[:3] == ["rooms:created", "memberships:created", "memberships:created"]

    run(main())


def test_history_events_equal_realtime_events(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen(**QUICK) as events:
                sent = await alice.conversations.post(room, "one", html=f"<b>one</b> {mention(BOB_ID, 'Bob')}")
                await alice.conversations.edit(room, sent, "two")
                await alice.conversations.share(room, b"bytes", name="b.bin")
                await alice.messages.react(sent, "heart")
                await alice.rooms.update(room, title="Renamed")
                live = await take(events, 5)
            past = (await bob.conversations.history(room, order="oldest").to_list())[-5:]
            for before, after in zip(live, past, strict=True):
                assert (before.to_dict()["data"], before.key) == (after.to_dict()["data"], after.key)
                assert (before.actor, before.published) == (after.actor, after.published)
                assert type(before.data) is type(after.data)
                assert (after.redelivered, after.decryption_error) == (False, None)
                after.ack()  # nothing to acknowledge: nothing happens
            assert [file["displayName"] for file in past[2].files] == ["b.bin"]

    run(main())


def test_file_of_history_is_downloaded(webex_cloud: Cloud, tmp_path: Any) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            await alice.conversations.share(room, b"old bytes", name="b.bin")
            (event,) = await bob.conversations.history(room, limit=1).to_list()
            path = await bob.conversations.download(event.files[0], tmp_path / "b.bin")
            assert path.read_bytes() == b"old bytes"

    run(main())


def test_since_and_until_bound_the_history(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            moments = []
            for text in TEN:
                webex_cloud.clock.advance(60)
                moments.append((await alice.messages.create(room_id=room, text=text)).created)
            third, sixth = moments[3], moments[6]
            assert third is not None
            assert sixth is not None
            read = alice.conversations.history
            for size in (2, 100):
                for since, until in (
                    (third, sixth),
                    (third.isoformat(), sixth.isoformat()),
                    (third.astimezone(UTC).replace(tzinfo=None), sixth),
                ):
                    oldest = read(room, since=since, until=until, order="oldest", page_size=size)
                    newest = read(room, since=since, until=until, page_size=size)
                    assert said(await oldest.to_list()) == TEN[3:6]
                    assert said(await newest.to_list()) == TEN[3:6][::-1]
                assert said(await read(room, since=sixth, page_size=size).to_list()) == TEN[6:][::-1]
                assert said(await read(room, until=third, order="oldest", page_size=size).to_list()) == TEN[:3]
            assert await read(room, since=sixth + timedelta(days=1)).to_list() == []

    run(main())


def test_around_returns_one_page_of_both_sides(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            moments = []
            for text in TEN:
                webex_cloud.clock.advance(60)
                moments.append((await alice.messages.create(room_id=room, text=text)).created)
            read = alice.conversations.history
            assert said(await read(room, around=moments[5], limit=4, order="oldest").to_list()) == ["4", "5", "6", "7"]
            assert said(await read(room, around=moments[5], limit=4).to_list()) == ["7", "6", "5", "4"]

    run(main())


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_around_a_moment_the_limit_keeps_both_sides(webex_cloud: Cloud, order: Any) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            webex_cloud.clock.freeze()
            room = await alice.rooms.create(title="A room")  # several events at once: the room, and a member
            webex_cloud.clock.advance(60)
            await say(alice, str(room.id), "one", "two", "three")
            read = alice.conversations.history
            (first, second) = await read(str(room.id), around=room.created, limit=2, order=order).to_list()
            earlier, later = (second, first) if order == "newest" else (first, second)
            assert earlier.published is not None
            assert later.published is not None
            assert room.created is not None
            assert earlier.published <= room.created < later.published
            assert later.data.text == "one"
            assert len(await read(str(room.id), around=room.created, limit=5_000).to_list()) == 5
            asked = webex_cloud.requests.find(path="/conversation/api/v1/conversations/*/activities")
            assert max(int(str(request.query["limit"])) for request in asked) == 1_000

    run(main())


@pytest.mark.parametrize("around", [None, datetime(2026, 1, 1, tzinfo=UTC)], ids=["latest", "around"])
def test_no_events_are_read_without_a_request(webex_cloud: Cloud, around: Any) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = public_id("ROOM", ALICE_ID)
            for history in (
                alice.conversations.history(room, limit=0, around=around),
                alice.conversations.mentions(limit=0),
                alice.conversations.threads(limit=0),
            ):
                assert await history.to_list() == []
            assert webex_cloud.requests.find(path="/*") == []

    run(main())


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_more_activities_per_millisecond_than_a_page_are_all_read(webex_cloud: Cloud, order: Any) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            webex_cloud.clock.freeze()
            await say(alice, room, *TEN)
            webex_cloud.clock.advance(1)
            await say(alice, room, "last")
            found = said(await alice.conversations.history(room, order=order, page_size=2).to_list())
            assert sorted(found) == sorted([*TEN, "last"])
            assert found == ([*TEN, "last"] if order == "oldest" else ["last", *TEN[::-1]])

    run(main())


def test_pages_are_fetched_lazily(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            await say(alice, room, *TEN)
            webex_cloud.requests.clear()
            past = alice.conversations.history(room, page_size=2)
            assert webex_cloud.requests.find(path="*/activities") == []
            async for event in past:
                if event.data.text == "7":
                    break
            asked = len(webex_cloud.requests.find(method="GET", path="*/activities"))
            assert (
                2 <= asked <= 4
            )  # of six or more; one more for each page that ends between messages of one millisecond
            assert said([event async for event in past]) == TEN[::-1]  # each loop begins anew
            sizes = [len(page) async for page in alice.conversations.history(room, page_size=4, limit=7).pages()]
            assert sum(sizes) == 7
            assert max(sizes) <= 4
            assert await alice.conversations.history(room, limit=0).to_list() == []

    run(main())


def test_a_deleted_activity_is_listed_once(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            await alice.conversations.edit(room, str(sent.id), "two")
            await alice.messages.react(sent, "heart")
            await alice.messages.unreact(sent, "heart")
            await alice.messages.delete(str(sent.id))
            await say(alice, room, "last")
            for order in ("newest", "oldest"):
                past = await alice.conversations.history(room, order=order, page_size=1).to_list()  # type: ignore[arg-type]  # one of two
                told = [each for each in named(past) if not each.endswith("s:created")]
                assert sorted(told) == ["messages:deleted", "reactions:deleted"]
                assert said(past) == ["last"]

    run(main())


def test_bot_reads_messages_that_mention_it(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, AsyncWebex(BOT_TOKEN, emulator_url=webex_cloud.url) as bot:
            room = await shared_room(alice, "bot@example.com")
            await say(alice, room, "not for the bot")
            await alice.conversations.post(room, "Bot hello", html=f"{mention(BOT_ID, 'Bot')} hello")
            assert said(await bot.conversations.history(room).to_list()) == ["Bot hello"]

    run(main())


def test_undecryptable_messages_are_reported_and_the_rest_is_read(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice, "bob@example.com", "admin@example.com")
            await say(alice, room, "under the first key")
            first = str(webex_cloud.state.rooms[to_uuid(room)].key_uri)
            await alice.memberships.delete(membership_id(ADMIN_ID, to_uuid(room)))
            await say(alice, room, "under the second")
            webex_cloud.kms.set_faults(by_key={first: {"status": 403, "reason": "no"}})
            past = await bob.conversations.history(room).to_list()
            texts = {event.data.text: event.decryption_error for event in past if event.resource == "messages"}
            assert texts.keys() == {"under the second", None}
            assert texts["under the second"] is None
            assert texts[None] is not None

    run(main())


def test_key_service_out_of_reach_is_an_error(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            await say(alice, room, "one")
            connection = await bob.conversations._service.connected()

            async def unreachable(url: str) -> None:
                raise KMSError("The key service did not answer.")

            monkeypatch.setattr(connection.keys, "get", unreachable)
            with pytest.raises(KMSError):
                await bob.conversations.history(room).to_list()

    run(main())


@pytest.mark.parametrize("body", ["[]", "{}", '{"items": {}}'], ids=["list", "empty", "odd-items"])
def test_malformed_list_response_is_a_decode_error(webex_cloud: Cloud, body: str) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            sent = await alice.messages.create(room_id=room, text="one")
            webex_cloud.faults.add("/conversation/*", body=body)
            for read in (
                alice.conversations.history(room).to_list,
                alice.conversations.mentions().to_list,
                alice.conversations.threads().to_list,
                lambda: alice.conversations.activity(str(sent.id)),
            ):
                with pytest.raises(DecodeError):
                    await read()

    run(main())


def test_malformed_activities_are_skipped(webex_cloud: Cloud) -> None:
    odd = {"items": [{"id": "x"}, {"id": 7}, 7, {"id": "y", "verb": "post", "published": "yesterday"}, {}]}

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            webex_cloud.faults.add("*/activities", body=json.dumps(odd))
            for order in ("newest", "oldest"):
                assert await alice.conversations.history(room, order=order).to_list() == []  # type: ignore[arg-type]  # one of two

    run(main())


def test_room_of_others_is_not_found(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = str((await alice.rooms.create(title="Mine")).id)
            with pytest.raises(NotFoundError):
                await bob.conversations.history(room).to_list()

    run(main())


@pytest.mark.parametrize(
    "wrong",
    [
        {"order": "latest"},
        {"limit": -1},
        {"limit": True},
        {"page_size": 0},
        {"since": "yesterday"},
        {"until": 7},
        {"around": datetime(2026, 1, 1, tzinfo=UTC), "since": datetime(2026, 1, 1, tzinfo=UTC)},
        {"room_id": "a room"},
        {"since": "2026-01-02", "until": "2026-01-01"},
    ],
    ids=["order", "negative-limit", "bool-limit", "page-size", "since", "until", "around-since", "room", "until-since"],
)
def test_invalid_arguments_are_refused_before_any_request(webex_cloud: Cloud, wrong: dict[str, Any]) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = public_id("ROOM", ALICE_ID)
            with pytest.raises(ConfigurationError):
                alice.conversations.history(**{"room_id": room, **wrong})
            assert webex_cloud.requests.find(path="/*") == []

    run(main())


# Mentions, threads, single activities


@pytest.mark.parametrize("page_size", [1, 100])
def test_mentions_of_all_rooms_are_read(webex_cloud: Cloud, page_size: int) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            rooms = [await shared_room(alice), await shared_room(alice)]
            for number, room in enumerate((*rooms, *rooms)):
                await say(alice, room, "not for Bob")
                await alice.conversations.post(room, f"Bob {number}", html=f"{mention(BOB_ID, 'Bob')} {number}")
            texts = ["Bob 0", "Bob 1", "Bob 2", "Bob 3"]
            mentions = bob.conversations.mentions
            assert said(await mentions(page_size=page_size).to_list()) == texts[::-1]
            oldest = await mentions(order="oldest", page_size=page_size).to_list()
            assert said(oldest) == texts
            assert said(await mentions(since=oldest[2].published, page_size=page_size).to_list()) == texts[2:][::-1]
            assert [event.data.mentioned_people for event in oldest] == [[BOB]] * 4
            assert await alice.conversations.mentions().to_list() == []

    run(main())


def test_threads_have_their_replies(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            first, second = [await alice.conversations.post(room, text) for text in ("first", "second")]
            await bob.conversations.post(room, "to the second", parent_id=second)
            await bob.conversations.post(room, "to the first", parent_id=first)
            await alice.conversations.post(room, "again to the first", parent_id=first)
            threads = await alice.conversations.threads().to_list()
            assert [(each.room_id, each.message_id) for each in threads] == [(room, first), (room, second)]
            assert [said(each.replies) for each in threads] == [
                ["to the first", "again to the first"],
                ["to the second"],
            ]
            assert threads[0].replies[0].data.parent_id == first
            parent = await alice.conversations.activity(threads[0].message_id)
            assert parent is not None
            assert parent.data.text == "first"
            assert [each.message_id for each in await alice.conversations.threads(limit=1).to_list()] == [first]
            later = threads[0].replies[1].published
            assert [each.message_id for each in await alice.conversations.threads(since=later).to_list()] == [first]

    run(main())


def test_more_threads_than_a_page_holds_are_read(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webex.realtime.history._PAGE", 2)

    async def main() -> None:
        async with client_of(webex_cloud) as alice:
            room = await shared_room(alice)
            parents = [await alice.conversations.post(room, text) for text in ("a", "b", "c", "d", "e")]
            for parent in parents:
                await alice.conversations.post(room, "answer", parent_id=parent)
            found = await alice.conversations.threads().to_list()
            assert [each.message_id for each in found] == parents[::-1]
            assert [len(page) async for page in alice.conversations.threads().pages()] == [2, 2, 1]
            assert [each.message_id for each in await alice.conversations.threads(limit=3).to_list()] == parents[:1:-1]

    run(main())


def test_single_activities_are_decrypted(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            sent = await alice.conversations.post(room, "one")
            reaction = await alice.messages.react(sent, "heart")
            for name in (sent, to_uuid(sent)):
                event = await bob.conversations.activity(name)
                assert event is not None
                assert (event.data.id, event.data.text) == (sent, "one")
            event = await bob.conversations.activity(reaction.id)
            assert event is not None
            assert (event.resource, event.data) == ("reactions", reaction)
            with webex_cloud.lock:
                content = {"objectType": "conversation", "id": to_uuid(room)}
                place = webex_cloud.state.rooms[to_uuid(room)]
                key = webex_cloud.conversations.record("updateKey", place, ALICE_ID, content)
            assert await bob.conversations.activity(key.id) is None
            with pytest.raises(NotFoundError):
                await bob.conversations.activity(ALICE_ID)
            with pytest.raises(ConfigurationError):
                await bob.conversations.activity("nothing")

    run(main())


# Styles


def test_blocking_code_reads_back(webex_cloud: Cloud) -> None:
    with Webex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice:
        room = str(alice.rooms.create(title="A room").id)
        sent = [alice.conversations.post(room, text) for text in TEN]
        alice.conversations.post(room, "an answer", parent_id=sent[0])
        past = alice.conversations.history(room, page_size=3)
        assert said(past.to_list()) == ["an answer", *TEN[::-1]]
        assert said(list(past)) == ["an answer", *TEN[::-1]]
        assert said([event for page in past.pages() for event in page]) == ["an answer", *TEN[::-1]]
        for event in alice.conversations.history(room, order="oldest"):
            if event.resource == "messages":
                assert event.data.text == "0"
                break
        (thread,) = alice.conversations.threads()
        assert (thread.message_id, said(thread.replies)) == (sent[0], ["an answer"])
        assert alice.conversations.mentions().to_list() == []
        event = alice.conversations.activity(sent[3])
        assert event is not None
        assert event.data.text == "3"


def test_history_of_the_other_style_explains_its_use(webex_cloud: Cloud) -> None:
    with Webex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice:
        past = alice.conversations.history(public_id("ROOM", ALICE_ID))
        with pytest.raises(TypeError, match="to_list"):
            past.__aiter__()
        with pytest.raises(TypeError, match="to_list"):
            len(past)
        assert past
        assert "to_list" in repr(past)

    async def main() -> None:
        async with client_of(webex_cloud) as other:
            with pytest.raises(TypeError, match="async for"):
                list(other.conversations.history(public_id("ROOM", ALICE_ID)))

    run(main())
