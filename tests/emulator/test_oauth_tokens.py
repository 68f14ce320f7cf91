"""The token endpoint: every grant, what it refuses, and how tokens end."""

from __future__ import annotations

import pytest

from tests.emulator.helpers import (
    CHALLENGE,
    VERIFIER,
    code_from,
    exchange,
    fetch,
    is_live,
    login_url,
    refresh,
    signed_in,
)
from webex.emulator import Cloud
from webex.emulator.accounts import (
    ADMIN_TOKEN,
    ALICE_ID,
    ALICE_TOKEN,
    BOB_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    ORG_ID,
    PUBLIC_CLIENT_ID,
)

SCOPE_REDUCTION = "urn:cisco:oauth:grant-type:scope-reduction"
BASIC = (CLIENT_ID, CLIENT_SECRET)


def test_a_code_gives_tokens_in_the_format_of_the_cloud(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 1209600
    assert tokens["refresh_token_expires_in"] == 7776000
    assert tokens["scope"] == "openid email spark:people_read spark:kms"
    random_part, middle, org = tokens["access_token"].split("_")
    assert (len(random_part), middle, org) == (64, "A52D", ORG_ID)
    int(random_part, 16)


def test_the_js_sdks_exchange_is_accepted(webex_cloud: Cloud) -> None:
    code = code_from(webex_cloud.sign_in(login_url(webex_cloud, "/idb/oauth2/v1/authorize")))
    answer = fetch(
        webex_cloud.url + "/idb/oauth2/v1/access_token",
        form={
            "grant_type": "authorization_code",
            "redirect_uri": "http://127.0.0.1:4321/callback",
            "code": code,
            "self_contained_token": "true",
        },
        basic=BASIC,
    )
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"


def test_replayed_code_is_refused_and_its_tokens_stay_valid(webex_cloud: Cloud) -> None:
    code = code_from(webex_cloud.sign_in(login_url(webex_cloud)))
    first = exchange(webex_cloud, code).json()
    again = exchange(webex_cloud, code)
    assert (again.status, again.json()["error"]) == (400, "invalid_grant")
    assert is_live(webex_cloud, first["access_token"])
    assert refresh(webex_cloud, first["refresh_token"]).status == 200


def test_replayed_code_revokes_its_tokens_if_configured(webex_cloud: Cloud) -> None:
    webex_cloud.set(code_reuse="revoke")
    code = code_from(webex_cloud.sign_in(login_url(webex_cloud)))
    first = exchange(webex_cloud, code).json()
    assert is_live(webex_cloud, first["access_token"])
    again = exchange(webex_cloud, code)
    assert (again.status, again.json()["error"]) == (400, "invalid_grant")
    assert not is_live(webex_cloud, first["access_token"])
    assert refresh(webex_cloud, first["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_code_expires(webex_cloud: Cloud) -> None:
    code = code_from(webex_cloud.sign_in(login_url(webex_cloud)))
    webex_cloud.clock.advance(301)
    assert exchange(webex_cloud, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"code": "wrong"}, 400, "invalid_grant"),
        ({"code": None}, 400, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:4322/callback"}, 400, "invalid_grant"),
        ({"redirect_uri": None}, 400, "invalid_grant"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"client_id": "C0"}, 401, "invalid_client"),
        ({"client_id": None}, 401, "invalid_client"),
        ({"client_id": PUBLIC_CLIENT_ID}, 401, "invalid_client"),
        ({"client_id": PUBLIC_CLIENT_ID, "client_secret": None}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"code_verifier": VERIFIER}, 400, "invalid_grant"),
    ],
)
def test_an_invalid_exchange_is_refused(
    webex_cloud: Cloud, changes: dict[str, str | None], status: int, error: str
) -> None:
    code = code_from(webex_cloud.sign_in(login_url(webex_cloud)))
    answer = exchange(webex_cloud, **{"code": code, **changes})
    assert (answer.status, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert exchange(webex_cloud, code).status == 200  # and the code is still good


def test_a_code_challenge_requires_the_matching_verifier(webex_cloud: Cloud) -> None:
    url = login_url(webex_cloud, code_challenge=CHALLENGE, code_challenge_method="S256")
    code = code_from(webex_cloud.sign_in(url))
    assert exchange(webex_cloud, code).json()["error"] == "invalid_grant"
    assert exchange(webex_cloud, code, code_verifier="x" * 50).json()["error"] == "invalid_grant"
    assert exchange(webex_cloud, code, code_verifier="short").json()["error"] == "invalid_grant"
    assert exchange(webex_cloud, code, code_verifier=VERIFIER).status == 200


def test_a_public_client_signs_in_with_pkce_and_without_a_secret(webex_cloud: Cloud) -> None:
    public = {"client_id": PUBLIC_CLIENT_ID}
    url = login_url(webex_cloud, **public, code_challenge=CHALLENGE, code_challenge_method="S256")
    code = code_from(webex_cloud.sign_in(url))
    tokens = exchange(webex_cloud, code, **public, client_secret=None, code_verifier=VERIFIER).json()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **public}
    assert fetch(webex_cloud.url + "/v1/access_token", form=form).status == 200


