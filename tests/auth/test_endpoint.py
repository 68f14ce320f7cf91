"""The token endpoint's own repeats share one deadline, and a code is sent twice only if it was not processed."""

from __future__ import annotations

from typing import Any

import pytest

from webex.auth import TokenEndpoint, TokenSet
from webex.config import load_config
from webex.errors import (
    ApiError,
    ConnectError,
    DeadlineError,
    InvalidClientError,
    InvalidGrantError,
    ServerError,
    TransportError,
    WebexError,
)
from webex.runtime import drive


class Wire:
    """A pipeline and its runtime: each request takes `takes` seconds and ends as the script says."""

    def __init__(self, *script: Any, takes: float = 0.0) -> None:
        self.script = list(script)
        self.takes = takes
        self.now = 0.0
        self.timeouts: list[float] = []
        self.slept: list[float] = []
        self.runtime = self.clock = self

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def send(self, request: Any, tokens: Any = None) -> Any:
        self.timeouts.append(request.timeout)
        assert request.max_retries == 0
        self.now += min(self.takes, request.timeout)
        outcome = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Answer:
    request = None

    def json(self) -> Any:
        return {"access_token": "a", "expires_in": 60}


def endpoint(wire: Any, **settings: Any) -> TokenEndpoint:
    config, _ = load_config(
        {"client_id": "c", "client_secret": "s", "redirect_uri": "https://app.example.com/", **settings}, None
    )
    return TokenEndpoint(wire, config)


def test_refresh_token_is_not_sent_beyond_its_deadline() -> None:
    wire = Wire(ConnectError("refused"), takes=1.0)
    with pytest.raises(ConnectError):
        drive(endpoint(wire).refresh("r", timeout=2.5))
    assert wire.now <= 2.5
    assert wire.timeouts == sorted(wire.timeouts, reverse=True)
    assert len(set(wire.timeouts)) == len(wire.timeouts)


def test_code_exchange_ends_within_the_configured_time() -> None:
    wire = Wire(ConnectError("refused"), takes=20.0)
    with pytest.raises(ConnectError):
        drive(endpoint(wire, timeout=30).exchange_code("code"))
    assert wire.now <= 30


def test_429_of_the_token_endpoint_is_retried() -> None:
    wire = Wire(ApiError("slow down", status=429, retry_after=7.0), Answer())
    assert drive(endpoint(wire).exchange_code("code")).access_token == "a"
    assert wire.slept == [7.0]


def test_429_without_retry_after_is_retried() -> None:
    wire = Wire(ApiError("slow down", status=429), ApiError("slow down", status=429), Answer())
    assert drive(endpoint(wire).exchange_code("code")).access_token == "a"
    assert len(wire.slept) == 2
    assert all(pause > 0.1 for pause in wire.slept)


@pytest.mark.parametrize("pause", [11.0, 3600.0])
def test_429_with_a_long_retry_after_is_raised(pause: float) -> None:
    wire = Wire(ApiError("slow down", status=429, retry_after=pause), Answer())
    with pytest.raises(ApiError):
        drive(endpoint(wire).exchange_code("code"))
    assert wire.slept == []


def test_429_beyond_the_deadline_is_not_retried() -> None:
    wire = Wire(ApiError("slow down", status=429, retry_after=5.0), Answer())
    with pytest.raises(ApiError):
        drive(endpoint(wire).refresh("r", timeout=3.0))
    assert wire.slept == []


@pytest.mark.parametrize(
    "failure",
    [
        TransportError("cut"),
        DeadlineError("late"),
        ServerError("broken", status=503),
        ApiError("timeout", status=408),
        InvalidClientError("invalid_client"),
        InvalidGrantError("invalid_grant"),
        KeyboardInterrupt(),
    ],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("grant", ["code", "refresh", "client credentials"])
def test_possibly_processed_grant_is_sent_once(failure: BaseException, grant: str) -> None:
    wire = Wire(failure, Answer())
    made = endpoint(wire)
    work = {
        "code": made.exchange_code("code"),
        "refresh": made.refresh("r"),
        "client credentials": made.client_credentials("scope"),
    }
    chosen = work.pop(grant)
    for other in work.values():
        other.close()
    with pytest.raises((WebexError, KeyboardInterrupt)):
        drive(chosen)
    assert len(wire.timeouts) == 1


@pytest.mark.parametrize("failures", [1, 3])
def test_code_exchange_is_retried_after_connect_errors(failures: int) -> None:
    wire = Wire(*[ConnectError("refused")] * failures, Answer())
    assert isinstance(drive(endpoint(wire).exchange_code("code")), TokenSet)
    assert len(wire.timeouts) == failures + 1


def test_retries_after_connect_errors_are_limited() -> None:
    wire = Wire(ConnectError("refused"))
    with pytest.raises(ConnectError):
        drive(endpoint(wire, timeout=10_000).exchange_code("code"))
    assert len(wire.timeouts) == 4
