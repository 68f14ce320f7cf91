"""Answers of other shapes than described: read leniently, or refused with a typed error; never anything else."""

from __future__ import annotations

import contextlib
import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webex.api import split_markdown
from webex.errors import RequestInfo, WebexError
from webex.http import parse_link_header, parse_retry_after
from webex.http.codec import decode_json
from webex.http.failures import failure
from webex.models.base import from_json, page_of
from webex.models.generated.messaging import Message, Person, Room

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
NAMES = st.sampled_from(
    ["id", "title", "created", "items", "isLocked", "emails", "files", "attachments", "phoneNumbers"]
)


def test_absent_null_and_unknown_fields_are_distinguished() -> None:
    room = from_json(Room, b'{"id": "x", "title": null, "shoeSize": 44}')
    assert (room.title, room.description) == (None, None)
    assert room.is_set("title")
    assert not room.is_set("description")
    assert room.extra == {"shoeSize": 44}
    assert room["shoeSize"] == 44
    assert pickle.loads(pickle.dumps(room)).extra == {"shoeSize": 44}


def test_timestamps_are_aware_and_unreadable_ones_stay_raw() -> None:
    room = from_json(Room, b'{"created": "2026-01-31T12:00:00.000Z", "lastActivity": "2026-01-31T12:00:00"}')
    assert room.created == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert room.last_activity == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert from_json(Room, b'{"created": "yesterday"}').created == "yesterday"


def test_a_field_of_the_wrong_type_does_not_affect_the_others() -> None:
    room = from_json(Room, b'{"id": 7, "title": "T", "isLocked": "yes"}')
    assert (room.id, room.title, room.is_locked) == (7, "T", "yes")


def test_secrets_are_not_in_the_repr_of_a_model() -> None:
    from webex.models.generated.messaging import Webhook

    assert "sesame" not in repr(from_json(Webhook, b'{"name": "n", "secret": "sesame"}'))


@given(st.dictionaries(NAMES | st.text(max_size=6), JSON, max_size=6))
def test_any_object_becomes_a_model(data: dict[str, Any]) -> None:
    for model in (Room, Message, Person):
        read = from_json(model, json.dumps(data).encode())
        repr(read)
        assert read.to_dict() == json.loads(json.dumps(data))


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused_with_a_typed_error(content: bytes) -> None:
    for read in (lambda: page_of(Message, content), lambda: from_json(Room, content), lambda: decode_json(content)):
        with contextlib.suppress(WebexError):
            read()


def test_endless_nesting_is_a_typed_error() -> None:
    for content in (b"[" * 100_000, b'{"items":' + b"[" * 100_000, b'{"a":' * 100_000):
        with pytest.raises(WebexError):
            page_of(Room, content)
        with pytest.raises(WebexError):
            decode_json(content)


@given(st.integers(400, 599), st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_error_answer_becomes_an_error(status: int, content: bytes) -> None:
    info = RequestInfo("GET", "https://example.com")
    error = failure(status, {"retry-after": "rand(30),add(30)"}, content, info, 0.0)
    assert error.status == status
    assert error.retry_after is None
    assert str(error)


@given(st.text(max_size=80))
def test_headers_of_any_text_are_read(text: str) -> None:
    parse_link_header(text)
    seconds = parse_retry_after(text, 0.0)
    assert seconds is None or 0 <= seconds <= 3600


@pytest.mark.parametrize(
    ("header", "links"),
    [
        ('<https://a/?x=1,2;y>; rel="next", <https://b>; title="a, b; c"; rel=prev', {"next", "prev", "previous"}),
        ("<https://a>;rel=next", {"next"}),
        ('<https://a>; REL="next last"', {"next", "last"}),
        ("nonsense", set()),
        ("", set()),
    ],
)
def test_link_headers_of_every_form(header: str, links: set[str]) -> None:
    assert set(parse_link_header(header)) == links


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("99999", 3600.0), ("rand(30),add(30)", None), ("", None), ("nan", None)],
)
def test_retry_after_of_every_form(value: str, seconds: float | None) -> None:
    assert parse_retry_after(value, 0.0) == seconds
    assert parse_retry_after("Thu, 01 Jan 1970 00:00:09 GMT", 4.0) == 5.0


@given(st.text(max_size=600), st.integers(64, 300))
def test_plain_text_parts_join_to_the_text(text: str, most: int) -> None:
    plain = text.replace("`", "'").replace("~", "-")
    parts = split_markdown(plain, most)
    assert "".join(parts) == plain
    assert all(len(part.encode()) <= most for part in parts)


@given(st.text(alphabet="ab `~\n€😀", max_size=600), st.integers(64, 200))
def test_no_part_exceeds_the_limit(text: str, most: int) -> None:
    assert all(len(part.encode()) <= most for part in split_markdown(text, most))
