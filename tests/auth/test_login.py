"""A sign-in that is what it says, and everything that is not."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.auth.conftest import sign_in
from webex import AccessDeniedError, ConfigurationError, Integration, OAuthError, Webex
from webex.auth import normalise_token, safe_return_to
from webex.auth.login import read_params
from webex.emulator.oauth import openid
from webex.errors import IdTokenError, InvalidGrantError, LoginError
from webex.ids import base64url_decode, base64url_encode
from webex.storage import MemoryStorage, SQLiteStorage

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


def _bare(issue: Callable[..., str]) -> Callable[..., str]:
    """The emulator's ID tokens without name and address."""

    def bare(call: Any, person: Any, client_id: str, token: Any, nonce: str | None = None) -> str:
        return issue(call, person, client_id, structs.replace(token, scopes=["openid"]), nonce)

    return bare


def keys_of(storage: MemoryStorage) -> list[str]:
    pages = storage.bind("logins").keys()
    return [key for page in pages for key in page]


def prefixed(value: Any, prefix: str) -> Any:
    if isinstance(value, dict):
        return {name: prefixed(inner, prefix) for name, inner in value.items()}
    return prefix + value


@pytest.mark.parametrize("prefix", ["", "Bearer ", "Bearer  ", " Bearer ", "Bearer"])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_token_shape_of_the_node_sdk_is_accepted(form: Any, prefix: str) -> None:
    tokens = normalise_token(prefixed(form, prefix), 0.0)
    assert tokens is not None
    assert (tokens.access_token, tokens.token_type) == ("ST", "Bearer")


