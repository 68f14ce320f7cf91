"""Each layer's decisions, over a transport and a clock that follow a script: no time passes, every wait is seen."""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate
from typing import Any

import pytest

from tests.pipeline.scripted import BASE, Script, Tokens, Wire, ask, one_time, pipeline_of
from webex.errors import (
    ApiError,
    ConnectError,
    DeadlineError,
    RateLimitError,
    RedirectError,
    ResponseTooLargeError,
    ServerError,
    TransportError,
)
from webex.http.types import Request
from webex.runtime import drive

GET, POST = Request("GET", "/rooms"), Request("POST", "/rooms", json={})
REPEATED = [408, 423, 429, 500, 502, 503, 504]


def fresh(request: Request, **changes: Any) -> Request:
    return replace(request, **changes)


# Retry


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH"])
@pytest.mark.parametrize("status", [*REPEATED, 400, 401, 404, 409, 425, 501, 505])
def test_status_is_retried_if_allowed(method: str, status: int) -> None:
    repeated = status in REPEATED and (method not in ("POST", "PATCH") or status in (423, 429))
    first = Wire(status)
    script = Script(first, Wire(200))
    if repeated:
        answer = ask(script, Request(method, "/rooms"))
        assert (answer.status, answer.attempts, len(script.sent), len(script.slept)) == (200, 2, 2, 1)
        assert first.closed
    else:
        with pytest.raises(ApiError) as raised:
            ask(script, Request(method, "/rooms"))
        assert (raised.value.status, len(script.sent)) == (status, 1)


@pytest.mark.parametrize(
    ("failure", "get", "post"),
    [
        pytest.param(ConnectError("refused"), 2, 2, id="no connection"),
        pytest.param(TransportError("cut"), 2, 1, id="cut"),
        pytest.param(DeadlineError("late"), 1, 1, id="deadline"),
        pytest.param(RedirectError("circle"), 1, 1, id="redirect"),
        pytest.param(ResponseTooLargeError("large"), 1, 1, id="too large"),
        pytest.param(ValueError("ours"), 1, 1, id="a mistake"),
    ],
)
def test_failure_is_retried_if_allowed(failure: Exception, get: int, post: int) -> None:
    for request, attempts in (
        (GET, get),
        (POST, post),
        (fresh(POST, idempotent=True), get),
        (fresh(GET, idempotent=False), post),
    ):
        script = Script(failure, Wire(200))
        if attempts == 2:
            assert ask(script, fresh(request)).attempts == 2
        else:
            with pytest.raises(type(failure)):
                ask(script, fresh(request))
        assert len(script.sent) == attempts


@pytest.mark.parametrize("most", [0, 1, 3])
def test_retries_are_limited(most: int) -> None:
    for given in ({"request": fresh(GET, max_retries=most)}, {"request": fresh(GET), "max_retries": most}):
        script = Script(Wire(503))
        with pytest.raises(ServerError):
            ask(script, **given)  # type: ignore[arg-type]  # a request, and perhaps a setting
        assert len(script.sent) == most + 1
    failing = Script(ConnectError("refused"))
    with pytest.raises(ConnectError):
        ask(failing, fresh(GET, max_retries=most))
    assert len(failing.sent) == most + 1


def test_backoff_grows_to_its_maximum() -> None:
    script = Script(Wire(503))
    with pytest.raises(ServerError):
        ask(script, fresh(GET, timeout=500, max_retries=9))
    bounds = [0.5, 1, 2, 4, 8, 16, 20, 20, 20]
    assert len(script.slept) == len(bounds)
    for pause, bound in zip(script.slept, bounds, strict=True):
        assert bound * 0.05 <= pause <= bound


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        pytest.param({"retry_after": "7"}, 7.0, 7.7, id="seconds"),
        pytest.param({"retry_after": "100"}, 100.0, 101.0, id="at most a second of jitter"),
        pytest.param({"retry_after": "0"}, 0.02, 0.06, id="none, but no hot loop"),
        pytest.param({"retry_after": "-5"}, 0.02, 0.06, id="negative"),
        pytest.param(
            {"retry_after": formatdate(900_000_030, usegmt=True), "date": formatdate(900_000_000, usegmt=True)},
            30.0,
            31.0,
            id="a date, by the answer's own clock",
        ),
        pytest.param({"retry_after": formatdate(1_800_001_010, usegmt=True)}, 10.0, 11.0, id="a date, by our clock"),
        pytest.param({"retry_after": "soon"}, 0.02, 0.5, id="unreadable"),
    ],
)
def test_retry_after_sets_the_wait(headers: dict[str, str], least: float, most: float) -> None:
    script = Script(Wire(503, **headers), Wire(200))
    ask(script, fresh(GET, timeout=200))
    assert len(script.slept) == 1
    assert least <= script.slept[0] <= most


