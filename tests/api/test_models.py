"""Models take what the cloud sends, whatever its description says, and raise nothing but the SDK's own errors."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webex.api import Event, Message, Person, Room, Webhook
from webex.errors import ConfigurationError, DecodeError, WebexError
from webex.models.base import from_json, page_of

WIRE = b'{"id":"R1","title":"Hello","type":null,"isLocked":true,"created":"2024-05-06T07:08:09.123Z","brandNew":[1]}'


def test_names_are_pythonic_and_timestamps_are_aware() -> None:
    room = from_json(Room, WIRE)
    assert (room.id, room.title, room.is_locked) == ("R1", "Hello", True)
    assert room.created == datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=UTC)


def test_absent_fields_are_none_but_not_set() -> None:
    room = from_json(Room, WIRE)
    assert room.type is None
    assert room.team_id is None
    assert room.is_set("type")
    assert room.is_set("is_locked")
    assert room.is_set("isLocked")
    assert not room.is_set("team_id")


def test_a_field_set_by_the_program_counts_as_set() -> None:
    room = from_json(Room, WIRE)
    room.team_id = "T1"
    assert room.is_set("team_id")
    assert room.is_set("teamId")


def test_unknown_fields_can_be_read() -> None:
    room = from_json(Room, WIRE)
    assert room.extra == {"brandNew": [1]}
    assert room["brandNew"] == [1]
    with pytest.raises(KeyError):
        room["never"]


def test_to_dict_keeps_received_data_and_shows_changes() -> None:
    room = from_json(Room, WIRE)
    assert room.to_dict() == json.loads(WIRE)
    room.title = "Changed"
    assert room.to_dict() == {**json.loads(WIRE), "title": "Changed"}


def test_a_change_in_a_nested_model_is_in_the_data() -> None:
    person = Person.from_dict({"phoneNumbers": [{"type": "work", "value": "1", "odd": 1}]})
    assert person.phone_numbers is not None
    person.phone_numbers[0].value = "2"
    assert person.to_dict()["phoneNumbers"][0]["value"] == "2"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_are_equal_and_keep_everything(duplicate: Any) -> None:
    room = from_json(Room, WIRE)
    room.title = "Changed"
    twin = duplicate(room)
    assert twin == room
    assert twin.title == "Changed"
    assert twin.extra == {"brandNew": [1]}
    assert twin.is_set("type")


def test_mistyped_values_stay_raw_and_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "webex.api"):
        room = from_json(Room, b'{"id":5,"title":["a"],"isLocked":"yes","created":"yesterday","type":"later"}')
    assert (room.id, room.title, room.is_locked, room.created) == (5, ["a"], "yes", "yesterday")
    assert room.type == "later"
    assert len(caplog.records) == 1


def test_a_naive_timestamp_is_utc() -> None:
    assert from_json(Room, b'{"created":"2024-05-06T07:08:09"}').created == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def test_one_malformed_item_does_not_break_its_page() -> None:
    odd, even = page_of(Room, b'{"items":[{"title":1},{"title":"b"}]}')
    assert (odd.title, even.title) == (1, "b")


@pytest.mark.parametrize("content", [b"{}", b'{"items":[]}', b'{"items":null}'])
def test_a_page_without_items_is_empty(content: bytes) -> None:
    assert page_of(Room, content) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"<html>",
        b"{",
        b'{"title":"\xff"}',
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_invalid_json_is_a_decode_error(content: bytes) -> None:
    with pytest.raises(DecodeError):
        from_json(Room, content)


@pytest.mark.parametrize("value", [b"1e999", b'"\xff"'])
def test_an_unreadable_unknown_field_does_not_break_the_model(value: bytes) -> None:
    room = from_json(Room, b'{"id":"R1","odd":' + value + b"}")
    assert room.id == "R1"
    with pytest.raises(DecodeError):
        _ = room.extra


def test_repr_is_short_and_shows_no_secret() -> None:
    assert repr(Webhook(id="W1", secret="do-not-tell")) == "Webhook(id='W1', secret=…)"
    assert len(repr(Message(text="x" * 5000))) < 100


def test_data_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        Room.from_dict({"title": object()})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
WIRE_NAMES = sorted({name for cls in (Room, Person, Message, Event, Webhook) for name in cls.__struct_encode_fields__})


@given(
    cls=st.sampled_from([Room, Person, Message, Event, Webhook]),
    data=st.dictionaries(st.sampled_from(WIRE_NAMES) | st.text(max_size=6), json_values, max_size=8),
)
def test_any_json_object_round_trips_through_a_model(cls: type[Any], data: dict[str, Any]) -> None:
    wire = json.dumps(data).encode()
    try:
        model = from_json(cls, wire)
    except DecodeError:
        return  # a lone surrogate, or a number that no reader takes
    repr(model)
    assert model.to_dict() == json.loads(wire)
    assert pickle.loads(pickle.dumps(model)) == model


@given(
    cls=st.sampled_from([Room, Person, Event]),
    content=st.binary(max_size=80) | json_values.map(lambda v: json.dumps(v).encode()),
)
def test_any_bytes_give_models_or_a_webex_error(cls: type[Any], content: bytes) -> None:
    for read in (from_json, page_of):
        try:
            found = read(cls, content)
            for model in found if isinstance(found, list) else [found]:
                repr(model)
                _ = model.extra
                model.to_dict()
        except WebexError:
            pass
