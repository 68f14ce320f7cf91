"""Activation, one-time passwords, names and passwords, as the JS SDK's integration tests use them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from tests.emulator.helpers import Answer, fetch, is_live
from webex.emulator import Cloud
from webex.emulator.accounts import ADMIN_TOKEN, ALICE_ID, ALICE_TOKEN, BOB_TOKEN, CLIENT_ID, CLIENT_SECRET

BASIC = (CLIENT_ID, CLIENT_SECRET)
NEW = "carol@example.com"


def verify(cloud: Cloud, email: Any = NEW, service: str = "license/api/v1", **more: Any) -> Answer:
    url = f"{cloud.url}/{service}/users/activations"
    return fetch(url, json_body={"email": email, "reqId": "WEBCLIENT", **more}, token=ALICE_TOKEN)


def action(cloud: Cloud, name: str, **body: Any) -> Answer:
    return fetch(f"{cloud.url}/idb/token/v1/actions/{name}/invoke", json_body=body, basic=BASIC)


def link_of(told: Answer) -> str:
    return parse_qs(urlsplit(told.json()["verifyEmailURL"]).query)["t"][0]


@pytest.mark.parametrize("service", ["license/api/v1", "user-onboarding/api/v1/api/v1", "admin/api/v1"])
def test_verification_reports_whether_an_account_exists(webex_cloud: Cloud, service: str) -> None:
    known = verify(webex_cloud, "bob@example.com", service).json()
    assert (known["hasPassword"], known["verificationEmailTriggered"], known["sso"]) == (True, False, False)
    unknown = verify(webex_cloud, service=service).json()
    assert (unknown["hasPassword"], unknown["verificationEmailTriggered"]) == (False, True)
    quiet = verify(webex_cloud, service=service, suppressEmail=True).json()
    assert quiet["verificationEmailTriggered"] is False
    assert "verifyEmailURL" not in quiet
    for wrong in ("not an address", "@example.com", "", None):
        assert verify(webex_cloud, wrong, service).status == 400


def test_account_is_activated_once_by_its_email_token(webex_cloud: Cloud) -> None:
    secret = link_of(verify(webex_cloud))
    assert action(webex_cloud, "UserActivation", verificationToken="another").status == 400
    assert action(webex_cloud, "UserActivation").status == 400
    made = action(webex_cloud, "UserActivation", verificationToken=secret).json()
    assert made["email"] == NEW
    assert is_live(webex_cloud, made["tokenData"]["access_token"])
    assert action(webex_cloud, "UserActivation", verificationToken=secret).status == 400
    known = verify(webex_cloud).json()
    assert (known["hasPassword"], known["verificationEmailTriggered"]) == (False, False)
    url = f"{webex_cloud.url}/identity/scim/v1/Users/{known['id']}"
    token = made["tokenData"]["access_token"]
    assert fetch(url, "PATCH", json_body={"password": "P@ssword123"}, token=token).status == 200
    assert verify(webex_cloud).json()["hasPassword"] is True
    refused = fetch(f"{webex_cloud.url}/idb/token/v1/actions/UserActivation/invoke", json_body={"email": NEW})
    assert refused.status == 401


def test_one_time_password_signs_in_once(webex_cloud: Cloud) -> None:
    sent = action(webex_cloud, "UserOTP/Generate", email="alice@example.com").json()
    assert {"oneTimePassword", "email", "id", "url", "status"} <= sent.keys()
    given = {"email": "alice@example.com", "oneTimePassword": sent["oneTimePassword"]}
    assert action(webex_cloud, "UserOTP/Validate", **{**given, "oneTimePassword": "wrong"}).status == 400
    signed_in = action(webex_cloud, "UserOTP/Validate", **given).json()
    assert is_live(webex_cloud, signed_in["tokenData"]["access_token"])
    assert action(webex_cloud, "UserOTP/Validate", **given).status == 400
    assert action(webex_cloud, "UserOTP/Generate", email=NEW).status == 404


def test_email_token_is_valid_for_its_purpose_only(webex_cloud: Cloud) -> None:
    password = action(webex_cloud, "UserOTP/Generate", email="alice@example.com").json()["oneTimePassword"]
    assert action(webex_cloud, "UserActivation", verificationToken=password).status == 400
    given = {"email": "alice@example.com", "oneTimePassword": password}
    assert action(webex_cloud, "UserOTP/Validate", **given).status == 200
    earlier, later = link_of(verify(webex_cloud)), link_of(verify(webex_cloud, NEW.upper()))
    assert action(webex_cloud, "UserActivation", verificationToken=earlier).status == 400
    webex_cloud.add_person(NEW)
    assert action(webex_cloud, "UserOTP/Validate", email=NEW, oneTimePassword=later).status == 400
    assert action(webex_cloud, "UserActivation", verificationToken=later).status == 200


def test_accounts_are_changed_only_with_the_scope(webex_cloud: Cloud) -> None:
    reading = webex_cloud.token_for("alice", ["spark:people_read"])
    scim = f"{webex_cloud.url}/identity/scim/v1/Users/{ALICE_ID}"
    activations = f"{webex_cloud.url}/license/api/v1/users/activations"
    for token, status in ((reading, 403), (webex_cloud.token_for("alice", ["spark:people_write"]), 200)):
        assert fetch(scim, "PATCH", json_body={"displayName": "Another"}, token=token).status == status
        assert fetch(activations, json_body={"email": NEW}, token=token).status == status


def test_names_are_changed_by_their_owner_or_an_administrator(webex_cloud: Cloud) -> None:
    url = f"{webex_cloud.url}/identity/scim/v1/Users/{ALICE_ID}"
    changed = fetch(url, "PATCH", json_body={"name": {"givenName": "Jack"}}, token=ALICE_TOKEN).json()
    assert changed["name"] == {"givenName": "Jack", "familyName": "Example"}
    assert changed["displayName"] == "Alice Example"
    body = {"displayName": "Max Bob", "name": {"givenName": "Max", "familyName": "Bob"}}
    assert fetch(url, "PATCH", json_body=body, token=ADMIN_TOKEN).json()["displayName"] == "Max Bob"
    me = fetch(webex_cloud.url + "/v1/people/me", token=ALICE_TOKEN).json()
    assert (me["displayName"], me["firstName"], me["lastName"]) == ("Max Bob", "Max", "Bob")
    assert fetch(url, "PATCH", json_body=body, token=BOB_TOKEN).status == 403
    assert fetch(url, "PATCH", json_body={"displayName": 5}, token=ALICE_TOKEN).status == 400
    missing = url.replace(ALICE_ID, "00000000-0000-4000-8000-000000000001")
    assert fetch(missing, "PATCH", json_body=body, token=ADMIN_TOKEN).status == 404


def test_conversation_service_reads_and_updates_the_caller(webex_cloud: Cloud) -> None:
    users = f"{webex_cloud.url}/conversation/api/v1/users"
    me = fetch(users, token=ALICE_TOKEN).json()
    assert (me["email"], me["name"]) == ("alice@example.com", "Alice Example")
    assert "entitlements" in me
    changed = fetch(f"{users}/user", "PATCH", json_body={"displayName": "New Name"}, token=ALICE_TOKEN).json()
    assert (changed["id"], changed["name"]) == (ALICE_ID, "New Name")
    assert fetch(f"{users}/user", "PATCH", json_body={"displayName": ""}, token=ALICE_TOKEN).status == 400


def test_unknown_address_has_an_id_and_is_created_on_request(webex_cloud: Cloud) -> None:
    users = f"{webex_cloud.url}/conversation/api/v1/users"
    first = fetch(users, json_body=[{"email": NEW}], token=ALICE_TOKEN).json()[NEW]
    assert first["userExists"] is False
    assert fetch(users, json_body=[{"email": NEW}], token=ALICE_TOKEN).json()[NEW] == first
    made = fetch(f"{users}?shouldCreateUsers=true", json_body=[{"email": NEW}], token=ALICE_TOKEN).json()[NEW]
    assert made["userExists"] is True
    assert fetch(users, json_body=[{"email": NEW}], token=ALICE_TOKEN).json()[NEW] == made
    none = fetch(f"{users}?shouldCreateUsers=true", json_body=[{"email": "no address"}], token=ALICE_TOKEN).json()
    assert none == {"no address": {"userExists": False}}


@pytest.mark.parametrize("way", ["activation", "control", "rest", "conversation"])
def test_reserved_id_is_used_however_the_account_is_created(webex_cloud: Cloud, way: str) -> None:
    users = f"{webex_cloud.url}/conversation/api/v1/users"
    promised = fetch(users, json_body=[{"email": NEW.upper()}], token=ALICE_TOKEN).json()[NEW.upper()]["id"]
    assert UUID(promised).version == 4
    if way == "activation":
        action(webex_cloud, "UserActivation", verificationToken=link_of(verify(webex_cloud)))
    elif way == "control":
        webex_cloud.add_person(NEW)
    elif way == "rest":
        body = {"emails": [NEW], "displayName": "Carol"}
        assert fetch(f"{webex_cloud.url}/v1/people", json_body=body, token=ADMIN_TOKEN).status == 200
    else:
        fetch(f"{users}?shouldCreateUsers=true", json_body=[{"email": NEW}], token=BOB_TOKEN)
    found = fetch(users, json_body=[{"email": NEW}], token=ALICE_TOKEN).json()[NEW]
    assert found == {"id": promised, "userExists": True}
    webex_cloud.state.people[promised].deleted = True
    again = fetch(users, json_body=[{"email": NEW}], token=ALICE_TOKEN).json()[NEW]
    assert again["id"] != promised


@pytest.mark.parametrize("wrong", ["a@b@example.com", "a b@example.com", "a@", "@b", ""])
def test_invalid_address_is_refused_everywhere(webex_cloud: Cloud, wrong: str) -> None:
    users = f"{webex_cloud.url}/conversation/api/v1/users"
    assert fetch(users, json_body=[{"email": wrong}], token=ALICE_TOKEN).json() == {wrong: {"userExists": False}}
    assert verify(webex_cloud, wrong).status == 400
    body = {"emails": [wrong], "displayName": "Carol"}
    assert fetch(f"{webex_cloud.url}/v1/people", json_body=body, token=ADMIN_TOKEN).status == 400
    with pytest.raises(ValueError, match="is not an email address"):
        webex_cloud.add_person(wrong)