def test_wait_beyond_the_deadline_is_not_begun() -> None:
    script = Script(Wire(503, retry_after="50"), Wire(200))
    with pytest.raises(ServerError) as raised:
        ask(script, fresh(GET, timeout=50))
    assert script.slept == []
    assert raised.value.retry_after == 50


def test_attempts_share_the_call_timeout() -> None:
    script = Script(ConnectError("refused"), takes=4.0)
    with pytest.raises(ConnectError):
        ask(script, fresh(GET, timeout=9, max_retries=50))
    timeouts = [request.timeout for request in script.sent]
    assert timeouts[0] == 9
    assert timeouts == sorted(timeouts, reverse=True)
    assert 2 <= len(timeouts) <= 3


# Authorization


@pytest.mark.parametrize(
    ("request_", "tokens", "header"),
    [
        pytest.param(GET, Tokens(), "Bearer token-1", id="token"),
        pytest.param(GET, None, None, id="no token source"),
        pytest.param(fresh(GET, auth="none"), Tokens(), None, id="none"),
        pytest.param(fresh(GET, auth=("u", "p")), Tokens(), "Basic dTpw", id="basic"),
        pytest.param(fresh(GET, url="https://evil.example.org/"), Tokens(), None, id="a strange host"),
        pytest.param(fresh(GET, url="http://api.example.com/"), Tokens(), None, id="plain http"),
        pytest.param(
            fresh(GET, url="https://evil.example.org/", auth=("u", "p")), None, None, id="basic, a strange host"
        ),
    ],
)
def test_credentials_are_sent_only_to_trusted_hosts(request_: Request, tokens: Any, header: str | None) -> None:
    script = Script()
    ask(script, fresh(request_), tokens)
    assert script.sent[0].headers.get("authorization") == header


def test_rejected_token_is_replaced_once() -> None:
    rejected = Wire(401)
    script, tokens = Script(rejected, Wire(200)), Tokens("old", "new", "newest")
    assert ask(script, fresh(GET, timeout=5), tokens).attempts == 1
    assert [sent.headers["authorization"] for sent in script.sent] == ["Bearer old", "Bearer new"]
    assert rejected.closed
    assert tokens.deadlines == [1005.0, 1005.0]
    again, tokens = Script(Wire(401)), Tokens("old", "new", "newest")
    with pytest.raises(ApiError):
        ask(again, fresh(GET), tokens)
    assert len(again.sent) == 2
    alone, tokens = Script(Wire(401)), Tokens("only")
    with pytest.raises(ApiError):
        ask(alone, fresh(GET), tokens)
    assert (len(alone.sent), tokens.rejected) == (1, ["only"])


def test_401_with_an_unrepeatable_body_is_raised() -> None:
    script, tokens = Script(Wire(401), Wire(200)), Tokens("old", "new")
    with pytest.raises(ApiError):
        ask(script, Request("POST", "/a", content=one_time()), tokens)
    assert len(script.sent) == 1
    late, tokens = Script(Wire(401), Wire(200), takes=9.0), Tokens("old", "new")
    with pytest.raises(ApiError):
        ask(late, fresh(GET, timeout=9), tokens)
    assert len(late.sent) == 1


# Redirects


@pytest.mark.parametrize(
    ("status", "method", "target", "after"),
    [
        (301, "GET", "/v1/b", ("GET", "https://api.example.com/v1/b")),
        (302, "POST", "b", ("GET", "https://api.example.com/v1/b")),
        (303, "PUT", "/b", ("GET", "https://api.example.com/b")),
        (303, "HEAD", "/b", ("HEAD", "https://api.example.com/b")),
        (301, "PUT", "/b", ("PUT", "https://api.example.com/b")),
        (307, "POST", "/b", ("POST", "https://api.example.com/b")),
        (308, "POST", "https://other.example.com/b?c=1", ("POST", "https://other.example.com/b?c=1")),
        (302, "DELETE", "?x=1", ("DELETE", "https://api.example.com/v1/a?x=1")),
    ],
)
def test_redirect_is_followed(status: int, method: str, target: str, after: tuple[str, str]) -> None:
    first = Wire(status, location=target)
    script = Script(first, Wire(200))
    body = {"json": {"a": 1}} if method in ("POST", "PUT") else {}
    answer = ask(script, Request(method, "/a", **body), Tokens())
    assert answer.status == 200
    assert first.closed
    sent = script.sent[1]
    assert (sent.method, sent.url) == after
    assert sent.headers["trackingid"] == script.sent[0].headers["trackingid"]
    kept = after[0] == method and bool(body)
    assert (sent.body, sent.headers.get("content-type")) == ((b'{"a":1}', "application/json") if kept else (None, None))
    assert sent.headers["authorization"] == "Bearer token-1"