def test_a_repeated_form_field_and_a_json_body_are_refused(webex_cloud: Cloud) -> None:
    url = webex_cloud.url + "/v1/access_token"
    twice = fetch(
        url,
        "POST",
        form={"grant_type": "a"},
        headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
    )
    assert twice.json()["error"] == "unsupported_grant_type"
    assert fetch(url, json_body={"grant_type": "refresh_token"}).json()["error"] == "invalid_request"
    both = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    assert fetch(url, form=both, basic=BASIC).json()["error"] == "invalid_request"


def test_a_refresh_gives_a_new_access_token_and_keeps_the_old_valid(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    renewed = refresh(webex_cloud, tokens["refresh_token"], redirect_uri="http://ignored.example").json()
    assert renewed["access_token"] != tokens["access_token"]
    assert renewed["refresh_token"] == tokens["refresh_token"]
    assert renewed["scope"] == tokens["scope"]
    assert is_live(webex_cloud, tokens["access_token"])
    assert is_live(webex_cloud, renewed["access_token"])


def test_tokens_expire_by_the_clouds_clock(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    webex_cloud.clock.advance(14 * 86400 + 1)
    assert not is_live(webex_cloud, tokens["access_token"])
    assert refresh(webex_cloud, tokens["refresh_token"]).status == 200
    webex_cloud.clock.advance(80 * 86400)
    assert refresh(webex_cloud, tokens["refresh_token"]).status == 200  # its lifetime began anew
    webex_cloud.clock.advance(91 * 86400)
    assert refresh(webex_cloud, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_the_refresh_lifetime_need_not_slide(webex_cloud: Cloud) -> None:
    webex_cloud.set(refresh_lifetime_slides=False)
    tokens = signed_in(webex_cloud)
    webex_cloud.clock.advance(1000)
    assert 7776000 - refresh(webex_cloud, tokens["refresh_token"]).json()["refresh_token_expires_in"] in (1000, 1001)


def test_a_refresh_may_narrow_but_not_widen_the_scopes(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    assert refresh(webex_cloud, tokens["refresh_token"], scope="openid").json()["scope"] == "openid"
    assert refresh(webex_cloud, tokens["refresh_token"], scope="spark:all").json()["error"] == "invalid_scope"


def test_a_refresh_token_of_another_app_is_refused(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    other = webex_cloud.add_integration("Other", redirect_uris=["http://127.0.0.1:1/cb"])
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert other.client_secret is not None
    answer = fetch(webex_cloud.url + "/v1/access_token", form=form, basic=(other.client_id, other.client_secret))
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.webex_cloud(rotation="grace")
def test_grace_rotation_keeps_the_old_token_until_the_new_is_used(webex_cloud: Cloud) -> None:
    first = signed_in(webex_cloud)["refresh_token"]
    second = refresh(webex_cloud, first).json()["refresh_token"]
    assert second != first
    assert refresh(webex_cloud, first).status == 200  # the answer was lost: ask again
    third = refresh(webex_cloud, second).json()["refresh_token"]
    assert refresh(webex_cloud, first).json()["error"] == "invalid_grant"
    assert refresh(webex_cloud, third).status == 200


@pytest.mark.webex_cloud(rotation="grace")
def test_grace_rotation_ends_the_old_token_after_a_minute(webex_cloud: Cloud) -> None:
    first = signed_in(webex_cloud)["refresh_token"]
    second = refresh(webex_cloud, first).json()["refresh_token"]
    webex_cloud.clock.advance(59)
    assert refresh(webex_cloud, first).status == 200
    webex_cloud.clock.advance(2)
    assert refresh(webex_cloud, first).json()["error"] == "invalid_grant"
    assert refresh(webex_cloud, second).status == 200  # and nothing else ends


@pytest.mark.webex_cloud(rotation="strict")
def test_strict_rotation_revokes_the_family_on_reuse(webex_cloud: Cloud) -> None:
    first = signed_in(webex_cloud)
    other = signed_in(webex_cloud)
    second = refresh(webex_cloud, first["refresh_token"]).json()
    assert refresh(webex_cloud, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert refresh(webex_cloud, second["refresh_token"]).json()["error"] == "invalid_grant"
    assert not is_live(webex_cloud, second["access_token"])
    assert is_live(webex_cloud, other["access_token"])  # another sign-in of the same person


def test_a_token_can_be_reduced_without_authenticating_the_app(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)

    def reduce(scope: str, token: str = tokens["access_token"], client_id: str = CLIENT_ID) -> dict[str, str]:
        form = {
            "grant_type": SCOPE_REDUCTION,
            "token": token,
            "scope": scope,
            "client_id": client_id,
            "self_contained_token": "true",
        }
        body: dict[str, str] = fetch(webex_cloud.url + "/idb/oauth2/v1/access_token", form=form).json()
        return body

    reduced = reduce("email openid spark:people_read")
    assert "refresh_token" not in reduced
    assert reduced["access_token"] != tokens["access_token"]
    assert reduced["scope"] == "email openid spark:people_read"
    assert is_live(webex_cloud, reduced["access_token"])
    assert reduce("spark:all")["error"] == "invalid_scope"
    assert reduce("openid", token="nothing")["error"] == "invalid_grant"
    assert reduce("openid", client_id=PUBLIC_CLIENT_ID)["error"] == "invalid_grant"
    webex_cloud.revoke_consent("alice")
    assert not is_live(webex_cloud, reduced["access_token"])


def test_an_app_gets_its_own_token(webex_cloud: Cloud) -> None:
    url = webex_cloud.url + "/idb/oauth2/v1/access_token"
    form = {"grant_type": "client_credentials", "scope": "webexsquare:admin", "self_contained_token": "true"}
    answer = fetch(url, form=form, basic=BASIC)
    assert answer.status == 200
    assert answer.json()["scope"] == "webexsquare:admin"
    assert "refresh_token" not in answer.json()
    assert fetch(url, form={**form, "scope": "no:such"}, basic=BASIC).json()["error"] == "invalid_scope"
    public = {**form, "client_id": PUBLIC_CLIENT_ID}
    assert fetch(url, form=public).json()["error"] == "unauthorized_client"


def test_an_account_keeps_its_newest_750_tokens(webex_cloud: Cloud) -> None:
    webex_cloud.set(max_live_tokens=5)
    tokens = signed_in(webex_cloud)
    access = [refresh(webex_cloud, tokens["refresh_token"]).json()["access_token"] for _ in range(5)]
    assert not is_live(webex_cloud, tokens["access_token"])
    assert not is_live(webex_cloud, access[0])
    assert all(is_live(webex_cloud, token) for token in access[1:])
    assert is_live(webex_cloud, ALICE_TOKEN)  # the well-known one stays
    assert webex_cloud.settings.max_live_tokens == 5
    webex_cloud.reset()
    assert webex_cloud.settings.max_live_tokens == 750


@pytest.mark.parametrize("hint", ["access_token", "refresh_token"])
def test_revoking_an_access_token_ends_it_alone(webex_cloud: Cloud, hint: str) -> None:
    tokens = signed_in(webex_cloud)
    form = {"token": tokens["access_token"], "token_type_hint": hint}
    url = webex_cloud.url + "/idb/oauth2/v1/revoke"
    assert fetch(url, form=form).status == 401
    assert fetch(url, form=form, basic=BASIC).status == 200
    assert not is_live(webex_cloud, tokens["access_token"])
    assert refresh(webex_cloud, tokens["refresh_token"]).status == 200
    assert fetch(url, form=form, basic=BASIC).status == 200  # RFC 7009: as good as revoked


def test_revoking_a_refresh_token_ends_its_access_tokens(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    fetch(webex_cloud.url + "/v1/revoke", form={"token": tokens["refresh_token"]}, basic=BASIC)
    assert not is_live(webex_cloud, tokens["access_token"])
    assert refresh(webex_cloud, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_an_app_cannot_revoke_the_tokens_of_another(webex_cloud: Cloud) -> None:
    other = webex_cloud.add_integration("Other", redirect_uris=["http://127.0.0.1:1/cb"])
    tokens = signed_in(webex_cloud)
    assert other.client_secret is not None
    answer = fetch(
        webex_cloud.url + "/v1/revoke",
        form={"token": tokens["access_token"]},
        basic=(other.client_id, other.client_secret),
    )
    assert answer.status == 400
    assert is_live(webex_cloud, tokens["access_token"])


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_logout_ends_the_whole_grant(webex_cloud: Cloud, which: str) -> None:
    tokens = signed_in(webex_cloud)
    answer = fetch(webex_cloud.url + "/idb/oauth2/v1/logout", json_body={"token": tokens[which], "cisService": "webex"})
    assert answer.status == 200
    assert not is_live(webex_cloud, tokens["access_token"])
    assert refresh(webex_cloud, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_the_logout_page_redirects_only_to_a_registered_app(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    root = webex_cloud.url + "/idb/oauth2/v1/logout"
    away = fetch(f"{root}?cisService=&goto=http://127.0.0.1:4321/callback&token={tokens['access_token']}")
    assert (away.status, away.headers["location"]) == (302, "http://127.0.0.1:4321/callback")
    assert not is_live(webex_cloud, tokens["access_token"])
    for evil in ("https://evil.example/", "//evil.example", "http://127.0.0.1@evil.example/", "/\\evil.example"):
        answer = fetch(f"{root}?goto={evil}")
        assert (answer.status, "location" in answer.headers) == (400, False), evil
    assert "Signed out" in fetch(root).text


def test_revoking_consent_ends_access_tokens_refresh_tokens_and_codes(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    code = code_from(webex_cloud.sign_in(login_url(webex_cloud)))
    other = signed_in(webex_cloud, "bob")
    assert webex_cloud.revoke_consent("alice") == 2
    assert not is_live(webex_cloud, tokens["access_token"])
    assert refresh(webex_cloud, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert exchange(webex_cloud, code).json()["error"] == "invalid_grant"
    assert is_live(webex_cloud, other["access_token"])


def test_a_person_sees_and_deletes_their_authorizations(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud)
    url = webex_cloud.url + "/v1/authorizations"
    items = fetch(url, token=ALICE_TOKEN).json()["items"]
    assert {item["type"] for item in items} == {"access", "refresh"}
    assert all(item["clientId"] == CLIENT_ID for item in items)
    assert fetch(url, token=tokens["access_token"]).status == 403
    assert fetch(f"{url}?personEmail=alice@example.com", token=BOB_TOKEN).status == 403
    assert len(fetch(f"{url}?personEmail=alice@example.com", token=ADMIN_TOKEN).json()["items"]) == 2
    refresh_id = next(item["id"] for item in items if item["type"] == "refresh")
    assert fetch(f"{url}/{refresh_id}", "DELETE", token=BOB_TOKEN).status == 404
    assert fetch(f"{url}/{refresh_id}", "DELETE", token=ALICE_TOKEN).status == 204
    assert not is_live(webex_cloud, tokens["access_token"])
    assert fetch(f"{url}?clientId={CLIENT_ID}", "DELETE", token=ALICE_TOKEN).status == 404
    signed_in(webex_cloud)
    assert fetch(f"{url}?clientId={CLIENT_ID}", "DELETE", token=ALICE_TOKEN).status == 204


def test_a_token_can_be_introspected(webex_cloud: Cloud) -> None:
    token = webex_cloud.token_for("alice", ["openid"], lifetime=60)
    ends = fetch(webex_cloud.url + "/v1/authorizations/tokenExpiry", token=token).json()["exp"]
    assert abs(ends / 1000 - webex_cloud.now() - 60) < 5


def test_a_personal_token_expires_after_twelve_hours(webex_cloud: Cloud) -> None:
    token, bot = webex_cloud.token_for("alice"), webex_cloud.token_for("bot")
    webex_cloud.clock.advance(12 * 3600 + 1)
    assert not is_live(webex_cloud, token)
    assert is_live(webex_cloud, bot)
    assert is_live(webex_cloud, ALICE_TOKEN)
    assert webex_cloud.state.tokens[ALICE_TOKEN].person_id == ALICE_ID
