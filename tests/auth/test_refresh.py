"""Fresh, stale, expired; one refresh in a process; what a refusal means; what a save may overwrite."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.auth.conftest import sign_in
from webex import AsyncIntegration, Integration, NotSignedInError, OAuthError, ReauthorizationRequiredError, Webex
from webex.auth.tokens import TokenSet
from webex.errors import AuthenticationError, InvalidClientError, PermissionDeniedError, ServiceUnavailableError
from webex.storage import MemoryStorage, SQLiteStorage

if TYPE_CHECKING:
    from webex.emulator import Cloud

EXPIRED = 14 * 86400 + 60


def async_integration(database: str, **settings: Any) -> AsyncIntegration:
    return AsyncIntegration(storage=SQLiteStorage(database), **settings)


def test_twenty_concurrent_requests_of_an_expired_token_refresh_once(cloud: Cloud, database: str, expired: str) -> None:
    async def main() -> None:
        async with async_integration(database) as integration:
            client = integration.user(expired)
            people = await asyncio.gather(*[client.people.me() for _ in range(20)])
            assert {person.display_name for person in people} == {"Alice Example"}

    asyncio.run(main())
    assert cloud.requests.refreshes == 1


def test_a_waiter_that_is_cancelled_does_not_cancel_the_refresh(cloud: Cloud, database: str, expired: str) -> None:
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=0.3)

    async def main() -> None:
        async with async_integration(database) as integration:
            client = integration.user(expired)
            first = asyncio.create_task(client.people.me())
            second = asyncio.create_task(client.people.me())
            while not cloud.faults.as_list()[0]["hits"]:
                await asyncio.sleep(0.01)
            first.cancel()
            assert (await second).display_name == "Alice Example"
            with pytest.raises(asyncio.CancelledError):
                await first

    asyncio.run(main())
    assert cloud.requests.refreshes == 1


def test_closing_waits_for_a_refresh_without_waiters(cloud: Cloud, database: str, expired: str) -> None:
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=0.3)

    async def main() -> None:
        async with async_integration(database) as integration:
            call = asyncio.create_task(integration.user(expired).people.me())
            while not cloud.faults.as_list()[0]["hits"]:
                await asyncio.sleep(0.01)
            call.cancel()

    asyncio.run(main())
    assert cloud.requests.refreshes == 1
    with Integration(storage=SQLiteStorage(database)) as integration:
        integration.user(expired).people.me()
    assert cloud.requests.refreshes == 1


def test_a_stale_token_is_used_while_one_refreshes(cloud: Cloud, database: str) -> None:
    cloud.set(access_token_lifetime=1000)

    async def main() -> None:
        async with async_integration(database, credential_max_age=0) as integration:
            login = await integration.begin_login()
            signed_in = await integration.finish_login(cloud.sign_in(login.url), browser=login.browser)
            client = integration.user(signed_in.user.key)
            old = await client.get_user_token()
            cloud.clock.advance(950)
            await client.request("GET", "/people/me")  # brings the cloud's time along
            assert cloud.requests.refreshes == 0
            assert await client.get_user_token() == old
            await integration.aclose()
            assert cloud.requests.refreshes == 1
            assert await client.get_user_token() != old

    asyncio.run(main())


def test_an_answer_without_a_refresh_token_keeps_the_old_one() -> None:
    old = TokenSet("a1", refresh_token="r1", refresh_expires_at=500.0, scope="x y")
    new = TokenSet.from_response({"access_token": "a2", "expires_in": 10}, 100.0).after(old)
    assert (new.access_token, new.refresh_token, new.refresh_expires_at, new.scope) == ("a2", "r1", 500.0, "x y")


@pytest.mark.parametrize(
    ("lifetime", "fresh_until"), [(60, 54), (3600, 3240), (1209600, 1123200), (4_000_000_000, 3_999_913_600)]
)
def test_the_three_states_are_right_for_any_lifetime(lifetime: float, fresh_until: float) -> None:
    tokens = TokenSet.from_response({"access_token": "a", "expires_in": lifetime}, 0.0)
    assert tokens.state(fresh_until - 1) == "fresh"
    assert tokens.state(fresh_until + 1) == "stale"
    assert tokens.state(lifetime) == "expired"


def test_withdrawn_consent_requires_a_new_login_until_one_happens(cloud: Cloud, database: str) -> None:
    heard: list[str] = []
    with Integration(storage=SQLiteStorage(database)) as integration:
        integration.events.reauthorization_required(lambda event: heard.append(event.reason))
        key = sign_in(integration, cloud)
        cloud.revoke_consent("alice")
        for _ in range(2):
            with pytest.raises(ReauthorizationRequiredError) as caught:
                integration.user(key).people.me()
            assert caught.value.reason == "refused"
        assert heard == ["refused"]
        assert not integration.is_signed_in(key)
        assert cloud.requests.count(grant_type="refresh_token") == 1
        assert sign_in(integration, cloud) == key
        assert integration.user(key).people.me().display_name == "Alice Example"


def test_an_outage_is_not_a_refusal(cloud: Cloud, database: str, expired: str) -> None:
    fault = cloud.faults.add("*", grant_type="refresh_token", status=503)
    with Integration(storage=SQLiteStorage(database), refresh_deadline=1.0) as integration:
        with pytest.raises(ServiceUnavailableError) as caught:
            integration.user(expired).people.me()
        assert caught.value.status == 503
        cloud.faults.remove(fault)
        assert integration.user(expired).people.me().display_name == "Alice Example"


def test_a_lost_response_is_retried_while_the_lease_is_held(cloud: Cloud, database: str, expired: str) -> None:
    cloud.set(rotation="grace")
    cloud.faults.add("*", grant_type="refresh_token", count=1, drop=True, after_processing=True)
    with Integration(storage=SQLiteStorage(database)) as integration:
        assert integration.user(expired).people.me().display_name == "Alice Example"


def test_a_lost_response_with_strict_rotation_is_an_unknown_outcome(cloud: Cloud, database: str, expired: str) -> None:
    cloud.set(rotation="strict")
    cloud.faults.add("*", grant_type="refresh_token", count=1, drop=True, after_processing=True)
    with Integration(storage=SQLiteStorage(database)) as integration:
        with pytest.raises(ReauthorizationRequiredError) as caught:
            integration.user(expired).people.me()
        assert caught.value.reason == "outcome_unknown"


def test_save_after_a_concurrent_sign_out_leaves_no_valid_token(cloud: Cloud, database: str, expired: str) -> None:
    """The record is removed behind the refresh, so that only the refresh itself can revoke what it got."""
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=0.5, after_processing=True)

    async def main() -> None:
        async with async_integration(database) as integration:
            call = asyncio.create_task(integration.user(expired).people.me())
            while not live(cloud):
                await asyncio.sleep(0.01)
            app = integration._app
            await app.store.remove_unread(expired)
            with pytest.raises(NotSignedInError):
                await call
            assert not await integration.is_signed_in(expired)

    asyncio.run(main())
    assert cloud.requests.count(grant_type="refresh_token") == 1
    assert live(cloud) == []


def live(cloud: Cloud) -> list[Any]:
    """The access tokens that the cloud accepts now."""
    now = cloud.clock.time()
    return [token for token in cloud.state.tokens.values() if token.family and token.expires > now]


def test_save_after_a_concurrent_sign_in_keeps_the_new_tokens(cloud: Cloud, database: str, expired: str) -> None:
    cloud.faults.add("*", grant_type="refresh_token", count=1, latency=0.5, after_processing=True)

    async def main() -> None:
        async with async_integration(database) as integration:
            call = asyncio.create_task(integration.user(expired).people.me())
            while not live(cloud):
                await asyncio.sleep(0.01)
            login = await integration.begin_login()
            again = await integration.finish_login(cloud.sign_in(login.url), browser=login.browser)
            assert (await call).display_name == "Alice Example"
            assert await integration.user(expired).get_user_token() == again.tokens.access_token

    asyncio.run(main())


def test_a_wrong_client_secret_does_not_sign_users_out(cloud: Cloud, database: str, expired: str) -> None:
    wrong = {"client_id": cloud.env["WEBEX_CLIENT_ID"], "client_secret": "wrong"}
    with Integration(storage=SQLiteStorage(database), **wrong) as integration, pytest.raises(InvalidClientError):
        integration.user(expired).people.me()
    with Integration(storage=SQLiteStorage(database)) as integration:
        assert integration.user(expired).people.me().display_name == "Alice Example"


def test_a_rejected_token_without_refresh_raises_the_401(cloud: Cloud) -> None:
    with Webex("no-such-token") as client, pytest.raises(AuthenticationError):
        client.people.me()


def test_a_callback_token_is_fetched_once(cloud: Cloud) -> None:
    asked: list[int] = []

    def fetch() -> dict[str, Any]:
        asked.append(1)
        return {"access_token": cloud.token_for("bob"), "expires_in": 3600}

    with Webex(refresh_callback=fetch) as client:
        assert client.people.me().display_name == "Bob Example"
        assert client.people.me().display_name == "Bob Example"
    assert len(asked) == 1


def test_signing_out_revokes_and_deletes_the_tokens(cloud: Cloud) -> None:
    storage = MemoryStorage()
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        client = integration.user(key)
        token = client.get_user_token()
        assert list(integration.users()) == [key]
        assert integration.sign_out(key)
        assert not integration.sign_out(key)
        with pytest.raises(NotSignedInError):
            client.people.me()
        with Webex(token) as other, pytest.raises(AuthenticationError):
            other.people.me()


def test_signing_out_works_during_an_outage(cloud: Cloud) -> None:
    with Integration() as integration:
        key = sign_in(integration, cloud)
        cloud.faults.add("*revoke*", status=500)
        assert integration.sign_out(key)
        assert not integration.is_signed_in(key)


def test_reduced_token_has_fewer_scopes(cloud: Cloud) -> None:
    with Integration(scope="openid spark:people_read spark:rooms_read") as integration:
        key = sign_in(integration, cloud)
        client = integration.user(key)
        reduced = client.get_user_token("spark:rooms_read")
        assert reduced != client.get_user_token()
        assert client.get_user_token("spark:rooms_read") == reduced
        with Webex(reduced) as other, pytest.raises(PermissionDeniedError, match="scope"):
            other.people.me()


def test_every_oauth_error_has_its_class(cloud: Cloud) -> None:
    codes = {sub.code for sub in OAuthError.__subclasses__()}
    assert {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
    } <= codes
    assert {"invalid_scope", "access_denied", "server_error", "temporarily_unavailable"} <= codes
