"""The authorize page, as a browser and as a test meet it."""

from __future__ import annotations

import pytest

from tests.emulator.helpers import (
    CALLBACK,
    CHALLENGE,
    Page,
    code_from,
    exchange,
    fetch,
    login_url,
    query_of,
    signed_in,
)
from webex.emulator import Cloud
from webex.emulator.accounts import CLIENT_ID, PUBLIC_CLIENT_ID


@pytest.mark.parametrize("path", ["/v1/authorize", "/idb/oauth2/v1/authorize"])
def test_a_browser_without_scripts_signs_in_by_two_buttons(webex_cloud: Cloud, path: str) -> None:
    url = login_url(webex_cloud, path)
    pick = fetch(url)
    assert pick.status == 200
    assert pick.headers["content-type"].startswith("text/html")
    assert "Example Integration" in pick.text
    assert "<script" not in pick.text
    consent = Page(url, pick).press("bob@example.com")
    assert consent.status == 200
    assert "spark:people_read" in consent.text
    assert "Bob Example" in consent.text
    back = Page(url, consent).press("Accept")
    assert back.status == 302
    assert back.headers["location"].startswith(CALLBACK + "?code=")
    assert query_of(back.headers["location"])["state"] == "st%te &=/ü"
    tokens = exchange(webex_cloud, code_from(back.headers["location"])).json()
    assert fetch(webex_cloud.url + "/v1/userinfo", token=tokens["access_token"]).json()["email"] == "bob@example.com"


def test_a_refused_consent_redirects_with_access_denied(webex_cloud: Cloud) -> None:
    url = login_url(webex_cloud)
    consent = Page(url, fetch(url)).press("alice@example.com")
    answer = query_of(Page(url, consent).press("Deny").headers["location"])
    assert answer["error"] == "access_denied"
    assert answer["state"] == "st%te &=/ü"
    assert query_of(webex_cloud.sign_in(url, as_="alice", deny=True))["error"] == "access_denied"


def test_cancelling_the_picker_redirects_with_access_denied(webex_cloud: Cloud) -> None:
    url = login_url(webex_cloud)
    assert query_of(Page(url, fetch(url)).press("Cancel").headers["location"])["error"] == "access_denied"


def test_a_login_hint_skips_the_account_picker(webex_cloud: Cloud) -> None:
    assert "Allow Example Integration?" in fetch(login_url(webex_cloud, login_hint="bob@example.com")).text
    assert "Who are you?" in fetch(login_url(webex_cloud, login_hint="nobody@example.com")).text
    both = login_url(webex_cloud, login_hint="bob@example.com", prompt="select_account")
    assert "Who are you?" in fetch(both).text


def test_prompt_none_never_shows_a_page(webex_cloud: Cloud) -> None:
    def outcome(**hint: str) -> dict[str, str]:
        return query_of(fetch(login_url(webex_cloud, prompt="none", **hint)).headers["location"])

    assert outcome()["error"] == "login_required"
    assert outcome(login_hint="alice@example.com")["error"] == "consent_required"
    signed_in(webex_cloud, "alice")
    assert "code" in outcome(login_hint="alice@example.com")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://127.0.0.1:9/callback",
        "http://localhost:65535/callback",
        "http://[::1]:8080/oauth/redirect",
        "http://127.0.0.1:8000/auth/callback",
    ],
)
def test_the_well_known_integration_accepts_any_loopback_port(webex_cloud: Cloud, redirect_uri: str) -> None:
    back = webex_cloud.sign_in(login_url(webex_cloud, redirect_uri=redirect_uri))
    assert back.startswith(redirect_uri)
    assert exchange(webex_cloud, code_from(back), redirect_uri=redirect_uri).status == 200


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://127.0.0.1:9/callback",
        "http://127.0.0.1:9/callback/",
        "http://127.0.0.1:9/other",
        "http://127.0.0.1:9/callback?next=1",
        "http://127.0.0.1:9/callback#there",
        "http://127.0.0.1@evil.example/callback",
        "http://evil.example/callback",
        "http://127.0.0.1.evil.example:9/callback",
        "http://user@127.0.0.1:9/callback",
        "http://127.0.0.1:99999/callback",
        "//127.0.0.1:9/callback",
        "",
    ],
)
def test_an_unregistered_redirect_uri_is_refused_without_redirecting(webex_cloud: Cloud, redirect_uri: str) -> None:
    answer = fetch(login_url(webex_cloud, redirect_uri=redirect_uri))
    assert answer.status == 400
    assert "location" not in answer.headers
    assert "redirect_uri" in answer.text
    with pytest.raises(ValueError, match="redirect_uri"):
        webex_cloud.sign_in(login_url(webex_cloud, redirect_uri=redirect_uri))


