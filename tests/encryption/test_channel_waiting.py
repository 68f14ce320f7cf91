"""The KMS channel: waiting, failing, agreeing anew, ending."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
import pytest

from tests.encryption.fake_kms import CLUSTER, FakeKMS, key_answer, resigned
from tests.encryption.vectors import load
from tests.support.loops import run, until
from webex.encryption.jose import Cipher
from webex.errors import ConnectError, DeadlineError, KeyRevokedError, KMSError, KMSTimeoutError

ECDHE, MESSAGES = load("kms-ecdhe"), load("kms-messages")
URI = f"{CLUSTER}/keys/1"
T = TypeVar("T")


def retrieve(number: int = 1) -> dict[str, Any]:
    return {"method": "retrieve", "uri": f"{CLUSTER}/keys/{number}"}


# Waiting, and failing


def test_a_missing_response_ends_in_a_timeout() -> None:
    async def main() -> None:
        kms = FakeKMS(lambda body: None, patience=(0.3, 0.3, 0.3))
        with pytest.raises(KMSTimeoutError):
            await kms.channel.request(retrieve())
        assert len({request["requestId"] for request in kms.requests}) == 3
        assert kms.agreements == 2  # after the second it might have been the channel

    run(main())


def test_a_negotiation_without_response_ends_in_a_timeout() -> None:
    async def main() -> None:
        kms = FakeKMS(patience=(0.1, 0.1))
        keys: list[Any] = []
        kms.agree = lambda body: keys.append(body["jwk"]["x"])
        with pytest.raises(KMSTimeoutError):
            await kms.channel.request(retrieve())
        assert len(set(keys)) == 2  # a new key for every negotiation

    run(main())


@pytest.mark.parametrize("error", [ConnectError("no"), DeadlineError("late"), OSError("cut"), RuntimeError("broken")])
@pytest.mark.parametrize("agreed", [True, False])
def test_a_failed_post_fails_the_request_at_once(error: Exception, agreed: bool) -> None:
    async def main() -> None:
        kms = FakeKMS(patience=(3600.0,))
        if agreed:
            await kms.channel.agree()

        def fail(messages: list[str]) -> None:
            raise error

        kms.fail = fail
        with pytest.raises(type(error)) as caught:
            await kms.channel.request(retrieve())
        assert not isinstance(caught.value, KMSError)
        kms.fail = lambda messages: None
        assert (await kms.channel.request(retrieve()))["status"] == 200

    run(main())


def test_many_requests_share_one_post() -> None:
    async def main() -> None:
        kms = FakeKMS()
        answers = await asyncio.gather(*(kms.channel.request(retrieve(n)) for n in range(120)))
        assert len(answers) == 120
        assert kms.agreements == 1
        assert len(kms.posts) <= 1 + 5
        assert max(len(messages) for messages in kms.posts) <= 50

    run(main())


def test_requests_of_the_same_moment_are_one_post() -> None:
    async def main() -> None:
        kms = FakeKMS()
        await kms.channel.agree()
        await asyncio.gather(*(kms.channel.request(retrieve(n)) for n in range(4)))
        assert [len(messages) for messages in kms.posts] == [1, 4]

    run(main())


def test_the_channel_is_renewed_thirty_seconds_before_it_ends() -> None:
    async def main() -> None:
        kms = FakeKMS()
        await kms.channel.request(retrieve())
        kms.moment += kms.lifetime - 31
        await kms.channel.request(retrieve())
        assert kms.agreements == 1
        kms.moment += 1
        await kms.channel.request(retrieve())
        assert kms.agreements == 2

    run(main())


@pytest.mark.parametrize(("status", "code", "revoked"), [(405, 405005, True), (405, 405006, True), (405, 1, False)])
def test_a_revoked_key(status: int, code: int, revoked: bool) -> None:
    async def main() -> None:
        kms = FakeKMS(lambda body: {"status": status, "errorCode": code})
        with pytest.raises(KMSError) as caught:
            await kms.channel.request(retrieve())
        assert isinstance(caught.value, KeyRevokedError) is revoked
        assert len(kms.requests) == 1

    run(main())


@pytest.mark.parametrize("answer", [{}, {"status": "200"}, {"status": None}])
def test_a_response_without_status_is_a_kms_error(answer: dict[str, Any]) -> None:
    with pytest.raises(KMSError, match="no status"):
        run(FakeKMS(lambda body: answer).channel.request(retrieve()))


def test_a_rejected_token_is_refreshed_once() -> None:
    async def main() -> None:
        kms = FakeKMS()
        kms.answer = lambda body: key_answer(body) if kms.renewed else {"status": 401}
        assert (await kms.channel.request(retrieve()))["status"] == 200
        assert [request["client"]["credential"]["bearer"][-1] for request in kms.requests] == ["0", "1"]
        kms.answer = lambda body: {"status": 401}
        with pytest.raises(KMSError) as caught:
            await kms.channel.request(retrieve())
        assert caught.value.status == 401
        assert kms.renewed == 2

    run(main())


# A channel that the key service does not know any more


@pytest.mark.parametrize("named", [True, False])
def test_pending_requests_are_resent_over_one_new_channel(named: bool) -> None:
    async def main() -> None:
        kms = FakeKMS()
        context = await kms.channel.agree()
        del kms.contexts[context.uri]
        if named:
            original = kms.signed

            def with_ids(body: dict[str, Any]) -> str:
                if body["status"] == 403:
                    waiting = list(kms.channel._waiting)
                    body = {**body, "requestId": waiting[refusals.pop()]}
                return original(body)

            refusals = [2, 1, 0]
            kms.signed = with_ids  # type: ignore[method-assign]  # this one key service
        answers = await asyncio.gather(*(kms.channel.request(retrieve(n)) for n in range(3)))
        assert [answer["status"] for answer in answers] == [200] * 3
        assert kms.agreements == 2
        assert len(kms.requests) == 3

    run(main())


def test_a_channel_refused_twice_is_a_kms_error() -> None:
    async def main() -> None:
        kms = FakeKMS()

        def forgetful(body: dict[str, Any]) -> str:
            answer = kms.signed_agreement(body)
            kms.contexts.clear()
            return answer

        kms.agree = forgetful
        with pytest.raises(KMSError, match="just agreed"):
            await kms.channel.request(retrieve())
        assert kms.agreements == 2

    run(main())


def test_an_old_refusal_is_counted_and_changes_nothing() -> None:
    async def main() -> None:
        kms = FakeKMS()
        await kms.channel.agree()
        old = kms.signed({"status": 403, "reason": "expired", "requestId": str(uuid4())})
        kms.deliver = lambda answers: kms.at_once([old, *answers])
        await kms.channel.request(retrieve())
        kms.channel.receive([old, resigned(old)])
        await kms.channel.request(retrieve())
        assert kms.agreements == 1
        assert kms.channel.unmatched == 4

    run(main())


# Forwarded messages


def test_a_forwarded_request_and_its_answer() -> None:
    async def main() -> None:
        kms = FakeKMS()
        token = await kms.channel.encrypt({"method": "create", "uri": "/resources"})
        (uri,) = kms.contexts
        body = msgspec.json.decode(kms.contexts[uri].decrypt(token))
        assert body["uri"] == "/resources"
        assert body["client"]["clientId"] == kms.device_url
        answer = kms.encrypted({"status": 201, "resource": {"uri": "kms://r"}}, uri)
        kms.moment += kms.lifetime
        await kms.channel.request(retrieve())  # meanwhile the channel is renewed
        assert kms.channel.decrypt_relayed(answer)["resource"]["uri"] == "kms://r"
        with pytest.raises(KMSError) as caught:
            kms.channel.decrypt_relayed(kms.encrypted({"status": 403, "reason": "no"}))
        assert caught.value.status == 403
        for nonsense in (None, "x", answer[:-4] + "AAAA", Cipher(b"k" * 32).encrypt(b"{}")):
            with pytest.raises(KMSError):
                kms.channel.decrypt_relayed(nonsense)

    run(main())


# Ending


@pytest.mark.parametrize("agreed", [True, False])
def test_closing_the_channel_fails_pending_requests(agreed: bool) -> None:
    async def main() -> None:
        kms = FakeKMS(lambda body: None, patience=(3600.0,))
        if agreed:
            await kms.channel.agree()
        else:
            kms.agree = lambda body: None
        asking = [asyncio.ensure_future(kms.channel.request(retrieve(n))) for n in range(3)]
        await until(lambda: kms.requests if agreed else kms.posts)
        await kms.channel.close()
        for result in await asyncio.gather(*asking, return_exceptions=True):
            assert type(result) is KMSError

    run(main())


def test_cancelling_one_request_does_not_affect_the_others() -> None:
    async def main() -> None:
        kms = FakeKMS()
        held: list[str] = []
        kms.deliver = held.extend
        first, second = (asyncio.ensure_future(kms.channel.request(retrieve(n))) for n in range(2))
        await until(lambda: held)
        first.cancel()
        await asyncio.sleep(0)
        kms.deliver = kms.at_once
        kms.channel.receive(held)
        assert (await second)["status"] == 200
        with pytest.raises(asyncio.CancelledError):
            await first
        assert kms.agreements == 1
        assert not kms.channel._waiting

    run(main())


def test_no_error_and_no_line_of_the_log_holds_the_token(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        kms = FakeKMS(lambda body: {"status": 500, "reason": None}, patience=(0.05,))
        with pytest.raises(KMSError) as caught:
            await kms.channel.request(retrieve())
        kms.channel.receive([kms.posts[0][0], *kms.posts[1], "a.b.c"])
        assert "VECTOR" not in str(caught.value) + repr(kms.channel) + caplog.text
        assert kms.posts[0][0][:40] not in caplog.text

    run(main())
