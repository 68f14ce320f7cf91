"""The Django adapter: what is its own, beside what the acceptance suite asks of every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import AsyncClient, Client, override_settings

from tests.support.django_site import set_up
from tests.web.conftest import SECRET
from webex.emulator import Cloud
from webex.errors import NotSignedInError
from webex.storage import MemoryStorage, SQLiteStorage

SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
OURS = "webex.web.django.middleware.WebexMiddleware"

set_up()

from django.contrib.auth import get_user_model, login  # noqa: E402
from django.core.exceptions import PermissionDenied  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.template import engines  # noqa: E402
from django.urls import path  # noqa: E402
from django.views import View  # noqa: E402

from webex.web.django import conf, webex_login_required  # noqa: E402


def email_of(request: Any) -> HttpResponse:
    return HttpResponse(request.webex.people.me().emails[0])


class Rooms(View):
    async def get(self, request: Any) -> HttpResponse:
        client = await request.awebex()
        assert client is await request.awebex()
        return HttpResponse((await client.people.me()).emails[0])


def page(request: Any) -> HttpResponse:
    template = "{% if request.webex %}{{ request.webex_session.email }}{% else %}nobody{% endif %} {{ user.username }}"
    return HttpResponse(engines["django"].from_string(template).render({"request": request, "user": request.user}))


def change(request: Any) -> HttpResponse:
    return HttpResponse("changed")


urlpatterns = [
    path("me", email_of),
    path("rooms", webex_login_required(Rooms.as_view())),
    path("page", page),
    path("change", change),
]


@pytest.fixture
def project(webex_cloud: Cloud, tmp_path: Path) -> Iterator[SimpleNamespace]:
    client_id = webex_cloud.env["WEBEX_CLIENT_ID"]
    redirect_uri = "http://localhost/auth/callback"
    webex_cloud.state.integrations[client_id].redirect_uris.append(redirect_uri)
    changed = {
        "WEBEX_CLIENT_ID": client_id,
        "WEBEX_CLIENT_SECRET": webex_cloud.env["WEBEX_CLIENT_SECRET"],
        "WEBEX_REDIRECT_URI": redirect_uri,
        "WEBEX_SCOPE": "openid email profile spark:all",
        "WEBEX_EMULATOR_URL": webex_cloud.url,
        "WEBEX_STORAGE": SQLiteStorage(tmp_path / "app.db"),
    }
    with override_settings(**changed):
        yield SimpleNamespace(cloud=webex_cloud)


def sign_in(cloud: Cloud, who: str = "alice", **options: Any) -> tuple[Client, Any]:
    client = Client(headers={"host": "localhost"}, enforce_csrf_checks=True)
    begun = client.get("/auth/login", {"return_to": "/me"})
    return client, client.get(cloud.sign_in(begun["location"], as_=who, **options).removeprefix("http://localhost"))


async def sign_in_async(cloud: Cloud, who: str = "alice") -> tuple[AsyncClient, Any]:
    client = AsyncClient(headers={"host": "localhost"})
    begun = await client.get("/auth/login?return_to=/me")
    back = await asyncio.to_thread(cloud.sign_in, begun["location"], as_=who)
    return client, await client.get(back.removeprefix("http://localhost"))


@pytest.mark.parametrize("kept", conf.SESSIONS)
def test_views_in_both_styles_have_the_client_of_the_user(project: SimpleNamespace, kept: str) -> None:
    with override_settings(WEBEX_SESSION=kept):
        client, back = sign_in(project.cloud)
        assert (back.status_code, back["location"]) == (303, "/me")
        assert client.get("/me").content == b"alice@example.com"
        assert client.get("/rooms").content == b"alice@example.com"
        assert client.get("/page").content == b"alice@example.com "
        assert ("webex_session" in client.cookies) is (kept == "webex")
        assert client.post("/auth/logout", headers={"origin": "http://localhost"}).status_code == 303
        assert client.get("/page").content == b"nobody "


@pytest.mark.parametrize("kept", conf.SESSIONS)
def test_sign_in_in_an_event_loop(project: SimpleNamespace, kept: str) -> None:
    async def run() -> None:
        client, back = await sign_in_async(project.cloud)
        assert (back.status_code, back["location"]) == (303, "/me")
        assert (await client.get("/rooms")).content == b"alice@example.com"
        assert (await client.post("/auth/logout", headers={"origin": "http://localhost"})).status_code == 303
        assert (await client.get("/rooms")).status_code == 401
        await conf.async_integration().aclose()

    with override_settings(WEBEX_SESSION=kept):
        asyncio.run(run())


@pytest.mark.parametrize("where", ["/me", "/rooms"])
def test_views_without_a_user_redirect_to_the_sign_in(project: SimpleNamespace, where: str) -> None:
    answer = Client(headers={"host": "localhost"}).get(where, {"q": "日"}, headers={"accept": "text/html"})
    assert answer.status_code == 303
    assert answer["location"] == f"/auth/login?return_to=%2F{where[1:]}%3Fq%3D%25E6%2597%25A5"


def test_csrf_protection_of_the_app_is_unchanged(project: SimpleNamespace) -> None:
    client, _ = sign_in(project.cloud)
    assert client.post("/change").status_code == 403
    assert client.post("/auth/logout").status_code == 403
    assert client.post("/auth/logout", headers={"origin": "https://evil.example"}).status_code == 403
    assert client.get("/me").status_code == 200


def log_in(signed_in: Any, request: Any) -> None:
    user, _ = get_user_model().objects.get_or_create(username=signed_in.user.email)
    login(request, user)


async def log_in_later(signed_in: Any, request: Any) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse(f"hello {signed_in.user.email}", status=201)


def refuse(signed_in: Any, request: Any) -> None:
    raise PermissionDenied


def hooked(name: str) -> Any:
    return override_settings(WEBEX_SESSION="framework", WEBEX_OPTIONS={"on_success": f"{__name__}.{name}"})


def test_hook_may_begin_a_django_session_that_sign_out_ends(project: SimpleNamespace) -> None:
    with hooked("log_in"):
        client, _ = sign_in(project.cloud)
        assert client.get("/page").content == b"alice@example.com alice@example.com"
        copied = client.cookies["sessionid"].value
        client.post("/auth/logout", headers={"origin": "http://localhost"})
        client.cookies["sessionid"] = copied
        assert client.get("/page").content == b"nobody "


def test_plain_hook_may_use_the_database_in_an_event_loop(project: SimpleNamespace) -> None:
    async def run() -> None:
        client, back = await sign_in_async(project.cloud, "bob")
        assert back.status_code == 303
        assert (await client.get("/page")).content == b"bob@example.com bob@example.com"
        await conf.async_integration().aclose()

    with hooked("log_in"):
        asyncio.run(run())


def test_asynchronous_hook_answers_in_blocking_style(project: SimpleNamespace) -> None:
    with hooked("log_in_later"):
        client, answer = sign_in(project.cloud)
        assert (answer.status_code, answer.content) == (201, b"hello alice@example.com")
        assert client.get("/me").status_code == 200


def test_exceptions_of_a_hook_are_django_s(project: SimpleNamespace) -> None:
    with hooked("refuse"):
        client, answer = sign_in(project.cloud)
        assert answer.status_code == 403
        assert client.get("/me").status_code == 401


def test_client_without_a_user_is_false_and_raises_when_it_is_used(project: SimpleNamespace) -> None:
    seen = []

    def view(request: Any) -> HttpResponse:
        seen.append((bool(request.webex), request.webex_session == None))  # noqa: E711  # a proxy equals it
        with pytest.raises(NotSignedInError):
            _ = request.webex.rooms
        return HttpResponse("")

    from django.test import RequestFactory

    from webex.web.django.middleware import WebexMiddleware

    WebexMiddleware(view)(RequestFactory().get("/"))
    assert seen == [(False, True)]


# manage.py check


def complaints() -> str:
    try:
        call_command("check", "--tag", "webex", "--fail-level", "WARNING")
    except SystemCheckError as error:
        return str(error)
    return ""


def test_check_passes_with_complete_settings(project: SimpleNamespace) -> None:
    assert complaints() == ""


@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI", "SCOPE"])
def test_check_names_a_missing_setting(project: SimpleNamespace, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"WEBEX_{name}", raising=False)
    with override_settings(**{f"WEBEX_{name}": None}):
        shown = complaints()
        assert f"(webex.E001) WEBEX_{name} is not set." in shown
        assert "Set it in the project's settings, or in the environment." in shown
    monkeypatch.setenv("WEBEX_SCOPE", "openid")
    with override_settings():
        del settings.WEBEX_SCOPE
        assert complaints() == ""


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"WEBEX_STORAGE": None}, "(webex.W001) WEBEX_STORAGE is not set"),
        ({"WEBEX_STORAGE": "no.such.module"}, "(webex.E003) No module named 'no'"),
        ({"WEBEX_STORAGE": 17}, "(webex.E003)"),
        ({"WEBEX_TIMEOUT": "soon"}, "(webex.E002) timeout (argument timeout) must be a number"),
        ({"WEBEX_REDIRECT_URI": "https://app.example.com/back"}, "the callback is served at '/auth/callback'"),
        ({"WEBEX_PREFIX": "sign"}, "prefix must be a path"),
        ({"WEBEX_SESSION_SECRET": "short"}, "session_secret has 5 bytes"),
        ({"WEBEX_SESSION": "django"}, "(webex.E005) WEBEX_SESSION must be"),
        ({"WEBEX_OPTIONS": {"colour": "red"}}, "(webex.E003)"),
        ({"WEBEX_OPTIONS": {"on_success": "no.such"}}, "(webex.E003)"),
        ({"WEBEX_OPTIONS": ["trusted_proxies"]}, "WEBEX_OPTIONS must be a dict"),
        ({"MIDDLEWARE": [SESSIONS]}, "(webex.E004) MIDDLEWARE does not name"),
        ({"MIDDLEWARE": [OURS, SESSIONS], "WEBEX_SESSION": "framework"}, "(webex.E006)"),
        (
            {"WEBEX_SESSION": "framework", "WEBEX_REDIRECT_URI": "https://app.example.com/auth/callback"},
            "(webex.W002) SESSION_COOKIE_SECURE is not set",
        ),
    ],
)
def test_check_explains_invalid_settings(project: SimpleNamespace, changed: dict[str, Any], text: str) -> None:
    with override_settings(**changed):
        said = complaints()
    assert text in said
    assert SECRET not in said


@pytest.mark.parametrize("own", [{"WEBEX_SESSION": "webex"}, {"SESSION_COOKIE_SECURE": True}])
def test_check_warns_of_no_cookie_that_signs_nobody_in_over_http(project: SimpleNamespace, own: dict[str, Any]) -> None:
    https = {"WEBEX_SESSION": "framework", "WEBEX_REDIRECT_URI": "https://app.example.com/auth/callback"}
    with override_settings(**https | own):
        assert complaints() == ""


def test_storage_may_be_named(project: SimpleNamespace) -> None:
    with override_settings(WEBEX_STORAGE="webex.storage.MemoryStorage"):
        assert isinstance(conf.storage(), MemoryStorage)
        assert conf.storage() is conf.storage()
        assert complaints() == ""
