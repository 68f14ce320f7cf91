"""Halves of characters: joined where they are pairs, refused when sent, replaced when they come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conftest import Said, Script
from webex import Webex
from webex.errors import ConfigurationError
from webex.http.codec import decode_json
from webex.models.base import from_json, page_of
from webex.models.generated.messaging import Message, Room

PAIR, FACE = "\ud83d\ude00", "\U0001f600"
LONE = ["\ud83d", "cut \ud83d", "\ude00 cut", "\ude00\ud83d", "a\udcffb", f"{FACE}\ud83d"]


@pytest.fixture
def answering(script: Script, client: Webex) -> Script:
    script.answer = lambda asked: Said(200, {"id": "m", "items": []})
    return script


def _calls(client: Webex, text: str) -> dict[str, Any]:
    return {
        "body": lambda: client.messages.create(room_id="r", markdown=text),
        "long": lambda: client.messages.create_long(room_id="r", text=text),
        "update": lambda: client.rooms.update("r", title=text),
        "path": lambda: client.rooms.get(text),
        "query": lambda: client.people.list(display_name=text).to_list(),
        "list in a query": lambda: client.people.list(id=[text]).to_list(),
        "card": lambda: client.messages.create(
            room_id="r", card={"type": "AdaptiveCard", "version": "1.2", "body": [{"text": text}]}
        ),
        "name of a field": lambda: client.request("POST", "/any", json={text: [1]}),
        "file name": lambda: client.messages.create(room_id="r", files=(text, b"bytes")),
        "text beside a file": lambda: client.messages.create(room_id="r", text=text, files=b"bytes"),
        "form": lambda: client.request("POST", "/any", form={"name": text}),
    }


NAMES = [
    "body",
    "long",
    "update",
    "path",
    "query",
    "list in a query",
    "card",
    "name of a field",
    "file name",
    "text beside a file",
    "form",
]


@pytest.mark.parametrize("text", LONE, ids=ascii)
@pytest.mark.parametrize("place", NAMES)
def test_lone_surrogate_is_refused_before_sending(answering: Script, client: Webex, place: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match="lone surrogate"):
        _calls(client, text)[place]()
    assert answering.asked == []


@pytest.mark.parametrize("place", NAMES)
def test_pair_of_surrogates_is_joined(answering: Script, client: Webex, place: str) -> None:
    _calls(client, f"a {PAIR} b")[place]()
    (asked,) = answering.asked
    sent = asked.path.encode() + asked.body + json.dumps(asked.query, ensure_ascii=False).encode()
    escaped = b"%F0%9F%98%80"
    assert FACE.encode() in sent or escaped in sent


def test_refusal_names_the_argument(answering: Script, client: Webex) -> None:
    with pytest.raises(ConfigurationError, match=r"^display_name holds half a character"):
        client.people.list(display_name="\ud83d").to_list()
    with pytest.raises(ConfigurationError, match=r"^room_id holds"):
        client.rooms.get("\ud83d")
    with pytest.raises(ConfigurationError, match=r"body\['a'\]\[0\]\['b'\]"):
        client.request("POST", "/any", json={"a": [{"b": "\ud83d"}]})


ODD = rb'{"id": "odd", "text": "half \ud83d and \\ud83d whole \ud83d\ude00"}'


def test_message_with_surrogates_does_not_break_its_page(script: Script, client: Webex) -> None:
    body = b'{"items": [{"id": "before"}, ' + ODD + b', {"id": "after"}]}'
    script.answer = lambda asked: Said(200, body)

    before, odd, after = client.messages.list(room_id="r")

    assert [before.id, odd.id, after.id] == ["before", "odd", "after"]
    assert odd.text == f"half \ufffd and \\ud83d whole {FACE}"
    assert str(odd.text).encode()
    assert odd.to_dict() == json.loads(odd.to_json())


def test_lone_surrogates_are_replaced_wherever_json_is_read() -> None:
    assert decode_json(rb'{"\udc00": ["\ud83d\ud83d\ude00"]}') == {"\ufffd": [f"\ufffd{FACE}"]}
    assert from_json(Room, rb'{"title": "\uD83D", "odd": "\uDE00"}').extra == {"odd": "\ufffd"}
    assert from_json(Room, rb'{"title": "\\ud83d\ud83d"}').title == "\\ud83d\ufffd"
    assert page_of(Message, b'{"items": [' + ODD + b'], "\\ud83d": 1}')[0].id == "odd"


@pytest.mark.parametrize("odd", [b"null", b"7", b'"text"', b"[1]", b'{"id": "\xff"}'])
def test_non_object_item_does_not_break_its_page(
    script: Script, client: Webex, caplog: pytest.LogCaptureFixture, odd: bytes
) -> None:
    script.answer = lambda asked: Said(200, b'{"items": [{"id": "before"}, ' + odd + b', {"id": "after"}]}')

    assert [message.id for message in client.messages.list(room_id="r")] == ["before", "after"]
    assert "left out" in caplog.text
