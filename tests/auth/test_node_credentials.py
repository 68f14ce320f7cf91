"""What an app on the Node SDK does with credentials: refresh callbacks, widget tokens, hooks, records it stored."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

import pytest

from webex import AsyncWebex, Integration, NotSignedInError, ReauthorizationRequiredError, Webex
from webex.auth.callbacks import refresh_call
from webex.auth.tokens import TokenSet
from webex.emulator import Cloud
from webex.errors import ConfigurationError
from webex.storage import MemoryStorage, SQLiteStorage

OLD = TokenSet("old", refresh_token="R")


class Gives:
    def method(self, token: TokenSet) -> str:
        return token.access_token

    def __call__(self, client: Any, token: TokenSet) -> str:
        return f"{client} {token.access_token}"


class GivesLater:
    async def __call__(self) -> str:
        return "new"


def keywords(*, token: TokenSet) -> str:
    return token.access_token


def three(client: Any, token: Any, more: Any) -> str:
    return ""


def other(*, session: Any) -> str:
    return ""


@pytest.mark.parametrize(
    ("callback", "given"),
    [
        (lambda: "nothing", "nothing"),
        (lambda token: token.refresh_token, "R"),
        (lambda old: old.access_token, "old"),
        (lambda client: client, "client"),
        (lambda webex: webex, "client"),
        (lambda client, token: f"{client} {token.access_token}", "client old"),
        (lambda webex, token: f"{webex} {token.refresh_token}", "client R"),
        (lambda *all: " ".join(str(one) for one in all[:1]), "client"),
        (lambda value="kept": value, "kept"),
        (lambda token=None: token.access_token, "old"),
        (lambda **named: str(named), "{}"),
        (keywords, "old"),
        (Gives().method, "old"),
        (Gives(), "client old"),
        (functools.partial(lambda extra, token: extra + token.access_token, "x "), "x old"),
    ],
)
def test_a_refresh_callback_is_called_by_its_signature(callback: Callable[..., Any], given: str) -> None:
    assert refresh_call(callback, "blocking")("client", OLD) == given


@pytest.mark.parametrize("callback", [three, other, "token", {"access_token": "T"}, 7])
@pytest.mark.parametrize("make", [Webex, AsyncWebex])
def test_a_wrong_refresh_callback_is_refused_at_construction(make: Any, callback: Any) -> None:
    with pytest.raises(ConfigurationError, match="refresh_callback"):
        make(refresh_callback=callback)
    with pytest.raises(ConfigurationError, match="refresh_callback"):
        make({"config": {"credentials": {"refreshCallback": callback}}})


async def later() -> str:
    return "new"


@pytest.mark.parametrize("callback", [later, GivesLater(), functools.partial(later)])
def test_an_asynchronous_callback_is_refused_by_the_blocking_client(callback: Any) -> None:
    with pytest.raises(ConfigurationError, match="AsyncWebex"):
        Webex(refresh_callback=callback)
    AsyncWebex(refresh_callback=callback)


def test_a_refresh_callback_gets_the_client_and_the_old_token(cloud: Cloud) -> None:
    seen = []

    def refresh(client: Webex, token: Any) -> dict[str, Any]:
        seen.append((client, token.access_token, token.refresh_token))
        return {"access_token": cloud.token_for("alice"), "expires_in": 3600}

    with Webex({"access_token": "stale", "refresh_token": "R"}, refresh_callback=refresh) as client:
        assert client.people.me().display_name == "Alice Example"
        assert client.people.me().display_name == "Alice Example"
        assert seen == [(client, "stale", "R")]
        client.refresh()
        assert seen[1][2] == "R", "an answer without a refresh token keeps the old one"


def test_many_callers_share_one_refresh_and_a_handler_may_call(cloud: Cloud) -> None:
    async def main() -> None:
        calls, told = 0, []

        async def refresh(token: Any) -> str:
            nonlocal calls
            calls += 1
            await asyncio.sleep(0)
            return cloud.token_for("alice")

        async with AsyncWebex("stale", refresh_callback=refresh) as client:

            @client.on("token_refreshed")
            async def refreshed(event: Any) -> None:
                told.append((event.user_key, (await client.people.me()).display_name))

            await asyncio.gather(*(client.people.me() for _ in range(10)))
        assert (calls, told) == (1, [("@", "Alice Example")])

    asyncio.run(main())


def test_client_for_accepts_the_same_callbacks(cloud: Cloud) -> None:
    with Integration() as integration:
        seen: list[Any] = []

        def refresh(client: Any, token: Any) -> str:
            seen.append(client)
            return cloud.token_for("bob")

        client = integration.client_for(refresh)
        assert client.people.me().display_name == "Bob Example"
        assert seen == [client]
        with pytest.raises(ConfigurationError, match="refresh_callback"):
            integration.client_for(three)


def test_the_supertoken_has_its_expiry_and_no_refresh_token(cloud: Cloud) -> None:
    with Webex(storage=MemoryStorage()) as client:
        login_url = client.credentials.build_login_url(client_type="confidential")
        client.authorization.request_authorization_code_grant(cloud.sign_in(login_url, as_="alice"))
        token = client.credentials.supertoken()
        assert token.access_token == client.get_user_token()
        assert token.expires_at is not None
        shown = token.to_json()
        assert set(shown) == {"access_token", "token_type", "expires_in", "expires", "scope"}
        assert 0 < shown["expires_in"] <= 14 * 86400
        assert abs(shown["expires"] / 1000 - token.expires_at) < 1
        stored = json.dumps(dataclasses.asdict(token)) + json.dumps(shown)
        assert "refresh" not in stored
        assert token.access_token not in repr(token)
        with Webex({"supertoken": shown}) as widget:  # what a browser does with it
            assert widget.people.me().display_name == "Alice Example"


def test_the_supertoken_of_other_clients(cloud: Cloud) -> None:
    async def main() -> None:
        async with AsyncWebex(cloud.token_for("alice")) as client:
            assert (await client.credentials.supertoken()).to_json() == {
                "access_token": await client.get_user_token(),
                "token_type": "Bearer",
            }
        answer = {"access_token": cloud.token_for("bob"), "expires_in": 60, "refresh_token": "hush"}
        async with AsyncWebex(refresh_callback=lambda: answer) as client:
            token = (await client.credentials.supertoken()).to_json()
            assert 0 < token["expires_in"] <= 60
            assert "hush" not in json.dumps(token)
        async with AsyncWebex(storage=MemoryStorage(), access_token=None) as client:
            with pytest.raises(NotSignedInError):
                await client.credentials.supertoken()

    asyncio.run(main())


def test_an_expired_supertoken_is_refreshed_first(cloud: Cloud) -> None:
    with Webex(storage=MemoryStorage()) as client:
        login_url = client.credentials.build_login_url()
        client.authorization.request_authorization_code_grant(cloud.sign_in(login_url, as_="alice"))
        before = client.credentials.supertoken()
        cloud.clock.advance(20 * 86400)
        client.people.me()  # the client's clock follows the emulator's with an answer
        cloud.clock.advance(13.9 * 86400)
        client.people.me()
        after = client.credentials.supertoken()
        assert after.access_token != before.access_token
        assert after.expires_in is not None
        assert after.expires_in > 86400


def test_a_stand_alone_client_has_hooks(cloud: Cloud) -> None:
    events: list[tuple[str, str]] = []
    with Webex(storage=MemoryStorage()) as client:
        for kind in ("signed_in", "token_refreshed", "reauthorization_required", "signed_out"):
            client.on(kind, lambda event: events.append((event.kind, event.user_key)))
        login_url = client.credentials.build_login_url()
        client.authorization.request_authorization_code_grant(cloud.sign_in(login_url, as_="alice"))
        client.refresh()
        cloud.revoke_consent("alice")
        with pytest.raises(ReauthorizationRequiredError):
            client.people.me()
        client.logout()
    assert [kind for kind, _ in events] == ["signed_in", "token_refreshed", "reauthorization_required", "signed_out"]
    assert {key for _, key in events} == {"@"}


def test_hooks_accept_node_names(cloud: Cloud) -> None:
    events: list[str] = []
    with Webex(node_record(cloud)["supertoken"]["access_token"]) as client:
        client.on("client:logout", lambda event: events.append(event.kind))

        @client.auth_events.reauthorization_required
        def lost(event: Any) -> None:
            events.append(event.kind)

        with pytest.raises(ConfigurationError, match="signed_out"):
            client.on("logout", lost)
        client.logout()
    assert events == ["signed_out"]


def test_an_expired_token_from_a_callback_requires_a_new_sign_in() -> None:
    events: list[Any] = []
    with Webex(refresh_callback=lambda: {"access_token": "T", "expires": 1}) as client:
        client.on("client:InvalidRequestError", events.append)
        with pytest.raises(ReauthorizationRequiredError):
            client.people.me()
    assert [event.kind for event in events] == ["reauthorization_required"]


def node_record(cloud: Cloud) -> dict[str, Any]:
    """What the Node SDK would have stored: of a sign-in to the same app."""
    with Integration() as integration:
        login = integration.begin_login()
        tokens = integration.finish_login(cloud.sign_in(login.url, as_="alice"), browser=login.browser).tokens
    assert tokens.expires_at is not None
    return {
        "supertoken": {
            "scope": tokens.scope,
            "access_token": tokens.access_token,
            "expires": round(tokens.expires_at * 1000),
            "expires_in": 1000,
            "refresh_token": tokens.refresh_token,
            "refresh_token_expires": round(tokens.expires_at * 1000) + 5_000_000,
            "refresh_token_expires_in": 5000,
            "token_type": "Bearer",
        },
        "userTokens": [{"scope": "spark:rooms_read", "access_token": "reduced"}],
    }


SHAPES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "record": lambda record: record,
    "text": json.dumps,
    "bytes": lambda record: json.dumps(record).encode(),
    "under @": lambda record: {"@": record},
    "dump": lambda record: {"Credentials": {"@": record}, "Device": {"@": {"url": "x"}}},
    "dump of texts": lambda record: {"Credentials": {"@": json.dumps(record)}},
    "token": lambda record: record["supertoken"],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_node_sdk_record_is_imported(cloud: Cloud, tmp_path: Any, shape: str) -> None:
    record = SHAPES[shape](node_record(cloud))
    with SQLiteStorage(tmp_path / "webex.db") as storage, Integration(storage=storage) as integration:
        integration.adopt_node_record("alice-7", record)
        client = integration.user("alice-7")
        assert client.people.me().display_name == "Alice Example"
        cloud.clock.advance(20 * 86400)
        assert client.people.me().display_name == "Alice Example", "its refresh token serves"


def test_a_stand_alone_client_imports_a_record(cloud: Cloud) -> None:
    record = node_record(cloud)

    async def main() -> None:
        storage = MemoryStorage()
        async with AsyncWebex(storage=storage) as client:
            await client.credentials.adopt_node_record(record)
            assert client.can_authorize
        async with AsyncWebex(storage=storage) as later:
            assert (await later.people.me()).display_name == "Alice Example"

    asyncio.run(main())


NO_RECORDS: list[Any] = [
    *({}, [], None, 7, "", "nonsense", "[]", b"\xff", "[" * 100_000),
    *({"userTokens": []}, {"supertoken": {}}, {"supertoken": "T"}, {"supertoken": {"access_token": 7}}),
    {"Credentials": {}},
]


@pytest.mark.parametrize("record", NO_RECORDS, ids=lambda record: repr(record)[:30])
def test_a_record_without_a_token_is_refused(record: Any) -> None:
    with Integration(client_id="C", client_secret="S") as integration:
        with pytest.raises(ConfigurationError, match="Node SDK"):
            integration.adopt_node_record("alice", record)
        assert not integration.is_signed_in("alice")
