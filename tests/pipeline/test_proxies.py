"""One rule for proxies: REST calls and sockets, both styles, every transport; loopback and `NO_PROXY` go directly."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.recording_proxy import RecordingProxy
from webex import AsyncWebex, Webex
from webex.emulator import Cloud, Emulator
from webex.emulator.tls import Authority
from webex.errors import TransportError
from webex.testing.guard import stay_on_loopback

HOST = "emulator.example.com"
ANYWHERE = "0.0.0.0"  # this machine, by a name that is not loopback
CELLS = ["blocking-urllib3", "async-aiohttp", "blocking-pyreqwest", "async-pyreqwest"]
VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Emulator(tls=True, hosts=(HOST, ANYWHERE)) as running:
        yield running


@pytest.fixture
def proxy(cloud: Cloud) -> Iterator[RecordingProxy]:
    assert cloud.tls_url is not None
    with RecordingProxy(port(cloud.url), port(cloud.tls_url)) as running:
        with stay_on_loopback(HOST):
            yield running


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *(name.lower() for name in VARIABLES), "WEBEX_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)


def port(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.fixture(params=CELLS)
def title(request: pytest.FixtureRequest, cloud: Cloud) -> Callable[..., str]:
    """Create a room through one transport, and give its title."""
    style, transport = request.param.split("-")

    def call(url: str, **settings: Any) -> str:
        token = cloud.token_for("alice")
        settings = {
            "emulator_url": url,
            "emulator_hosts": [HOST],
            "ca_bundle": str(cloud.ca_file),
            "transport": transport,
            "max_retries": 0,
            **settings,
        }
        if style == "blocking":
            with Webex(token, **settings) as client:
                return str(client.rooms.create(title="one").title)

        async def main() -> str:
            async with AsyncWebex(token, **settings) as client:
                return str((await client.rooms.create(title="one")).title)

        return asyncio.run(main())

    return call


def test_tls_goes_through_a_tunnel(title: Callable[..., str], proxy: RecordingProxy) -> None:
    assert title(f"https://{HOST}", proxy=proxy.url()) == "one"
    assert proxy.tunnels == [f"{HOST}:443"]
    assert all("authorization" not in asked.headers for asked in proxy.asked)


def test_plain_http_is_sent_in_absolute_form(title: Callable[..., str], proxy: RecordingProxy) -> None:
    assert title(f"http://{HOST}", proxy=proxy.url()) == "one"
    assert [(asked.method, asked.target) for asked in proxy.asked] == [("POST", f"http://{HOST}/v1/rooms")]


@pytest.mark.parametrize("variable", ["WEBEX_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_proxy_is_named_by_a_variable(
    title: Callable[..., str], proxy: RecordingProxy, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.url())
    assert title(f"https://{HOST}") == "one"
    assert proxy.tunnels


def test_no_proxy_connects_directly(
    title: Callable[..., str], proxy: RecordingProxy, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://{ANYWHERE}:{port(cloud.url)}"
    settings = {"emulator_hosts": [ANYWHERE]}
    monkeypatch.setenv("ALL_PROXY", proxy.url())
    assert title(url, **settings) == "one"
    assert len(proxy.asked) == 1
    assert title(url, proxy=False, **settings) == "one"
    for no_proxy in ("*", f"other.example.org, {ANYWHERE}", f"0.0.0.0/8,x:{port(cloud.url)}"):
        monkeypatch.setenv("NO_PROXY", no_proxy)
        assert title(url, **settings) == "one"
    assert len(proxy.asked) == 1


def test_loopback_never_uses_a_proxy(title: Callable[..., str], proxy: RecordingProxy, cloud: Cloud) -> None:
    assert title(cloud.url, proxy=proxy.url()) == "one"
    assert title(cloud.url.replace("127.0.0.1", "localhost"), proxy=proxy.url()) == "one"
    assert not proxy.asked


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_proxy_credentials_are_sent_but_not_logged(
    title: Callable[..., str], proxy: RecordingProxy, scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert title(f"{scheme}://{HOST}", proxy=proxy.url("ann%40example.com:p%3Aw%2Fd")) == "one"
    sent = proxy.asked[0].headers["proxy-authorization"].split(" ")
    assert (sent[0], base64.b64decode(sent[1])) == ("Basic", b"ann@example.com:p:w/d")
    assert "p%3Aw%2Fd" not in caplog.text
    assert "p:w/d" not in caplog.text


def test_refused_tunnel_shows_no_credentials(title: Callable[..., str], cloud: Cloud) -> None:
    with RecordingProxy(1, 1) as refusing, stay_on_loopback(HOST), pytest.raises(TransportError) as caught:
        title(f"https://{HOST}", proxy=refusing.url("ann:pass-word"))
    assert "pass-word" not in str(caught.value)
    assert "pass-word" not in repr(caught.value.__cause__)


def test_proxy_that_speaks_tls(title: Callable[..., str], cloud: Cloud) -> None:
    assert cloud.tls_url is not None
    assert cloud.ca_file is not None
    context: ssl.SSLContext = Authority.open(cloud.ca_file.parent).context()
    with RecordingProxy(port(cloud.url), port(cloud.tls_url), tls=context) as proxy, stay_on_loopback(HOST):
        assert title(f"https://{HOST}", proxy=proxy.url()) == "one"
        assert proxy.tunnels
