"""A webhook is believed when its signature fits, and read as what it is."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webex.errors import ConfigurationError, DecodeError
from webex.webhooks import (
    AttachmentActionEvent,
    MembershipEvent,
    MessageEvent,
    RoomEvent,
    SignatureError,
    WebhookEvent,
    verify,
)

SECRET = "the secret of the webhook"


def envelope(resource: str = "messages", **data: object) -> bytes:
    return json.dumps(
        {
            "id": "Y2lzY29zcGFyazovL3VzL1dFQkhPT0svMQ",
            "name": "my hook",
            "resource": resource,
            "event": "created",
            "ownedBy": "creator",
            "status": "active",
            "actorId": "who",
            "somethingNew": [1, 2],
            "data": {"id": "M1", "roomId": "R1", "personEmail": "bob@example.com", **data},
        }
    ).encode()


def sign(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


def test_a_signed_message_event_is_typed() -> None:
    body = envelope()
    event = verify(body, sign(body), SECRET)
    assert isinstance(event, MessageEvent)
    assert event.data is not None
    assert (event.event, event.owned_by, event.data.room_id) == ("created", "creator", "R1")
    match event:
        case MessageEvent(event="created", data=message):
            assert message is not None
            assert message.person_email == "bob@example.com"
        case _:
            pytest.fail("not matched")


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        ("rooms", RoomEvent),
        ("memberships", MembershipEvent),
        ("attachmentActions", AttachmentActionEvent),
        ("meetingTranscripts", WebhookEvent),
    ],
)
def test_each_resource_has_its_class_and_unknown_ones_are_plain(resource: str, kind: type) -> None:
    body = envelope(resource)
    event = verify(body, sign(body), SECRET)
    assert type(event) is kind
    assert event["somethingNew"] == [1, 2]


def test_fields_of_other_types_than_described_do_not_fail() -> None:
    body = envelope(roomId=17, created="not a time")
    event = verify(body, sign(body), SECRET)
    assert isinstance(event, MessageEvent)
    assert event.data is not None
    assert event.data.id == "M1"


@pytest.mark.parametrize("signature", [None, "", "0" * 40, "ü" * 40, "\ud800", "sha1=", sign(b"another body")])
def test_a_wrong_or_missing_signature_is_refused(signature: str | None) -> None:
    with pytest.raises(SignatureError):
        verify(envelope(), signature, SECRET)


def test_one_changed_byte_is_refused() -> None:
    body = envelope()
    with pytest.raises(SignatureError) as caught:
        verify(body.replace(b"bob@", b"eve@"), sign(body), SECRET)
    assert SECRET not in str(caught.value)
    assert sign(body) not in str(caught.value)


def test_a_secret_can_be_replaced() -> None:
    body = envelope()
    assert verify(body, sign(body, "the old one"), [SECRET, "the old one"]).name == "my hook"
    with pytest.raises(SignatureError):
        verify(body, sign(body, "the older one"), [SECRET, "the old one"])


def test_all_headers_may_be_passed_in_any_case() -> None:
    body = envelope()
    assert verify(body, {"X-Spark-Signature": sign(body).upper()}, SECRET).name == "my hook"
    with pytest.raises(SignatureError):
        verify(body, {"content-type": "application/json"}, SECRET)


@pytest.mark.parametrize("secret", ["", b"", [], ["good", ""]])
def test_an_empty_secret_is_refused(secret: object) -> None:
    body = envelope()
    with pytest.raises(ConfigurationError):
        verify(body, sign(body, ""), secret)  # type: ignore[arg-type]  # wrong on purpose


def test_an_already_read_body_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="bytes"):
        verify(json.loads(envelope()), "00", SECRET)


@pytest.mark.parametrize("body", [b"", b"[]", b"no json", b"\xff", b"[" * 100_000, b'"text"'])
def test_a_signed_non_event_body_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(DecodeError):
        verify(body, sign(body), SECRET)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_any_object_can_be_read(fields: dict[str, object]) -> None:
    logging.disable(logging.DEBUG)
    try:
        body = json.dumps({"resource": "messages", "data": fields, **fields}).encode()
        assert isinstance(verify(body, sign(body), SECRET), WebhookEvent)
    finally:
        logging.disable(logging.NOTSET)
