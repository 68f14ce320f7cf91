"""Configurations and credentials as the Node SDK takes them, in one mapping."""

from __future__ import annotations

from typing import Any

import pytest

import webex
from webex import AsyncWebex, Integration, Webex
from webex.config import load_config
from webex.errors import ConfigurationError
from webex.storage import MemoryStorage

CREDENTIALS = {
    "client_id": "CID",
    "client_secret": "SECRET",
    "redirect_uri": "https://app.example.com/cb",
    "scope": "a",
}

# The defaults of the Node package and what its guides set, as a copied configuration would have them.
HARMLESS: dict[str, Any] = {
    "credentials": {
        "clientType": "confidential",
        "tokenUrl": "https://idbroker.webex.com/idb/oauth2/v1/access_token",
        "revokeUrl": "https://idbroker.webex.com/idb/oauth2/v1/revoke",
        "logoutUrl": "https://idbroker.webex.com/idb/oauth2/v1/logout",
        "cisService": "webex",
        "activationUrl": "https://idbroker.webex.com/x",
        "idbroker": {"url": "https://idbroker.webex.com"},
        "identity": {"url": "https://identity.webex.com"},
        "jwtRefreshCallback": None,
    },
    "trackingIdPrefix": "my-app",
    "trackingIdBase": "x",
    "trackingIdSuffix": "y",
    "logger": {"level": "debug", "historyLength": 100},
    "device": {"ephemeral": True, "validateDomains": True, "ephemeralDeviceTTL": 1800},
    "mercury": {"pingInterval": 15000, "pongTimeout": 14000},
    "metrics": {"type": ["behavioral"]},
    "people": {"batcherWait": 100},
    "payloadTransformer": {"predicates": [], "transforms": []},
    "services": {"validateDomains": True, "servicesNotNeedValidation": [], "allowedDomains": ["files.example.com"]},
    "maxAppLevelRedirects": 5,
    "maxLocusRedirects": 5,
    "maxAuthenticationReplays": 1,
    "maxReconnectAttempts": 1,
    "onBeforeLogout": [],
    "AlternateLogger": None,
    "appName": "shop",
    "appPlatform": "testClient",
    "email": "alice@example.com",
    "sdkType": "webex",
    "fedramp": False,
    "defaultRequestOptions": {"timeout": 5000},
    "encryption": {"caroots": [], "kmsInitialTimeout": 6000},
    "meetings": {"reconnection": {"enabled": True}},
}


def test_config_and_credentials_in_one_mapping() -> None:
    client = webex.init({"config": {"credentials": CREDENTIALS}, "credentials": {"access_token": "T"}})
    assert client.config.client_id == "CID"
    assert client.can_authorize


@pytest.mark.parametrize("make", [webex.init, AsyncWebex, Webex])
def test_every_client_accepts_the_same_mapping(make: Any) -> None:
    storage = MemoryStorage()
    client = make({"config": {"credentials": CREDENTIALS, "storage": {"boundedAdapter": storage}}, "accessToken": "T"})
    assert client.config.client_id == "CID"
    assert client._app.storage.bounded is storage


@pytest.mark.parametrize(
    ("attributes", "ours"),
    [
        ({"confg": {}}, "config"),
        ({"conf": {}}, "config"),
        ({"credentails": "T"}, "credentials"),
        ({"acess_token": "T"}, "access_token"),
        ({"token": "T"}, "access_token"),
        ({"credentials": {"acess_token": "T"}}, "access_token"),
        ({"credentials": {"supertoken": {"accesstoken": "T"}}}, "access_token"),
        ({"access_token": "T", "refreshtoken": "R"}, "refresh_token"),
        ({"access_token": "T", "expires_in": 10, "refresh_tokn": "R"}, "refresh_token"),
        ({"credentials": {"client_id": "CID"}}, r'config={"credentials": {"client_id"'),
        ({"clientSecret": "hush"}, r'config={"credentials": {"client_secret"'),
        ({"storage": object()}, "storage="),
        ({"access_token": "T", "accessToken": "U"}, "twice"),
        ({"config": {"credntials": {}}}, "credentials"),
        ({"config": {"credentials": {"clientld": "x"}}}, "client_id"),
        ({"config": {"mercuri": {}}}, "There is no setting"),
        ({"config": 7}, "mapping"),
    ],
)
def test_unknown_members_are_refused_with_a_suggestion(attributes: dict[str, Any], ours: str) -> None:
    with pytest.raises(ConfigurationError, match=ours.replace("{", r"\{")) as caught:
        webex.init(attributes)
    assert "hush" not in str(caught.value)


def test_config_given_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        webex.init({"config": {"credentials": CREDENTIALS}}, config={"timeout": 5})


def test_the_answer_of_a_token_endpoint_may_have_further_fields() -> None:
    client = webex.init({"access_token": "T", "token_type": "Bearer", "expires_in": 9, "account_expiration": 12})
    assert client.can_authorize


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_node_settings_without_effect_are_accepted(name: str) -> None:
    load_config({}, {name: HARMLESS[name]}, environ={})


def test_node_urls_and_limits_are_applied() -> None:
    config, _ = load_config({}, HARMLESS, environ={})
    assert config.token_url == "https://idbroker.webex.com/idb/oauth2/v1/access_token"
    assert config.revoke_url.endswith("/revoke")
    assert (config.tracking_id_prefix, config.app_name, config.timeout) == ("my-app", "shop", 5.0)
    assert (config.max_redirects, config.allowed_domains[0]) == (5, "files.example.com")
    moved, _ = load_config({}, {"hydraServiceUrl": "https://api-usgov.webex.com/v1"}, environ={})
    assert moved.service_urls["hydra"] == "https://api-usgov.webex.com/v1"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"credentials": {"clientType": "public"}}, "implicit grant"),
        ({"credentials": {"jwtRefreshCallback": print}}, "guest"),
        ({"services": {"validateDomains": False}}, "allowed_domains"),
        ({"device": {"validateDomains": False}}, "allowed_domains"),
        ({"encryption": {"caroots": ["MII…"]}}, "kms_roots"),
        ({"onBeforeLogout": [print]}, "signed_out"),
        ({"payloadTransformer": {"predicates": [print]}}, "hooks"),
        ({"payloadTransformer": {"transforms": [print]}}, "hooks"),
    ],
)
def test_unsupported_node_settings_are_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        load_config({}, config, environ={})


@pytest.mark.parametrize("spelling", ["clientId", "clientID", "ClientId", "client-id", "CLIENT_ID"])
def test_name_spellings_in_the_mapping_are_accepted(spelling: str) -> None:
    assert load_config({}, {"credentials": {spelling: "CID"}}, environ={})[0].client_id == "CID"


@pytest.mark.parametrize(
    ("argument", "ours"),
    [
        ("clientId", "client_id"),
        ("accessToken", "access_token"),
        ("token", "access_token"),
        ("redirect_url", "redirect_uri"),
        ("scopes", "scope"),
        ("base_url", "service_urls"),
        ("maxRetries", "max_retries"),
    ],
)
def test_foreign_argument_spellings_suggest_ours(argument: str, ours: str) -> None:
    with pytest.raises(ConfigurationError, match=ours):
        Webex(**{argument: "x"})


@pytest.mark.parametrize("part", [{"refreshCallback": print}, {"refresh_callback": print}])
def test_an_integration_refuses_credentials_of_one_user(part: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="client_for"):
        Integration(config={"credentials": {**CREDENTIALS, **part}})
