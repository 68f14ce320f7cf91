"""What the plain WSGI and ASGI adapters read of a request, and what they leave to the app."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from tests.web.conftest import SECRET
from webex import AsyncIntegration, Integration
from webex.errors import MissingKeyError, NotSignedInError, StorageError
from webex.web import WebResponse, asgi, wsgi

SETTINGS: dict[str, Any] = {
    "client_id": "C1",
    "client_secret": "s" * 40,
    "redirect_uri": "https://app.example.com/auth/callback",
    "scope": "openid",
}


def environ_of(path: str = "/me", **more: Any) -> dict[str, Any]:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "app.example.com", "SERVER_PORT": "443"}
    return {**environ, "HTTP_ACCEPT": "text/html", "wsgi.url_scheme": "https", **more}


def as_latin1(text: str) -> str:
    return text.encode().decode("latin-1")


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"PATH_INFO": "/a/b"}, "/a/b"),
        ({"PATH_INFO": "/a/b", "RAW_URI": "/a%2Fb?x=1"}, "/a%2Fb"),
        ({"PATH_INFO": "/a/b", "REQUEST_URI": "/a%2fb"}, "/a%2fb"),
        ({"PATH_INFO": "/a/b", "REQUEST_URI": "http://app.example.com/a%2Fb?x=1"}, "/a%2Fb"),
        ({"PATH_INFO": "/a/b/c", "REQUEST_URI": "http://app.example.com/a/b%2Fc"}, "/a/b%2Fc"),
        ({"PATH_INFO": "/b", "SCRIPT_NAME": "/a", "RAW_URI": "/a/b%3F"}, "/a/b"),
        ({"PATH_INFO": "/b?", "SCRIPT_NAME": "/a", "RAW_URI": "/a/b%3F"}, "/a/b%3F"),
        ({"PATH_INFO": "/b?", "SCRIPT_NAME": "/a", "RAW_URI": "/b%3F"}, "/b%3F"),
        ({"PATH_INFO": as_latin1("/日")}, "/%E6%97%A5"),
        ({"PATH_INFO": as_latin1("/日"), "RAW_URI": as_latin1("/日")}, "/%E6%97%A5"),
        ({"PATH_INFO": as_latin1("/日"), "RAW_URI": "/%e6%97%a5#x"}, "/%e6%97%a5"),
        ({"PATH_INFO": "/\xff", "RAW_URI": "/%FF"}, "/%FF"),
        ({"PATH_INFO": "/changed", "RAW_URI": "/as/sent"}, "/changed"),
        ({"PATH_INFO": "//evil.example/x", "RAW_URI": "//evil.example/x"}, "//evil.example/x"),
        ({"PATH_INFO": "/x", "RAW_URI": "https://evil.example"}, "/x"),
        ({"PATH_INFO": "", "SCRIPT_NAME": "/a", "RAW_URI": "/a"}, "/a"),
        ({"PATH_INFO": "/%"}, "/%25"),
    ],
)
def test_wsgi_path_equals_the_sent_path(variables: dict[str, str], path: str) -> None:
    assert wsgi.wsgi_request(environ_of(**variables)).path == path


def test_non_utf_8_mount_is_read_with_replacement_characters() -> None:
    assert wsgi.wsgi_request(environ_of(SCRIPT_NAME="/\xff")).root_path == "/\ufffd"
    assert wsgi.wsgi_request(environ_of(SCRIPT_NAME=as_latin1("/日"))).root_path == "/日"


def test_wsgi_request_is_complete() -> None:
    environ = environ_of(
        QUERY_STRING=as_latin1("q=ü&r=%2F"),
        HTTP_COOKIE="a=1; b=2",
        REMOTE_ADDR="192.0.2.1",
        SCRIPT_NAME=as_latin1("/ü"),
    )
    request = wsgi.wsgi_request(environ)
    assert (request.method, request.scheme, request.host) == ("GET", "https", "app.example.com:443")
    assert (request.query, request.client, request.root_path) == ("q=%C3%BC&r=%2F", "192.0.2.1", "/ü")
    assert request.cookie_values("b") == ["2"]
    assert wsgi.wsgi_request(environ_of(HTTP_HOST="other.example.com")).host == "other.example.com"


class Started(list[Any]):
    """A server's `start_response`: remembers each, and raises what comes too late."""

    sent = False

    def __call__(self, status: str, headers: Any, exc_info: Any = None) -> None:
        if self and exc_info is None:
            raise AssertionError("started twice")
        if exc_info is not None and self.sent:
            raise exc_info[1]
        self.append((status, dict(headers)))


def serve(app: Any, path: str = "/me", **more: Any) -> tuple[Started, Any]:
    started = Started()
    with Integration(**SETTINGS) as integration:
        auth = wsgi.WebexAuth(integration, session_secret=SECRET)
        return started, wsgi.WebexMiddleware(app, auth)(environ_of(path, **more), started)