def test_redirect_uris_of_other_apps_must_match_exactly(webex_cloud: Cloud) -> None:
    app = webex_cloud.add_integration("Mine", redirect_uris=["http://127.0.0.1:5000/cb"], scopes=["openid"])
    good = login_url(webex_cloud, client_id=app.client_id, redirect_uri="http://127.0.0.1:5000/cb", scope="openid")
    assert "code" in query_of(webex_cloud.sign_in(good))
    assert fetch(good.replace("5000", "5001")).status == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "spark:all no:such"}, "invalid_scope"),
        ({"code_challenge": CHALLENGE}, "invalid_request"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
        ({"code_challenge_method": "S256"}, "invalid_request"),
        ({"client_id": PUBLIC_CLIENT_ID}, "invalid_request"),
    ],
)
def test_a_wrong_request_redirects_with_its_error(webex_cloud: Cloud, changes: dict[str, str], error: str) -> None:
    answer = fetch(login_url(webex_cloud, **changes))
    assert answer.status == 302
    assert answer.headers["location"].startswith(CALLBACK)
    assert query_of(answer.headers["location"])["error"] == error
    assert query_of(answer.headers["location"])["state"] == "st%te &=/ü"


def test_a_parameter_given_twice_is_refused(webex_cloud: Cloud) -> None:
    answer = fetch(login_url(webex_cloud) + "&scope=openid")
    assert query_of(answer.headers["location"])["error"] == "invalid_request"
    assert fetch(login_url(webex_cloud) + "&redirect_uri=http://evil.example").status == 400


def test_an_unknown_app_is_an_error_page(webex_cloud: Cloud) -> None:
    answer = fetch(login_url(webex_cloud, client_id="C0"))
    assert answer.status == 400
    assert "client_id" in answer.text


def test_only_administrators_give_administrators_scopes(webex_cloud: Cloud) -> None:
    scope = "openid spark-admin:people_read spark-compliance:events_read"
    assert signed_in(webex_cloud, "alice", scope=scope)["scope"] == "openid"
    assert signed_in(webex_cloud, "admin", scope=scope)["scope"] == "openid spark-admin:people_read"
    assert signed_in(webex_cloud, "compliance", scope=scope)["scope"] == "openid spark-compliance:events_read"
    nothing = webex_cloud.sign_in(login_url(webex_cloud, scope="spark-admin:people_read"), as_="bob")
    assert query_of(nothing)["error"] == "invalid_scope"


def test_a_person_may_grant_less_than_was_asked_for(webex_cloud: Cloud) -> None:
    back = webex_cloud.sign_in(login_url(webex_cloud), as_="alice", scopes=["openid"])
    assert exchange(webex_cloud, code_from(back)).json()["scope"] == "openid"


def test_a_form_from_another_site_is_refused(webex_cloud: Cloud) -> None:
    url = login_url(webex_cloud)
    page = Page(url, fetch(url))
    assert page.press("alice@example.com", headers={"origin": "http://evil.example"}).status == 403
    assert page.press("alice@example.com", headers={"sec-fetch-site": "cross-site"}).status == 403
    assert page.press("alice@example.com", headers={"origin": webex_cloud.url}).status == 200


def test_request_parameters_are_escaped_on_the_page(webex_cloud: Cloud) -> None:
    webex_cloud.add_person("x@example.com", "<b>Bold</b>")
    app = webex_cloud.add_integration("<i>App</i>", redirect_uris=[CALLBACK])
    page = fetch(login_url(webex_cloud, client_id=app.client_id, state='"><script>alert(1)</script>')).text
    assert "<script" not in page
    assert "<b>Bold" not in page
    assert "<i>App" not in page


def test_pages_are_neither_framed_nor_cached(webex_cloud: Cloud) -> None:
    headers = fetch(login_url(webex_cloud)).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_a_registered_query_of_the_redirect_uri_is_kept(webex_cloud: Cloud) -> None:
    app = webex_cloud.add_integration("Q", redirect_uris=["https://app.example.com/cb?tenant=7"])
    back = webex_cloud.sign_in(
        login_url(webex_cloud, client_id=app.client_id, redirect_uri="https://app.example.com/cb?tenant=7")
    )
    assert query_of(back)["tenant"] == "7"
    assert "code" in query_of(back)


def test_the_sign_in_url_must_belong_to_this_cloud(webex_cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="authorize URL"):
        webex_cloud.sign_in(f"{webex_cloud.url}/v1/rooms?client_id={CLIENT_ID}")
    with pytest.raises(LookupError, match="carol"):
        webex_cloud.sign_in(login_url(webex_cloud), as_="carol")
