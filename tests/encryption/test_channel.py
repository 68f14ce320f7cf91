"""The channel to the key service: what is asked reaches it once, and only its own answers count."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
import pytest

from tests.encryption.fake_kms import CLUSTER, PRIVATE, STATIC, FakeKMS, agreement_key, resigned
from tests.encryption.vectors import load
from tests.support.loops import run, until
from webex.encryption import jose
from webex.encryption.jose import Cipher
from webex.errors import KeyRevokedError, KMSError, KMSIdentityError, KMSTimeoutError
from webex.ids import base64url_encode

ECDHE, MESSAGES = load("kms-ecdhe"), load("kms-messages")
URI = f"{CLUSTER}/keys/1"
T = TypeVar("T")


def retrieve(number: int = 1) -> dict[str, Any]:
    return {"method": "retrieve", "uri": f"{CLUSTER}/keys/{number}"}


@pytest.fixture
def as_recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes the client agree with the recorded key; gives the list of the request ids that it shall use."""
    ids: list[str] = []
    key = agreement_key(ECDHE["client_ec_private_jwk"])
    monkeypatch.setattr("webex.encryption.channel.uuid4", lambda: ids.pop(0))
    monkeypatch.setattr(jose, "new_agreement_key", lambda: key)
    return ids


def recorded_kms(ids: list[str], response: str = "PS256_node_jose") -> FakeKMS:
    """A key service that answers the negotiation as it was recorded."""
    kms = FakeKMS()
    ids.append(ECDHE["response"]["body"]["requestId"])
    kms.agree = lambda body: ECDHE["response"][response]
    kms.contexts[MESSAGES["ephemeral_key"]["uri"]] = Cipher(b"k" * 32)  # known; what it answers is recorded too
    return kms


# Against the recordings


@pytest.mark.parametrize("response", [name for name in ECDHE["response"] if name.startswith(("PS", "RS"))])
def test_a_recorded_negotiation_ends_with_the_recorded_key(as_recorded: list[str], response: str) -> None:
    async def main() -> None:
        kms = recorded_kms(as_recorded, response)
        context = await kms.channel.agree()
        assert context.uri == ECDHE["ephemeral_key_after"]["uri"]
        for message in MESSAGES["messages"]:
            opened = msgspec.json.decode(context.cipher.decrypt(message["response_wrapped"]))
            assert opened == message["response_body"]
        (((encrypted,)), *_) = kms.posts
        body = msgspec.json.decode(jose.decrypt_with_rsa(encrypted, PRIVATE))
        wanted = ECDHE["request"]["body"]
        assert body["jwk"] == {name: value for name, value in wanted["jwk"].items() if name != "kid"}
        assert body["client"]["credential"]["bearer"].startswith("VECTOR")
        assert {**body, "jwk": 0, "client": 0} == {**wanted, "jwk": 0, "client": 0}
        assert body["client"].keys() == wanted["client"].keys()

    run(main())


@pytest.mark.parametrize("message", MESSAGES["messages"], ids=lambda message: message["name"])
def test_recorded_requests_get_their_recorded_answers(as_recorded: list[str], message: Any) -> None:
    async def main() -> None:
        kms = recorded_kms(as_recorded)
        context = await kms.channel.agree()
        as_recorded.append(message["request_body"]["requestId"])
        kms.contexts[context.uri] = context.cipher
        kms.answer = lambda body: None
        kms.deliver = lambda answers: None
        asking = asyncio.ensure_future(kms.channel.request(message["request_payload"]))
        await until(lambda: kms.requests)
        kms.channel.receive([message["response_wrapped"]])
        assert await asking == message["response_body"]
        (request,) = kms.requests
        request["client"]["credential"]["bearer"] = "VECTOR-ACCESS-TOKEN"
        assert request == message["request_body"]
        assert jose.header_of(kms.posts[-1][0]) == message["request_header"]

    run(main())


@pytest.mark.parametrize("error", MESSAGES["errors"], ids=lambda error: error["name"])
def test_recorded_refusals(as_recorded: list[str], error: Any) -> None:
    async def main() -> None:
        kms = recorded_kms(as_recorded)
        context = await kms.channel.agree()
        as_recorded.append(error["body"]["requestId"])
        kms.contexts[context.uri] = context.cipher
        kms.answer = lambda body: None
        asking = asyncio.ensure_future(kms.channel.request(retrieve()))
        await until(lambda: kms.requests)
        kms.channel.receive([error["wrapped"]])
        if error["body"]["status"] < 400:
            assert await asking == error["body"]
            return
        with pytest.raises(KMSError) as caught:
            await asking
        assert (caught.value.status, caught.value.request_id) == (error["body"]["status"], error["body"]["requestId"])
        assert caught.value.error_code == error["body"].get("errorCode")
        assert error["body"]["reason"] in str(caught.value)
        assert isinstance(caught.value, KeyRevokedError) == (error["body"].get("errorCode") == 405005)
        assert len(kms.requests) == 1

    run(main())


