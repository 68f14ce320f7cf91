"""What clients read back over plain requests: computed titles, mentions, threads, and reactions with their proofs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.realtime.helpers import new_room
from tests.emulator.realtime.test_conversation_features import Door
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN, BOB_ID, BOB_TOKEN


@pytest.fixture
def alice(webex_cloud: Cloud) -> Door:
    return Door(webex_cloud, new_room(webex_cloud, "bob@example.com"))


@pytest.fixture
def bob(alice: Door) -> Door:
    return Door(alice.cloud, alice.room_id, BOB_TOKEN)


def texts(door: Door, items: list[dict[str, Any]]) -> list[str]:
    _, cipher = door.key()
    return [cipher.decrypt(each["object"]["displayName"]).decode() for each in items]


def pages(door: Door, url: str) -> list[list[dict[str, Any]]]:
    """The pages of a list, along its links."""
    found = []
    while url:
        answer = door.fetch(url)
        assert answer.status == 200, answer.text
        found.append(answer.json()["items"])
        link = answer.headers.get("link", "")
        url = link[1 : link.index(">")] if link else ""
    return found


def mention_bob(door: Door, text: str) -> None:
    uri, cipher = door.key()
    content = {
        "objectType": "comment",
        "displayName": cipher.encrypt(text.encode()),
        "mentions": {"items": [{"objectType": "person", "id": BOB_ID}]},
    }
    assert door.submit("post", content, encryptionKeyUrl=uri).status == 200


def react(door: Door, parent: str, name: str = "heart", **more: Any) -> Any:
    uri, cipher = door.key()
    content = {"objectType": "reaction2", "displayName": cipher.encrypt(name.encode()) if name else "", **more}
    return door.submit("add", content, encryptionKeyUrl=uri, parent={"id": parent, "type": "reaction"})


def test_computed_title_of_a_direct_room_is_the_other_name(webex_cloud: Cloud) -> None:
    sent = Door(webex_cloud, "").fetch(
        f"{webex_cloud.url}/v1/messages", "POST", {"toPersonEmail": "bob@example.com", "text": "hello"}
    )
    assert sent.status == 200
    (room,) = webex_cloud.state.rooms
    for token, other in ((ALICE_TOKEN, "Bob Example"), (BOB_TOKEN, "Alice Example")):
        door = Door(webex_cloud, room, token)
        assert "computedTitle" not in door.get()
        shown = door.get("?computeTitleIfEmpty=true")
        assert ("displayName" in shown, shown["computedTitle"]) == (False, other)
        (listed,) = door.fetch(f"{door.base}/conversations?computeTitleIfEmpty=true").json()["items"]
        assert listed["computedTitle"] == other


def test_room_with_a_title_gets_no_computed_one(alice: Door) -> None:
    shown = alice.get("?computeTitleIfEmpty=true")
    assert ("displayName" in shown, "computedTitle" in shown) == (True, False)


def test_mentions_are_paged_in_both_directions(alice: Door, bob: Door) -> None:
    moments = []
    for number in range(5):
        alice.cloud.clock.advance(1)
        moments.append(int(alice.cloud.now() * 1000))
        mention_bob(alice, f"for Bob {number}")
        alice.post("for all")
    everything = [f"for Bob {number}" for number in range(5)]
    url = f"{bob.base}/mentions"
    assert [texts(bob, page) for page in pages(bob, url)] == [everything]
    backward = [texts(bob, page) for page in pages(bob, f"{url}?limit=2")]
    assert backward == [everything[3:], everything[1:3], everything[:1]]
    forward = [texts(bob, page) for page in pages(bob, f"{url}?limit=2&sinceDate={moments[1]}&lastActivityFirst=false")]
    assert forward == [everything[1:3], everything[3:]]
    assert texts(bob, bob.fetch(f"{url}?maxDate={moments[2]}").json()["items"]) == everything[:2]
    assert alice.fetch(url).json()["items"] == []


def test_threads_are_paged(alice: Door) -> None:
    parents = [alice.post(text)["id"] for text in ("a", "b", "c")]
    for parent in parents:
        alice.post("answer", parent={"id": parent, "type": "reply"})
    found = [[each["parentActivityId"] for each in page] for page in pages(alice, f"{alice.base}/threads?limit=2")]
    assert found == [parents[:0:-1], parents[:1]]


def test_reactions_to_a_message_are_paged(alice: Door, bob: Door) -> None:
    parent = alice.post("react to me")["id"]
    made = [react(door, parent, name).json()["id"] for door, name in ((bob, "heart"), (alice, "heart"), (bob, "sad"))]
    url = f"{alice.room}/parents/{parent}?activityType=reaction&limit=2"
    assert [[each["id"] for each in page] for page in pages(alice, url)] == [made[:2], made[2:]]


def test_reaction_hmac_is_stored_and_returned(alice: Door, bob: Door) -> None:
    parent = alice.post("react to me")["id"]
    made = react(bob, parent, hmac="ab" * 32).json()
    assert made["object"]["hmac"] == "ab" * 32
    (shown,) = alice.fetch(f"{alice.room}/parents/{parent}?activityType=reaction").json()["items"]
    assert (shown["object"]["hmac"], shown["parent"]) == ("ab" * 32, {"id": parent, "type": "reaction"})
    (summary,) = alice.fetch(f"{alice.room}/parents/{parent}?activityType=reactionSummary").json()["items"]
    assert summary["object"]["reactions"][0]["hmac"] == "ab" * 32


def test_reaction_without_a_name_or_in_another_room_is_refused(alice: Door) -> None:
    parent = alice.post("react to me")["id"]
    assert react(alice, parent, "").status == 400
    elsewhere = Door(alice.cloud, new_room(alice.cloud, "bob@example.com"))
    assert react(elsewhere, parent).status == 404
    assert alice.fetch(f"{alice.room}/parents/{parent}?activityType=reaction").json()["items"] == []
