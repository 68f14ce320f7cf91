"""The emulator answers as recordings of the cloud do; each difference that remains is known by name and reason."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.recorded.requests import PLAYED, World, worlds
from tests.emulator.recorded.shapes import Answer, differences
from webex.emulator.accounts import BOB_ID
from webex.ids import to_hydra_id

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "recorded.json").read_text(encoding="utf-8"))
RECORDED: dict[str, dict[str, Any]] = {each["id"]: each for each in VECTORS["answers"]}

# Where the emulator goes another way, and why.
KNOWN: dict[str, tuple[str, list[str]]] = {
    "wdm-post": (
        "published clients read services and serviceHostMap of a registration; the recording is a fixture without them",
        ["extra .services", "extra .serviceHostMap"],
    ),
}


@pytest.fixture
def world() -> Iterator[World]:
    with worlds() as made:
        yield made


def test_every_recorded_response_is_replayed() -> None:
    assert PLAYED.keys() == RECORDED.keys()
    assert len(RECORDED) == 79
    assert len(RECORDED) - len(KNOWN) >= 70


@pytest.mark.parametrize("name", RECORDED)
def test_answer_equals_its_recording(world: World, name: str) -> None:
    _, expected = KNOWN.get(name, ("", []))
    found = differences(RECORDED[name], PLAYED[name](world), world.cloud.url)
    assert sorted(found) == sorted(expected)


ROOM = RECORDED["room-get"]
GIVEN: dict[str, Any] = {
    "id": to_hydra_id("ROOM", BOB_ID),
    "title": "A space",
    "type": "group",
    "isLocked": False,
    "lastActivity": "2026-01-01T00:00:00.000Z",
    "creatorId": to_hydra_id("PEOPLE", BOB_ID),
    "created": "2026-01-01T00:00:00.000Z",
    "ownerId": to_hydra_id("ORGANIZATION", BOB_ID),
    "isPublic": False,
    "isReadOnly": False,
}


def test_equal_answer_has_no_difference() -> None:
    assert differences(ROOM, Answer(200, GIVEN), "") == []


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda body: body.pop("title"), "lacks .title"),
        (lambda body: body.update(color="red"), "extra .color"),
        (lambda body: body.update(created="2026-01-01T00:00:00Z"), "type of .created"),
        (lambda body: body.update(id=to_hydra_id("TEAM", BOB_ID)), "type of .id"),
        (lambda body: body.update(isLocked="false"), "type of .isLocked"),
        (lambda body: body.update(title=body.pop("title")), "order of ."),
    ],
)
def test_altered_answer_differs(change: Any, difference: str) -> None:
    body = copy.deepcopy(GIVEN)
    change(body)
    found = differences(ROOM, Answer(200, body), "")
    assert len(found) == 1
    assert found[0].startswith(difference)


def test_altered_status_header_and_message_differ() -> None:
    assert differences(ROOM, Answer(201, GIVEN), "") == ["status 201, not 200"]
    head = {"status": 200, "headers": {"link": '<{base}/v1/rooms?max=2&cursor={any}>; rel="next"'}}
    assert (
        differences(head, Answer(200, None, {"link": '<http://a/v1/rooms?max=2&cursor=x>; rel="next"'}), "http://a")
        == []
    )
    assert differences(head, Answer(200, None, {"link": '<http://a/v1/rooms?cursor=x&max=2>; rel="next"'}), "http://a")
    assert differences(head, Answer(200), "http://a")
    error = {"status": 404, "message": "Unable to get message."}
    assert differences(error, Answer(404, {"message": "Unable to get message"}), "")


@pytest.mark.parametrize("written", VECTORS["markup"], ids=lambda each: each["markdown"])
def test_markdown_renders_as_recorded(world: World, written: dict[str, str]) -> None:
    room = world.room_with("bob@example.com")
    message = world.message(room=room, markdown=written["markdown"].replace(":x|", ":bob@example.com|"))
    html = written["html"].replace("PUBLIC ID", to_hydra_id("PEOPLE", BOB_ID))
    assert message["html"].removeprefix("<p>").removesuffix("</p>") == html.removeprefix("<p>").removesuffix("</p>")
    if "text" in written:
        assert message["text"] == written["text"]