def test_a_recorded_signed_403_leads_to_a_new_channel_and_one_resend(as_recorded: list[str]) -> None:
    async def main() -> None:
        kms = recorded_kms(as_recorded)
        refused = MESSAGES["error_jws_expired_ephemeral_key"]
        context = await kms.channel.agree()
        del kms.contexts[context.uri]
        as_recorded.extend([refused["body"]["requestId"], *(str(uuid4()) for _ in range(2))])
        kms.agree = kms.signed_agreement
        original = kms.signed
        kms.signed = lambda body: refused["jws"] if body["status"] == 403 else original(body)  # type: ignore[method-assign]  # this one key service
        answer = await kms.channel.request(retrieve())
        assert answer["key"]["uri"] == URI
        assert kms.agreements == 2
        assert len(kms.requests) == 1  # the first was encrypted for the old channel, and never read
        assert len(kms.posts) == 4

    run(main())


# Which answers count


def test_responses_in_another_order_reach_their_requests() -> None:
    async def main() -> None:
        kms = FakeKMS()
        kms.deliver = lambda answers: kms.at_once(answers[::-1])
        answers = await asyncio.gather(*(kms.channel.request(retrieve(n)) for n in range(8)))
        assert [answer["key"]["uri"] for answer in answers] == [retrieve(n)["uri"] for n in range(8)]
        assert kms.channel.unmatched == 0

    run(main())


def test_a_repeated_answer_is_counted_and_changes_nothing() -> None:
    async def main() -> None:
        kms = FakeKMS()
        heard: list[str] = []

        def twice(answers: list[str]) -> None:
            heard.extend(answers)
            kms.at_once([*answers, *answers])

        kms.deliver = twice
        await kms.channel.request(retrieve())
        repeated = kms.channel.unmatched
        assert repeated == 2  # of the agreement, and of the answer
        second = asyncio.ensure_future(kms.channel.request(retrieve(2)))
        kms.channel.receive(heard)
        assert (await second)["key"]["uri"].endswith("/2")
        assert kms.agreements == 1

    run(main())


def test_an_answer_for_another_channel_is_counted_and_changes_nothing() -> None:
    async def main() -> None:
        kms, other = FakeKMS(), FakeKMS()
        await other.channel.agree()

        def forged(answers: list[str]) -> None:
            (uri,) = kms.contexts
            body = {"requestId": kms.requests[0]["requestId"], "status": 200, "key": "forged"}
            (foreign,) = other.contexts
            stolen = other.contexts[foreign].encrypt(msgspec.json.encode(body), kid=uri)  # our name, another key
            nameless = other.contexts[foreign].encrypt(msgspec.json.encode(body))
            kms.channel.receive([other.encrypted(body), stolen, nameless, "x", "a.b.c.d.e", 5, None, {}])
            kms.at_once(answers)

        await kms.channel.agree()
        kms.deliver = forged
        assert (await kms.channel.request(retrieve()))["key"]["uri"] == URI
        assert kms.channel.unmatched == 8

    run(main())


def test_non_list_input_is_counted_as_unmatched() -> None:
    kms = FakeKMS()
    for nonsense in (None, 1, "text", {"a": 1}):
        kms.channel.receive(nonsense)
    assert kms.channel.unmatched == 4


def test_a_response_under_the_previous_key_is_accepted() -> None:
    async def main() -> None:
        kms = FakeKMS()
        held: list[str] = []
        await kms.channel.agree()
        kms.deliver = held.extend
        late = asyncio.ensure_future(kms.channel.request(retrieve()))
        await until(lambda: held)
        kms.deliver = kms.at_once
        kms.moment += kms.lifetime  # meanwhile the channel is renewed
        await kms.channel.request(retrieve(2))
        assert kms.agreements == 2
        kms.channel.receive(held)
        assert (await late)["key"]["uri"] == URI

    run(main())


