"""The receiver behind real servers, by each way to mount it."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import urllib3
from aiohttp import web
from fastapi import FastAPI
from flask import Flask, request
from litestar import Litestar
from litestar.config.csrf import CSRFConfig
from starlette.applications import Starlette
from starlette.routing import Mount
from werkzeug.test import EnvironBuilder

from tests.support.ports import free_port
from tests.web.conftest import Server
from tests.webhooks.conftest import SECRET, posted
from webex import AsyncWebex, Webex
from webex.storage import SQLiteStorage
from webex.webhooks import WebhookReceiver
from webex.webhooks import aiohttp as for_aiohttp
from webex.webhooks import fastapi as for_fastapi
from webex.webhooks import flask as for_flask
from webex.webhooks.litestar import WebhookPlugin

PATH = "/hooks/webex"
Make = Callable[[WebhookReceiver[Any]], Any]


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def served_by_asgi(app: Any) -> Iterator[int]:
    port = free_port()
    server = Server(app, port)
    try:
        yield port
    finally:
        server.stop()


@contextmanager
def served_by_wsgi(app: Any) -> Iterator[int]:
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(60)


@contextmanager
def served_by_aiohttp(app: web.Application) -> Iterator[int]:
    loop, ports = asyncio.new_event_loop(), []
    up = threading.Event()
    runner = web.AppRunner(app)

    async def begin() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ports.append(runner.addresses[0][1])
        up.set()

    loop.call_soon(lambda: loop.create_task(begin()))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    assert up.wait(60)
    try:
        yield ports[0]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


def mounted_in_starlette(hooks: WebhookReceiver[Any]) -> Any:
    return Starlette(routes=[Mount("/hooks", hooks.asgi)])


def installed_in_fastapi(hooks: WebhookReceiver[Any]) -> Any:
    app = FastAPI()
    for_fastapi.install(app, hooks, PATH)
    return app


def installed_in_flask(hooks: WebhookReceiver[Any]) -> Any:
    app = Flask("hooks")
    for_flask.install(app, hooks, PATH)
    return app


def installed_in_aiohttp(hooks: WebhookReceiver[Any]) -> Any:
    app = web.Application()
    for_aiohttp.install(app, hooks, PATH)
    return app


def plugged_into_litestar(hooks: WebhookReceiver[Any]) -> Any:
    return Litestar(plugins=[WebhookPlugin(hooks, PATH)], csrf_config=CSRFConfig(secret="a secret of the CSRF tokens"))


def routed_in_django(hooks: WebhookReceiver[Any]) -> Any:
    import django
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import path

    from webex.webhooks.django import webhook_view

    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"], ROOT_URLCONF="tests.web", SECRET_KEY="not a secret", LOGGING_CONFIG=None
        )
        django.setup()

    urls = type("urls", (), {"urlpatterns": [path(PATH[1:], webhook_view(hooks))]})

    class App:
        settings: ClassVar[dict[str, Any]] = {
            "ROOT_URLCONF": urls,
            "MIDDLEWARE": ["django.middleware.csrf.CsrfViewMiddleware"],
        }

        def __call__(self, environ: Any, start_response: Any) -> Any:
            from django.test import override_settings

            with override_settings(**self.settings):
                return WSGIHandler()(environ, start_response)

        def asgi(self) -> Any:
            async def app(scope: Any, receive: Any, send: Any) -> None:
                from django.test import override_settings

                if scope["type"] == "http":
                    with override_settings(**self.settings):
                        await ASGIHandler()(scope, receive, send)

            return app

    return App()


@pytest.mark.parametrize(
    ("style", "make", "serve"),
    [
        pytest.param(AsyncWebex, lambda hooks: hooks.asgi, served_by_asgi, id="asgi"),
        pytest.param(Webex, lambda hooks: hooks.asgi, served_by_asgi, id="asgi-blocking"),
        pytest.param(AsyncWebex, mounted_in_starlette, served_by_asgi, id="starlette"),
        pytest.param(AsyncWebex, installed_in_fastapi, served_by_asgi, id="fastapi"),
        pytest.param(AsyncWebex, plugged_into_litestar, served_by_asgi, id="litestar"),
        pytest.param(Webex, plugged_into_litestar, served_by_asgi, id="litestar-blocking"),
        pytest.param(Webex, lambda hooks: hooks.wsgi, served_by_wsgi, id="wsgi"),
        pytest.param(Webex, installed_in_flask, served_by_wsgi, id="flask"),
        pytest.param(Webex, routed_in_django, served_by_wsgi, id="django"),
        pytest.param(AsyncWebex, installed_in_aiohttp, served_by_aiohttp, id="aiohttp"),
    ],
)
def test_a_delivery_over_a_socket(tmp_path: Path, style: Any, make: Make, serve: Any) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks: WebhookReceiver[Any] = WebhookReceiver(style("a token"), secret=SECRET, storage=storage, max_size=5000)
    arrived: list[str] = []
    done = threading.Event()

    @hooks.on("messages", "created")
    def handle(event: Any) -> None:
        arrived.append(event.key)
        done.set()

    body, headers = posted(id="M1")
    with urllib3.PoolManager(retries=False) as http, serve(make(hooks)) as port:
        url = f"http://127.0.0.1:{port}{PATH}"
        assert http.request("POST", url, body=body).status == 401
        assert http.request("POST", url, body=body + b" ", headers=headers).status == 401
        assert http.request("POST", url, body=b"x" * 5001, headers=headers).status == 413
        assert http.request("GET", url).status == 405
        answers = [http.request("POST", url, body=body, headers=headers).status for _ in range(3)]
        assert done.wait(60)
    hooks.close() if style is Webex else None
    storage.close()
    assert answers == [200, 200, 200]
    assert arrived == ["messages:created:M1"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("read_before", [False, True])
def test_a_body_that_flask_has_read_before_is_verified(chunked: bool, read_before: bool) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, max_size=5000, mode="lossy")
    app = installed_in_flask(hooks)
    if read_before:

        @app.before_request
        def read() -> None:
            request.get_data()

    body, headers = posted(id="M1")
    sent: dict[str, Any] = {"data": body}
    if chunked:
        overrides = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        sent = {"input_stream": io.BytesIO(body), "environ_overrides": overrides}
    answer = app.test_client().post(PATH, headers=headers, content_type="application/json", **sent)
    hooks.close()
    assert answer.status_code == 200


@pytest.mark.parametrize("make", [lambda hooks: hooks.wsgi, installed_in_flask, routed_in_django])
def test_a_body_in_chunks_is_verified_under_wsgi(make: Make) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, max_size=5000, mode="lossy")
    app, statuses = make(hooks), []
    body, headers = posted(id="M1")
    environ: dict[str, Any] = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    for data in (body, b"x" * 5001):
        builder = EnvironBuilder(PATH, method="POST", input_stream=io.BytesIO(data), content_type="application/json")
        made = {**builder.get_environ(), **environ, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        del made["CONTENT_LENGTH"]
        list(app(made, lambda status, *_: statuses.append(status[:3])))
    hooks.close()
    assert statuses == ["200", "413"]


@pytest.mark.parametrize("length", ["9" * 5000, "9" * 18, "٩" * 30])
def test_an_absurd_length_is_no_server_error(length: str) -> None:
    hooks = WebhookReceiver(Webex("a token"), secret=SECRET, max_size=5000)
    statuses: list[str] = []
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"x" * 10)}
    hooks.wsgi(environ, lambda status, headers: statuses.append(status))
    environ["wsgi.input"] = io.BytesIO(b"x" * 5001)
    hooks.wsgi(environ, lambda status, headers: statuses.append(status))
    hooks.close()
    assert [status[:3] for status in statuses] == ["400", "413"]


@pytest.mark.parametrize("mode", ["inbox", "lossy"])
def test_a_django_project_under_wsgi_refuses_a_receiver_of_event_loop_style(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: Any
) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks: WebhookReceiver[Any] = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage, mode=mode)
    hooks.on("messages")(lambda event: None)
    body, headers = posted(id="M1")
    with urllib3.PoolManager(retries=False) as http, served_by_wsgi(routed_in_django(hooks)) as port:
        status = http.request("POST", f"http://127.0.0.1:{port}{PATH}", body=body, headers=headers).status
    storage.close()
    assert status == 500
    assert "serve the project by ASGI" in caplog.text


def test_a_django_project_under_wsgi_serves_a_receiver_of_event_loop_style_inline(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks: WebhookReceiver[Any] = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage, mode="inline")
    seen: list[str] = []

    @hooks.on("messages")
    async def handle(event: Any) -> None:
        await asyncio.sleep(0)
        seen.append(event.key)

    with urllib3.PoolManager(retries=False) as http, served_by_wsgi(routed_in_django(hooks)) as port:
        for name in ("M1", "M2"):
            body, headers = posted(id=name)
            assert http.request("POST", f"http://127.0.0.1:{port}{PATH}", body=body, headers=headers).status == 200
    storage.close()
    assert seen == ["messages:created:M1", "messages:created:M2"]


def test_a_django_project_under_asgi_serves_a_receiver_of_event_loop_style(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks: WebhookReceiver[Any] = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
    done = threading.Event()

    @hooks.on("messages")
    async def handle(event: Any) -> None:
        done.set()

    body, headers = posted(id="M1")
    with urllib3.PoolManager(retries=False) as http, served_by_asgi(routed_in_django(hooks).asgi()) as port:
        assert http.request("POST", f"http://127.0.0.1:{port}{PATH}", body=body, headers=headers).status == 200
        assert done.wait(60)
    storage.close()
