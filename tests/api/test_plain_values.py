"""Values that would be changed without a word on their way, or fail in Python's own words, are refused by name."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from webex import AsyncWebex, Integration, Webex
from webex.emulator import Cloud
from webex.errors import ConfigurationError, DeadlineError
from webex.storage import MemoryStorage


@pytest.mark.parametrize("value", ["5", -1, 0, math.nan, math.inf, True, [1], 10**400, -(10**400)])
def test_timeout_of_a_call_is_a_number_above_zero(value: Any) -> None:
    async def in_event_loop() -> None:
        async with AsyncWebex("T") as client:
            await client.people.me(timeout=value)

    with Webex("T") as client:
        calls: list[Callable[[], Any]] = [
            lambda: client.people.me(timeout=value),
            lambda: client.rooms.get("R", timeout=value),
            lambda: client.rooms.create(title="A room", timeout=value),
            lambda: client.rooms.list(timeout=value).to_list(),
            lambda: client.request("GET", "/rooms", timeout=value),
            lambda: asyncio.run(in_event_loop()),
        ]
        for call in calls:
            with pytest.raises(ConfigurationError, match="timeout must be a number of seconds above 0"):
                call()


def test_timeout_may_be_longer_than_a_socket_takes(webex_cloud: Cloud) -> None:
    with Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as client:
        assert client.people.me(timeout=1e30).display_name


def test_deadline_error_names_the_timeout_of_the_call_also_when_the_token_took_a_part() -> None:
    async def slow_token() -> str:
        await asyncio.sleep(0.3)
        return "T"

    async def main() -> None:
        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(never, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, AsyncWebex(refresh_callback=slow_token, emulator_url=url) as client:
            with pytest.raises(DeadlineError) as caught:
                await client.people.me(timeout=1.0)
        assert caught.value.timeout == 1.0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"bob@example.com", "bytes"),
        (bytearray(b"x"), "bytes"),
        (memoryview(b"x"), "bytes"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_values_that_json_lacks_are_refused_with_their_place(value: Any, told: str) -> None:
    with Webex("T") as client:
        with pytest.raises(ConfigurationError, match=rf"body\['title'\] is {told}"):
            client.request("POST", "/rooms", json={"title": value})
        with pytest.raises(ConfigurationError, match=rf"body\['a'\]\[1\]\['b'\] is {told}"):
            client.request("POST", "/rooms", json={"a": [1, {"b": value}]})
        with pytest.raises(ConfigurationError, match=rf"body\['personEmail'\] is {told}"):
            client.memberships.create(room_id="R", person_email=value)


def test_a_day_for_a_moment_is_refused() -> None:
    day: Any = date(2026, 1, 1)
    with Webex("T") as client, pytest.raises(ConfigurationError, match="before must be a moment, not a day"):
        client.messages.list(room_id="R", before=day).to_list()


@pytest.mark.parametrize("key", ["", " ", None, 5, b"alice", ["alice"]])
def test_key_of_a_user_is_a_text(key: Any) -> None:
    app = {"client_id": "C", "client_secret": "S", "redirect_uri": "http://127.0.0.1:8000/auth/callback"}
    with Integration(**app, scope="openid", storage=MemoryStorage()) as integration:
        calls: list[Callable[[], Any]] = [
            lambda: integration.user(key),
            lambda: integration.is_signed_in(key),
            lambda: integration.sign_out(key),
            lambda: integration.sign_out_everywhere(key),
            lambda: integration.erase(key),
            lambda: integration.export(key),
            lambda: integration.stored(key),
            lambda: integration.adopt(key, "T"),
            lambda: integration.missing_scopes(key, "openid"),
            lambda: integration.begin_scope_login(key, "openid"),
            lambda: integration.storage.for_user(key),
            lambda: integration.bot("T", key=key),
        ]
        if key is not None:
            calls += [
                lambda: integration.begin_login(user_key=key),
                lambda: integration.finish_login({"code": "c", "state": "s"}, browser="b", user_key=key),
            ]
        for call in calls:
            with pytest.raises(ConfigurationError, match="key must be a user's key"):
                call()
