"""What is sent and what comes of the answer, over a transport and a clock that follow a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.pipeline.scripted import BASE, Script, Tokens, Wire, ask, one_time, pipeline_of
from webex.errors import (
    ApiError,
    ConfigurationError,
    ConnectError,
    DeadlineError,
    DecodeError,
    FileError,
    RateLimitError,
    ServerError,
)
from webex.http.types import Part, Request
from webex.runtime import drive

# Bodies


class Source:
    """A part of a multipart body."""

    def __init__(self, *, rewindable: bool) -> None:
        self.size, self.rewindable = 5, rewindable

    async def open(self) -> AsyncIterator[bytes]:
        yield b"piece"


@pytest.mark.parametrize("rewindable", [True, False])
def test_body_is_resent_only_if_rewindable(rewindable: bool) -> None:
    def request() -> Request:
        return Request("POST", "/files", multipart=[Part("f", Source(rewindable=rewindable), "a.txt", "text/plain")])

    script = Script(Wire(429), Wire(200))
    refused = Script(ConnectError("refused"), Wire(200))
    if rewindable:
        assert ask(script, request()).attempts == ask(refused, request()).attempts == 2
        assert script.bodies[0] == script.bodies[1]
        assert b"piece" in script.bodies[0]
    else:
        with pytest.raises(RateLimitError):
            ask(script, request())
        with pytest.raises(FileError, match="can't be read a second time") as raised:
            ask(refused, request())
        assert isinstance(raised.value.__cause__, ConnectError)
        assert len(script.sent) == len(refused.sent) == 1


@pytest.mark.parametrize(
    ("given", "body", "kind"),
    [
        pytest.param({"json": {"a": "é"}}, '{"a":"é"}'.encode(), "application/json", id="json"),
        pytest.param({"json": []}, b"[]", "application/json", id="an empty list"),
        pytest.param({"form": {"a b": "c d"}}, b"a%20b=c%20d", "application/x-www-form-urlencoded", id="form"),
        pytest.param({"content": b"x", "content_type": "text/plain"}, b"x", "text/plain", id="bytes"),
        pytest.param({"content": b"x"}, b"x", None, id="bytes of no kind"),
        pytest.param({}, None, None, id="nothing"),
    ],
)
def test_body_is_encoded_by_its_type(given: dict[str, Any], body: bytes | None, kind: str | None) -> None:
    script = Script()
    ask(script, Request("post", "/rooms", **given))
    (sent,) = script.sent
    assert (sent.method, sent.body, sent.headers.get("content-type")) == ("POST", body, kind)
    assert sent.headers["accept"] == "application/json"


def test_upload_progress_is_reported_while_sending() -> None:
    told: list[tuple[int, int | None]] = []

    def note(sent: int, length: int | None) -> None:
        told.append((sent, length))

    script = Script()
    ask(script, Request("POST", "/files", content=one_time(), on_progress=note))
    assert told == [(5, None)]
    told.clear()
    ask(script, Request("POST", "/files", multipart=[Part("f", b"12345")], on_progress=note))
    (sent,) = script.sent[1:]
    assert sent.content_length == len(script.bodies[1]) == told[-1][0] == told[-1][1]
    assert [each for each, _ in told] == sorted(each for each, _ in told)


def test_multipart_body_is_one_of_rfc_7578() -> None:
    script = Script()
    parts = [
        Part("text", "é"),
        Part("file", b"\x00\r\n", 'a"b\r\nc.txt', "text/plain\r\nx-evil: 1"),
        Part("source", Source(rewindable=True), "s", ""),
    ]
    ask(script, Request("POST", "/files", multipart=parts))
    kind = script.sent[0].headers["content-type"]
    boundary = kind.removeprefix("multipart/form-data; boundary=")
    assert (
        script.bodies[0]
        == (
            f'--{boundary}\r\nContent-Disposition: form-data; name="text"\r\n\r\né\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a%22b%0D%0Ac.txt"\r\n'
            f"Content-Type: text/plain\r\n\r\n\x00\r\n\r\n"
            f'--{boundary}\r\nContent-Disposition: form-data; name="source"; filename="s"\r\n'
            f"Content-Type: \r\n\r\npiece\r\n--{boundary}--\r\n"
        ).encode()
    )
    assert script.sent[0].content_length == len(script.bodies[0])


def test_multipart_body_of_unknown_length_has_no_content_length() -> None:
    source = Source(rewindable=True)
    source.size = None  # type: ignore[assignment]  # as an iterator's
    script = Script()
    ask(script, Request("POST", "/files", multipart=[Part("f", source), Part("g", b"x")]))
    assert script.sent[0].content_length is None


@pytest.mark.parametrize(
    ("request_", "settings", "seconds"),
    [
        pytest.param(Request("GET", "/a"), {}, 60.0, id="default"),
        pytest.param(Request("GET", "/a"), {"timeout": 5}, 5.0, id="setting"),
        pytest.param(Request("GET", "/a", timeout=7), {"timeout": 5}, 7.0, id="the call's own"),
        pytest.param(
            Request("POST", "/a", multipart=[Part("f", bytes(655_000))]), {}, 70.0, id="an upload of ten seconds"
        ),
        pytest.param(
            Request("POST", "/a", multipart=[Part("f", bytes(655_000))]), {"timeout": 5}, 5.0, id="bounded upload"
        ),
    ],
)
def test_time_of_a_call(request_: Request, settings: dict[str, Any], seconds: float) -> None:
    script = Script()
    ask(script, request_, **settings)
    assert script.sent[0].timeout == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True, "5"], ids=repr)
def test_time_of_a_call_is_a_number_above_zero(timeout: Any) -> None:
    script = Script()
    with pytest.raises(ConfigurationError, match="timeout must be a number of seconds above 0"):
        ask(script, Request("GET", "/a", timeout=timeout))
    assert script.sent == []


# Where it goes


@pytest.mark.parametrize(
    ("request_", "url"),
    [
        pytest.param(Request("GET", "/rooms"), f"{BASE}/rooms", id="path"),
        pytest.param(Request("GET", "rooms"), f"{BASE}/rooms", id="without a slash"),
        pytest.param(Request("GET", "//rooms"), None, id="another host"),
        pytest.param(Request("GET", "ftp://x.example.com/"), None, id="another scheme"),
        pytest.param(Request("GET", "/d", service="wdm"), "https://wdm.example.com/d", id="service"),
        pytest.param(Request("GET", "https://x.example.com/a"), "https://x.example.com/a", id="absolute"),
        pytest.param(
            Request("GET", "/a", params={"b": [1, True], "c": None, "d": "e f"}),
            f"{BASE}/a?b=1%2Ctrue&d=e%20f",
            id="query",
        ),
        pytest.param(Request("GET", "/a?b=1", params={"c": 2}), f"{BASE}/a?b=1&c=2", id="a second query"),
        pytest.param(Request("GET", "/a?b=1", params={}), f"{BASE}/a?b=1", id="no query"),
    ],
)
def test_url_of_a_call(request_: Request, url: str | None) -> None:
    script = Script()
    if url is None:
        with pytest.raises(ConfigurationError, match="neither a path nor an http"):
            ask(script, request_)
    else:
        ask(script, request_)
    assert [sent.url for sent in script.sent] == ([] if url is None else [url])


def test_calls_are_numbered_and_named() -> None:
    script = Script(Wire(503), Wire(200))
    pipeline = pipeline_of(script, app_name="bot", app_version="2.0", tracking_id_prefix="mine")
    drive(pipeline.send(Request("GET", "/a")))
    drive(pipeline.send(Request("GET", "/b", headers={"TrackingID": "own", "X-Mine": "1"})))
    drive(pipeline.send(Request("GET", "/c")))
    first, again, own, third = (sent.headers for sent in script.sent)
    assert first["trackingid"] == again["trackingid"]
    assert first["trackingid"].startswith("mine_")
    assert (first["trackingid"][-2:], third["trackingid"][-2:]) == ("_1", "_2")
    assert first["trackingid"][:-2] == third["trackingid"][:-2]
    assert (own["trackingid"], own["x-mine"]) == ("own", "1")
    assert first["user-agent"].startswith("bot/2.0 webex-python-sdk/")
    assert first["spark-user-agent"].endswith(" (python) bot/2.0")
    assert "x-mine" not in third


# Answers


@pytest.mark.parametrize(
    ("body", "message", "errors"),
    [
        (
            b'{"message": "no", "errors": [{"description": "first"}, {"description": "second"}, {}, 5]}',
            "no",
            ["first", "second"],
        ),
        (b'{"errors": [{"description": "first"}]}', "first", ["first"]),
        (b'{"error": {"message": [], "detail": "deep"}}', "deep", []),
        (b'{"error_description": "described", "error": "code"}', "described", []),
        (b"plain text \n", "plain text", []),
        (b"<html>secret</html>", "Not Found", []),
        (b"", "Not Found", []),
        (b"[1]", "Not Found", []),
        (b'{"errors": "text"}', "Not Found", []),
        (b"\xff", "\ufffd", []),
    ],
)
def test_error_has_the_message_of_the_response(body: bytes, message: str, errors: list[str]) -> None:
    with pytest.raises(ApiError) as raised:
        ask(Script(Wire(404, body, trackingid="T")), Request("GET", "/a?token=x"))
    error = raised.value
    assert error.args[0].startswith(message)
    assert (error.status, list(error.errors), error.tracking_id) == (404, errors, "T")
    assert error.request is not None
    assert error.request.url == f"{BASE}/a"


@pytest.mark.parametrize(
    ("headers", "body", "tracking_id"),
    [
        ({"trackingid": "H"}, b'{"trackingId": "B"}', "H"),
        ({}, b'{"trackingId": "B"}', "B"),
        ({}, b'{"trackingId": 5}', None),
        ({}, b"", None),
    ],
    ids=["header", "body", "no text", "neither"],
)
def test_error_names_the_tracking_id(headers: dict[str, str], body: bytes, tracking_id: str | None) -> None:
    script = Script(Wire(599, body, **headers))
    with pytest.raises(ServerError) as raised:
        ask(script, Request("GET", "/a"))
    assert raised.value.tracking_id == (tracking_id or script.sent[0].headers["trackingid"])
    assert "The service answered with an error" in str(raised.value)


def test_error_keeps_a_bounded_part_of_its_response() -> None:
    with pytest.raises(ApiError) as raised:
        ask(Script(Wire(400, b"x" * 100_000)), Request("GET", "/a"))
    assert len(raised.value.args[0]) <= 2_100
    assert len(str(raised.value.body)) == 2_000


def test_non_json_response_error_names_its_origin() -> None:
    script = Script(Wire(200, b"<html>", content_type="text/html", trackingid="T"))
    answer = ask(script, Request("GET", "/a"))
    with pytest.raises(DecodeError, match=r"is a page \(HTML or XML\).*; 6 bytes came") as raised:
        answer.json()
    error = raised.value
    assert (error.status, error.content_type, error.tracking_id) == (200, "text/html", "T")
    assert error.request is answer.request
    assert ask(Script(Wire(204, b"")), Request("GET", "/a")).json() is None
    plain = Script(Wire(200))
    assert ask(plain, Request("GET", "/a")).tracking_id == plain.sent[0].headers["trackingid"]


def test_streamed_response_is_read_in_chunks_and_closed() -> None:
    wire = Wire(200, b"x" * 2500)
    script = Script(wire)
    pipeline = pipeline_of(script, idle_timeout=7)

    async def main() -> list[int]:
        answer = await pipeline.stream(Request("GET", "/file"))
        assert (answer.status, answer.request.method, answer.request.url) == (200, "GET", f"{BASE}/file")
        return [len(piece) async for piece in answer]

    assert drive(main()) == [1000, 1000, 500]
    (sent,) = script.sent
    assert sent.stream
    assert (sent.timeout, sent.idle_timeout, sent.stream_timeout) == (7, 7, 3600.0)

    async def whole() -> bytes:
        return await (await pipeline.stream(Request("GET", "/file", timeout=3))).read()

    assert drive(whole()) == wire.body
    assert wire.closed
    assert (script.sent[1].timeout, script.sent[1].stream_timeout) == (3, 3)


def test_error_of_a_streamed_call_is_read_to_its_limit() -> None:
    wire = Wire(404, b"y" * 200_000)
    with pytest.raises(ApiError) as raised:
        drive(pipeline_of(Script(wire)).stream(Request("GET", "/file")))
    assert wire.closed
    assert str(raised.value.body) == "y" * 2_000


def test_transport_error_names_the_call_and_its_time() -> None:
    late = DeadlineError("late")
    with pytest.raises(DeadlineError) as raised:
        ask(Script(late), Request("GET", "/a?token=x", timeout=4))
    error = raised.value
    assert error.timeout == 4
    assert error.request is not None
    assert (error.request.method, error.request.url) == ("GET", f"{BASE}/a")
    streamed = DeadlineError("idle")
    with pytest.raises(DeadlineError):
        drive(pipeline_of(Script(streamed), idle_timeout=3).stream(Request("GET", "/a", timeout=50)))
    assert streamed.timeout == 3


@pytest.mark.parametrize(
    ("given", "settings", "size"),
    [
        ({}, {"max_response_size": 10, "max_download_size": 20}, (10, 20)),
        ({"max_response_size": 5, "max_download_size": 6}, {"max_response_size": 10, "max_download_size": 20}, (5, 6)),
    ],
    ids=["settings", "the call's own"],
)
def test_size_of_an_answer_is_limited(given: Any, settings: dict[str, Any], size: tuple[int, int]) -> None:
    script = Script()
    pipeline = pipeline_of(script, **settings)
    drive(pipeline.send(Request("GET", "/a", **given)))
    drive(pipeline.stream(Request("GET", "/a", **given)))
    assert tuple(sent.max_size for sent in script.sent) == size
    assert {sent.max_error_size for sent in script.sent} == {64 * 1024}


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "5"], ids=repr)
def test_size_of_a_call_is_a_whole_number(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_response_size must be a whole number of bytes above 0"):
        ask(Script(), Request("GET", "/a", max_response_size=wrong))


def test_hooks_receive_the_complete_call() -> None:
    seen: list[Any] = []

    class Hook:
        def on_request(self, call: Any) -> None:
            seen.append(("request", call.request.method))
            call.headers["x-hook"] = "1"

        def on_response(self, outcome: Any) -> None:
            seen.append((outcome.status, outcome.attempts, outcome.elapsed, type(outcome.error).__name__))

    script = Script(Wire(503, retry_after="2"), Wire(200), takes=1.0)
    drive(pipeline_of(script, hooks=[Hook()]).send(Request("GET", "/a"), Tokens()))
    assert [sent.headers["x-hook"] for sent in script.sent] == ["1", "1"]
    assert seen[0] == ("request", "GET")
    assert seen[1] == (200, 2, pytest.approx(4.1, abs=0.11), "NoneType")
    seen.clear()
    failing = Script(ConnectError("refused"))
    with pytest.raises(ConnectError):
        drive(pipeline_of(failing, hooks=[Hook()]).send(Request("GET", "/a", max_retries=1)))
    assert [each[:2] for each in seen] == [("request", "GET"), (None, 2)]
    assert seen[1][3] == "ConnectError"
