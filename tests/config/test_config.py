"""Where settings come from, and what is said when they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from webex.config import Config, load_config
from webex.errors import ConfigurationError

PORTAL = (
    "https://webexapis.com/v1/authorize?client_id=CID&response_type=code"
    "&redirect_uri=http%3A%2F%2Flocalhost%3A8000&scope=spark%3Arooms_read%20spark%3Ateams_read&state=set_state_here"
)


def load(arguments: dict[str, Any] | None = None, mapping: dict[str, Any] | None = None, **environ: str) -> Config:
    return load_config(arguments or {}, mapping or {}, environ=environ)[0]


def test_arguments_override_webex_and_ciscospark_variables() -> None:
    config = load(
        {"redirect_uri": "https://app.example.com/cb"},
        WEBEX_CLIENT_ID="new",
        WEBEX_REDIRECT_URI="https://other.example.com",
        CISCOSPARK_CLIENT_ID="old",
        CISCOSPARK_SCOPE="spark:all",
    )
    assert (config.client_id, config.redirect_uri, config.scope) == ("new", "https://app.example.com/cb", "spark:all")
    assert config.origin("client_id") == "WEBEX_CLIENT_ID"
    assert config.origin("scope") == "CISCOSPARK_SCOPE"
    assert config.origin("timeout") == "default"


@pytest.mark.parametrize(
    "url", ["http://[::1", "https://[x]/", "https://exa℀mple.com", "http://127.0.0.1:99999", "http://127.0.0.1:abc"]
)
@pytest.mark.parametrize(
    "setting", ["emulator_url", "redirect_uri", "authorize_url", "token_url", "service_urls", "authorization_string"]
)
def test_url_that_cannot_be_read_is_refused_by_name(setting: str, url: str) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        load({setting: {"hydra": url} if setting == "service_urls" else url})


@pytest.mark.parametrize(
    "url", ["https://a.example/b?c", "https://a.example/#b", "https://a\nb.example", "https://a b/"]
)
def test_base_url_is_no_more_than_that(url: str) -> None:
    with pytest.raises(ConfigurationError, match="service_urls"):
        load({"service_urls": {"hydra": url}})


def test_emulator_url_is_the_root() -> None:
    with pytest.raises(ConfigurationError, match=r"it is the root, which /v1 is below: 'http://127.0.0.1:8800'"):
        load({"emulator_url": "http://127.0.0.1:8800/v1/"})


@pytest.mark.parametrize("style", ["snake", "camel"])
def test_nested_node_mapping_is_read_in_both_spellings(style: str) -> None:
    names = {"client_id": "clientId", "client_secret": "clientSecret", "redirect_uri": "redirectUri"}
    values = {
        "client_id": "CID",
        "client_secret": "SECRET",
        "redirect_uri": "https://app.example.com/cb",
        "scope": "a b",
    }
    credentials = {names.get(key, key) if style == "camel" else key: value for key, value in values.items()}
    config, rest = load_config({}, {"credentials": credentials, "storage": {"boundedAdapter": object()}}, environ={})
    assert (config.client_id, config.client_secret, config.scope) == ("CID", "SECRET", "a b")
    assert "storage" in rest


def test_authorization_string_gives_client_id_redirect_uri_and_scope() -> None:
    config = load({"authorization_string": PORTAL, "client_secret": "S"})
    assert config.client_id == "CID"
    assert config.redirect_uri == "http://localhost:8000"
    assert config.scope == "spark:rooms_read spark:teams_read"
    assert config.authorize_url == "https://webexapis.com/v1/authorize"


def test_an_authorization_string_contradicting_an_argument_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="client_id"):
        load({"authorization_string": PORTAL, "client_id": "OTHER"})


@pytest.mark.parametrize("text", ["nonsense", "https://webexapis.com/v1/authorize", "?client_id=x"])
def test_an_invalid_authorization_string_is_explained(text: str) -> None:
    with pytest.raises(ConfigurationError, match="developer portal"):
        load({"authorization_string": text})


def test_contradicting_argument_and_mapping_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="given twice"):
        load({"client_id": "a"}, {"credentials": {"client_id": "b"}})
    assert load({"client_id": "a"}, {"credentials": {"clientId": "a"}}).client_id == "a"


def test_contradicting_secrets_are_not_printed() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"client_id": "a", "client_secret": "hush-1"}, {"credentials": {"client_secret": "hush-2"}})
    assert "hush" not in str(caught.value)


def test_an_environment_secret_is_not_used_for_another_client_id() -> None:
    config = load({"client_id": "mine"}, WEBEX_CLIENT_ID="theirs", WEBEX_CLIENT_SECRET="hush")
    assert config.client_secret is None
    with pytest.raises(ConfigurationError, match="in one place"):
        config.require("client_secret")
    assert load({"client_id": "same"}, WEBEX_CLIENT_ID="same", WEBEX_CLIENT_SECRET="hush").client_secret == "hush"


def test_a_secret_given_without_its_client_id_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="pass both"):
        load({"client_secret": "hush"}, WEBEX_CLIENT_ID="theirs")


def test_a_missing_setting_error_says_how_to_set_it() -> None:
    with pytest.raises(ConfigurationError, match=r"client_id is not set.*WEBEX_CLIENT_ID.*Pass client_id="):
        load().require("client_id")


@pytest.mark.parametrize(
    ("arguments", "mapping", "text"),
    [
        ({"client_idd": "x"}, {}, "Did you mean 'client_id'"),
        ({}, {"credentials": {"clientid": "x"}}, "Did you mean 'client_id'"),
        ({}, {"credentials": "x"}, "There is no|must be|credentials"),
        ({"timeout": "soon"}, {}, "timeout"),
        ({"timeout": 0}, {}, "above 0"),
        ({"timeout": True}, {}, "timeout"),
        ({"max_retries": -1}, {}, "max_retries"),
        ({"scope": 7}, {}, "scope"),
        ({"client_id": 7}, {}, "client_id"),
        ({"client_id": " "}, {}, "client_id"),
        ({"redirect_uri": "/callback"}, {}, "redirect_uri"),
        ({"redirect_uri": "https://app.example.com/#x"}, {}, "fragment"),
        ({"environment": "moon"}, {}, "fedramp"),
        ({"transport": "pigeon"}, {}, "urllib3"),
        ({"pool_size": 0}, {}, "pool_size"),
        ({"refresh_deadline": 40}, {}, "lease_ttl"),
        ({"emulator_url": "127.0.0.1:8800"}, {}, "http or https URL"),
        ({"emulator_url": "https://cloud.example.com"}, {}, "emulator_hosts"),
        ({"service_urls": {"hydra": "http://cloud.example.com"}}, {}, "plain http"),
        ({"service_urls": {"hydra": "https://user:pw@cloud.example.com"}}, {}, "user name"),
        ({"service_urls": "x"}, {}, "service_urls"),
        ({"allowed_domains": "webex.com"}, {}, "list"),
    ],
)
def test_wrong_settings_are_refused_with_their_name(
    arguments: dict[str, Any], mapping: dict[str, Any], text: str
) -> None:
    if mapping == {"credentials": "x"}:
        assert load_config({}, mapping, environ={})[1]["credentials"] == "x"  # a token in the place of the Node SDK
        return
    with pytest.raises(ConfigurationError, match=text):
        load(arguments, mapping)


def test_the_emulator_setting_replaces_every_service_url() -> None:
    config = load(WEBEX_EMULATOR_URL="http://127.0.0.1:8800/")
    urls = [value for name in Config.__slots__ if name.endswith("_url") and (value := getattr(config, name))]
    assert all(url.startswith("http://127.0.0.1:8800") for url in [*urls, *config.service_urls.values()])
    assert config.allowed_domains == ()


def test_a_remote_emulator_must_be_allowed_explicitly() -> None:
    with pytest.raises(ConfigurationError, match="emulator_hosts"):
        load({"emulator_url": "http://emulator:8800"})
    assert load({"emulator_url": "http://emulator:8800", "emulator_hosts": ["emulator"]}).token_url.startswith(
        "http://emul"
    )


def test_the_government_cloud_replaces_every_service_url() -> None:
    config = load({"environment": "fedramp"})
    assert config.service_urls["hydra"] == "https://api-usgov.webex.com/v1"
    assert config.service_urls["u2c"] == "https://u2c.gov.ciscospark.com/u2c/api/v1"
    assert "idbroker-f.webex.com" in config.token_url
    assert load({}, {"fedramp": True}).environment == "fedramp"


def test_secrets_are_not_in_the_repr() -> None:
    config = load({"client_id": "x", "client_secret": "hush-1", "access_token": "hush-2", "refresh_token": "hush-3"})
    assert "hush" not in repr(config)


def test_a_config_is_frozen_and_replace_validates() -> None:
    config = load({"client_id": "x"})
    with pytest.raises(AttributeError):
        config.client_id = "y"  # type: ignore[misc]  # the point of the test
    assert config.replace(timeout=5.0).timeout == 5.0
    with pytest.raises(ConfigurationError):
        config.replace(timeout=-1.0)
