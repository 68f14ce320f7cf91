"""What `PostgresStorage` does without a server: URLs, what it shows of them, names, a server that is not there."""

from __future__ import annotations

import asyncio
import pickle
import socket
import traceback

import pytest

from webex.errors import ConfigurationError, StorageError
from webex.storage import PostgresStorage
from webex.storage.postgres_schema import quoted
from webex.storage.postgres_statements import escaped, unescaped

PASSWORD = "s3cret/pass"
URL = "postgresql://user:s3cret%2Fpass@db.example.com:6432/app?sslmode=require"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "postgresql://db.example.com:6432/app"),
        ("postgres://user:pw@db.example.com/app", "postgresql://db.example.com:5432/app"),
        ("postgresql+psycopg://user:pw@db.example.com/app", "postgresql://db.example.com:5432/app"),
        ("postgresql://db.example.com/app?user=me&password=pw", "postgresql://db.example.com:5432/app"),
        ("host=db.example.com password=pw dbname=app", "postgresql://db.example.com:5432/app"),
        ("postgresql://a.example.com,b.example.com:6432/app", "postgresql://a.example.com:5432,b.example.com:6432/app"),
        ("postgresql://[::1]:6432/app", "postgresql://[::1]:6432/app"),
    ],
)
def test_repr_shows_host_without_user_and_password(url: str, shown: str) -> None:
    assert repr(PostgresStorage(url)) == f"PostgresStorage({shown!r}, schema='webex')"


@pytest.mark.parametrize(
    "source",
    ["mysql://root:s3cret@localhost/db", "https://s3cret@db.example.com", "s3cret", "postgresql://a:s3cret@h:port/x",
     "postgresql://h/x?s3cret=1", "host=h password='s3cret", 5, None, object()],
)  # fmt: skip
def test_unusable_source_is_refused_without_showing_it(source: object) -> None:
    with pytest.raises(ConfigurationError) as refused:
        PostgresStorage(source)  # type: ignore[arg-type]  # that is the test
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("schema", ["", "nul\0", "x" * 64, "ü" * 32, 5, None])
def test_unusable_schema_is_refused(schema: object) -> None:
    with pytest.raises(ConfigurationError, match="schema"):
        PostgresStorage(URL, schema=schema)  # type: ignore[arg-type]  # that is the test


def test_schema_is_quoted() -> None:
    assert quoted('a"; DROP TABLE x; --%s') == '"a""; DROP TABLE x; --%%s"'


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "10", None])
def test_unusable_pool_size_is_refused(size: object) -> None:
    with pytest.raises(ConfigurationError, match="pool_size"):
        PostgresStorage(URL, pool_size=size)  # type: ignore[arg-type]  # that is the test


def test_unreachable_server_is_named_in_both_styles() -> None:
    unused = socket.socket()  # bound, so that no one else listens there
    unused.bind(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    storage = PostgresStorage(f"postgresql://user:s3cret%2Fpass@127.0.0.1:{port}/app")
    with pytest.raises(StorageError) as failed:
        storage.bind("credentials").get("key")
    text = "".join(traceback.format_exception(failed.value))
    assert f"127.0.0.1:{port}, database 'app'" in text
    assert "s3cret" not in text

    async def get() -> None:
        await storage.bind_async("credentials").get("key")

    with unused, pytest.raises(StorageError, match=f"127.0.0.1:{port}, database 'app'"):
        asyncio.run(get())


def test_storage_can_be_pickled_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(PostgresStorage(URL, schema="other", pool_size=3, migrate=False)))
    assert repr(again) == "PostgresStorage('postgresql://db.example.com:6432/app', schema='other')"
    assert again._arguments == (URL, None, "other", False, 3, 10.0, None)


def test_escaped_texts_have_no_nul_and_stay_different_and_in_order() -> None:
    texts = sorted(a + b + c for a in "\0\1\2a" for b in "\0\1\2a" for c in "\0\1\2a")
    stored = [escaped(text) for text in texts]
    assert stored == sorted(set(stored))
    assert not any("\0" in text for text in stored)
    assert [unescaped(text) for text in stored] == texts
