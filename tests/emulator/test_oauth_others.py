"""Signing in by device, as a service app, as a guest; OpenID Connect."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.emulator.helpers import Page, fetch, is_live, query_of, refresh, signed_in
from webex.emulator import Cloud
from webex.emulator.accounts import (
    ADMIN_TOKEN,
    ALICE_ID,
    ALICE_TOKEN,
    CLIENT_ID,
    CLIENT_SECRET,
    GUEST_ISSUER_ID,
    GUEST_ISSUER_SECRET,
    ORG_ID,
    SERVICE_APP_ID,
    SERVICE_APP_SECRET,
)
from webex.ids import base64url_encode, to_hydra_id

BASIC = (CLIENT_ID, CLIENT_SECRET)
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def begin_device(cloud: Cloud) -> dict[str, str]:
    answer = fetch(cloud.url + "/v1/device/authorize", form={"client_id": CLIENT_ID, "scope": "openid spark:all"})
    assert answer.status == 200, answer.text
    body: dict[str, str] = answer.json()
    return body


def poll(cloud: Cloud, device_code: str, path: str = "/v1/device/token") -> dict[str, str]:
    form = {"grant_type": DEVICE, "device_code": device_code, "client_id": CLIENT_ID}
    body: dict[str, str] = fetch(cloud.url + path, form=form, basic=BASIC).json()
    return body


@pytest.mark.parametrize("path", ["/v1/device/token", "/v1/access_token"])
def test_a_device_login_waits_for_the_user_code(webex_cloud: Cloud, path: str) -> None:
    begun = begin_device(webex_cloud)
    assert poll(webex_cloud, begun["device_code"], path)["error"] == "authorization_pending"
    assert poll(webex_cloud, begun["device_code"], path)["error"] == "slow_down"
    webex_cloud.approve_device(begun["user_code"].lower(), as_="bob")
    tokens = poll(webex_cloud, begun["device_code"], path)
    assert is_live(webex_cloud, tokens["access_token"])
    assert "id_token" in tokens
    assert refresh(webex_cloud, tokens["refresh_token"]).status == 200
    assert poll(webex_cloud, begun["device_code"], path)["error"] == "invalid_grant"


def test_the_device_page_asks_for_code_person_and_consent(webex_cloud: Cloud) -> None:
    begun = begin_device(webex_cloud)
    url = begun["verification_uri"]
    assert "No device waits" in Page(url, fetch(url)).press("Continue", userCode="WRONG").text
    pick = Page(url, fetch(url)).press("Continue", userCode=f" {begun['user_code'][:4]}-{begun['user_code'][4:]} ")
    consent = Page(url, pick).press("alice@example.com")
    assert "Connected" in Page(url, consent).press("Accept").text
    assert is_live(webex_cloud, poll(webex_cloud, begun["device_code"])["access_token"])
    assert "Who are you?" in fetch(begin_device(webex_cloud)["verification_uri_complete"]).text


def test_denied_and_expired_device_logins_are_errors(webex_cloud: Cloud) -> None:
    refused, late = begin_device(webex_cloud), begin_device(webex_cloud)
    webex_cloud.approve_device(refused["user_code"], deny=True)
    assert poll(webex_cloud, refused["device_code"])["error"] == "access_denied"
    webex_cloud.clock.advance(301)
    assert poll(webex_cloud, late["device_code"])["error"] == "expired_token"
    with pytest.raises(LookupError):
        webex_cloud.approve_device(late["user_code"])


def service_app(cloud: Cloud, token: str = ADMIN_TOKEN, **changes: str) -> tuple[int, dict[str, str]]:
    body = {
        "clientId": SERVICE_APP_ID,
        "clientSecret": SERVICE_APP_SECRET,
        "targetOrgId": to_hydra_id("ORGANIZATION", ORG_ID),
        **changes,
    }
    url = f"{cloud.url}/v1/applications/{to_hydra_id('APPLICATION', SERVICE_APP_ID)}/token"
    answer = fetch(url, json_body=body, token=token)
    return answer.status, answer.json()


def test_a_service_app_gets_and_refreshes_its_token(webex_cloud: Cloud) -> None:
    status, tokens = service_app(webex_cloud)
    assert status == 200
    assert tokens["expires_in"] == 3600
    assert is_live(webex_cloud, tokens["access_token"])
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answer = fetch(webex_cloud.url + "/v1/access_token", form=form, basic=(SERVICE_APP_ID, SERVICE_APP_SECRET))
    assert answer.json()["expires_in"] == 3600


def test_a_service_apps_token_needs_the_right_secret_org_and_scope(webex_cloud: Cloud) -> None:
    assert service_app(webex_cloud, clientSecret="wrong")[0] == 401
    assert service_app(webex_cloud, targetOrgId="nonsense")[0] == 400
    assert service_app(webex_cloud, targetOrgId=to_hydra_id("ORGANIZATION", ALICE_ID))[0] == 404
    assert service_app(webex_cloud, clientId=CLIENT_ID)[0] == 404
    assert service_app(webex_cloud, token=webex_cloud.token_for("alice", ["openid"]))[0] == 403


def test_a_guest_is_the_same_person_for_the_same_subject(webex_cloud: Cloud) -> None:
    url = webex_cloud.url + "/v1/guests/token"
    body = {"subject": "visitor-1", "displayName": "Vera Visitor"}
    first = fetch(url, json_body=body, token=ALICE_TOKEN).json()
    second = fetch(url, json_body=body, token=ALICE_TOKEN).json()
    assert first["id"] == second["id"]
    assert first["expiresIn"] == 64799
    assert first["accessToken"] != second["accessToken"]
    assert is_live(webex_cloud, first["accessToken"])
    assert fetch(webex_cloud.url + "/v1/guests/count", token=ALICE_TOKEN).text == "1"
    assert fetch(url, json_body={"subject": ""}, token=ALICE_TOKEN).status == 400
    assert fetch(url, json_body=body, token=webex_cloud.token_for("bob", ["spark:all"])).status == 403


def guest_jwt(claims: dict[str, object], algorithm: str = "HS256", secret: str = GUEST_ISSUER_SECRET) -> str:
    parts = [base64url_encode(json.dumps(part)) for part in ({"alg": algorithm}, {"iss": GUEST_ISSUER_ID, **claims})]
    signed = ".".join(parts)
    return f"{signed}.{base64url_encode(hmac.new(b64decode(secret), signed.encode(), hashlib.sha256).digest())}"


def test_a_guest_issuers_jwt_logs_in(webex_cloud: Cloud) -> None:
    url = webex_cloud.url + "/v1/jwt/login"
    good = guest_jwt({"sub": "guest-user-1", "name": "Gus", "exp": int(webex_cloud.now()) + 90})
    answer = fetch(url, "POST", headers={"authorization": good}).json()
    assert 0 < answer["expiresIn"] <= 90
    assert is_live(webex_cloud, answer["token"])
    for bad in (
        guest_jwt({"sub": "g", "exp": int(webex_cloud.now()) - 1}),
        guest_jwt({"sub": "g"}, secret="AAAA"),
        guest_jwt({"sub": "g"}, algorithm="none"),
        guest_jwt({"sub": "g", "iss": "somebody"}),
        guest_jwt({}),
        "nonsense",
        "a.b.c",
    ):
        assert fetch(url, "POST", headers={"authorization": bad}).status == 401


def test_the_id_token_is_signed_and_identifies_the_person(webex_cloud: Cloud) -> None:
    tokens = signed_in(webex_cloud, nonce="n-1", scope="openid email profile")
    found = fetch(webex_cloud.url + "/v1/.well-known/openid-configuration").json()
    assert found["issuer"] == webex_cloud.url + "/idb"
    keys = KeySet.import_key_set(fetch(found["jwks_uri"]).json())
    token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
    claims = token.claims
    assert claims["iss"] == found["issuer"]
    assert (claims["sub"], claims["aud"], claims["nonce"]) == (ALICE_ID, CLIENT_ID, "n-1")
    assert claims["email"] == "alice@example.com"
    assert claims["exp"] - claims["iat"] == 3600
    assert token.header["kid"] == fetch(found["jwks_uri"]).json()["keys"][0]["kid"]
    assert "d" not in fetch(found["jwks_uri"]).json()["keys"][0]


def test_no_id_token_without_the_openid_scope(webex_cloud: Cloud) -> None:
    assert "id_token" not in signed_in(webex_cloud, scope="spark:people_read")


def test_userinfo_claims_follow_the_scopes(webex_cloud: Cloud) -> None:
    url = webex_cloud.url + "/v1/userinfo"
    assert fetch(url, token=webex_cloud.token_for("alice", ["openid"])).json() == {"sub": ALICE_ID}
    full = fetch(url, "POST", token=webex_cloud.token_for("alice", ["openid", "profile", "email"])).json()
    assert (full["name"], full["email"]) == ("Alice Example", "alice@example.com")
    assert fetch(url, token=webex_cloud.token_for("alice", ["spark:all"])).status == 403
    assert fetch(url).status == 401
    assert query_of(url) == {}
