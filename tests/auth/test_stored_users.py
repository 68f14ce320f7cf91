"""The stored users, found by what their tokens are; and asking a user for more scopes."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.auth.conftest import sign_in
from tests.auth.leftovers import live_tokens
from webex import AsyncIntegration, Integration, NotSignedInError
from webex.emulator import Cloud, accounts
from webex.errors import ConfigurationError, LoginError
from webex.ids import to_hydra_id
from webex.storage import MemoryStorage, SQLiteStorage
from webex.webhooks import read_event

DAY = 86_400.0
NOW = 1_700_000_000.0


def adopt(integration: Integration, key: str, *, issued: float, ends: float, scope: str = "spark:all") -> None:
    """Store tokens that were issued, and whose refresh token ends, so many days from NOW."""
    integration.adopt(
        key,
        {
            "access_token": f"access-{key}",
            "refresh_token": f"refresh-{key}",
            "issued_at": NOW + issued * DAY,
            "expires_at": NOW + (issued + 14) * DAY,
            "refresh_token_expires_at": NOW + ends * DAY,
            "scope": scope,
        },
    )


@pytest.fixture
def integration(cloud: Cloud) -> Any:
    with Integration(storage=MemoryStorage()) as made:
        adopt(made, "early", issued=-80, ends=10)
        adopt(made, "late", issued=-1, ends=89, scope="spark:all spark:kms")
        adopt(made, "org:7dd4c2c4-0000-4000-8000-000000000001", issued=-10, ends=80, scope="spark:people_read")
        made.adopt("forever", "a-token-without-an-end")
        yield made


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, {"early", "late", "org", "forever"}),
        ({"expires_before": NOW + 14 * DAY}, {"early"}),
        ({"expires_before": datetime.fromtimestamp(NOW + 85 * DAY, UTC)}, {"early", "org"}),
        ({"changed_since": NOW - 20 * DAY}, {"late", "org", "forever"}),
        ({"scope": "spark:all"}, {"early", "late"}),
        ({"scope": ["spark:kms", "spark:all"]}, {"late"}),
        ({"kind": "service_app"}, {"org"}),
        ({"kind": "person"}, {"early", "late", "forever"}),
        ({"kind": "person", "scope": "spark:all", "changed_since": NOW - 20 * DAY}, {"late"}),
    ],
    ids=["all", "ends soon", "a datetime", "changed", "a scope", "scopes", "service apps", "people", "several"],
)
def test_users_are_filtered_by_token_state(integration: Integration, wanted: dict[str, Any], found: set[str]) -> None:
    assert {key.partition(":")[0] for key in integration.users(**wanted)} == found


@pytest.mark.parametrize("wrong", [{"kind": "bot"}, {"expires_before": "tomorrow"}, {"changed_since": True}])
def test_wrong_filters_are_refused(integration: Integration, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        list(integration.users(**wrong))


def test_no_more_than_a_page_of_users_is_in_memory(cloud: Cloud, tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "webex.db")
    with Integration(storage=storage) as integration:
        record = {
            "tokens": {
                "access_token": "a" * 64,
                "refresh_token": "r" * 64,
                "issued_at": NOW,
                "refresh_token_expires_at": NOW + DAY,
            },
            "login_id": "l",
            "person": {"display_name": "A Person", "email": "person@example.com"},
        }
        binding = storage.bind("credentials")
        for number in range(5_000):
            binding.put(f"{integration.config.client_id}/user{number:06d}", record, durable=False)
        assert sum(1 for _ in integration.users(expires_before=NOW + 2 * DAY)) == 5_000
        tracemalloc.start()
        count = sum(1 for _ in integration.users(expires_before=NOW + 2 * DAY))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    storage.close()
    assert count == 5_000
    assert peak < 4_000_000  # all of them are more than 10 MB


# Scopes


def consent(integration: Integration, cloud: Cloud, login: Any, who: str) -> Any:
    return integration.finish_login(cloud.sign_in(login.url, as_=who), browser=login.browser)


def test_scope_login_requests_missing_scopes_and_keeps_the_others(cloud: Cloud) -> None:
    with Integration(storage=MemoryStorage(), scope="openid spark:people_read") as integration:
        told: list[Any] = []
        integration.events.scopes_grown(told.append)
        key = sign_in(integration, cloud)
        assert integration.missing_scopes(key, "spark:rooms_read spark:people_read") == ("spark:rooms_read",)
        login = integration.begin_scope_login(key, ["spark:rooms_read"], return_to="/rooms")
        signed_in = consent(integration, cloud, login, "alice@example.com")
        assert signed_in.return_to == "/rooms"
        assert signed_in.user.key == key
        assert signed_in.granted_scopes == {"openid", "spark:people_read", "spark:rooms_read"}
        assert integration.missing_scopes(key, "spark:rooms_read spark:people_read") == ()
        assert [(event.kind, event.user_key, event.scopes) for event in told] == [
            ("scopes_grown", key, frozenset({"spark:rooms_read"}))
        ]


def test_another_person_cannot_complete_a_scope_login(cloud: Cloud) -> None:
    with Integration(storage=MemoryStorage(), scope="openid spark:people_read") as integration:
        key = sign_in(integration, cloud)
        login = integration.begin_scope_login(key, "spark:rooms_read")
        with pytest.raises(LoginError, match="Another person") as caught:
            consent(integration, cloud, login, "bob@example.com")
        assert caught.value.reason == "person"
        assert integration.user(key).people.me().emails == ["alice@example.com"]


def adopted(integration: Integration, cloud: Cloud, key: str, scopes: str, *, tell: bool = True) -> str:
    """Adopt a token of Alice; the token."""
    token = cloud.token_for("alice", scopes.split())
    integration.adopt(key, {"access_token": token, "expires_in": 3600, **({"scope": scopes} if tell else {})})
    return token


@pytest.mark.parametrize("scopes", ["openid spark:rooms_read", "spark:people_read"])
def test_adopted_key_is_not_taken_over_by_another_person(cloud: Cloud, scopes: str) -> None:
    with Integration(storage=MemoryStorage(), scope="openid spark:people_read") as integration:
        token = adopted(integration, cloud, "customer", scopes)
        login = integration.begin_scope_login("customer", "openid spark:rooms_write")
        with pytest.raises(LoginError, match="Another person") as caught:
            consent(integration, cloud, login, "bob@example.com")
        assert caught.value.reason == "person"
        assert integration.user("customer").get_user_token() == token
        assert not [each for each in live_tokens(cloud) if each.person_id == accounts.BOB_ID]  # they were revoked
        login = integration.begin_scope_login("customer", "openid spark:rooms_write")
        signed_in = consent(integration, cloud, login, "alice@example.com")
        assert signed_in.user.key == "customer"
        assert signed_in.granted_scopes == {*scopes.split(), "openid", "spark:rooms_write"}


def test_adopted_tokens_without_their_scopes_keep_those_of_the_app(cloud: Cloud) -> None:
    with Integration(storage=MemoryStorage(), scope="openid spark:people_read") as integration:
        adopted(integration, cloud, "customer", "openid spark:people_read", tell=False)
        login = integration.begin_scope_login("customer", "spark:rooms_read")
        granted = consent(integration, cloud, login, "alice@example.com").granted_scopes
        assert granted == {"openid", "spark:people_read", "spark:rooms_read"}


def test_login_for_unknown_scopes_or_an_unknown_person_is_not_begun(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBEX_SCOPE", raising=False)
    with Integration(storage=MemoryStorage()) as integration:
        adopted(integration, cloud, "customer", "spark:rooms_read", tell=False)
        with pytest.raises(ConfigurationError, match="scopes that the user 'customer' has granted are not known"):
            integration.begin_scope_login("customer", "openid")
        adopted(integration, cloud, "customer", "spark:rooms_read")
        with pytest.raises(LoginError, match="not known whose tokens") as caught:
            integration.begin_scope_login("customer", "openid")
        assert caught.value.reason == "identity"


def test_key_that_is_a_person_belongs_to_that_person(cloud: Cloud) -> None:
    alice = accounts.ALICE_ID
    with Integration(storage=MemoryStorage()) as integration:
        adopted(integration, cloud, alice, "spark:rooms_read")
        with pytest.raises(ConfigurationError, match=r"who signed in: add the scope openid or spark:people_read\.$"):
            integration.begin_scope_login(alice, "spark:rooms_write")
        login = integration.begin_scope_login(alice, "openid")
        with pytest.raises(LoginError, match="Another person"):
            consent(integration, cloud, login, "bob@example.com")
        login = integration.begin_scope_login(alice, "openid")
        assert consent(integration, cloud, login, "alice@example.com").user.key == alice


def test_person_whom_the_cloud_does_not_name_is_not_called_another_one(cloud: Cloud) -> None:
    with Integration(storage=MemoryStorage(), scope="spark:people_read") as integration:
        key = sign_in(integration, cloud)
        before = integration.user(key).get_user_token()
        login = integration.begin_scope_login(key, "spark:rooms_read")
        cloud.faults.add("/v1/people/me", status=403)
        with pytest.raises(LoginError, match="did not tell who signed in") as caught:
            consent(integration, cloud, login, "alice@example.com")
        assert caught.value.reason == "identity"
        assert integration.user(key).get_user_token() == before


def test_login_for_more_scopes_is_stored_under_its_own_key_only(cloud: Cloud) -> None:
    with Integration(storage=MemoryStorage(), scope="openid spark:people_read") as integration:
        key = sign_in(integration, cloud)
        login = integration.begin_scope_login(key, "spark:rooms_read")
        redirect = cloud.sign_in(login.url, as_="alice@example.com")
        with pytest.raises(LoginError, match="leave user_key= out") as caught:
            integration.finish_login(redirect, browser=login.browser, user_key="another")
        assert caught.value.reason == "user"
        assert list(integration.users()) == [key]


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "finished"])
def test_user_key_may_be_a_public_id(cloud: Cloud, begun: bool) -> None:
    hydra = to_hydra_id("PEOPLE", accounts.BOB_ID)
    with Integration(storage=MemoryStorage(), scope="openid spark:people_read") as integration:
        login = integration.begin_login(user_key=hydra if begun else None)
        redirect = cloud.sign_in(login.url, as_="bob@example.com")
        finished = integration.finish_login(redirect, browser=login.browser, user_key=None if begun else hydra)
        assert finished.user.key == accounts.BOB_ID
        assert integration.is_signed_in(hydra)


def test_bot_and_state_of_the_app_are_found_under_every_form_of_a_key(cloud: Cloud) -> None:
    uuid = accounts.BOB_ID
    hydra = to_hydra_id("PEOPLE", uuid)
    with Integration(storage=MemoryStorage()) as integration:
        token = cloud.token_for("bob")
        assert integration.bot(token, key=hydra).user_key == uuid
        integration.bot(token, key=hydra).people.me()
        assert integration.is_signed_in(uuid)
        integration.storage.for_user(hydra).put("notes", "note", 1)
        assert integration.storage.for_user(uuid.upper()).get("notes", "note") == 1
        integration.erase(uuid)
        assert integration.storage.for_user(hydra).get("notes", "note") is None


def test_scopes_of_a_signed_out_user_raise_an_error(cloud: Cloud) -> None:
    async def main() -> None:
        async with AsyncIntegration(storage=MemoryStorage()) as integration:
            with pytest.raises(NotSignedInError):
                await integration.missing_scopes("nobody", "spark:all")
            with pytest.raises(NotSignedInError):
                await integration.begin_scope_login("nobody", "spark:all")
            assert [key async for key in integration.users(scope="spark:all")] == []

    asyncio.run(main())


# Service apps


def event(what: str, resource: str = "serviceApp") -> Any:
    org = to_hydra_id("ORGANIZATION", accounts.ORG_ID)
    return read_event(json.dumps({"resource": resource, "event": what, "orgId": org, "data": {"id": "app"}}).encode())


def test_deauthorized_service_app_loses_its_tokens_and_emits_an_event(cloud: Cloud) -> None:
    with Integration(storage=MemoryStorage()) as integration:
        told: list[Any] = []
        for hook in (integration.events.app_authorized, integration.events.app_deauthorized):
            hook(told.append)
        key = f"org:{accounts.ORG_ID}"
        adopt(integration, key, issued=0, ends=90)
        assert integration.note_service_app(event("authorized")) == key
        assert list(integration.users()) == [key]
        assert integration.note_service_app(event("deauthorized")) == key
        assert list(integration.users()) == []
        assert integration.note_service_app(event("created", "messages")) is None
        assert [(each.kind, each.user_key) for each in told] == [("app_authorized", key), ("app_deauthorized", key)]
