"""What nobody should send: it costs nobody a later message, and what can't be listed is told as a gap."""

from __future__ import annotations

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from tests.realtime.helpers import QUICK, Shelf, activity, client_of, run, say, shared_room, take, tell, texts, until
from tests.realtime.wiretap import tapped
from webex.emulator.cloud import Cloud
from webex.errors import ConnectError, DecodeError, WebexError
from webex.http.types import RequestInfo, Response
from webex.ids import parse_id, to_hydra_id, to_uuid
from webex.realtime import dispatcher
from webex.realtime.catchup import find_missed
from webex.realtime.wire import Activity, FrameData

# Frames

MALFORMED: dict[str, Any] = {
    "no object": "text",
    "a list": ["text"],
    "no activity": {"eventType": "conversation.activity"},
    "an activity that is a list": {"activity": []},
    "a target that is a text": {"activity": {"target": "text"}},
    "an object that is a list": {"activity": {"object": ["text"]}},
    "an actor that is a text": {"activity": {"actor": "alice"}},
    "a parent that is a text": {"activity": {"parent": "text"}},
    "a verb that is a list": {"activity": {"verb": ["post"]}},
    "no id": {"activity": {"id": None}},
    "an id that is a list": {"activity": {"id": ["text"]}},
    "a key that is a number": {"activity": {"encryptionKeyUrl": 1}},
    "a key of nobody and a target that is a text": {"activity": {"encryptionKeyUrl": "kms://nobody/1", "target": "x"}},
    "somebody typing who is a text": {"eventType": "status.start_typing", "actor": "alice", "conversationId": "1"},
    "typing of nobody": {"eventType": "status.start_typing", "actor": {"id": ""}, "conversationId": "1"},
    "typing in no room": {"eventType": "status.start_typing", "actor": {"id": "a"}, "conversationId": ""},
    "keys that are a number": {"eventType": "encryption.kms_message", "encryption": {"kmsMessages": 1}},
    "headers that are a list": {"headers": ["data.activity"], "activity": {"verb": "unknown"}},
    **{f"{name} of an activity is a number": {"activity": {name: 7}} for name in Activity.__annotations__},
    **{f"{name} of a frame is a number": {name: 7} for name in FrameData.__annotations__},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_frame_does_not_affect_later_messages(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            data = MALFORMED[what]
            if isinstance(data, dict):
                data = {"eventType": "conversation.activity", **data}
                if isinstance(data.get("activity"), dict):
                    data["activity"] = {**activity(webex_cloud, room), **data["activity"]}
            async with bob.listen(("messages", "rooms", "memberships", "typing"), **QUICK) as events:
                await wire.line.say({"id": "malformed", "data": data})
                await say(alice, room, "after it")
                heard = await anext(events)
                if heard.data.text == "in the clear":  # not everything that is odd is unreadable
                    heard = await anext(events)
                assert heard.data.text == "after it"
                assert events.health.connections == 1

    with caplog.at_level(logging.ERROR, "webex.realtime"):
        run(main())
    assert caplog.records == []


@pytest.mark.parametrize(
    ("asked", "most"), [("nan", 1.0), ("-5", 1.0), ("soon", 1.0), ("inf", 1.0), ("999999999", 3600.0)]
)
def test_invalid_retry_after_does_not_block_a_subscription(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, asked: str, most: float
) -> None:
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)
        await asyncio.sleep(0.001)

    monkeypatch.setattr("webex.realtime.user_connection.asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))

    async def main() -> None:
        webex_cloud.faults.add("/v1/apps/*", status=503, retry_after=asked, count=1)
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen() as events:
                await say(alice, room, "heard")
                assert texts(await take(events)) == ["heard"]

    run(main())
    (pause,) = paused
    assert most / 2 <= pause <= most


def test_malformed_people_me_response_is_an_error_and_can_be_retried(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            webex_cloud.faults.add("/v1/people/me", body="[]", count=1)
            with pytest.raises(DecodeError, match="people/me"):
                await bob.messages.listen(**QUICK)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "heard")
                assert texts(await take(events)) == ["heard"]

    run(main())


# Catching up

DOORS = ("/conversation/*", "/v1/rooms")


def forget_devices(cloud: Cloud) -> None:
    """Have Bob's socket break and its registration end: what comes until the next one has to be listed."""
    with cloud.lock:
        cloud.mercury.drop("bob")
        cloud.mercury.expire_devices("bob")


def test_unavailable_history_is_one_gap_and_listening_continues(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.listen(**QUICK) as events:
                await say(alice, room, "one")
                (await anext(events)).ack()
                broken = [webex_cloud.faults.add(path, method="GET", not_json=True) for path in DOORS]
                forget_devices(webex_cloud)
                await say(alice, room, "missed")
                gap = await anext(events)
                assert (gap.resource, gap.event) == ("gap", "gap")
                assert gap.data["reason"] == "the device had expired"
                assert all(fault.hits for fault in broken)
                webex_cloud.faults.clear()
                await say(alice, room, "two", "three")
                assert texts(await take(events, 2)) == ["two", "three"]

    run(main())


def test_temporary_conversation_outage_makes_no_gap(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_FIRST_PAUSE", 0.01)

    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob", max_retries=0) as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one")
                (await anext(events)).ack()
                fault = webex_cloud.faults.add("/conversation/*", method="GET", status=503, count=2)
                forget_devices(webex_cloud)
                await say(alice, room, "missed")
                await until(lambda: fault.hits == 2)
                await say(alice, room, "two")
                assert texts(await take(events, 2)) == ["missed", "two"]
                assert events.health.gaps_filled == 1

    run(main())


@pytest.mark.parametrize("handled", [False, True], ids=["in hand", "handled"])
@pytest.mark.parametrize("storage", [None, Shelf], ids=["in memory", "stored"])
def test_an_unreadable_timestamp_does_not_break_later_catch_ups(
    webex_cloud: Cloud, storage: Any, handled: bool
) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob", storage=storage and storage()) as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                odd = activity(webex_cloud, room, published="yesterday")
                tell(webex_cloud, {"eventType": "conversation.activity", "activity": odd})
                event = await anext(events)
                assert event.data.text == "in the clear"
                if handled:
                    event.ack()
                forget_devices(webex_cloud)
                await say(alice, room, "missed")
                await until(lambda: webex_cloud.mercury.opened_count == 2)
                assert texts(await take(events)) == ["missed"]

    run(main())


# What a catch-up asks for

SINCE = "2030-01-01T00:00:00.000Z"
CONVERSATIONS, ELSEWHERE, HYDRA = (f"https://{name}.example/v1" for name in ("conversation", "elsewhere", "hydra"))
_INFO = RequestInfo("GET", CONVERSATIONS, "test")


def moment(milliseconds: int) -> str:
    """So long after `SINCE`."""
    return f"2030-01-01T00:{milliseconds // 60000:02}:{milliseconds // 1000 % 60:02}.{milliseconds % 1000:03}Z"


def posted(*milliseconds: int, start: int = 0) -> list[dict[str, Any]]:
    """Activities, published at these moments."""
    return [{"id": f"{start + n}", "verb": "post", "published": moment(at)} for n, at in enumerate(milliseconds)]


class Door:
    """A cloud with conversations, and rooms of the REST API; a page holds `cap` items at most."""

    def __init__(self, *, cap: int = 100) -> None:
        self.cap = cap
        self.conversations: dict[str, list[dict[str, Any]]] = {}
        self.left: list[dict[str, Any]] = []
        self.additional: dict[str, list[str]] = {}  # by the base URL
        self.failure: WebexError | None = None  # of the conversation service
        self.rooms: list[dict[str, Any]] = []
        self.messages: dict[str, list[dict[str, Any]]] = {}  # by room, the newest first
        self.asked: list[str] = []

    async def url_of(self, service: str) -> str:
        return f"https://{service}.example/v1"

    async def send(self, method: str, url: str, **options: Any) -> Response:
        self.asked.append(url)
        answer = self._answer(url, options["params"])
        return Response(200, {}, json.dumps(answer).encode(), _INFO)

    def _answer(self, url: str, params: dict[str, Any]) -> dict[str, Any]:
        if url == f"{HYDRA}/rooms":
            return {"items": self.rooms}
        if url == f"{HYDRA}/messages":
            found = self.messages[params["roomId"]]
            before = [message["id"] for message in found].index(params["beforeMessage"]) + 1 if len(params) > 2 else 0
            return {"items": found[before : before + min(self.cap, params["max"])]}
        if self.failure is not None:
            raise self.failure
        base, _, rest = url.partition("/conversations")
        if rest == "/left":
            return {"items": self.left}
        if not rest:
            here = [{"url": each} for each in self.conversations if each.startswith(base)]
            return {"items": here, "additionalUrls": self.additional.get(base, [])}
        since = moment(params["sinceDate"] - 1893456000000)
        found = [each for each in self.conversations[url.removesuffix("/activities")] if each["published"] >= since]
        return {"items": found[: min(self.cap, params["activitiesLimit"])]}


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in found]


def test_pages_smaller_than_requested_are_followed_to_the_end() -> None:
    door = Door(cap=100)
    door.conversations[f"{CONVERSATIONS}/conversations/1"] = history = posted(*range(1, 251))
    missed = run(find_missed(door, SINCE, is_bot=False))
    assert ids(missed.activities) == ids(history)
    assert missed.complete


def test_activities_of_other_clusters_are_merged_in_order() -> None:
    door = Door()
    door.additional = {CONVERSATIONS: [f"{ELSEWHERE}/conversations?a=b"], ELSEWHERE: [f"{CONVERSATIONS}/conversations"]}
    door.conversations[f"{CONVERSATIONS}/conversations/1"] = posted(10, 30)
    door.conversations[f"{ELSEWHERE}/conversations/2"] = posted(20, 40, start=2)
    missed = run(find_missed(door, SINCE, is_bot=False))
    assert ids(missed.activities) == ["0", "2", "1", "3"]
    assert missed.complete
    assert len(door.asked) == len(set(door.asked)) + 2  # each history is asked for once more, until nothing is fresh


def test_a_cluster_that_two_others_name_is_listed_once_and_so_is_each_conversation() -> None:
    third, door = "https://third.example/v1", Door()
    door.additional = {CONVERSATIONS: [f"{third}/conversations", f"{ELSEWHERE}/conversations"]}
    door.additional[ELSEWHERE] = [f"{third}/conversations?a=b"]
    door.conversations[f"{CONVERSATIONS}/conversations/1"] = posted(10)
    door.conversations[f"{ELSEWHERE}/conversations/2"] = posted(20, start=1)
    door.conversations[f"{third}/conversations/3"] = posted(30, start=2)
    missed = run(find_missed(door, SINCE, is_bot=False))
    assert ids(missed.activities) == ["0", "1", "2"]
    assert door.asked.count(f"{third}/conversations") == 1
    assert door.asked.count(f"{third}/conversations/3/activities") == 2  # until nothing is fresh


def test_more_activities_per_millisecond_than_a_page_is_incomplete() -> None:
    door = Door(cap=100)
    door.conversations[f"{CONVERSATIONS}/conversations/1"] = posted(1, *[2] * 150)
    missed = run(find_missed(door, SINCE, is_bot=False))
    assert 100 <= len(missed.activities) < 151
    assert not missed.complete


@pytest.mark.parametrize(
    ("left", "complete"),
    [
        ([], True),
        ([{"lastReadableActivityDate": "2029-12-31T00:00:00.000Z"}], True),
        ([{"lastReadableActivityDate": moment(1)}], False),
        ([{"lastReadableActivityDate": None}], False),
        ([{}], False),
    ],
    ids=["none", "before", "since", "null", "unknown time"],
)
def test_a_conversation_left_meanwhile_makes_it_incomplete(left: list[dict[str, Any]], complete: bool) -> None:
    door = Door()
    door.left = left
    assert run(find_missed(door, SINCE, is_bot=False)).complete is complete


def test_an_unreadable_listed_timestamp_hides_no_activity() -> None:
    door = Door(cap=3)
    door.conversations[f"{CONVERSATIONS}/conversations/1"] = history = posted(1, 2, 3, 4, 5)
    history[1]["published"] = "yesterday"  # later than all of them, to who compares texts
    missed = run(find_missed(door, SINCE, is_bot=False))
    assert sorted(ids(missed.activities)) == ["0", "1", "2", "3", "4"]


# By REST


def rest_room(name: str, count: int, **more: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A room, and its messages, the newest first; one of them is older than `SINCE`."""
    room = {"id": to_hydra_id("ROOM", uuid_for(name)), "type": "group", **more}
    messages = [
        {
            "id": to_hydra_id("MESSAGE", uuid_for(f"{name} {number}")),
            "roomId": room["id"],
            "personId": to_hydra_id("PEOPLE", uuid_for("somebody")),
            "text": f"{name} {number}",
            "created": moment(number) if number else "2029-12-31T23:59:59.000Z",
        }
        for number in range(count, -1, -1)
    ]
    return room, messages


def uuid_for(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def said(found: list[dict[str, Any]]) -> list[str]:
    return [each["object"]["displayName"] for each in found]


@pytest.mark.parametrize("broken", [{"id": "no id"}, {"personId": None}, {"files": 7}], ids=["id", "person", "files"])
def test_a_message_of_rest_that_can_not_be_read_hides_no_other(broken: dict[str, Any]) -> None:
    door = Door()
    room, messages = rest_room("one", 3)
    messages[1] = {**messages[1], **broken}
    door.rooms, door.messages = [room], {room["id"]: messages}
    door.failure = DecodeError("The answer is no JSON.")
    missed = run(find_missed(door, SINCE, is_bot=False))
    assert said(missed.activities) == ["one 1", "one 3"]


def test_rest_catch_up_is_paged_and_never_complete() -> None:
    door = Door(cap=100)
    door.failure = DecodeError("The answer is no JSON.")
    room, messages = rest_room("a", 250, lastActivity=moment(250))
    door.rooms, door.messages = [room], {room["id"]: messages}
    missed = run(find_missed(door, SINCE, is_bot=False))
    assert said(missed.activities) == [f"a {number}" for number in range(1, 251)]
    assert not missed.complete
    assert door.asked.count(f"{HYDRA}/messages") == 3
    assert missed.activities[0]["target"]["id"] == parse_id(room["id"]).id == to_uuid(room["id"])


def test_a_room_without_last_activity_is_listed_too() -> None:
    door = Door()
    door.failure = DecodeError("The answer is no JSON.")
    given = [
        rest_room("silent", 1),
        rest_room("null", 1, lastActivity=None),
        rest_room("late", 1, lastActivity=moment(1)),
        rest_room("old", 1, lastActivity="2029-12-31T23:59:59.000Z"),
    ]
    door.rooms, door.messages = [room for room, _ in given], {room["id"]: messages for room, messages in given}
    missed = run(find_missed(door, SINCE, is_bot=False))
    assert sorted(said(missed.activities)) == ["late 1", "null 1", "silent 1"]


def test_rest_fallback_is_used_only_if_requested() -> None:
    door = Door()
    door.failure = ConnectError("nobody there")
    with pytest.raises(ConnectError):
        run(find_missed(door, SINCE, is_bot=False))
    assert f"{HYDRA}/rooms" not in door.asked
    missed = run(find_missed(door, SINCE, is_bot=False, by_rest=True))
    assert (missed.activities, missed.complete) == ([], False)
    assert f"{HYDRA}/rooms" in door.asked
