"""`RedisStorage` without a server: its URL, what it shows of it, and what it says when nothing is there."""

from __future__ import annotations

import asyncio
import pickle
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from webex.errors import ConfigurationError, MissingExtraError, StorageError
from webex.storage import RedisStorage
from webex.storage.redis_binding import Layout
from webex.storage.redis_server import parse_address

PASSWORD = "pass/w:rd@1"
QUOTED = "pass%2Fw%3Ard%401"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://user:{QUOTED}@db.example.com:6380/2", "redis://db.example.com:6380/2"),
        (f"redis://:{QUOTED}@db.example.com", "redis://db.example.com:6379"),
        (f"rediss://user:{QUOTED}@[::1]:6380/0?ssl_cert_reqs=none", "rediss://[::1]:6380/0"),
        (f"unix:///run/redis.sock?password={QUOTED}", "unix:///run/redis.sock"),
        (f"valkey://user:{QUOTED}@db.example.com", "valkey://db.example.com:6379"),
        (f"valkeys://user:{QUOTED}@db.example.com", "valkeys://db.example.com:6379"),
        (f"sentinel://user:{QUOTED}@one,two:26380/main/3", "sentinel://one:26379,two:26380/main"),
        (f"sentinels://:{QUOTED}@one/main", "sentinels://one:26379/main"),
    ],
)
def test_url_is_shown_without_its_password(url: str, shown: str) -> None:
    storage = RedisStorage(url)
    assert repr(storage) == f"RedisStorage({shown!r}, prefix='webex')"
    assert storage.capabilities.loops
    assert not storage.capabilities.durable
    assert not storage.asynchronous


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{QUOTED}@db.example.com",
        f"user:{QUOTED}@db.example.com",
        f"redis://user:{QUOTED}@db.example.com:port",
        f"redis://user:{QUOTED}@db.example.com:99999999",
        f"redis://user:{QUOTED}@[::1",
        f"redis://user:{QUOTED}@db.example.com/0?max_connections=many",
        f"redis://user:{QUOTED}@db.example.com/0?no_such_setting=1",
        f"sentinel://user:{QUOTED}@one:26379",
        f"sentinel://user:{QUOTED}@/main",
        f"sentinel://user:{QUOTED}@one:port/main",
        "",
    ],
)
def test_unreadable_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisStorage(url)
    texts = f"{caught.value!s} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert QUOTED not in texts
    assert PASSWORD not in texts


def test_url_of_sentinel_keeps_login_database_and_options() -> None:
    address = parse_address("sentinels://user:secret@one,two:26380/main%20one/3?ssl_ca_certs=/ca.pem")
    assert address.sentinels == (("one", 26379), ("two", 26380))
    assert address.service == "main one"
    assert address.url == "rediss://user:secret@localhost/3?ssl_ca_certs=/ca.pem"


@pytest.mark.parametrize(
    "settings",
    [
        {"prefix": ""},
        {"prefix": "a{b}"},
        {"buckets": 0},
        {"buckets": 20_000},
        {"buckets": True},
        {"buckets": 1.5},
        {"wait_replicas": -1},
        {"max_connections": 0},
        {"async_client": object()},
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        RedisStorage("redis://localhost", **settings)


@pytest.mark.parametrize("given", [None, 6379, object(), {}, RedisStorage])
def test_an_invalid_client_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes a URL, a client"):
        RedisStorage(given)


def test_missing_redis_py_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtraError, match=r"webex\[redis\]"):
        RedisStorage("redis://localhost")


def test_storage_of_a_url_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(RedisStorage("redis://db.example.com/1", prefix="mine", buckets=8)))
    assert repr(again) == "RedisStorage('redis://db.example.com:6379/1', prefix='mine')"


def test_key_names_never_collide() -> None:
    layout = Layout("webex", 256)
    assert layout.key("v", 1, "a%3Ab", "c") != layout.key("v", 1, "a", "b:c")
    person = layout.bucket("client/person")
    assert {layout.bucket(f"client/person/{rest}") for rest in ("", "a", "a/b", "slot-1")} == {person}
    assert list(layout.buckets_of("client/person/")) == [person]
    assert len(layout.buckets_of("client/person")) == 256  # also "client/personal"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nothing listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_unreachable_server_is_a_storage_error_that_names_it(closed_port: int) -> None:
    storage = RedisStorage(f"redis://user:{QUOTED}@127.0.0.1:{closed_port}/0")

    async def ask() -> None:
        try:
            await storage.bind_async("namespace").get("key")
        finally:
            await storage.aclose()

    for call in (lambda: storage.bind("namespace").put("key", 1), lambda: asyncio.run(ask())):
        with pytest.raises(StorageError) as caught:
            call()
        text = f"{caught.value!s} {caught.value!r} {caught.value.__cause__!s} {caught.value.__cause__!r}"
        assert f"127.0.0.1:{closed_port}" in text
        assert "can't be reached" in text
        assert PASSWORD not in text
        assert QUOTED not in text


def test_silent_server_is_a_storage_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        storage = RedisStorage(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout=0.1)
        with storage, pytest.raises(StorageError, match="did not answer in time"):
            storage.bind("namespace").get("key")
