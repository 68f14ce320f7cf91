"""A sign-in that is what it says, and everything that is not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.auth.conftest import sign_in
from webex import AccessDeniedError, ConfigurationError, Integration, OAuthError, Webex
from webex.auth import normalise_token, safe_return_to
from webex.errors import IdTokenError, InvalidGrantError, LoginError
from webex.storage import MemoryStorage

if TYPE_CHECKING:
    from webex.emulator import Cloud

FORMS: list[Any] = [
    "ST",
    {"access_token": "ST"},
    {"supertoken": "ST"},
    {"supertoken": {"access_token": "ST"}},
    {"authorization": "ST"},
    {"authorization": {"supertoken": "ST"}},
    {"authorization": {"supertoken": {"access_token": "ST"}}},
    {"credentials": "ST"},
    {"credentials": {"access_token": "ST"}},
    {"credentials": {"supertoken": "ST"}},
    {"credentials": {"supertoken": {"access_token": "ST"}}},
    {"credentials": {"authorization": "ST"}},
    {"credentials": {"authorization": {"access_token": "ST"}}},
    {"credentials": {"authorization": {"supertoken": "ST"}}},
    {"credentials": {"authorization": {"supertoken": {"access_token": "ST"}}}},
]


def prefixed(value: Any, prefix: str) -> Any:
    if isinstance(value, dict):
        return {name: prefixed(inner, prefix) for name, inner in value.items()}
    return prefix + value


@pytest.mark.parametrize("prefix", ["", "Bearer ", "Bearer  ", " Bearer ", "Bearer"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_token_is_taken_in_every_shape_of_the_node_sdk(form: Any, prefix: str) -> None:
    tokens = normalise_token(prefixed(form, prefix), 0.0)
    assert tokens is not None
    assert (tokens.access_token, tokens.token_type) == ("ST", "Bearer")


@pytest.mark.parametrize("wrong", [7, ["ST"], {"access_token": 7}, "", "three words here"])
def test_what_is_no_token_is_refused_without_being_shown(wrong: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        normalise_token(wrong, 0.0)
    assert "three" not in str(caught.value)


def test_a_sign_in_tells_who_it_was_and_where_to_go(cloud: Cloud) -> None:
    with Integration() as integration:
        login = integration.begin_login(return_to="/inbox?box=1")
        query = parse_qs(urlsplit(login.url).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["nonce"]
        signed_in = integration.finish_login(cloud.sign_in(login.url, as_="bob"), browser=login.browser)
        assert signed_in.return_to == "/inbox?box=1"
        assert signed_in.granted_scopes >= {"openid", "spark:all"}
        assert integration.user(signed_in.user.key).people.me().emails == ["bob@example.com"]


def test_without_openid_people_me_tells_who_it_was_under_the_same_key(cloud: Cloud) -> None:
    with Integration() as first, Integration(scope="spark:people_read") as second:
        assert sign_in(first, cloud) == sign_in(second, cloud)


def test_hydra_id_and_uuid_find_the_same_person(cloud: Cloud) -> None:
    with Integration() as integration:
        key = sign_in(integration, cloud)
        hydra = integration.user(key).people.me().id
        assert hydra is not None
        assert integration.user(hydra).user_key == key == integration.user(key.upper()).user_key


def test_an_app_may_have_keys_of_its_own(cloud: Cloud) -> None:
    with Integration(scope="spark:rooms_read") as integration:
        with pytest.raises(ConfigurationError, match=r"openid.*spark:people_read"):
            integration.begin_login()
        login = integration.begin_login(user_key="customer-17")
        assert integration.finish_login(cloud.sign_in(login.url), browser=login.browser).user.key == "customer-17"
        assert integration.is_signed_in("customer-17")


def test_a_refused_consent_is_its_own_error(cloud: Cloud) -> None:
    with Integration() as integration:
        login = integration.begin_login()
        state = parse_qs(urlsplit(login.url).query)["state"][0]
        with pytest.raises(AccessDeniedError):
            integration.finish_login({"error": "access_denied", "state": state}, browser=login.browser)


def test_forged_replayed_and_foreign_states_are_refused(cloud: Cloud) -> None:
    with Integration() as integration, Integration() as other:
        login = integration.begin_login()
        back = cloud.sign_in(login.url)
        with pytest.raises(LoginError):
            integration.finish_login({"code": "c", "state": "forged"}, browser=login.browser)
        with pytest.raises(LoginError):
            other.finish_login(back, browser=login.browser)
        with pytest.raises(LoginError):
            integration.finish_login({"code": "c"}, browser=login.browser)
        with pytest.raises(LoginError):
            integration.finish_login(back + "&state=twice", browser=login.browser)
        integration.finish_login(back, browser=login.browser)
        with pytest.raises(LoginError):
            integration.finish_login(back, browser=login.browser)


def test_a_code_from_another_browser_is_refused(cloud: Cloud) -> None:
    with Integration() as integration:
        attacker, victim = integration.begin_login(), integration.begin_login()
        injected = cloud.sign_in(attacker.url, as_="bob")
        for browser in (victim.browser, None, ""):
            with pytest.raises(LoginError):
                integration.finish_login(injected, browser=browser)


def test_a_code_under_another_state_is_refused_by_pkce(cloud: Cloud) -> None:
    with Integration() as integration:
        attacker, victim = integration.begin_login(), integration.begin_login()
        code = parse_qs(urlsplit(cloud.sign_in(attacker.url, as_="bob")).query)["code"][0]
        state = parse_qs(urlsplit(victim.url).query)["state"][0]
        with pytest.raises(InvalidGrantError):
            integration.finish_login({"code": code, "state": state}, browser=victim.browser)


def test_a_login_that_took_too_long_is_refused(cloud: Cloud) -> None:
    class Clock:
        ahead = 0.0

        def monotonic(self) -> float:
            return time.monotonic() + self.ahead

        def time(self) -> float:
            return time.time() + self.ahead

    clock = Clock()
    with Integration(storage=MemoryStorage(clock=clock)) as integration:
        login = integration.begin_login()
        back = cloud.sign_in(login.url)
        clock.ahead = 601.0
        with pytest.raises(LoginError):
            integration.finish_login(back, browser=login.browser)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%2fevil.example",
        "/%5cevil.example",
        "/\tevil.example/..//",
        "https:evil.example",
        "javascript:alert(1)",
        "/\n/evil.example",
        " //evil.example",
        "/%252fevil.example",
        "evil.example",
        "",
        "data:text/html,x",
    ],
)
def test_return_to_never_leaves_the_origin(target: str) -> None:
    assert safe_return_to(target) == "/"


@given(st.text(max_size=60))
def test_return_to_is_a_local_path_whatever_comes(text: str) -> None:
    safe = safe_return_to(text)
    assert safe.startswith("/")
    assert not safe.startswith(("//", "/\\"))
    assert "\\" not in safe
    assert not any(ord(character) < 32 for character in safe)


def test_the_device_grant_waits_for_the_person(cloud: Cloud) -> None:
    cloud.set(device_poll_interval=0.01)
    with Integration() as integration:
        login = integration.begin_device_login()
        cloud.approve_device(login.user_code, as_="bob")
        signed_in = integration.finish_device_login(login)
        assert integration.user(signed_in.user.key).people.me().emails == ["bob@example.com"]


def test_login_urls_are_those_of_the_node_sdk() -> None:
    with Webex(
        client_id="fake",
        redirect_uri="http://example.com",
        scope="scope:one",
        authorize_url="https://idbroker.webex.com/idb/oauth2/v1/authorize",
    ) as client:
        base = "https://idbroker.webex.com/idb/oauth2/v1/authorize?"
        rest = "client_id=fake&redirect_uri=http%3A%2F%2Fexample.com&scope=scope%3Aone"
        build = client.credentials.build_login_url
        assert build({"state": {"page": "front"}}) == f"{base}state=eyJwYWdlIjoiZnJvbnQifQ&{rest}&response_type=code"
        assert build(state={}) == f"{base}{rest}&response_type=code"
        assert build(client_type="confidential") == f"{base}{rest}&response_type=code"
        assert build() == f"{base}{rest}&response_type=token"
        with pytest.raises(ConfigurationError, match="state"):
            build(state="text")  # type: ignore[arg-type]  # the point of the test
        assert client.credentials.build_logout_url(goto="http://example.com/").endswith(
            "goto=http%3A%2F%2Fexample.com%2F"
        )


def test_an_id_token_is_believed_only_when_it_fits(cloud: Cloud) -> None:
    async def main() -> None:
        from webex import AsyncIntegration

        async with AsyncIntegration() as integration:
            login = await integration.begin_login()
            signed_in = await integration.finish_login(cloud.sign_in(login.url), browser=login.browser)
            token = signed_in.tokens.id_token
            assert token is not None
            verify = integration._app.logins.id_tokens.verify
            assert (await verify(token))["sub"]
            head, body, signature = token.split(".")
            for wrong in (f"{head}.{body}.AAAA", f"{head}.{body[:-4]}AAAA.{signature}", "x.y.z", "nonsense"):
                with pytest.raises(IdTokenError):
                    await verify(wrong)
            with pytest.raises(IdTokenError, match="nonce"):
                await verify(token, nonce="another")
            cloud.clock.advance(100_000)
            await integration.client_for(cloud.token_for("alice")).people.me()
            with pytest.raises(IdTokenError, match="expired"):
                await verify(token)

    asyncio.run(main())


def test_secrets_are_in_no_repr(cloud: Cloud) -> None:
    with Integration() as integration:
        login = integration.begin_login()
        signed_in = integration.finish_login(cloud.sign_in(login.url), browser=login.browser)
        shown = repr([login, signed_in, signed_in.tokens, integration, integration.config, integration.user("x")])
        for secret in (signed_in.tokens.access_token, signed_in.tokens.refresh_token, login.browser):
            assert secret is not None
            assert secret not in shown


def test_a_bad_code_is_an_oauth_error_without_the_code(cloud: Cloud) -> None:
    with Integration() as integration:
        login = integration.begin_login()
        state = parse_qs(urlsplit(login.url).query)["state"][0]
        with pytest.raises(OAuthError) as caught:
            integration.finish_login({"code": "sesame-1", "state": state}, browser=login.browser)
        assert "sesame" not in str(caught.value)


def test_an_app_acts_for_itself_and_makes_guests(cloud: Cloud) -> None:
    with Integration() as integration:
        assert integration.app_client("spark:people_read").get_user_token()
        issuer = cloud.token_for("admin", scopes=["guest-issuer:write", "spark:all"])
        guest = integration.guest("guest-1", "A Guest", issuer=issuer)
        assert guest.people.me().display_name == "A Guest"