def refuse(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise NotSignedInError("x")


def refuse_lazily(environ: Any, start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"]:
        raise NotSignedInError("x")
    yield b""


def refuse_after_start(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    raise NotSignedInError("x")


@pytest.mark.parametrize("app", [refuse, refuse_lazily, refuse_after_start])
def test_wsgi_app_without_a_user_redirects_to_the_sign_in(app: Any) -> None:
    started, body = serve(app)
    assert b"".join(body) == b""
    assert started[-1][0] == "303 See Other"
    assert started[-1][1]["location"] == "/auth/login?return_to=%2Fme"


def test_request_is_the_one_that_the_server_gave() -> None:
    def decodes_in_place(environ: Any, start_response: Any) -> Iterable[bytes]:
        environ["PATH_INFO"] = environ["PATH_INFO"].encode("latin-1").decode()  # as Bottle does
        start_response("200 OK", [])
        return [environ["webex.request"].path.encode()]

    assert b"".join(serve(decodes_in_place, as_latin1("/日"))[1]) == b"/%E6%97%A5"


def test_refusal_after_data_was_sent_is_an_error() -> None:
    def late(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"begun"
        raise NotSignedInError("x")

    started, body = serve(late)
    pieces = iter(body)
    assert next(pieces) == b"begun"
    started.sent = True
    with pytest.raises(NotSignedInError):
        next(pieces)


def test_body_of_a_wsgi_app_is_passed_through() -> None:
    body = [b"1", b"2"]

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return body

    assert serve(app)[1] is body


def test_generator_of_a_wsgi_app_is_closed_with_the_response() -> None:
    closed = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            yield b"1"
            yield b"2"
        finally:
            closed.append(True)

    _, body = serve(app)
    next(iter(body))
    body.close()
    assert closed == [True]


@pytest.mark.parametrize("error", [ValueError("x"), MissingKeyError("k")])
def test_errors_of_the_app_are_unchanged(error: Exception) -> None:
    def app(*_: Any) -> Any:
        raise error

    with pytest.raises(type(error)):
        serve(app)
    with pytest.raises(type(error)):
        ask(app)


def test_unknown_methods_are_refused_by_the_routes() -> None:
    started, _ = serve(refuse, "/auth/login", REQUEST_METHOD="DELETE")
    assert started[0][0] == "405 Method Not Allowed"
    assert started[0][1]["allow"] == "GET, HEAD, POST"
    sent = ask(None, "/auth/login", method="DELETE")
    assert sent[0]["status"] == 405


@pytest.mark.parametrize("path", ["/auth/login/", "/auth/login"])
def test_routes_answer_with_and_without_a_slash_at_the_end(path: str) -> None:
    assert serve(refuse, path)[0][0][0] == "303 See Other"
    assert ask(None, path)[0]["status"] == 303


@pytest.mark.parametrize("path", ["/auth", "/auth/", "/auth/login/x", "/auth//login", "/AUTH/login", "/x/auth/login"])
def test_paths_next_to_the_routes_belong_to_the_app(path: str) -> None:
    seen = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        seen.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return []

    serve(app, path)
    assert seen == [path]


def test_hook_may_answer_with_any_status() -> None:
    started = Started()
    answer = WebResponse(499, {"Location": "/日"})
    assert wsgi.respond(answer, wsgi.wsgi_request(environ_of()), started) == [b""]
    assert started[0] == ("499 Unknown", {"Location": "/%E6%97%A5", "content-length": "0"})


def ask(app: Any, path: str = "/me", *, kind: str = "http", method: str = "GET") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    async def run() -> None:
        async with AsyncIntegration(**SETTINGS) as integration:
            auth = asgi.WebexAuth(integration, session_secret=SECRET)
            scope = {"type": kind, "method": method, "path": path, "headers": [(b"accept", b"text/html")]}
            await asgi.WebexMiddleware(app, auth)(scope, receive, send)

    asyncio.run(run())
    return sent


@pytest.mark.parametrize(
    ("error", "status", "code"), [(NotSignedInError("x"), 303, 1008), (StorageError("the disk is gone"), 503, 1013)]
)
def test_refusals_of_an_asgi_app(error: Exception, status: int, code: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    start, body = ask(app)
    assert start["status"] == status
    assert b"disk" not in body["body"]
    [closed] = ask(app, kind="websocket")
    assert (closed["type"], closed["code"]) == ("websocket.close", code)
    assert closed["reason"]


def test_other_scope_types_pass_unchanged() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append("state" in scope)

    ask(app, kind="lifespan")
    assert seen == [False]


def test_asgi_app_can_read_its_request() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["type"].encode()})

    start, body = ask(app)
    assert (start["status"], body["body"]) == (200, b"http.request")