@pytest.mark.parametrize("wrong", [7, ["ST"], {"access_token": 7}, "", "three words here"])
def test_invalid_token_is_refused_without_being_shown(wrong: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        normalise_token(wrong, 0.0)
    assert "three" not in str(caught.value)


def test_a_sign_in_returns_the_user_and_return_to(cloud: Cloud) -> None:
    with Integration() as integration:
        login = integration.begin_login(return_to="/inbox?box=1")
        query = parse_qs(urlsplit(login.url).query)
        assert query["code_challenge_method"] == ["S256"]
        assert query["nonce"]
        signed_in = integration.finish_login(cloud.sign_in(login.url, as_="bob"), browser=login.browser)
        assert signed_in.return_to == "/inbox?box=1"
        assert signed_in.granted_scopes >= {"openid", "spark:all"}
        assert integration.user(signed_in.user.key).people.me().emails == ["bob@example.com"]


def test_people_me_gives_the_same_key_as_openid(cloud: Cloud) -> None:
    with Integration() as first, Integration(scope="spark:people_read") as second:
        assert sign_in(first, cloud) == sign_in(second, cloud)


def test_hydra_id_and_uuid_find_the_same_person(cloud: Cloud) -> None:
    with Integration() as integration:
        key = sign_in(integration, cloud)
        hydra = integration.user(key).people.me().id
        assert hydra is not None
        assert integration.user(hydra).user_key == key == integration.user(key.upper()).user_key


def test_an_app_may_choose_user_keys(cloud: Cloud) -> None:
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


def test_login_expires_after_ten_minutes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with Integration() as integration:
        login = integration.begin_login()
        back = cloud.sign_in(login.url)
        monkeypatch.setattr("webex.auth.login.LIFETIME", 0.0)
        with pytest.raises(LoginError, match="ten minutes"):
            integration.finish_login(back, browser=login.browser)


def test_many_logins_store_one_record_and_displace_none(cloud: Cloud) -> None:
    storage = MemoryStorage()
    with Integration(storage=storage) as integration:
        login = integration.begin_login()
        for number in range(500):
            integration.begin_login(return_to=f"/{number}")
        assert len(keys_of(storage)) == 1
        assert integration.finish_login(cloud.sign_in(login.url), browser=login.browser).user.key


def test_state_shows_nothing_of_the_login(cloud: Cloud) -> None:
    with Integration() as integration:
        login = integration.begin_login(return_to="/secret-page", user_key="customer-17")
        state = parse_qs(urlsplit(login.url).query)["state"][0]
        shown = base64url_decode(state)
        for part in (b"secret-page", b"customer-17", login.browser.encode()):
            assert part not in shown


@pytest.mark.parametrize("change", ["flip", "cut", "grow", "pad", "other alphabet"])
def test_changed_state_is_refused(cloud: Cloud, change: str) -> None:
    with Integration() as integration:
        login = integration.begin_login()
        while not {"-", "_"} & set(state := parse_qs(urlsplit(login.url).query)["state"][0]):
            login = integration.begin_login()
        changed = {
            "flip": state[:20] + ("A" if state[20] != "A" else "B") + state[21:],
            "cut": state[:-4],
            "grow": state + "AAAA",
            "pad": state + "=",
            "other alphabet": state.replace("-", "+").replace("_", "/"),
        }[change]
        with pytest.raises(LoginError):
            integration.finish_login({"code": "c", "state": changed}, browser=login.browser)
        integration.finish_login(cloud.sign_in(login.url), browser=login.browser)


def test_two_tabs_of_one_browser_both_sign_in(cloud: Cloud) -> None:
    with Integration() as integration:
        first = integration.begin_login()
        second = integration.begin_login(browser=first.browser, return_to="/second")
        assert second.browser == first.browser
        assert integration.finish_login(cloud.sign_in(second.url), browser=first.browser).return_to == "/second"
        assert integration.finish_login(cloud.sign_in(first.url), browser=first.browser).return_to == "/"


def test_any_of_several_login_cookies_may_fit(cloud: Cloud) -> None:
    with Integration() as integration:
        first, second = integration.begin_login(), integration.begin_login()
        both = [second.browser, "é" * 40, first.browser]
        assert integration.finish_login(cloud.sign_in(first.url), browser=both).user.key


def test_a_login_is_finished_by_another_process(cloud: Cloud, tmp_path: Path) -> None:
    def app() -> Integration:
        return Integration(storage=SQLiteStorage(tmp_path / "app.db"))

    with app() as one, app() as other:
        login = one.begin_login()
        back = cloud.sign_in(login.url)
        assert other.finish_login(back, browser=login.browser).user.key
        with pytest.raises(LoginError) as caught:
            one.finish_login(back, browser=login.browser)
        assert caught.value.reason == "used"


def test_error_with_a_code_is_an_error_and_does_not_use_the_code(cloud: Cloud) -> None:
    with Integration() as integration:
        login = integration.begin_login()
        back = cloud.sign_in(login.url)
        with pytest.raises(AccessDeniedError):
            integration.finish_login(back + "&error=access_denied", browser=login.browser)
        assert integration.finish_login(back, browser=login.browser).user.key


def test_login_stored_by_0_1_0_is_finished(cloud: Cloud) -> None:
    storage = MemoryStorage()
    with Integration(storage=storage) as integration:
        verifier, secret, state = "v" * 64, "b" * 43, "s" * 43
        record = {
            "browser": hashlib.sha256(secret.encode()).hexdigest(),
            "verifier": verifier,
            "nonce": "n" * 32,
            "return_to": "/inbox",
            "redirect_uri": integration.config.redirect_uri,
            "scope": "openid spark:all",
            "user_key": None,
            "begun": time.time(),
        }
        key = f"{integration.config.client_id}/{hashlib.sha256(state.encode()).hexdigest()}"
        storage.bind("logins").put(key, record)
        query = {
            "client_id": integration.config.client_id,
            "response_type": "code",
            "redirect_uri": record["redirect_uri"],
            "scope": record["scope"],
            "state": state,
            "nonce": record["nonce"],
            "code_challenge": base64url_encode(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        back = cloud.sign_in(f"{integration.config.authorize_url}?{urlencode(query)}")
        assert integration.finish_login(back, browser=secret).return_to == "/inbox"


@pytest.mark.parametrize(
    "scope",
    ["openid email profile", "openid spark:people_read", "openid spark:all", "spark:people_read", "spark:all"],
)
def test_name_and_email_come_from_any_permitted_source(cloud: Cloud, scope: str) -> None:
    with Integration(scope=scope) as integration:
        for user_key in (None, "customer-17"):
            login = integration.begin_login(user_key=user_key)
            user = integration.finish_login(cloud.sign_in(login.url), browser=login.browser).user
            assert (user.email, (user.display_name or "")[:5]) == ("alice@example.com", "Alice")
            assert user.key == user_key or user_key is None


def test_userinfo_supplies_claims_missing_from_the_id_token(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webex.emulator.oauth.openid.id_token", _bare(openid.id_token))
    with Integration(scope="openid email profile") as integration:
        login = integration.begin_login()
        user = integration.finish_login(cloud.sign_in(login.url), browser=login.browser).user
        assert (user.email, (user.display_name or "")[:5]) == ("alice@example.com", "Alice")


def test_missing_scopes_are_named_in_the_log(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    with Integration(scope="openid") as integration:
        login = integration.begin_login()
        user = integration.finish_login(cloud.sign_in(login.url), browser=login.browser).user
    assert (user.email, user.display_name) == (None, None)
    [told] = [record.getMessage() for record in caplog.records if record.name == "webex.auth"]
    assert "email (scope email" in told
    assert "display_name (scope profile" in told
    assert "spark:people_read" in told


def test_missing_name_does_not_prevent_a_sign_in(cloud: Cloud) -> None:
    cloud.faults.add("/v1/people/me", status=403)
    with Integration(scope="openid spark:people_read") as integration:
        login = integration.begin_login()
        user = integration.finish_login(cloud.sign_in(login.url), browser=login.browser).user
    assert user.key
    assert user.email is None


@pytest.mark.parametrize(
    "params",
    [
        "code=C&state=S&next=/a?b=c",
        "next=?&code=C&state=S",
        b"code=C&state=S",
        "?code=C&state=S",
        "/cb?code=C&state=S#top",
        "https://app.example.com/cb;v=1?code=C&state=S",
        "com.example.app:cb?code=C&state=S",
        {"code": "C", "state": ["S"]},
        [],
    ],
)
def test_redirect_query_is_accepted_in_every_form(params: Any) -> None:
    if params == []:
        with pytest.raises(ConfigurationError):
            read_params(params)
        return
    query = read_params(params)
    assert (query["code"], query["state"]) == ("C", "S")


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


@pytest.mark.parametrize(
    ("target", "encoded"),
    [
        ("/日本", "/%E6%97%A5%E6%9C%AC"),
        ("/a b?q=ü&n=%2F#ß", "/a%20b?q=%C3%BC&n=%2F#%C3%9F"),
        ("/%E6%97%A5?x=%zz", "/%E6%97%A5?x=%zz"),
        ("/search?q=C%3A%5Cdir%0A2", "/search?q=C%3A%5Cdir%0A2"),
        ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
        ("/\u202egnp.exe", "/%E2%80%AEgnp.exe"),
        ("/\ud800", "/"),
        ("/\ud83d\ude00", "/"),
        ("/a\x7f", "/"),
        ("/" + "a" * 1499, "/" + "a" * 1499),
        ("/" + "a" * 1500, "/"),
        ("/" + "日" * 170, "/"),
        (b"/bytes", "/"),
        (None, "/"),
    ],
)
def test_return_to_is_percent_encoded(target: Any, encoded: str) -> None:
    assert safe_return_to(target) == encoded
    assert safe_return_to(encoded) == encoded


@given(st.text(max_size=60))
def test_return_to_is_always_a_local_path(text: str) -> None:
    safe = safe_return_to(text)
    assert safe.startswith("/")
    assert not safe.startswith(("//", "/\\"))
    assert "\\" not in safe
    assert not any(ord(character) < 33 for character in safe)
    assert safe.isascii()


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
        assert build() == f"{base}{rest}&response_type=code"  # Node asks for a token here, which no server ever sees
        assert build({"clientType": "confidential"}) == build(clientType="confidential") == build()
        assert build({"responseType": "code", "redirectUri": "https://evil.example.com/"}) == build()
        assert build(emailHash="x", login_hint="a@example.com").startswith(
            f"{base}emailHash=x&login_hint=a%40example.com&"
        )
        for implicit in ({"clientType": "public"}, {"client_type": "public"}, {"response_type": "token"}):
            with pytest.raises(ConfigurationError, match=r"implicit grant.*confidential"):
                build(implicit)
        for wrong, ours in (
            ({"clientType": "confidental"}, "confidential"),
            ({"clienttype": "confidential"}, "client_type"),
            ({"client_typ": "confidential"}, "client_type"),
            ({"clientType": "confidential", "client_type": "public"}, "client_type"),
            ("confidential", "mapping"),
        ):
            with pytest.raises(ConfigurationError, match=ours):
                build(wrong)  # type: ignore[arg-type]  # the point of the test
        with pytest.raises(ConfigurationError, match="state"):
            build(state="text")  # type: ignore[arg-type]  # the point of the test
        assert client.credentials.build_logout_url(goto="http://example.com/").endswith(
            "goto=http%3A%2F%2Fexample.com%2F"
        )


def test_an_id_token_is_validated(cloud: Cloud) -> None:
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


def test_an_app_gets_its_own_token_and_guest_tokens(cloud: Cloud) -> None:
    with Integration() as integration:
        assert integration.app_client("spark:people_read").get_user_token()
        issuer = cloud.token_for("admin", scopes=["guest-issuer:write", "spark:all"])
        guest = integration.guest("guest-1", "A Guest", issuer=issuer)
        assert guest.people.me().display_name == "A Guest"
