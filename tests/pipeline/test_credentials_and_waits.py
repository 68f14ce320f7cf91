"""A caller's own credentials go to no other host, and after a 429 the next calls wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pipeline.test_pipeline import Server
from webex import AsyncWebex, Webex
from webex.errors import RateLimitError

STYLES = ["blocking", "async"]


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


class Waits:
    """Stands in for a runtime's clock and sleep: a sleep moves the clock by as much, and is written down."""

    def __init__(self, runtime: Any) -> None:
        self.slept: list[float] = []
        self.moved = 0.0
        self._clock = runtime.clock
        runtime.clock = self
        runtime.sleep = self.sleep

    def time(self) -> float:
        return float(self._clock.time()) + self.moved

    def monotonic(self) -> float:
        return float(self._clock.monotonic()) + self.moved

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moved += max(seconds, 0.0)


def calls(style: str, server: Server, *paths: str, token: str = "the-token", **options: Any) -> list[float]:
    """Make calls one after the other, and say how long the client slept."""
    settings: dict[str, Any] = {"emulator_url": server.url, "timeout": 600, "max_retries": 0}
    if style == "blocking":
        with Webex(token, **settings) as client:
            waits = Waits(client._app.runtime)
            for path in paths:
                try:
                    client.request("GET", path, **options)
                except RateLimitError:
                    continue
            return waits.slept

    async def main() -> list[float]:
        async with AsyncWebex(token, **settings) as client:
            waits = Waits(client._app.runtime)
            for path in paths:
                try:
                    await client.request("GET", path, **options)
                except RateLimitError:
                    continue
            return waits.slept

    return asyncio.run(main())


@pytest.mark.parametrize("style", STYLES)
def test_next_call_of_the_same_resource_waits_after_a_429(style: str, server: Server) -> None:
    server.answers = [(429, {"retry-after": "40"}, b"{}")]
    [pause] = calls(style, server, "/rooms", "/rooms")
    assert 30 < pause <= 40
    assert len(server.seen) == 2


@pytest.mark.parametrize("style", STYLES)
def test_call_of_another_resource_does_not_wait(style: str, server: Server) -> None:
    server.answers = [(429, {"retry-after": "40"}, b"{}")]
    assert calls(style, server, "/rooms", "/people") == []


@pytest.mark.parametrize("style", STYLES)
def test_wait_after_a_429_is_bounded_by_the_call_timeout(style: str, server: Server) -> None:
    server.answers = [(429, {"retry-after": "900"}, b"{}")]
    assert calls(style, server, "/rooms", "/rooms") == []
    assert len(server.seen) == 2


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("header", ["Authorization", "authorization", "AUTHORIZATION", "Cookie"])
def test_callers_credentials_are_not_redirected_to_another_host(
    style: str, header: str, server: Server, elsewhere: Server
) -> None:
    server.answers = [(302, {"location": f"{elsewhere.url}/stolen"}, b"")]
    calls(style, server, "/rooms", headers={header: "a secret of the caller", "x-other": "kept"})
    [(_, _, headers, _)] = elsewhere.seen
    assert headers["x-other"] == "kept"
    assert "authorization" not in headers
    assert "cookie" not in headers


@pytest.mark.parametrize("style", STYLES)
def test_callers_credentials_are_not_restored_on_a_redirect_back(style: str, server: Server, elsewhere: Server) -> None:
    server.answers = [(302, {"location": f"{elsewhere.url}/there"}, b"")]
    elsewhere.answers = [(302, {"location": f"{elsewhere.url}/further"}, b"")]
    calls(style, server, "/rooms", headers={"authorization": "a secret of the caller"})
    assert [("authorization" in headers) for _, _, headers, _ in elsewhere.seen] == [False, False]


@pytest.mark.parametrize("style", STYLES)
def test_callers_cookie_is_redirected_within_the_host(style: str, server: Server) -> None:
    server.answers = [(302, {"location": f"{server.url}/v1/other"}, b"")]
    calls(style, server, "/rooms", headers={"cookie": "kept"})
    assert [headers.get("cookie") for _, _, headers, _ in server.seen] == ["kept", "kept"]
