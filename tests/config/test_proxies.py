"""One rule for proxies: which one serves a URL, where it was named, and which hosts are reached directly."""

from __future__ import annotations

from typing import Any

import pytest

from webex import ConfigurationError, Webex
from webex.config import load_config
from webex.runtime.transports import TransportOptions

P, Q, R = "http://p.example.com:1", "http://q.example.com:2", "http://r.example.com:3"


@pytest.mark.parametrize(
    ("environ", "argument", "https", "http", "origin"),
    [
        ({}, None, None, None, "default"),
        ({"HTTPS_PROXY": P, "ALL_PROXY": Q}, None, P, Q, "HTTPS_PROXY and ALL_PROXY"),
        ({"HTTPS_PROXY": P, "HTTP_PROXY": Q, "ALL_PROXY": R}, None, P, Q, "HTTPS_PROXY and HTTP_PROXY"),
        ({"ALL_PROXY": P}, None, P, P, "ALL_PROXY"),
        ({"HTTPS_PROXY": P}, None, P, None, "HTTPS_PROXY"),
        ({"http_proxy": P}, None, None, P, "http_proxy"),
        ({"https_proxy": P, "HTTPS_PROXY": Q}, None, P, None, "https_proxy"),
        ({"https_proxy": "", "HTTPS_PROXY": Q}, None, Q, None, "HTTPS_PROXY"),
        ({"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None, None, None, "default"),
        ({"http_proxy": P, "REQUEST_METHOD": "GET"}, None, None, P, "http_proxy"),
        ({"HTTP_PROXY": P, "ALL_PROXY": Q, "REQUEST_METHOD": "GET"}, None, Q, Q, "ALL_PROXY"),
        ({"WEBEX_PROXY": P, "HTTPS_PROXY": Q}, None, P, P, "WEBEX_PROXY"),
        ({"WEBEX_PROXY": P, "HTTPS_PROXY": Q}, R, R, R, "argument proxy"),
        ({"WEBEX_PROXY": P, "HTTPS_PROXY": Q}, False, None, None, "argument proxy"),
        ({"HTTPS_PROXY": "p.example.com:1"}, None, P, None, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": f"{P}/"}, None, P, None, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": P, "NO_PROXY": "*"}, None, None, None, "default"),
        ({"WEBEX_PROXY": P, "NO_PROXY": "webexapis.com"}, None, None, None, "WEBEX_PROXY"),
        ({"WEBEX_PROXY": P, "NO_PROXY": "*"}, R, R, R, "argument proxy"),
    ],
)
def test_order_of_proxies(
    environ: dict[str, str], argument: Any, https: str | None, http: str | None, origin: str
) -> None:
    config, _ = load_config({"proxy": argument}, environ=environ)
    assert config.proxy_for("https://webexapis.com/v1/rooms") == https
    assert config.proxy_for("wss://webexapis.com/x") == https
    assert config.proxy_for("http://webexapis.com/v1/rooms") == http
    assert config.origin("proxy") == origin


@pytest.mark.parametrize(
    "url",
    ["http://localhost:1/", "http://LOCALHOST./", "https://a.localhost/", "http://127.0.0.1/", "http://127.8.9.1:80/",
     "http://[::1]:9/", "ws://[::ffff:127.0.0.1]/", "http://127.1/", "http://2130706433/", "http://0x7f.1/"],
)  # fmt: skip
def test_loopback_in_every_spelling(url: str) -> None:
    config, _ = load_config({"proxy": P}, environ={})
    assert config.proxy_for(url) is None


@pytest.mark.parametrize("url", ["http://localhost.example.com/", "http://127.example.com/", "http://128.0.0.1/"])
def test_lookalikes_of_loopback_are_proxied(url: str) -> None:
    config, _ = load_config({"proxy": P}, environ={})
    assert config.proxy_for(url) == P


@pytest.mark.parametrize(
    ("no_proxy", "url", "bypassed"),
    [
        ("example.com", "https://example.com/", True),
        ("example.com", "https://a.b.EXAMPLE.com/", True),
        ("example.com", "https://badexample.com/", False),
        ("Example.COM.", "https://example.com./", True),
        (".example.com", "https://example.com/", True),
        (".example.com", "https://a.example.com/", True),
        ("*.example.com", "https://a.example.com/", True),
        ("a.*.com", "https://a.example.com/", False),
        ("example.com:8443", "https://example.com:8443/", True),
        ("example.com:8443", "https://example.com/", False),
        ("example.com:443", "wss://example.com/", True),
        ("example.org  example.com", "https://example.com/", True),
        (",, example.org,\texample.com ,", "https://example.com/", True),
        ("example.org, *", "https://example.com/", True),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("10.0.0.0/8", "https://example.com/", False),
        ("10.1.2.3", "https://10.1.2.3:444/", True),
        ("10.1.2.3:444", "https://10.1.2.3:444/", True),
        ("10.1.2.3:444", "https://10.1.2.3/", False),
        ("10.0.0.0/8", "https://[::ffff:10.1.2.3]/", True),
        ("fd00::/8", "https://[fd00::1]/", True),
        ("[fd00::1]", "https://[fd00::1]/", True),
        ("[fd00::1]:443", "https://[fd00::1]/", True),
        ("10.0.0.0/99", "https://10.1.2.3/", False),
        ("example.com:http", "https://example.com/", False),
        ("", "https://example.com/", False),
    ],
)
def test_no_proxy_entries(no_proxy: str, url: str, bypassed: bool) -> None:
    config, _ = load_config({}, environ={"ALL_PROXY": P, "no_proxy": no_proxy})
    assert (config.proxy_for(url) is None) == bypassed


@pytest.mark.parametrize(
    "value",
    [
        "socks5://127.0.0.1:1",
        "socks5h://u:pass-word@p",
        "socks4://p",
        "ftp://p",
        "http://",
        "http://p:x",
        "http://p :1",
    ],
)
@pytest.mark.parametrize("variable", ["WEBEX_PROXY", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_unusable_proxy_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\b{variable}\b") as caught:
        load_config({}, environ={variable: value})
    assert "pass-word" not in str(caught.value)
    assert load_config({"proxy": False}, environ={variable: value})[0].proxy is False


@pytest.mark.parametrize("value", [True, 3, b"http://p", "", "socks5://p:1"])
def test_unusable_argument_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="argument proxy"):
        load_config({"proxy": value}, environ={})


def test_password_is_in_no_repr() -> None:
    config, _ = load_config({"proxy": "http://ann:pass-word@p:1"}, environ={})
    options = TransportOptions(proxy_for=config.proxy_for)
    assert "pass-word" not in repr(config) + repr(config.proxies) + repr(options) + repr(Webex("t", config=config))
    with pytest.raises(ConfigurationError, match="twice") as caught:
        load_config({"proxy": "http://ann:pass-word@p:1"}, {"proxy": "http://ann:pass-word@q:1"}, environ={})
    assert "pass-word" not in str(caught.value)


def test_replaced_proxy_overrides_the_environment() -> None:
    config, _ = load_config({}, environ={"WEBEX_PROXY": P, "NO_PROXY": "webexapis.com"})
    assert config.replace(timeout=3.0).proxy_for("https://example.com/") == P
    changed = config.replace(proxy=Q)
    assert changed.proxy_for("https://webexapis.com/") == Q
    assert changed.origin("proxy") == "argument proxy"
    assert changed.replace(proxy=False).proxy_for("https://example.com/") is None
