"""What a refresh did is known as well as it can be: same tokens, uncertain tries, refusals, lost saves."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.auth.conftest import Start, outcome
from tests.auth.scripted import (
    EXPIRED,
    KEY,
    STYLES,
    FailingStorage,
    PassingClock,
    Process,
    ScriptedEndpoint,
    run,
    tokens,
)
from webex import AsyncIntegration, Integration, NotSignedInError, ReauthorizationRequiredError
from webex.auth.store import Refusal, is_newer
from webex.errors import (
    ApiError,
    AuthenticationError,
    ConnectError,
    DeadlineError,
    DecodeError,
    InvalidClientError,
    InvalidGrantError,
    OAuthServerError,
    TransportError,
    WebexError,
)
from webex.storage import MemoryStorage, SQLiteStorage

if TYPE_CHECKING:
    from webex.emulator import Cloud

REFUSED = InvalidGrantError("invalid_grant", status=400)


def answer_with_same_tokens(cloud: Cloud, database: str, key: str) -> None:
    """Let every refresh bring the stored access token again, which the API refuses."""
    with Integration(storage=SQLiteStorage(database), credential_max_age=0) as integration:
        token = integration.user(key).get_user_token()
    body = json.dumps({"access_token": token, "expires_in": 3600, "refresh_token": "r", "token_type": "Bearer"})
    cloud.faults.add("*", grant_type="refresh_token", status=200, body=body)
    cloud.faults.add("/v1/people/me", status=401)
    cloud.requests.clear()


@pytest.mark.parametrize("calls", [1, 20])
def test_refresh_that_brings_same_token_ends_with_the_401(
    cloud: Cloud, database: str, expired: str, calls: int
) -> None:
    answer_with_same_tokens(cloud, database, expired)

    async def main() -> None:
        async with AsyncIntegration(storage=SQLiteStorage(database)) as integration:
            client = integration.user(expired)
            answers = await asyncio.gather(*[client.people.me() for _ in range(calls)], return_exceptions=True)
            assert {type(answer) for answer in answers} == {AuthenticationError}

    asyncio.run(main())
    assert 1 <= cloud.requests.count(grant_type="refresh_token") <= calls


def test_refresh_that_brings_same_token_ends_in_blocking_style(cloud: Cloud, database: str, expired: str) -> None:
    answer_with_same_tokens(cloud, database, expired)
    with Integration(storage=SQLiteStorage(database)) as integration, pytest.raises(AuthenticationError):
        integration.user(expired).people.me()
    assert cloud.requests.count(grant_type="refresh_token") == 1


def test_refresh_that_brings_same_token_ends_in_every_process(
    cloud: Cloud, database: str, expired: str, start: Start
) -> None:
    answer_with_same_tokens(cloud, database, expired)
    workers = [start("async", 3), start("blocking", 3)]
    for worker in workers:
        assert {said.split(":")[0] for said in outcome(worker)} == {"AuthenticationError"}
    assert cloud.requests.count(grant_type="refresh_token") <= 6


@pytest.mark.parametrize("style", STYLES)
def test_refresh_that_brings_an_expired_token_ends(style: str) -> None:
    endpoint = ScriptedEndpoint(tokens(2, lifetime=1.0, age=5.0))

    async def main() -> None:
        process = Process(style, endpoint, MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)
        assert await process.tokens.access_token(KEY) == "access-2"

    run(style, main)
    assert endpoint.sent == ["refresh-1"]


UNCERTAIN = {
    "cut connection": TransportError("cut"),
    "timeout": DeadlineError("late"),
    "503": ApiError("unavailable", status=503),
    "408": ApiError("timeout", status=408),
    "unreadable answer": DecodeError("HTML"),
    "server_error": OAuthServerError("server_error", status=400),
}
CERTAIN = {
    "no connection": ConnectError("refused"),
    "429": ApiError("slow down", status=429),
    "wrong secret": InvalidClientError("invalid_client", status=401),
    "403": ApiError("forbidden", status=403),
}


async def refuse_after(style: str, first: BaseException, then: Any) -> tuple[str, str | None]:
    """Try once with `first` and then `then` as answers, then be refused; the reason, and the mark before."""
    endpoint = ScriptedEndpoint(first, then)
    process = Process(style, endpoint, MemoryStorage(), clock=PassingClock())
    await process.store.save_login(KEY, EXPIRED)
    with pytest.raises(WebexError):
        await process.tokens.access_token(KEY)
    marked = await process.store.load(KEY)
    assert marked is not None
    endpoint.script = [REFUSED]
    with pytest.raises(ReauthorizationRequiredError) as caught:
        await process.tokens.access_token(KEY)
    return caught.value.reason, marked.attempt


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("first", UNCERTAIN)
def test_connect_error_after_an_uncertain_attempt_stays_uncertain(style: str, first: str) -> None:
    reason, mark = run(style, lambda: refuse_after(style, UNCERTAIN[first], ConnectError("refused")))
    assert (reason, mark is not None) == ("outcome_unknown", True)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("first", CERTAIN)
def test_unprocessed_attempt_leaves_no_mark(style: str, first: str) -> None:
    reason, mark = run(style, lambda: refuse_after(style, CERTAIN[first], CERTAIN[first]))
    assert (reason, mark) == ("refused", None)


@pytest.mark.parametrize("style", STYLES)
def test_5xx_before_a_refusal_makes_the_outcome_unknown(style: str) -> None:
    async def main() -> None:
        endpoint = ScriptedEndpoint(ApiError("unavailable", status=503), REFUSED)
        process = Process(style, endpoint, MemoryStorage(), clock=PassingClock())
        await process.store.save_login(KEY, EXPIRED)
        with pytest.raises(ReauthorizationRequiredError) as caught:
            await process.tokens.access_token(KEY)
        assert caught.value.reason == "outcome_unknown"

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_mark_of_a_killed_process_survives_a_connect_error(style: str) -> None:
    async def main() -> None:
        endpoint = ScriptedEndpoint(ConnectError("refused"))
        process = Process(style, endpoint, MemoryStorage(), clock=PassingClock())
        record = await process.store.save_login(KEY, EXPIRED)
        record = await process.store.load(KEY)
        await process.store.swap(KEY, record, attempt=record.refresh_hash)
        with pytest.raises(ConnectError):
            await process.tokens.access_token(KEY)
        endpoint.script = [REFUSED]
        with pytest.raises(ReauthorizationRequiredError) as caught:
            await process.tokens.access_token(KEY)
        assert caught.value.reason == "outcome_unknown"

    run(style, main)


def test_host_without_the_cloud_lets_another_refresh() -> None:
    async def main() -> None:
        storage, times = MemoryStorage(), {"lease_ttl": 60, "refresh_deadline": 20}
        cut_off = Process("async", ScriptedEndpoint(ConnectError("refused")), storage, **times)
        other = Process("async", ScriptedEndpoint(tokens(2)), storage, **times)
        await other.store.save_login(KEY, EXPIRED)
        waiting = asyncio.create_task(cut_off.tokens.access_token(KEY))
        while not cut_off.endpoint.sent:
            await asyncio.sleep(0.01)
        assert await other.tokens.access_token(KEY) == "access-2"
        assert await waiting == "access-2"

    asyncio.run(main())


@pytest.mark.parametrize("gone", ["signed out", "signed in anew"])
@pytest.mark.parametrize("style", STYLES)
def test_save_that_lost_to_a_sign_out_or_in_revokes_both_tokens(style: str, gone: str) -> None:
    async def main() -> None:
        endpoint = ScriptedEndpoint()
        process = Process(style, endpoint, MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)

        async def lose() -> Any:
            if gone == "signed out":
                await process.store.remove_unread(KEY)
            else:
                await process.store.save_login(KEY, tokens(9))
            return tokens(2)

        endpoint.script = [lose]

        if gone == "signed out":
            with pytest.raises(NotSignedInError):
                await process.tokens.access_token(KEY)
        else:
            assert await process.tokens.access_token(KEY) == "access-9"
        assert sorted(endpoint.revoked) == ["access-2", "refresh-2"]

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_save_that_lost_to_newer_tokens_uses_them(style: str) -> None:
    async def main() -> None:
        endpoint = ScriptedEndpoint()
        process = Process(style, endpoint, MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)

        async def lose() -> Any:
            record = await process.store.load(KEY)
            assert record is not None
            await process.store.swap(KEY, record, tokens=tokens(9))
            return tokens(2)

        endpoint.script = [lose]

        assert await process.tokens.access_token(KEY) == "access-9"
        assert endpoint.revoked == []

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_save_replaces_a_refusal_of_the_token_it_came_from(style: str) -> None:
    """A holder that was paused finds its answer after others were refused."""

    async def main() -> None:
        endpoint = ScriptedEndpoint()
        process = Process(style, endpoint, MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)

        async def lose() -> Any:
            record = await process.store.load(KEY)
            assert record is not None
            assert record.refresh_hash is not None
            await process.store.swap(KEY, record, refusal=Refusal(record.refresh_hash, "outcome_unknown"))
            return tokens(2)

        endpoint.script = [lose]

        assert await process.tokens.access_token(KEY) == "access-2"
        stored = await process.store.load(KEY)
        assert stored is not None
        assert (stored.refused, stored.tokens.access_token) == (None, "access-2")

    run(style, main)


@pytest.mark.parametrize("change", ["access token", "refresh token"])
def test_either_token_makes_a_record_newer(change: str) -> None:
    from webex.auth.store import Record

    ours = Record(tokens(1), "login")
    other = tokens(1, refresh="refresh-2") if change == "refresh token" else tokens(2, refresh="refresh-1")
    assert is_newer(Record(other, "login"), ours)
    assert not is_newer(Record(tokens(1), "login"), ours)


@pytest.mark.parametrize("style", STYLES)
def test_refusal_waits_for_the_lease_of_another_holder(style: str) -> None:
    """The lease was lost, another holder refreshes: its tokens count, not the refusal."""

    async def main() -> None:
        endpoint = ScriptedEndpoint()
        process = Process(style, endpoint, MemoryStorage())
        await process.store.save_login(KEY, EXPIRED)
        real_remaining = process.store.lease_remaining
        asked: list[float] = []

        async def remaining(key: str) -> float:
            left = await real_remaining(key)
            asked.append(left)
            if len(asked) == 3:  # the other holder saves, and its lease ends
                record = await process.store.load(KEY)
                assert record is not None
                await process.store.swap(KEY, record, tokens=tokens(2))
                await other[0].release()
            return left

        other: list[Any] = []

        async def overtaken() -> Any:
            space = process.storage._namespaces["credentials"]
            space.leases.clear()  # this holder was paused, and its lease ran out
            other.append(await process.store.lease(KEY, 60.0))
            process.store.lease_remaining = remaining  # type: ignore[method-assign]  # to act in the wait
            return REFUSED

        endpoint.script = [overtaken]

        assert await process.tokens.access_token(KEY) == "access-2"
        stored = await process.store.load(KEY)
        assert stored is not None
        assert stored.refusal is None

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_record_is_reread_after_credential_max_age(style: str) -> None:
    class Clock:
        now = 0.0

        def time(self) -> float:
            return self.now

        def monotonic(self) -> float:
            return self.now

    async def main() -> None:
        process = Process(style, ScriptedEndpoint(), MemoryStorage(), credential_max_age=5)
        clock = process.runtime.clock = Clock()
        await process.store.save_login(KEY, tokens(1))
        assert await process.tokens.access_token(KEY) == "access-1"
        await process.store.remove_unread(KEY)
        clock.now = 4.9
        assert await process.tokens.access_token(KEY) == "access-1"
        clock.now = 5.1
        with pytest.raises(NotSignedInError):
            await process.tokens.access_token(KEY)

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_cache_keeps_the_most_recently_used_users(style: str) -> None:
    async def main() -> None:
        storage = FailingStorage()
        process = Process(style, ScriptedEndpoint(), storage, credential_max_age=3600, credential_cache_size=2)
        for key in ("a", "b", "c"):
            await process.store.save_login(key, tokens(1))
        await process.tokens.access_token("a")
        await process.tokens.access_token("b")
        await process.tokens.record("a")  # used again: b is the one that leaves
        await process.tokens.access_token("c")
        storage.silent = True
        assert await process.tokens.access_token("a") == "access-1"
        assert await process.tokens.access_token("c") == "access-1"
        with pytest.raises(WebexError):
            await process.tokens.access_token("b")

    run(style, main)


def test_cache_is_thread_safe_while_users_are_removed() -> None:
    process = Process("blocking", ScriptedEndpoint(), MemoryStorage(), credential_max_age=3600, credential_cache_size=3)
    keys = [f"user-{number}" for number in range(12)]
    failures: list[BaseException] = []

    async def prepare() -> None:
        for key in keys:
            await process.store.save_login(key, tokens(1))

    run("blocking", prepare)

    def use() -> None:
        try:
            for _ in range(40):
                for key in keys:
                    run("blocking", lambda key=key: process.tokens.access_token(key))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
