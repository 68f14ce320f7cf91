"""Which hosts may receive a token."""

from __future__ import annotations

import asyncio

import pytest

from webex.config import load_config
from webex.errors import ConfigurationError
from webex.services import Services


def services(**settings: object) -> Services:
    return Services(load_config(settings, environ={})[0])


@pytest.mark.parametrize(
    "url",
    [
        "https://webexapis.com/v1/people/me",
        "https://WEBEXAPIS.com/v1/people/me",
        "https://files-api.webex.com/v1/contents/x",
        "https://wdm-a.wbx2.com:443/wdm/api/v1/devices",
        "https://idbroker.webex.com/idb/oauth2/v1/access_token",
        "https://api.ciscospark.com/v1/rooms",
    ],
)
def test_the_cloud_receives_tokens(url: str) -> None:
    assert services().may_receive_token(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://evilwebex.com/v1",
        "https://webex.com.evil.example/v1",
        "https://webexapis.com.evil.example/",
        "https://evil.example/webexapis.com",
        "https://evil.example/?x=https://webexapis.com",
        "https://evil.example#webexapis.com",
        "https://webexapis.com@evil.example/",
        "https://user:pw@webexapis.com/v1",
        "https://webexapis.com./v1",
        "http://webexapis.com/v1",
        "https://webexapis.com:8443/v1",
        "ftp://webexapis.com/v1",
        "//webexapis.com/v1",
        "https://evil.example\\@webexapis.com/",
        "https://webexapis.com\t.evil.example/",
        "https://webexapıs.com/v1",
        "https://[::1/v1",
        "https://webexapis.com:99999/v1",
        "http://127.0.0.1:8800/v1",
        "",
        "webexapis.com",
    ],
)
def test_look_alikes_receive_none(url: str) -> None:
    assert not services().may_receive_token(url)


def test_an_emulator_is_the_only_host_that_gets_tokens() -> None:
    policy = services(emulator_url="http://127.0.0.1:8800")
    assert policy.may_receive_token("http://127.0.0.1:8800/v1/people/me")
    assert not policy.may_receive_token("http://127.0.0.1:8801/v1/people/me")
    assert not policy.may_receive_token("http://localhost:8800/v1/people/me")
    assert not policy.may_receive_token("https://webexapis.com/v1/people/me")


def test_the_government_cloud_leaves_the_commercial_domains_out() -> None:
    policy = services(environment="fedramp")
    assert policy.may_receive_token("https://api-usgov.webex.com/v1/rooms")
    assert not policy.may_receive_token("https://webexapis.com/v1/rooms")
    assert not policy.may_receive_token("https://wdm-a.wbx2.com/")


def test_further_domains_can_be_allowed() -> None:
    policy = services(allowed_domains=["wxcc-us1.cisco.com"])
    assert policy.may_receive_token("https://api.wxcc-us1.cisco.com/x")
    assert not policy.may_receive_token("https://notwxcc-us1.cisco.com/x")


def test_services_have_urls_and_an_unknown_one_is_explained() -> None:
    assert asyncio.run(services().url_of("hydra")) == "https://webexapis.com/v1"
    assert (
        asyncio.run(services(service_urls={"wdm": "https://wdm-a.wbx2.com/x/"}).url_of("wdm"))
        == "https://wdm-a.wbx2.com/x"
    )
    with pytest.raises(ConfigurationError, match="service_urls"):
        asyncio.run(services().url_of("nobody"))
