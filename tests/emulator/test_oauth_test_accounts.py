"""Accounts for tests, made as the JS SDK's integration tests make them."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.emulator.helpers import Answer, exchange, fetch, is_live
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN, CLIENT_ID, CLIENT_SECRET, ORG_ID

APP = {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}


def client_token(cloud: Cloud, path: str = "/idb/oauth2/v1/access_token") -> str:
    form = {
        "grant_type": "client_credentials",
        "scope": "Identity:SCIM webexsquare:get_conversation spark-test-account:write spark-test-account:read",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    # Without the word Basic before it, as those tests send it.
    bare = b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
    answer = fetch(cloud.url + path, form=form, headers={"authorization": bare})
    assert answer.status == 200, answer.text
    return str(answer.json()["access_token"])


def make(cloud: Cloud, root: str = "", token: str | None = None, **fields: Any) -> Answer:
    url = f"{cloud.url}{root}/users/test_users_s"
    return fetch(url, json_body={**APP, **fields}, token=token or client_token(cloud))


@pytest.mark.parametrize("root", ["", "/conversation/api/v1", "/cig-service/api/v1"])
def test_account_is_created_and_signed_in(webex_cloud: Cloud, root: str) -> None:
    made = make(webex_cloud, root, displayName="Jim Kirk", scopes="spark:people_read spark:kms", entitlements=["spark"])
    user, token = made.json()["user"], made.json()["token"]
    assert (user["name"], user["orgId"], user["entitlements"]) == ("Jim Kirk", ORG_ID, ["spark"])
    assert user["email"].endswith("@example.com")
    assert token["scope"] == "spark:people_read spark:kms"
    assert {"access_token", "expires_in", "refresh_token", "refresh_token_expires_in", "token_type"} <= token.keys()
    me = fetch(webex_cloud.url + "/v1/people/me", token=token["access_token"]).json()
    assert me["emails"] == [user["email"]]


def test_account_signs_in_and_deletes_itself(webex_cloud: Cloud) -> None:
    user = make(webex_cloud, emailTemplate="kirk@example.com").json()["user"]
    login = {**APP, "id": user["id"], "email": user["email"], "password": "anything"}
    token = fetch(webex_cloud.url + "/users/test_users/login", json_body=login).json()["access_token"]
    assert is_live(webex_cloud, token)
    delete = webex_cloud.url + "/users/test_users/delete"
    assert fetch(delete, json_body={"user_id": user["id"]}, token=ALICE_TOKEN).status == 403
    assert fetch(delete, json_body={"user_id": user["id"]}, token=token).status == 204
    assert not is_live(webex_cloud, token)
    assert fetch(webex_cloud.url + "/users/test_users/login", json_body=login).status == 404


def test_roles_are_accepted_as_texts_or_objects(webex_cloud: Cloud) -> None:
    for roles, expected in ((["id_full_admin", {"name": "spark.kms_orgagent"}], True), (None, False)):
        made = make(webex_cloud, roles=roles).json()["user"]
        with webex_cloud.lock:
            person = webex_cloud.state.people[made["id"]]
            assert (person.admin, person.compliance) == (expected, expected)


def test_only_a_code_is_returned_on_request(webex_cloud: Cloud) -> None:
    code = make(webex_cloud, authCodeOnly=True).json()["authCode"]
    redirect_uri = webex_cloud.state.integrations[CLIENT_ID].redirect_uris[0]
    assert exchange(webex_cloud, code, redirect_uri=redirect_uri).status == 200


def test_administrator_by_role(webex_cloud: Cloud) -> None:
    token = make(webex_cloud, roles=["id_full_admin"], scopes="spark-admin:licenses_read").json()["token"]
    assert fetch(webex_cloud.url + "/v1/licenses", token=token["access_token"]).status == 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"emailTemplate": "alice@example.com"}, 409),
        ({"emailTemplate": "nothing"}, 400),
        ({"clientSecret": "wrong"}, 401),
        ({"clientId": None}, 401),
        ({"orgId": "x"}, 400),
    ],
)
def test_invalid_account_is_refused(webex_cloud: Cloud, fields: dict[str, Any], status: int) -> None:
    assert make(webex_cloud, **fields).status == status


def test_only_client_credentials_create_accounts(webex_cloud: Cloud) -> None:
    assert make(webex_cloud, token=ALICE_TOKEN).status == 403
    assert fetch(f"{webex_cloud.url}/users/test_users_s", json_body=APP).status == 401
