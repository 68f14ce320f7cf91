"""The token manager by its calls: what it asks the endpoint, what it stores, and what it leaves alone."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.auth.scripted import EXPIRED, KEY, SETTINGS, STYLES, FailingStorage, Process, ScriptedEndpoint, run, tokens
from webex.auth.failures import not_signed_in, reauthorization_required
from webex.auth.numbers import moment, seconds
from webex.auth.scopes import diff_scopes, filter_scope, sort_scope, split
from webex.auth.tokens import TokenSet, fingerprint
from webex.errors import ConfigurationError, ConnectError, DecodeError, NotSignedInError, ReauthorizationRequiredError
from webex.storage import MemoryStorage


class NotingEndpoint(ScriptedEndpoint):
    """Notes time limits, kinds of revoked tokens, and scopes that were asked for."""

    def __init__(self, *script: Any) -> None:
        super().__init__(*script)
        self.limits: list[float | None] = []
        self.hints: list[tuple[str, str]] = []
        self.reduced: list[tuple[str, str]] = []

    async def refresh(self, refresh_token: str, *, timeout: float | None = None) -> TokenSet:
        self.limits.append(timeout)
        return await super().refresh(refresh_token, timeout=timeout)

    async def revoke(self, token: str, *, hint: str, timeout: float | None = None) -> None:
        self.limits.append(timeout)
        self.hints.append((token, hint))
        if isinstance(self.script[0], Exception):
            raise self.script[0]

    async def reduce_scope(self, access_token: str, scope: str) -> TokenSet:
        self.reduced.append((access_token, scope))
        return TokenSet(f"{access_token} for {scope}", issued_at=self.moment, expires_at=self.moment + 100, scope=scope)


def on(style: str, work: Any, *script: Any, storage: Any = None, **settings: Any) -> None:
    """Run `work(process)` in one style; the endpoint answers as the script says."""

    async def main() -> None:
        await work(Process(style, NotingEndpoint(*(script or (tokens(2),))), storage or MemoryStorage(), **settings))

    run(style, main)


in_both_styles = pytest.mark.parametrize("style", STYLES)


@in_both_styles
def test_refresh_is_limited_and_its_origin_is_stored(style: str) -> None:
    async def work(process: Process) -> None:
        await process.tokens.save_login(KEY, EXPIRED, {"displayName": "Alice"})
        assert (await process.tokens.refresh(KEY)).access_token == "access-2"
        assert process.endpoint.sent == ["refresh-1"]
        (limit,) = process.endpoint.limits  # type: ignore[attr-defined]  # a NotingEndpoint
        assert limit is not None
        assert 0 < limit <= SETTINGS["refresh_deadline"]
        record = await process.tokens.record(KEY)
        assert record is not None
        assert record.parent == fingerprint("refresh-1")
        assert (record.attempt, record.refusal, record.person) == (None, None, {"displayName": "Alice"})

    on(style, work)


@in_both_styles
@pytest.mark.parametrize("age", [0.0, 3500.0], ids=["fresh", "stale"])
def test_stored_token_that_is_not_rejected_needs_no_refresh(style: str, age: float) -> None:
    async def work(process: Process) -> None:
        await process.tokens.save_login(KEY, tokens(1, age=age))
        assert (await process.tokens.refresh(KEY)).access_token == "access-1"
        assert (await process.tokens.refresh(KEY, "another")).access_token == "access-1"
        assert process.endpoint.sent == []
        assert (await process.tokens.refresh(KEY, "access-1")).access_token == "access-2"
        assert process.endpoint.sent == ["refresh-1"]

    on(style, work)


@in_both_styles
def test_stale_token_serves_while_it_is_refreshed_once(style: str) -> None:
    async def work(process: Process) -> None:
        await process.tokens.save_login(KEY, tokens(1, age=3500.0))
        await process.tokens.save_login("bob", tokens(7, age=3500.0))
        given = [await process.tokens.access_token(KEY) for _ in range(3)]
        assert set(given) <= {"access-1", "access-2"}
        while (await process.tokens.record(KEY)).tokens.access_token != "access-2":  # type: ignore[union-attr]  # there is one
            await process.runtime.sleep(0.01)
        assert process.endpoint.sent == ["refresh-1"]  # of no other user

    on(style, work)


def test_stale_tokens_of_two_users_are_refreshed_side_by_side() -> None:
    async def work(process: Process) -> None:
        asked = asyncio.Event()

        async def both() -> TokenSet:
            if len(process.endpoint.sent) == 2:
                asked.set()
            await asyncio.wait_for(asked.wait(), 10)
            return tokens(9)

        process.endpoint.script = [both]
        for key, number in (("alice", 1), ("bob", 2)):
            await process.tokens.save_login(key, tokens(number, age=3500.0))
        for key, number in (("alice", 1), ("bob", 2)):
            assert await process.tokens.access_token(key) == f"access-{number}"
        await asyncio.wait_for(asked.wait(), 10)
        await process.runtime.aclose()
        assert sorted(process.endpoint.sent) == ["refresh-1", "refresh-2"]

    on("async", work)


@in_both_styles
def test_stale_token_that_cannot_be_refreshed_is_used_until_expiry(style: str) -> None:
    async def work(process: Process) -> None:
        await process.tokens.save_login(KEY, TokenSet("access-1", issued_at=0.0, expires_at=1010.0))
        assert await process.tokens.access_token(KEY) == "access-1"
        process.endpoint.moment = 1010.0
        with pytest.raises(ReauthorizationRequiredError) as raised:
            await process.tokens.access_token(KEY)
        assert (raised.value.reason, raised.value.user_key) == ("no_refresh_token", KEY)
        assert not await process.tokens.is_signed_in(KEY)

    on(style, work)


@in_both_styles
def test_unknown_user_is_named(style: str) -> None:
    async def work(process: Process) -> None:
        for call in (process.tokens.access_token, process.tokens.refresh, process.tokens.login_id):
            with pytest.raises(NotSignedInError, match="under the key 'alice'") as raised:
                await call(KEY)
            assert raised.value.user_key == KEY
        assert not await process.tokens.is_signed_in(KEY)
        assert await process.tokens.record(KEY) is None

    on(style, work)


@in_both_styles
@pytest.mark.parametrize("missing", ["client_id", "client_secret"])
def test_refresh_without_app_credentials_names_the_missing_setting(style: str, missing: str) -> None:
    async def work(process: Process) -> None:
        await process.tokens.save_login(KEY, EXPIRED)
        with pytest.raises(ConfigurationError, match=missing):
            await process.tokens.access_token(KEY)
        assert process.tokens.can_refresh is (missing != "client_secret")
        await process.tokens.revoke(EXPIRED)
        assert process.endpoint.hints == []  # type: ignore[attr-defined]  # a NotingEndpoint
        await process.tokens.save_login(KEY, tokens(1, age=3500.0))
        assert await process.tokens.access_token(KEY) == "access-1"  # stale, and nothing is tried

    on(style, work, **{missing: None})


@in_both_styles
@pytest.mark.parametrize("answer", [None, ConnectError("refused")], ids=["taken", "unreachable"])
def test_both_tokens_are_revoked_each_as_its_kind(
    style: str, answer: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(process: Process) -> None:
        await process.tokens.revoke(tokens(1))
        await process.tokens.revoke(TokenSet("access-3"))
        endpoint: Any = process.endpoint
        assert endpoint.hints == [
            ("refresh-1", "refresh_token"),
            ("access-1", "access_token"),
            ("access-3", "access_token"),
        ]
        assert endpoint.limits == [SETTINGS["refresh_deadline"]] * 3

    on(style, work, *([] if answer is None else [answer]))
    warned = [each for each in caplog.records if each.levelno == logging.WARNING and "revoked" in each.getMessage()]
    assert len(warned) == (0 if answer is None else 3)


@in_both_styles
def test_reduced_token_is_cached_and_derived_from_the_current_token(style: str) -> None:
    async def work(process: Process) -> None:
        endpoint: Any = process.endpoint
        full = TokenSet("full", issued_at=1000.0, expires_at=9000.0, refresh_token="r", scope="one three two")
        await process.tokens.save_login(KEY, full)
        for _ in range(2):
            assert await process.tokens.reduced_token(KEY, "two one") == "full for one two"
        assert await process.tokens.reduced_token(KEY, "one two three") == "full"
        assert await process.tokens.reduced_token(KEY, "three") == "full for three"
        assert await process.tokens.reduced_token(KEY, "one two") == "full for one two"
        assert endpoint.reduced == [("full", "one two"), ("full", "three")]
        endpoint.moment += 95  # stale
        assert await process.tokens.reduced_token(KEY, "three") == "full for three"
        assert len(endpoint.reduced) == 3
        with pytest.raises(ConfigurationError, match="token of 'alice' does not have the scopes five, four"):
            await process.tokens.reduced_token(KEY, "one four five")
        await process.tokens.refresh(KEY, "full")
        assert await process.tokens.reduced_token(KEY, "one") == "access-2 for one"

    on(style, work, tokens(2), scope="one two three", credential_max_age=60)


@in_both_styles
@pytest.mark.parametrize("closing", [True, False])
def test_superseded_tokens_are_not_reported_as_lost(
    style: str, closing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(process: Process) -> None:
        await process.tokens.save_login(KEY, EXPIRED)
        storage: FailingStorage = process.storage

        def fill() -> TokenSet:
            storage.full = True
            return tokens(2)

        process.endpoint.script = [fill]
        assert (await process.tokens.refresh(KEY)).access_token == "access-2"
        storage.full = False
        other = Process(style, ScriptedEndpoint(tokens(9)), storage.inner)
        await other.tokens.save_login(KEY, tokens(5))
        if not closing:
            assert await process.tokens.access_token(KEY) == "access-5"
        await process.tokens.aclose()
        assert process.endpoint.hints == [  # type: ignore[attr-defined]  # a NotingEndpoint
            ("refresh-2", "refresh_token"),
            ("access-2", "access_token"),
        ]
        assert (await other.tokens.record(KEY)).tokens.access_token == "access-5"  # type: ignore[union-attr]  # there is one

    on(style, work, storage=FailingStorage(), credential_max_age=0)
    assert "are lost" not in caplog.text


@in_both_styles
def test_refused_refresh_is_not_repeated(style: str) -> None:
    from webex.errors import InvalidGrantError

    async def work(process: Process) -> None:
        await process.tokens.save_login(KEY, EXPIRED)
        for _ in range(2):
            with pytest.raises(ReauthorizationRequiredError, match="has to sign in again: Webex refused") as raised:
                await process.tokens.access_token(KEY)
            assert (raised.value.reason, raised.value.user_key) == ("refused", KEY)
        with pytest.raises(ReauthorizationRequiredError):
            await process.tokens.login_id(KEY)
        assert not await process.tokens.is_signed_in(KEY)
        assert process.endpoint.sent == ["refresh-1"]
        before = await process.tokens.save_login(KEY, tokens(3))
        assert await process.tokens.login_id(KEY) == before.login_id
        assert await process.tokens.is_signed_in(KEY)

    on(style, work, InvalidGrantError("invalid_grant", status=400))


def test_errors_of_a_user_name_the_user() -> None:
    assert not_signed_in("bob").user_key == "bob"
    for reason, text in (
        ("refused", "Webex refused the refresh token"),
        ("outcome_unknown", "may have been carried out"),
        ("no_refresh_token", "there is no refresh token"),
        ("revoked", "the token was revoked"),
        ("of an app", "of an app"),
    ):
        error = reauthorization_required("bob", reason)
        assert (error.user_key, error.reason) == ("bob", reason)
        assert text in str(error)
        assert "'bob'" in str(error)


def test_errors_of_a_client_without_users_name_no_user() -> None:
    assert str(not_signed_in("@")).startswith("The client has no token")
    told = str(reauthorization_required("@", "no_refresh_token"))
    assert "there is no refresh token. Give it a new one" in told
    assert "'@'" not in told


def test_scopes_are_compared_as_sets() -> None:
    assert split(["b a", "c"]) == ["b", "a", "c"]
    assert split(None) == []
    assert sort_scope(" b  a\n") == "a b"
    assert filter_scope("b", "c b a") == "a c"
    assert filter_scope(["a", "b"], None) == ""
    assert diff_scopes("c a b", "b") == "a c"
    assert diff_scopes("a", None) == "a"
    assert diff_scopes(None, "a") == ""


def test_token_response_is_read_field_by_field() -> None:
    body = {"access_token": "a", "expires_in": 60, "refresh_token": "r", "refresh_token_expires_in": 600}
    made = TokenSet.from_response({**body, "token_type": "MAC", "scope": "two one", "id_token": "i"}, 1000.0)
    assert made == TokenSet("a", "MAC", 1000.0, 1060.0, "r", 1600.0, "one two", "i")
    assert made.id_token == "i"
    assert TokenSet.from_json(made.to_json()) == made
    bare = TokenSet.from_response({"access_token": "a", "scope": 5, "id_token": 5, "refresh_token": 5}, 1000.0)
    assert bare == TokenSet("a", issued_at=1000.0)
    assert bare.id_token is None
    after = TokenSet("n", issued_at=2000.0, expires_at=2060.0).after(made)
    assert after == TokenSet("n", "Bearer", 2000.0, 2060.0, "r", 1600.0, "one two")
    assert TokenSet("n", refresh_token="q", scope="s").after(made) == TokenSet("n", refresh_token="q", scope="s")
    for wrong in (None, [], "text", {}, {"access_token": ""}, {"access_token": 5}, {"refresh_token": "r"}):
        with pytest.raises(DecodeError, match="holds no access_token"):
            TokenSet.from_response(wrong, 1000.0)


def test_numeric_settings_have_limits() -> None:
    assert [seconds(value) for value in (None, 0, "0", 5, "5.5", 99_999_999_999)] == [
        None,
        None,
        None,
        5.0,
        5.5,
        99_999_999_999.0,
    ]
    for wrong in (-1, 1e11, 10**400, float("nan"), float("inf"), True, [], "x"):
        with pytest.raises(ValueError, match=r"number of seconds|could not convert"):
            seconds(wrong)
    assert [moment(value) for value in (None, 0, -5, 1e12)] == [None, 0.0, -5.0, 1e12]
    for wrong in (True, "5", 10**400, float("nan"), float("-inf")):
        with pytest.raises(ValueError, match="moment"):
            moment(wrong)
