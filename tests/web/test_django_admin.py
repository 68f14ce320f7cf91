"""The admin page of signed-in people, and people as users of `django.contrib.auth`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import AsyncClient, Client, override_settings

from tests.support.django_site import set_up
from webex.emulator import Cloud
from webex.storage import SQLiteStorage

set_up()

from django.contrib import admin  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.auth.models import Permission  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from webex.web.django import conf  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Overriding setting")

PAGE = "/admin/webex/signedinperson/"
LOCAL = {"host": "localhost"}
SAME = {"origin": "http://localhost"}
USERS = ["webex.web.django", "webex.web.django.users"]
OURS = "webex.web.django.middleware.WebexMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"


def who(request: Any) -> HttpResponse:
    webex = request.webex_session.email if request.webex_session else "-"
    return HttpResponse(f"{request.user.email if request.user.is_authenticated else '-'} {webex}")


urlpatterns: list[Any] = [path("who", who)]


def welcome(signed_in: Any, request: Any) -> str:
    return f"/who?{request.user.email}"


@pytest.fixture
def project(webex_cloud: Cloud, tmp_path: Path) -> Iterator[SimpleNamespace]:
    client_id = webex_cloud.env["WEBEX_CLIENT_ID"]
    webex_cloud.state.integrations[client_id].redirect_uris.append("http://localhost/auth/callback")
    middleware = [*settings.MIDDLEWARE[:-1], "django.contrib.messages.middleware.MessageMiddleware", OURS]
    others = [name for name in settings.INSTALLED_APPS if name not in USERS]
    with override_settings(
        INSTALLED_APPS=[
            *others,
            "django.contrib.admin",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            *USERS,
        ],
        MIDDLEWARE=middleware,
        ROOT_URLCONF=__name__,
        STATIC_URL="static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        WEBEX_CLIENT_ID=client_id,
        WEBEX_CLIENT_SECRET=webex_cloud.env["WEBEX_CLIENT_SECRET"],
        WEBEX_REDIRECT_URI="http://localhost/auth/callback",
        WEBEX_SCOPE="openid email profile spark:all",
        WEBEX_EMULATOR_URL=webex_cloud.url,
        WEBEX_STORAGE=SQLiteStorage(tmp_path / "app.db"),
        WEBEX_SESSION="framework",
        WEBEX_USERS="create",
    ):
        call_command("migrate", verbosity=0)
        if len(urlpatterns) == 1:
            urlpatterns.append(path("admin/", admin.site.urls))
        conf.forget()
        yield SimpleNamespace(cloud=webex_cloud)
        get_user_model().objects.all().delete()
        log().objects.all().delete()
    conf.forget()


def log() -> Any:
    from django.contrib.admin.models import LogEntry  # of an app that only this project has

    return LogEntry


def accounts() -> Any:
    from webex.web.django.users.models import WebexAccount

    return WebexAccount.objects


def sign_in(cloud: Cloud, who: str = "alice", client: Client | None = None, begin: str = "/auth/login") -> Any:
    client = client or Client(headers=LOCAL, enforce_csrf_checks=True)
    return client, come_back(cloud, who, client, client.get(begin)["location"])


def come_back(cloud: Cloud, who: str, client: Client, at_webex: str) -> Any:
    return client.get(cloud.sign_in(at_webex, as_=who).removeprefix("http://localhost"))


def staff(*permissions: str, name: str = "staff") -> Client:
    user = get_user_model().objects.create_user(name, f"{name}@example.com", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=[f"{each}_signedinperson" for each in permissions])
    )
    client = Client(headers=LOCAL)
    client.force_login(user)
    return client


# The admin page


def test_page_lists_people_and_shows_no_token(project: SimpleNamespace) -> None:
    sign_in(project.cloud, "alice")
    sign_in(project.cloud, "bob")
    page = staff("view").get(PAGE)
    shown = page.content.decode()
    assert page.status_code == 200
    assert all(text in shown for text in ("alice@example.com", "Bob Example", "spark:all"))
    assert "Sign out the chosen" not in shown
    for key in conf.integration().users():
        assert key in shown
        assert conf.integration().user(key).get_user_token() not in shown
    found = staff("view", name="other").get(PAGE, {"q": "ALICE"}).content.decode()
    assert ("alice@example.com" in found, "bob@example.com" in found) == (True, False)


def test_people_are_signed_out_by_who_may(project: SimpleNamespace) -> None:
    alice, _ = sign_in(project.cloud, "alice")
    bob, _ = sign_in(project.cloud, "bob")
    key = accounts().get(email="alice@example.com").key
    assert staff("view").post(PAGE, {"key": key}).status_code == 403
    assert alice.get("/who").content == b"alice@example.com alice@example.com"

    page = staff("view", "delete", name="head").post(PAGE, {"key": key}, follow=True).content.decode()
    assert "Signed out: 1." in page
    assert ("alice@example.com" in page, "bob@example.com" in page) == (False, True)
    assert alice.get("/who").content.endswith(b" -")
    assert bob.get("/who").content == b"bob@example.com bob@example.com"
    [entry] = log().objects.all()
    assert (entry.object_id, entry.change_message) == (key, "Signed out.")


def test_page_is_for_staff_with_the_permission(project: SimpleNamespace) -> None:
    assert Client(headers=LOCAL).get(PAGE).status_code == 302
    assert staff().get(PAGE).status_code == 403
    assert "Signed-in people" in staff("view", name="two").get("/admin/").content.decode()


def test_form_of_another_site_signs_nobody_out(project: SimpleNamespace) -> None:
    client = Client(headers=LOCAL, enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("root", "root@example.com"))
    assert client.post(PAGE, {"key": "x"}).status_code == 403


class Unlisted(SQLiteStorage):
    capabilities = replace(SQLiteStorage.capabilities, scan=False)


def test_storage_that_lists_no_keys_is_told(project: SimpleNamespace, tmp_path: Path) -> None:
    with override_settings(WEBEX_STORAGE=Unlisted(tmp_path / "other.db")):
        page = staff("view").get(PAGE)
    assert (page.status_code, "list its keys" in page.content.decode()) == (200, True)


# Users of django.contrib.auth


def test_person_gets_one_user_and_keeps_it(project: SimpleNamespace) -> None:
    first, _ = sign_in(project.cloud, "alice")
    assert first.get("/who").content == b"alice@example.com alice@example.com"
    user = accounts().get(email="alice@example.com").user
    assert not user.has_usable_password()
    sign_in(project.cloud, "alice")
    sign_in(project.cloud, "bob")
    assert accounts().count() == get_user_model().objects.count() == 2
    first.post("/auth/logout", headers=SAME)
    assert first.get("/who").content == b"- -"


def test_address_of_an_account_gives_it_to_no_one(project: SimpleNamespace) -> None:
    owner = get_user_model().objects.create_user("alice@example.com", "alice@example.com", "password")
    sign_in(project.cloud, "alice")
    user = accounts().get(email="alice@example.com").user
    assert (user.pk == owner.pk, get_user_model().objects.count()) == (False, 2)
    with override_settings(WEBEX_USERS="existing"):
        client, page = sign_in(project.cloud, "bob")
        get_user_model().objects.create_user("bob@example.com", "bob@example.com", "password")
        client, page = sign_in(project.cloud, "bob")
        assert (page.status_code, "No account of this app" in page.content.decode()) == (403, True)
        assert client.get("/who").content == b"- -"
        assert [key for key in conf.integration().users() if key != user.webex_accounts.get().key] == []


def test_inactive_user_does_not_come_in(project: SimpleNamespace) -> None:
    sign_in(project.cloud, "alice")
    get_user_model().objects.update(is_active=False)
    client, page = sign_in(project.cloud, "alice")
    assert (page.status_code, "not active" in page.content.decode()) == (403, True)
    assert client.get("/who").content == b"- -"


def connecting(cloud: Cloud, name: str = "member") -> tuple[Client, Any]:
    from django.test import RequestFactory

    from webex.web.django.users.views import connect

    user = get_user_model().objects.create_user(name, f"{name}@example.com", "password")
    client = Client(headers=LOCAL)
    client.force_login(user)
    session = client.session
    request = RequestFactory().post("/connect", {"next": "/who"})
    request.user, request.session = user, session
    answer = connect(request)
    session.save()
    return client, answer["location"]


def test_user_who_is_logged_in_connects_an_account(project: SimpleNamespace) -> None:
    with override_settings(WEBEX_USERS="existing"):
        client, location = connecting(project.cloud)
        _, back = sign_in(project.cloud, "alice", client, location)
        assert (back.status_code, back["location"]) == (303, "/who")
        assert client.get("/who").content == b"member@example.com alice@example.com"
        other, _ = sign_in(project.cloud, "alice")
        assert other.get("/who").content == b"member@example.com alice@example.com"
        client, location = connecting(project.cloud, "second")
        sign_in(project.cloud, "alice", client, location)
        assert client.get("/who").content == b"member@example.com alice@example.com", "the account stays where it is"


def test_sign_in_of_another_person_in_the_browser_connects_nothing(project: SimpleNamespace) -> None:
    """The computer is shared: the user is still logged in, and somebody else signs in with Webex."""
    client = Client(headers=LOCAL)
    client.force_login(get_user_model().objects.create_user("member", "member@example.com"))
    sign_in(project.cloud, "bob", client)
    assert client.get("/who").content == b"bob@example.com bob@example.com"
    assert accounts().get(email="bob@example.com").user.username != "member"


def test_connecting_ends_after_a_while_and_with_the_log_out(project: SimpleNamespace) -> None:
    client, location = connecting(project.cloud)
    at_webex = client.get(location)["location"]
    session = client.session
    user_id, _ = session["webex_connecting"]
    session["webex_connecting"] = (user_id, 0)
    session.save()
    come_back(project.cloud, "alice", client, at_webex)
    assert accounts().get(email="alice@example.com").user.username != "member"


def staff_only(signed_in: Any) -> Any:
    return get_user_model().objects.filter(username=signed_in.user.email).first()


def test_rule_may_be_the_project_s_own(project: SimpleNamespace) -> None:
    known = get_user_model().objects.create_user("alice@example.com", "alice@example.com")
    with override_settings(WEBEX_USERS=f"{__name__}.staff_only"):
        sign_in(project.cloud, "alice")
        _, page = sign_in(project.cloud, "bob")
    assert (accounts().get().user, page.status_code) == (known, 403)


def test_hook_of_the_app_sees_the_user(project: SimpleNamespace) -> None:
    with override_settings(WEBEX_OPTIONS={"on_success": f"{__name__}.welcome"}):
        _, back = sign_in(project.cloud, "alice")
        assert back["location"] == "/who?alice@example.com"


def test_user_is_logged_in_from_an_event_loop(project: SimpleNamespace) -> None:
    async def run() -> bytes:
        client = AsyncClient(headers=LOCAL)
        begun = await client.get("/auth/login")
        back = await asyncio.to_thread(project.cloud.sign_in, begun["location"], as_="alice")
        parts = urlsplit(back)
        await client.get(f"{parts.path}?{parts.query}")
        shown: bytes = (await client.get("/who")).content
        await conf.async_integration().aclose()
        return shown

    assert asyncio.run(run()) == b"alice@example.com alice@example.com"


# manage.py check


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({}, ""),
        ({"WEBEX_USERS": "everyone"}, "(webex.E007) WEBEX_USERS: WEBEX_USERS must be 'create', 'existing'"),
        ({"WEBEX_USERS": "no.such"}, "(webex.E007) WEBEX_USERS: No module named 'no'"),
        ({"WEBEX_SESSION": "webex"}, "(webex.E008)"),
        ({"MIDDLEWARE": [OURS, AUTHENTICATION]}, "(webex.E009)"),
        ({"WEBEX_REDIRECT_URI": "https://app.example.com/auth/callback"}, "(webex.W002) SESSION_COOKIE_SECURE"),
    ],
)
def test_check_says_what_can_not_work(project: SimpleNamespace, changed: dict[str, Any], text: str) -> None:
    said = ""
    with override_settings(**changed):
        try:
            call_command("check", "--tag", "webex", "--fail-level", "WARNING")
        except SystemCheckError as error:
            said = str(error)
    assert text in said if text else said == ""


def test_models_have_their_migrations(project: SimpleNamespace) -> None:
    call_command("makemigrations", "webex", "webex_users", "--check", "--dry-run", verbosity=0)