def test_an_old_key_is_not_accepted_for_a_new_request() -> None:
    async def main() -> None:
        kms = FakeKMS(patience=(0.1,))
        await kms.channel.agree()
        (old,) = kms.contexts
        kms.moment += kms.lifetime
        kms.answer = lambda body: None
        asking = asyncio.ensure_future(kms.channel.request(retrieve()))
        await until(lambda: kms.requests)
        kms.channel.receive([kms.encrypted({"requestId": kms.requests[0]["requestId"], "status": 200}, old)])
        assert kms.channel.unmatched == 1
        with pytest.raises(KMSTimeoutError):
            await asking

    run(main())


def test_a_response_may_come_in_the_post_body() -> None:
    async def main() -> None:
        kms = FakeKMS()
        kms.deliver = lambda answers: {"kmsMessages": answers}
        assert (await kms.channel.request(retrieve()))["key"]["uri"] == URI

    run(main())


# Who answers


def test_a_wrong_signature_fails_at_once() -> None:
    async def main() -> None:
        kms = FakeKMS(patience=(3600.0,))
        kms.agree = lambda body: resigned(kms.signed_agreement(body))
        with pytest.raises(KMSIdentityError):
            await kms.channel.request(retrieve())
        assert kms.requests == []
        kms.agree = kms.signed_agreement
        assert (await kms.channel.request(retrieve()))["status"] == 200
        assert kms.asked_details == 2  # it might have had another key by then

    run(main())


def test_an_unsigned_response_fails_at_once() -> None:
    async def main() -> None:
        kms = FakeKMS(patience=(3600.0,))

        def unsigned(body: dict[str, Any]) -> str:
            _, payload, _ = kms.signed_agreement(body).split(".")
            head = base64url_encode(msgspec.json.encode({"alg": "none", "kid": STATIC["kid"]}))
            return f"{head}.{payload}."

        kms.agree = unsigned
        with pytest.raises(KMSIdentityError):
            await kms.channel.agree()

    run(main())


@pytest.mark.parametrize(
    "details",
    [
        {},
        [],
        None,
        {"kmsCluster": "https://kms.example.com", "rsaPublicKey": STATIC},
        {"kmsCluster": CLUSTER},
        {"kmsCluster": CLUSTER, "rsaPublicKey": "{"},
        {"kmsCluster": CLUSTER, "rsaPublicKey": {**STATIC, "kid": "kms://kms.evil.example/1"}},
        {"kmsCluster": CLUSTER, "rsaPublicKey": {**STATIC, "x5c": []}},
    ],
    ids=range(8),
)
def test_nothing_is_sent_to_an_unverified_kms(details: Any) -> None:
    async def main() -> None:
        kms = FakeKMS()
        kms.details_body = details
        with pytest.raises(KMSIdentityError):
            await kms.channel.request(retrieve())
        assert kms.posts == []

    run(main())


def test_the_static_key_may_come_as_object_or_key_set() -> None:
    async def main() -> None:
        for given in (STATIC, {"keys": [STATIC]}):
            kms = FakeKMS()
            kms.details_body = {"kmsCluster": CLUSTER, "rsaPublicKey": given}
            await kms.channel.request(retrieve())
            await kms.channel.request(retrieve(2))
            assert kms.asked_details == 1

    run(main())


@pytest.mark.parametrize(
    "key",
    [
        None,
        [],
        {},
        {"uri": "u", "jwk": {}, "expirationDate": "2100-01-01T00:00:00Z"},
        {
            "uri": "u",
            "jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
            "expirationDate": "2100-01-01T00:00:00Z",
        },
        {"uri": "u", "jwk": jose.agreement_jwk(jose.new_agreement_key()), "expirationDate": "soon"},
    ],
    ids=range(6),
)
def test_an_unreadable_key_agreement_is_a_kms_error(key: Any) -> None:
    async def main() -> None:
        kms = FakeKMS()
        kms.agree = lambda body: kms.signed({"status": 201, "requestId": body["requestId"], "key": key})
        with pytest.raises(KMSError, match="can't be read"):
            await kms.channel.agree()

    run(main())


def test_an_expiry_without_zone_is_utc() -> None:
    async def main() -> None:
        kms = FakeKMS()

        def without_zone(body: dict[str, Any]) -> str:
            signed = jose.verify(kms.signed_agreement(body), STATIC)
            answer = msgspec.json.decode(signed)
            answer["key"]["expirationDate"] = answer["key"]["expirationDate"].removesuffix("+00:00")
            return kms.signed(answer)

        kms.agree = without_zone
        assert (await kms.channel.agree()).expires == kms.moment + kms.lifetime

    run(main())
