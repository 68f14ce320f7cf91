"""Whatever is changed of a body or of its headers: it reaches no handler."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webhooks.conftest import SECRET, posted
from webex import Webex
from webex.storage import MemoryStorage
from webex.webhooks import WebhookReceiver

BODY, HEADERS = posted(id="M1")
SIGNATURE = HEADERS["X-Spark-Signature"]
CENTER = json.dumps(
    {"id": "E1", "specversion": "1.0", "type": "task:created", "source": "/com/cisco/wxcc/S1", "data": {"taskId": "T1"}}
).encode()
CENTER_SIGNATURE = hmac.new(SECRET.encode(), CENTER, hashlib.sha256).hexdigest()

Case = tuple[bytes, list[tuple[bytes, bytes]]]


@st.composite
def changed_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """Another text, made of one by a flip, an insertion, a removal, a repetition or a cut."""
    at = draw(st.integers(0, len(whole) - 1))
    kind = draw(st.sampled_from(["flip", "insert", "remove", "twice", "cut", "other"]))
    if kind == "flip":
        return whole[:at] + bytes([whole[at] ^ draw(st.integers(1, 255))]) + whole[at + 1 :]
    if kind == "insert":
        return whole[:at] + draw(st.binary(min_size=1, max_size=9)) + whole[at:]
    if kind == "remove":
        return whole[:at] + whole[at + 1 :]
    if kind == "twice":
        return whole + whole
    if kind == "cut":
        return whole[:at]
    return draw(st.binary(max_size=200))


@st.composite
def forged(draw: st.DrawFn) -> Case:
    """A delivery that the cloud did not make."""
    body, name, signature = draw(
        st.sampled_from(
            [
                (BODY, b"x-spark-signature", SIGNATURE.encode()),
                (CENTER, b"x-webexcc-signature", CENTER_SIGNATURE.encode()),
            ]
        )
    )
    kind = draw(st.sampled_from(["body", "value", "name", "none", "several", "swapped", "algorithm", "secret"]))
    if kind == "body":
        changed = draw(changed_bytes(body).filter(lambda made: made != body))
        return changed, [(name, signature)]
    if kind == "value":
        value = draw(changed_bytes(signature).filter(lambda made: made.strip().lower() != signature))
        return body, [(name, value)]
    if kind == "name":
        other = draw(
            st.sampled_from([b"x-signature", b"x-hub-signature", b"x_spark", b"authorization", b"x-webex-signature"])
        )
        return body, [(other, signature)]
    if kind == "none":
        return body, []
    if kind == "several":
        return body, [(name, signature), (name, draw(st.binary(max_size=40)))]
    if kind == "swapped":
        other = b"x-webexcc-signature" if name == b"x-spark-signature" else b"x-spark-signature"
        return body, [(other, signature)]
    hashes = {"algorithm": (hashlib.md5, SECRET), "secret": (hashlib.sha1, draw(st.text(max_size=40)) + "?")}
    algorithm, secret = hashes[kind]
    made = hmac.new(secret.encode("utf-8", "surrogatepass"), body, algorithm).hexdigest()
    return body, [(name, made.encode())]


def receiver(seen: list[Any]) -> WebhookReceiver[Webex]:
    hooks = WebhookReceiver(Webex("a token"), secret=[SECRET, "an older one"], storage=MemoryStorage(), mode="inline")
    hooks.on("*")(seen.append)
    return hooks


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(forged())
def test_a_forged_or_altered_delivery_reaches_no_handler(case: Case) -> None:
    seen: list[Any] = []
    assert receiver(seen).receive(*case).status == 401
    assert not seen


def test_an_unchanged_delivery_reaches_its_handler() -> None:
    seen: list[Any] = []
    hooks = receiver(seen)
    assert hooks.receive(BODY, HEADERS).status == 200
    assert hooks.receive(CENTER, {"X-WebexCC-Signature": CENTER_SIGNATURE}).status == 200
    assert [event.key for event in seen] == ["messages:created:M1", "task:created:E1"]
    assert seen[1].webhook.subscription_id == "S1"
