"""Common mistakes of first users: each error says what to do instead."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webex import Integration, Webex
from webex.emulator import Emulator, EmulatorClient, EmulatorError
from webex.errors import ConfigurationError, ConnectError, UnknownArgumentError
from webex.realtime.options import check_resources
from webex.storage import SQLiteStorage

APP: dict[str, Any] = {"client_id": "C", "client_secret": "S", "redirect_uri": "http://127.0.0.1:8000/auth/callback"}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda client: client.rooms.create("Title"), r"Rooms.create\(\) takes its arguments by name: title="),
        (lambda client: client.messages.list("R"), r"takes its arguments by name: room_id="),
        (lambda client: client.messages.create("R", "text"), r"takes its arguments by name: .*text="),
        (lambda client: client.people.list("bob@example.com"), r"takes its arguments by name: email="),
        (lambda client: client.rooms.update("R", "Title"), r"takes the other arguments by name: title="),
    ],
)
def test_positional_argument_names_the_arguments(call: Callable[[Webex], Any], told: str) -> None:
    with Webex("T") as client, pytest.raises(UnknownArgumentError, match=told):
        call(client)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


DEEP = nested(5_000)
HOOK = "https://app.example.com/webhooks"


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda client: client.people.get_many(5), "ids must be a list of ids of people, not int"),
        (lambda client: client.people.get_many(None), "ids must be a list"),
        (lambda client: client.webhooks.ensure(HOOK, 5, secret="s"), "wanted must be a list of webhooks, or a mapping"),
        (lambda client: client.webhooks.ensure(HOOK, ["rooms:created"], secret=5), "secret is the text"),
        (lambda client: client.messages.create(room_id="R", text="x", files=[b"x"], on_progress=5), "on_progress must"),
        (lambda client: client.files.download("https://x.example", to=b"", on_progress=5), "on_progress must"),
        (lambda client: client.request("GET", "/rooms", on_progress=5), "on_progress must be a function"),
        (lambda client: client.request("GET", "/rooms", params={"a": DEEP}), "nested too deeply"),
        (lambda client: client.request("POST", "/rooms", form={"a": DEEP}), "nested too deeply"),
        (lambda client: client.people.list(roles=DEEP).to_list(), "roles is nested too deeply"),
        (lambda client: client.rooms.create(title=DEEP), "title is nested too deeply"),
    ],
)
def test_wrong_shape_names_the_argument(call: Callable[[Webex], Any], told: str) -> None:
    with Webex("T") as client, pytest.raises(ConfigurationError, match=told):
        call(client)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda app: app.begin_login(scope=5), "scope must be a list of scopes, or a text, not int"),
        (lambda app: app.begin_login(scope=[5]), "scope holds texts, and not int"),
        (lambda app: app.storage.get_many("a", 5), "keys must be a list of keys, not int"),
        (lambda app: app.storage.get_many("a", [5]), "A key of the storage is text, not int"),
        (lambda app: app.storage.update("a", "b", 5), "change must be a function, not int"),
        (lambda app: app.storage.put("a", "b", DEEP), "no plain data"),
        (lambda app: Integration(**APP, hooks=5), "hooks must be a list of hooks, not int"),
    ],
)
def test_wrong_shape_given_to_an_integration(call: Callable[[Integration], Any], told: str) -> None:
    with Integration(**APP) as app, pytest.raises(ConfigurationError, match=told):
        call(app)


def test_resources_that_are_no_list() -> None:
    with pytest.raises(ConfigurationError, match="resources must be a list of names, not int"):
        check_resources(5)  # type: ignore[arg-type]  # as given by mistake


@pytest.mark.parametrize("given", ["R\n", " R", "\tR", "R\r\n"])
def test_id_with_white_space_around_it(given: str) -> None:
    with Webex("T") as client:
        with pytest.raises(ConfigurationError, match="room_id begins or ends with white space"):
            client.rooms.get(given)
        with pytest.raises(ConfigurationError, match="message_id begins or ends with white space"):
            client.messages.delete(given)


def test_address_for_an_id() -> None:
    with Webex("T") as client, pytest.raises(ConfigurationError, match=r"people.list\(email=…\)"):
        client.people.get("bob@example.com")


@pytest.mark.parametrize("scope", ["openid,spark:all", "openid, spark:all", ["openid,spark:all"]])
def test_scopes_with_commas(scope: Any) -> None:
    with Integration(**APP, scope=scope) as integration, pytest.raises(ConfigurationError, match="spaces, not commas"):
        integration.begin_login()


@pytest.mark.parametrize("url", ["sqlite:///webex.db", "sqlite+aiosqlite:///webex.db", "file:webex.db"])
def test_url_for_a_path(url: str) -> None:
    with pytest.raises(ConfigurationError, match="the path of a file, not a UR"):
        SQLiteStorage(url)


@pytest.mark.parametrize("storage", ["webex.db", Path("webex.db")])
def test_path_for_a_storage(storage: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"pass SQLiteStorage\(path\)"):
        Integration(**APP, scope="openid", storage=storage).is_signed_in("alice")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_emulator_that_is_not_running(host: str) -> None:
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://{host}:{taken.getsockname()[1]}"
        with Webex("T", emulator_url=url, max_retries=0) as client:
            with pytest.raises(ConnectError, match="Is the emulator running"):
                client.people.me()


def test_unregistered_redirect_uri_error_says_where_to_register() -> None:
    with Emulator() as cloud:
        redirect_uri = "http://127.0.0.1:8000/team/auth/callback"
        app = {**APP, "client_id": cloud.env["WEBEX_CLIENT_ID"], "redirect_uri": redirect_uri}
        with Integration(**app, scope="openid", emulator_url=cloud.url) as integration:
            with pytest.raises(ValueError, match="Register it: in the console under Apps"):
                cloud.sign_in(integration.begin_login().url, as_="alice")


def test_missing_emulator_error_hides_urlopen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(EmulatorError, match="There is no emulator at") as raised:
            EmulatorClient(f"http://127.0.0.1:{taken.getsockname()[1]}").token_for("alice")
    assert "urlopen" not in str(raised.value)
