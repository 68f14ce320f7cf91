"""Names of the test's own on the database servers of this machine."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator

import psycopg
import psycopg.sql
import pymysql
import pytest
import redis

from tests.support.services import need


@pytest.fixture
def redis_url() -> str:
    """The URL of the Redis server of this machine."""
    host, port = need("redis").address
    return f"redis://{host}:{port}/0"


@pytest.fixture
def prefix(redis_url: str) -> Iterator[str]:
    """What the keys of this test begin with; they are removed in the end."""
    made = f"webex-test-{secrets.token_hex(6)}"
    yield made
    remove(redis_url, made)


def remove(url: str, prefix: str) -> None:
    """Remove the keys with this prefix, and no others."""
    with redis.Redis.from_url(url) as client:
        for name in client.scan_iter(match=f"{prefix}:*", count=1000):
            client.delete(name)


def cut(url: str, name: str) -> None:
    """Cut the connections of the clients with this name."""
    with redis.Redis.from_url(url, client_name="") as client:
        for one in client.client_list():
            if one["name"] == name:
                with contextlib.suppress(redis.ResponseError):  # it ended by itself meanwhile
                    client.client_kill_filter(_id=one["id"])


@pytest.fixture
def postgres_url() -> str:
    """The URL of the PostgreSQL server of this machine."""
    host, port = need("postgres").address
    return f"postgresql://postgres@{host}:{port}/test"


@pytest.fixture
def schema(postgres_url: str) -> Iterator[str]:
    """The name of a schema that is not there yet; it is dropped in the end."""
    made = f"webex_test_{secrets.token_hex(6)}"
    yield made
    drop_schema(postgres_url, made)


def cut_postgres(url: str, condition: str, *values: str) -> None:
    """Cut the connections for which the condition on `pg_stat_activity` holds, and no others; wait until they end."""
    query = (
        f"SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND {condition}"
    )
    with psycopg.connect(url, autocommit=True, application_name="") as connection:
        connection.execute(query, values)  # type: ignore[arg-type]  # the text is the test's own


def cut_mariadb(address: tuple[str, int], database: str) -> None:
    """Cut the connections to this database, and wait until they have ended: the server kills them a little later."""
    there = "SELECT id FROM information_schema.processlist WHERE db = %s"
    with pymysql.connect(host=address[0], port=address[1], user="root") as connection, connection.cursor() as cursor:
        cursor.execute(there, (database,))
        killed = {int(number) for (number,) in cursor.fetchall()}
        for number in killed:
            with contextlib.suppress(pymysql.Error):  # it ended by itself meanwhile
                cursor.execute(f"KILL CONNECTION {number}")
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            cursor.execute(there, (database,))
            if killed.isdisjoint(int(number) for (number,) in cursor.fetchall()):
                return
            time.sleep(0.01)
    raise AssertionError("connections that were killed did not end")


def drop_schema(url: str, name: str) -> None:
    """Drop this schema, if it is there, with all that is in it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(psycopg.sql.Identifier(name)))
