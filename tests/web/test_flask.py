"""The Flask adapter: what is its own, beside what the acceptance suite asks of every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, render_template_string, session

from tests.web.conftest import SECRET
from webex import AsyncIntegration, Integration
from webex.emulator import Cloud
from webex.errors import ConfigurationError, MissingKeyError, NotSignedInError
from webex.storage import SQLiteStorage
from webex.web import WebResponse
from webex.web.flask import WebexAuth, current_session, current_webex, login_required, same_origin_required

MakeApp = Callable[..., Flask]


@pytest.fixture
def integration(webex_cloud: Cloud, tmp_path: Path) -> Iterator[Integration]:
    settings = {
        "client_id": webex_cloud.env["WEBEX_CLIENT_ID"],
        "client_secret": webex_cloud.env["WEBEX_CLIENT_SECRET"],
        "redirect_uri": "http://localhost/auth/callback",
        "scope": "openid email profile spark:all",
    }
    registered = webex_cloud.state.integrations[settings["client_id"]]
    registered.redirect_uris.append(settings["redirect_uri"])
    storage = SQLiteStorage(tmp_path / "app.db")
    with Integration(storage=storage, emulator_url=webex_cloud.url, **settings) as made:
        yield made


@pytest.fixture
def make_app(integration: Integration) -> MakeApp:
    def make(**options: Any) -> Flask:
        app = Flask("example")
        app.config.update(SECRET_KEY=SECRET, TESTING=True)
        WebexAuth(app, integration, **options)

        @app.get("/me")
        def me() -> Any:
            return {"email": current_webex.people.me().emails[0]}

        @app.get("/async")
        @login_required
        async def asynchronous() -> Any:
            me = await asyncio.to_thread(current_webex.people.me)
            return {"email": me.emails[0]}

        @app.get("/page")
        def page() -> Any:
            return render_template_string(
                "{% if current_webex %}{{ current_session.email }}{% else %}"
                "<a href=\"{{ url_for('webex.login') }}\">Sign in</a>{% endif %}"
            )

        @app.post("/change")
        @same_origin_required
        @login_required
        async def change() -> Any:
            return {"changed": True}

        @app.get("/missing")
        def missing() -> Any:
            raise MissingKeyError("of the app")

        return app

    return make


def sign_in(app: Flask, cloud: Cloud, who: str = "alice", **options: Any) -> tuple[Any, Any]:
    client = app.test_client()
    login = client.get("/auth/login?return_to=/me").headers["location"]
    return client, client.get(cloud.sign_in(login, as_=who, **options).removeprefix("http://localhost"))


@pytest.mark.parametrize("kept", ["webex", "framework"])
def test_views_have_the_client_of_the_user(make_app: MakeApp, webex_cloud: Cloud, kept: str) -> None:
    app = make_app(session=kept)
    client, back = sign_in(app, webex_cloud)
    assert (back.status_code, back.headers["location"]) == (303, "/me")
    assert client.get("/me").json == {"email": "alice@example.com"}
    assert client.get("/async").json == {"email": "alice@example.com"}
    assert client.get("/page").text == "alice@example.com"
    assert (client.get_cookie("webex_session") is None) is (kept == "framework")


@pytest.mark.parametrize("path", ["/me", "/async"])
def test_views_without_a_user_redirect_to_the_sign_in(make_app: MakeApp, path: str) -> None:
    client = make_app().test_client()
    page = client.get(path, headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, f"/auth/login?return_to=%2F{path[1:]}")
    assert client.get(path).status_code == 401
    assert client.get("/page").text == '<a href="/auth/login">Sign in</a>'


def test_user_is_not_carried_over_to_the_next_request(make_app: MakeApp, webex_cloud: Cloud) -> None:
    app = make_app()
    client, _ = sign_in(app, webex_cloud)
    with app.app_context():  # which all requests in it share
        assert client.get("/me").status_code == 200
        assert app.test_client().get("/me").status_code == 401


def test_same_origin_is_required(make_app: MakeApp, webex_cloud: Cloud) -> None:
    client, _ = sign_in(make_app(), webex_cloud)
    assert client.post("/change").status_code == 403
    assert client.post("/change", headers={"origin": "http://localhost"}).json == {"changed": True}


def test_sign_out_clears_the_session_of_the_framework(make_app: MakeApp, webex_cloud: Cloud) -> None:
    def remember(signed_in: Any, request: Any) -> None:
        session["user_id"] = signed_in.user.email

    app = make_app(session="framework", on_success=remember)
    client, _ = sign_in(app, webex_cloud)
    with client.session_transaction() as kept:
        assert kept["user_id"] == "alice@example.com"
    assert client.post("/auth/logout", headers={"origin": "http://localhost"}).status_code == 303
    with client.session_transaction() as kept:
        assert dict(kept) == {}


def test_hooks_get_the_request_and_answer_with_a_response(make_app: MakeApp, webex_cloud: Cloud) -> None:
    seen = []

    def welcome(signed_in: Any, request: Any) -> Response:
        seen.append(request.args["state"] != "")
        response = Response("hello", 201)
        response.set_cookie("own", "1")
        return response

    def explain(error: Any, request: Any) -> Response:
        return Response(f"no: {request.path}", 418)

    app = make_app(on_success=welcome, on_failure=explain)
    client, page = sign_in(app, webex_cloud)
    assert (page.status_code, page.text, seen) == (201, "hello", [True])
    assert client.get_cookie("own") is not None
    assert client.get_cookie("webex_session") is not None
    _, page = sign_in(app, webex_cloud, deny=True)
    assert (page.status_code, page.text) == (418, "no: /auth/callback")


def test_key_errors_of_the_app_are_unchanged(make_app: MakeApp) -> None:
    with pytest.raises(MissingKeyError):
        make_app().test_client().get("/missing")


def test_one_extension_serves_two_apps(make_app: MakeApp, integration: Integration) -> None:
    auth = WebexAuth(prefix="/sign", callback_path="/auth/callback")
    first, second = Flask("first"), Flask("second")
    for app in (first, second):
        app.config["SECRET_KEY"] = SECRET + app.name
        auth.init_app(app, lambda: integration)
    assert first.extensions["webex"] is not second.extensions["webex"]
    assert first.test_client().get("/sign/logout").status_code == 405


def test_missing_settings_are_named(integration: Integration) -> None:
    app = Flask("example")
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        WebexAuth(app, integration)
    with pytest.raises(ConfigurationError, match="bytes"):
        WebexAuth(app, integration, session_secret="short")
    with pytest.raises(ConfigurationError, match="session must be"):
        WebexAuth(app, integration, session="flask")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match=r"must be the Flask app, not Integration: WebexAuth\(app, integ"):
        WebexAuth(integration, app)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match="WebexAuth needs an Integration"):
        WebexAuth(app, AsyncIntegration(client_id="C"), session_secret=SECRET)  # type: ignore[arg-type]  # on purpose
    with app.test_request_context("/"), pytest.raises(RuntimeError, match="init_app"):
        _ = current_webex.rooms
    with app.test_request_context("/"), pytest.raises(RuntimeError, match="init_app"):
        login_required(lambda: "never")()


def test_client_without_a_user_is_false_and_raises_when_it_is_used(make_app: MakeApp) -> None:
    with make_app().test_request_context("/"):
        assert not current_webex
        assert current_session == None  # noqa: E711  # a proxy is no None, and equals it
        assert not hasattr(current_webex, "__missing__")
        with pytest.raises(NotSignedInError):
            _ = current_webex.rooms


@pytest.mark.parametrize("path", ["/auth/login", "/auth/login/"])
def test_routes_answer_with_and_without_a_slash_at_the_end(make_app: MakeApp, path: str) -> None:
    answer = make_app().test_client().get(path)
    assert answer.status_code == 303
    assert "state=" in answer.headers["Location"]


def test_location_of_an_answer_is_percent_encoded(make_app: MakeApp) -> None:
    made = WebResponse(303, {"location": "/é", "x-other": "/a b"}, (), b"")
    app = make_app(on_failure=lambda error, request: made)
    answer = app.test_client().get("/auth/callback?state=x&code=y")
    assert (answer.headers["Location"], answer.headers["X-Other"]) == ("/%C3%A9", "/a b")