def test_cisco_location_is_followed_and_keeps_the_method() -> None:
    script = Script(Wire(404, cisco_location="https://b.example.com/x", location="/wrong"), Wire(200))
    ask(script, Request("POST", "/a", json=1))
    assert (script.sent[1].method, script.sent[1].url, script.bodies[1]) == ("POST", "https://b.example.com/x", b"1")
    ignored = Script(Wire(200, location="/b"))
    assert ask(ignored, Request("GET", "/a")).status == 200
    assert len(ignored.sent) == 1
    assert ask(Script(Wire(302)), Request("GET", "/a")).status == 302


@pytest.mark.parametrize(
    ("target", "method", "text"),
    [
        ("http://api.example.com/b", "GET", "leads from https to plain http on api.example.com"),
        ("ftp://api.example.com/b", "GET", "points to a ftp URL"),
        ("https://:443/b", "GET", "points to a https URL"),
        ("https://[x/", "GET", "points to something that is no URL"),
        ("https://evil.example.org/b", "POST", "would carry a POST to evil.example.org"),
        ("https://evil.example.org/b", "DELETE", "would carry a DELETE to evil.example.org"),
    ],
)
def test_unsafe_redirect_is_refused(target: str, method: str, text: str) -> None:
    script = Script(Wire(307, location=target), Wire(200))
    with pytest.raises(RedirectError, match=text) as raised:
        ask(script, Request(method, "/a?secret=1"), Tokens())
    assert len(script.sent) == 1
    assert raised.value.request is not None
    assert (raised.value.request.method, raised.value.request.url) == (method, f"{BASE}/a")


@pytest.mark.parametrize("header", ["authorization", "cookie"])
@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("https://api.example.com/b", True),
        ("https://api.example.com:8443/b", False),
        ("https://other.example.com/b", False),
        ("https://evil.example.org/b", False),
    ],
)
def test_own_headers_of_the_caller_stay_on_their_host(header: str, target: str, kept: bool) -> None:
    script = Script(Wire(302, location=target), Wire(200))
    ask(script, Request("GET", "/a", headers={header: "mine", "x-other": "1"}, auth="none"))
    assert script.sent[0].headers[header] == "mine"
    assert script.sent[1].headers.get(header) == ("mine" if kept else None)
    assert script.sent[1].headers["x-other"] == "1"


def test_one_time_body_is_not_redirected() -> None:
    script = Script(Wire(307, location="/b"), Wire(200))
    with pytest.raises(RedirectError, match="can't be read a second time"):
        ask(script, Request("POST", "/a", content=one_time()))


@pytest.mark.parametrize("most", [1, 3])
def test_redirects_are_limited(most: int) -> None:
    script = Script(Wire(302, location="/b?token=x"))
    with pytest.raises(RedirectError, match=rf"More than {most} redirects; the last went to \S+/b\. \["):
        ask(script, Request("GET", "/a"), max_redirects=most)
    assert len(script.sent) == most + 1


# Rate limits


def test_429_delays_only_calls_of_the_same_resource() -> None:
    script = Script(Wire(429, retry_after="30"), Wire(200))
    pipeline = pipeline_of(script)
    alice, bob = Tokens(owner="alice"), Tokens(owner="bob")
    with pytest.raises(RateLimitError):
        drive(pipeline.send(Request("GET", "/rooms/1", max_retries=0), alice))
    for other, tokens in (
        ("/rooms/1", bob),
        ("/rooms/1", None),
        ("/people/1", alice),
        ("https://b.example.com/v1/rooms/1", alice),
    ):
        drive(pipeline.send(Request("GET", other), tokens))
    assert script.slept == []
    drive(pipeline.send(Request("GET", "/rooms/2?x=1"), alice))  # another room, the same kind
    assert script.slept == [pytest.approx(30.0)]
    drive(pipeline.send(Request("GET", "/rooms/2"), alice))
    assert len(script.slept) == 1


def test_wait_for_a_rate_limit_fits_the_call() -> None:
    script = Script(Wire(429, retry_after="30"), Wire(200))
    pipeline = pipeline_of(script)
    with pytest.raises(RateLimitError):
        drive(pipeline.send(Request("GET", "/rooms", max_retries=0)))
    assert (
        drive(pipeline.send(Request("GET", "/rooms", timeout=30))).status == 200
    )  # the service may answer, or refuse again
    assert script.slept == []


@pytest.mark.parametrize(
    "headers", [{}, {"retry_after": "0"}, {"retry_after": "x"}], ids=["none", "zero", "unreadable"]
)
def test_429_without_a_time_delays_nothing(headers: dict[str, str]) -> None:
    script = Script(Wire(429, **headers), Wire(200))
    pipeline = pipeline_of(script)
    with pytest.raises(RateLimitError):
        drive(pipeline.send(Request("GET", "/rooms", max_retries=0)))
    drive(pipeline.send(Request("GET", "/rooms")))
    assert script.slept == []
