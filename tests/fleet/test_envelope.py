"""Events as messages of a broker, and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webex.errors import ConfigurationError, DecodeError, DecryptionError
from webex.fleet import Envelope, decode, encode, event_id
from webex.fleet.envelope import address_of, check_envelope, check_template
from webex.ids import to_hydra_id
from webex.realtime import RealtimeMessageEvent, RealtimeOtherEvent
from webex.realtime.event import MODELS, Audience, Event, Occurrence
from webex.realtime.kinds import make_event

UUID = "11111111-2222-4333-8444-555555555555"
ROOM = to_hydra_id("ROOM", UUID)
AUDIENCE = Audience(to_hydra_id("PEOPLE", UUID), to_hydra_id("ORGANIZATION", UUID), datetime.now(UTC), UUID)
ACTIVITY = {
    "id": "a1",
    "published": "2024-01-01T00:00:00.123Z",
    "actor": {"entryEmail": "alice@example.com", "displayName": "Alice", "orgId": UUID, "type": "PERSON"},
}


def made(resource: str = "messages", event: str = "created", **more: Any) -> Event[Any]:
    data = {"id": "m1", "roomId": ROOM, "text": "hällo", "roomType": "group"}
    return make_event(Occurrence(resource, event, UUID, more.pop("data", data)), AUDIENCE, ACTIVITY, **more)


@pytest.mark.parametrize("envelope", get_args(Envelope))
def test_event_comes_back_as_it_was(envelope: Envelope) -> None:
    event = made(redelivered=True)
    back = decode(encode(event, envelope))
    assert isinstance(back, RealtimeMessageEvent)
    assert back.data.text == "hällo"
    for name in (
        *("resource", "event", "key", "raw", "actor", "actor_id", "created_by", "org_id", "user_key"),
        *("published", "activity_id", "redelivered"),
    ):
        assert getattr(back, name) == getattr(event, name), name
    assert back.to_dict() == event.to_dict()
    assert event_id(back) == event_id(event)
    back.ack()  # of nothing


@pytest.mark.parametrize("resource", [*MODELS, "*"])
def test_every_kind_comes_back(resource: str) -> None:
    back = decode(encode(made(resource, "x.y" if resource == "*" else "created", data={"id": "1"})))
    assert type(back) is type(made(resource))
    assert isinstance(back, RealtimeOtherEvent) == (resource == "*")


def test_what_could_not_be_decrypted_is_told() -> None:
    back = decode(encode(made(decryption_error=DecryptionError("no key"))))
    assert str(back.decryption_error) == "no key"


def test_cloudevents_have_what_the_standard_requires() -> None:
    body = json.loads(encode(made(), "cloudevents"))
    assert {name: body[name] for name in ("specversion", "type", "datacontenttype")} == {
        "specversion": "1.0",
        "type": "com.webex.messages.created",
        "datacontenttype": "application/json",
    }
    assert body["id"] == event_id(made())
    assert body["source"]
    assert body["subject"] == ROOM
    assert datetime.fromisoformat(body["time"]).tzinfo is not None


def test_ids_tell_users_and_changes_apart_and_repetitions_not() -> None:
    other = Audience("x", "y", datetime.now(UTC), "another")
    occurrence = Occurrence("rooms", "updated", UUID, {"id": "r1"})
    ids = {
        event_id(make_event(occurrence, audience, activity))
        for audience in (AUDIENCE, other)
        for activity in (ACTIVITY, {**ACTIVITY, "id": "a2"})
    }
    assert len(ids) == 4
    assert event_id(made()) == event_id(made(redelivered=True))
    gaps = {event_id(make_event(Occurrence("gap", "gap", "", {"reason": why}), AUDIENCE, {})) for why in ("a", "b")}
    assert len(gaps) == 2


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff", b'{"specversion":"1.0"}', b'{"resource":"x"}'])
def test_other_messages_are_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(body)


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda each: st.dictionaries(st.text(), each)))
def test_any_json_is_decoded_or_refused(value: Any) -> None:
    body = json.loads(encode(made()))
    for name in body:
        try:
            decode(json.dumps({**body, name: value}))
        except DecodeError:
            continue


def test_addresses_are_made_of_the_event() -> None:
    event = made()
    assert address_of("w.{resource}.{event}.{room}", event) == f"w.messages.created.{ROOM}"
    assert address_of("{room}", made("rooms", data={"id": "a.b>c *"})) == "a_b_c_"
    assert address_of("{room}", made("gap", data={})) == "-"
    for wrong in ("{nothing}", "", "a b", "{", "{0}"):
        with pytest.raises(ConfigurationError, match="subject"):
            check_template("subject", wrong)
    with pytest.raises(ConfigurationError, match="cloudevents"):
        check_envelope("xml")
