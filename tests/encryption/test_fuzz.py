"""Whatever comes from outside, the decoders raise their own errors and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.encryption.vectors import load
from webex.encryption import jose
from webex.encryption.channel import KMSChannel, secret_of
from webex.encryption.content import decrypt_activity, key_urls_of
from webex.encryption.jose import BadTokenError, Cipher
from webex.encryption.kms_identity import check_static_key, read_static_key
from webex.encryption.scr import SCR
from webex.errors import DecryptionError, KMSError
from webex.realtime.events import Reader
from webex.realtime.mercury.socket import MercurySocket
from webex.realtime.mercury.timers import TimerWheel
from webex.realtime.resources import RESOURCES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
TOKENS = [
    *(case["node_jose_fixed_iv"] for case in load("jwe-text")["cases"]),
    load("jwe-text")["key_with_kid_referenced"]["token"],
    load("kms-ecdhe")["response"]["PS256_node_jose"],
    *(message["response_wrapped"] for message in load("kms-messages")["messages"]),
]
WIRES = [row["wire"] for row in load("activities")["rows"]]
CIPHER = Cipher(b"k" * 32)


@st.composite
def damaged(draw: st.DrawFn, texts: list[str]) -> str:
    """A text that was good, cut, changed, doubled or left as it is."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(len(text) - 1, 0)))
        piece = draw(st.sampled_from(["", ".", "=", "\x00", "A", "ü", "..", text[:40]]) | st.text(max_size=5))
        text = text[:at] + piece + text[at + draw(st.integers(0, 40)) :]
    return text


@st.composite
def damaged_json(draw: st.DrawFn, values: list[Any]) -> Any:
    """A value that was good, with parts replaced by anything."""
    value = msgspec.json.decode(msgspec.json.encode(draw(st.sampled_from(values))))
    place = value
    for _ in range(draw(st.integers(1, 4))):
        if isinstance(place, dict) and place:
            name = draw(st.sampled_from(sorted(place)))
            if draw(st.booleans()):
                place[name] = draw(JSON)
                return value
            place = place[name]
    return value


@settings(max_examples=300, deadline=None)
@given(damaged(TOKENS) | st.text(max_size=200))
def test_tokens(token: str) -> None:
    key = {"kty": "RSA", "kid": "x", "n": load("kms-ecdhe")["static_public_key"]["n"], "e": "AQAB"}
    for read in (CIPHER.decrypt, jose.header_of, lambda text: jose.verify(text, key)):
        with contextlib.suppress(BadTokenError):
            read(token)


@settings(max_examples=200, deadline=None)
@given(JSON | damaged_json([load("scr-file")["node_scr"][0]["scr"]]))
def test_scr(value: Any) -> None:
    with contextlib.suppress(DecryptionError):
        SCR.from_dict(value)
    with contextlib.suppress(DecryptionError):
        SCR.from_jwe(CIPHER.encrypt(msgspec.json.encode(value)), CIPHER)


@settings(max_examples=200, deadline=None)
@given(JSON | damaged_json([load("kms-ecdhe")["static_public_key"]]))
def test_static_keys_and_keys(value: Any) -> None:
    with contextlib.suppress(KMSError):
        check_static_key(read_static_key(value))
    with contextlib.suppress(KMSError):
        secret_of(value)


class _Link:
    device_url = "https://wdm.example.com/devices/1"
    user_id = "842e2d82-7e71-4040-8eb9-d977fe888807"


@settings(max_examples=200, deadline=None)
@given(JSON | st.lists(damaged(TOKENS), max_size=3))
def test_answers_of_the_key_service(messages: Any) -> None:
    channel = KMSChannel(_Link())  # type: ignore[arg-type]  # nothing is asked
    channel.receive(messages)
    assert not channel._waiting


@settings(max_examples=300, deadline=None)
@given(damaged_json(WIRES))
def test_activities(wire: Any) -> None:
    if not isinstance(wire, dict):
        return
    error = decrypt_activity(wire, dict.fromkeys(key_urls_of(wire), CIPHER))
    assert error is None or isinstance(error, DecryptionError)


@settings(max_examples=300, deadline=None)
@given(damaged_json([row["activity"] for row in load("listen-events")["rows"]]) | JSON)
def test_events(activity: Any) -> None:
    if isinstance(activity, dict):
        for occurrence in Reader("https://webexapis.com/v1", lambda url: "us").read(activity):
            assert occurrence.resource in RESOURCES


class _Owner:
    """Takes everything."""

    def on_event(self, socket: MercurySocket, envelope: dict[str, Any]) -> None:
        from webex.realtime.mercury.frames import override

        override(envelope)

    def on_gap(self, socket: MercurySocket, actual: int, expected: int) -> None:
        assert actual > expected

    def on_shutdown(self, socket: MercurySocket) -> None:
        return None


FRAMES = [
    {"id": "1", "data": {"eventType": "conversation.activity", "headers": {"data.a.b": 1}}, "sequenceNumber": 2},
    {"id": "2", "type": "pong", "sequenceNumber": 3},
    {"id": "3", "type": "shutdown", "headers": {"data.x": None}, "data": {}, "sequenceNumber": 5},
]


@settings(max_examples=300, deadline=None)
@given(st.lists(damaged_json(FRAMES) | JSON, max_size=8), st.binary(max_size=40))
def test_frames(frames: list[Any], noise: bytes) -> None:
    async def main() -> None:
        wheel = TimerWheel()
        socket = MercurySocket(_Owner(), wheel)
        for frame in frames:
            socket._take(msgspec.json.encode(frame))
        socket._take(noise)
        wheel.close()

    asyncio.run(main())
