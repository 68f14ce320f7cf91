"""What PostgreSQL itself brings into play: its tables, privileges, settings, sessions that end, forks."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from tests.storage.services.conftest import drop_schema
from tests.support.forks import Child, in_child, needs_fork
from tests.support.postgres_server import PostgresServer
from webex.errors import StorageError
from webex.runtime import drive
from webex.storage import PostgresStorage
from webex.storage.postgres_connections import BlockingDriver
from webex.storage.protocol import Binding
from webex.storage.sql_binding import SWEEP_EVERY, UnknownOutcomeError

pytestmark = pytest.mark.services

PLANES = [chr(plane * 0x10000 + offset) for plane in range(17) for offset in (0, 0x41, 0xFFFD)]


@pytest.fixture
def storage(postgres_url: str, schema: str) -> Iterator[PostgresStorage]:
    with PostgresStorage(postgres_url, schema=schema) as made:
        yield made


@pytest.fixture
def binding(storage: PostgresStorage) -> Any:
    return storage.bind("credentials")


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with PostgresServer("autovacuum = off") as server:
        yield server


def test_eight_concurrent_processes_create_the_tables_once(postgres_url: str, schema: str, binding: Binding) -> None:
    program = """
import sys
from webex.storage import PostgresStorage
storage = PostgresStorage(sys.argv[1], schema=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
storage.bind("credentials").put(sys.argv[3], 1)
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, postgres_url, schema, f"key{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 8
    assert binding.get_many([f"key{number}" for number in range(8)]) == {f"key{number}": 1 for number in range(8)}


def test_migrate_creates_the_tables_and_is_idempotent(postgres_url: str, schema: str) -> None:
    with PostgresStorage(postgres_url, schema=schema, migrate=False) as storage:
        with pytest.raises(StorageError, match=r"storage\.migrate\(\)"):
            storage.bind("credentials").get("key")
        assert storage.migrate() == 1
        assert storage.migrate() == 0
        storage.bind("credentials").put("key", 1)

    async def again() -> int:
        async with PostgresStorage(postgres_url, schema=schema, migrate=False) as storage:
            assert await storage.bind_async("credentials").get("key") == 1
            return await storage.migrate_async()

    assert asyncio.run(again()) == 0


def test_tables_of_a_later_version_are_refused(
    postgres_url: str, schema: str, binding: Binding, admin: psycopg.Connection[Any]
) -> None:
    binding.put("key", 1)
    admin.execute(f"UPDATE {schema}.webex_schema SET version = 99")
    with PostgresStorage(postgres_url, schema=schema) as older:
        for call in (lambda: older.bind("credentials").get("key"), older.migrate):
            with pytest.raises(StorageError, match="upgrade webex"):
                call()


@pytest.mark.parametrize("name", ['we"ird', "100%s %% {schema}", "Großes Schema", "select", "-- '"])
def test_schema_may_have_any_name(postgres_url: str, name: str) -> None:
    name = f"{name} {secrets.token_hex(4)}"
    try:
        with PostgresStorage(postgres_url, schema=name) as storage:
            binding = storage.bind("credentials")
            binding.put("key", 1)
            assert binding.get("key") == 1
            assert list(binding.keys()) == [["key"]]
            assert storage.namespaces() == ["credentials"]
    finally:
        drop_schema(postgres_url, name)


def test_dropped_tables_are_reported(postgres_url: str, schema: str, binding: Binding) -> None:
    binding.put("key", 1)
    drop_schema(postgres_url, schema)
    with pytest.raises(StorageError, match=r"Call storage\.migrate\(\) once"):
        binding.get("key")


def test_names_of_every_unicode_plane_are_distinct_and_listed(binding: Binding, storage: PostgresStorage) -> None:
    for name in PLANES:
        binding.put(f"a{name}", name)
        storage.bind(f"namespace {name}").put("key", name)
    assert binding.get_many([f"a{name}" for name in PLANES]) == {f"a{name}": name for name in PLANES}
    for name in PLANES:
        assert list(binding.keys(f"a{name}")) == [[f"a{name}"]]
        assert storage.bind(f"namespace {name}").get("key") == name
    assert storage.namespaces() == sorted(["credentials", *(f"namespace {name}" for name in PLANES)])


def test_key_too_long_for_the_index_is_refused_with_advice(binding: Binding) -> None:
    with pytest.raises(StorageError, match="Keys may have about 2,000 bytes"):
        binding.put(secrets.token_hex(5000), 1)
    binding.put("key", 1)


def test_only_durable_false_skips_synchronous_commit(
    schema: str, binding: Binding, admin: psycopg.Connection[Any]
) -> None:
    binding.put("key", 0)
    admin.execute(f"CREATE TABLE {schema}.seen (what text, how text)")
    admin.execute(
        f"CREATE FUNCTION {schema}.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO {schema}.seen "
        "VALUES (TG_OP, current_setting('synchronous_commit')); RETURN coalesce(NEW, OLD); END $$"
    )
    for table in ("webex_values", "webex_leases"):
        admin.execute(
            f"CREATE TRIGGER note BEFORE INSERT OR UPDATE OR DELETE ON {schema}.{table} "
            f"FOR EACH ROW EXECUTE FUNCTION {schema}.note()"
        )

    def seen() -> set[str]:
        rows = admin.execute(f"DELETE FROM {schema}.seen RETURNING how").fetchall()
        assert rows
        return {how for (how,) in rows}

    for durable, wanted in ((False, {"off"}), (True, {"on"})):
        binding.put("key", 1, durable=durable)
        assert seen() == wanted
        version = binding.get_versioned("key").version
        version = binding.put_if_version("key", 2, version, durable=durable)
        assert seen() == wanted
        assert binding.delete_if_version("key", version, durable=durable)
        assert seen() == wanted
        assert binding.put_if_version("key", 3, None, durable=durable)
        assert seen() == wanted
        binding.delete("key", durable=durable)
        assert seen() == wanted
    lease = binding.try_lease("work", 60)
    lease.renew(60)
    lease.release()
    assert seen() == {"on"}


def test_expired_rows_are_removed_by_writers(schema: str, binding: Binding, admin: psycopg.Connection[Any]) -> None:
    binding.put("kept", 1)
    binding.put("later", 1, expires_in=600)
    for number in range(SWEEP_EVERY * 2):
        binding.put(f"key{number}", number, expires_in=0.001)
        binding.try_lease(f"work{number}", 0.001)
    left = admin.execute(f"SELECT count(*) FROM {schema}.webex_values").fetchone()
    leases = admin.execute(f"SELECT count(*) FROM {schema}.webex_leases").fetchone()
    assert left is not None
    assert leases is not None
    assert left[0] <= SWEEP_EVERY + 2
    assert leases[0] <= SWEEP_EVERY
    assert binding.get_many(["kept", "later"]) == {"kept": 1, "later": 1}


def test_very_long_durations_are_kept(binding: Binding) -> None:
    binding.put("key", 1, expires_in=1e300)
    assert binding.get("key") == 1
    assert binding.try_lease("work", 1e300) is not None
    assert binding.lease_remaining("work") > 1e9


def terminate_sessions(admin: psycopg.Connection[Any]) -> None:
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'webex' AND pid <> pg_backend_pid() AND query LIKE '%%' || %s || '%%'",
        ("webex_values",),
    )


def test_sessions_that_the_server_ended_are_replaced(own_server: PostgresServer) -> None:
    with psycopg.connect(own_server.url, autocommit=True) as admin, PostgresStorage(own_server.url) as storage:
        binding = storage.bind("credentials")
        for number in range(5):
            binding.put("key", number)
            terminate_sessions(admin)
            assert binding.get("key") == number
            terminate_sessions(admin)
            binding.put("key", number)

        async def in_event_loop() -> None:
            binding = storage.bind_async("credentials")
            for number in range(5):
                await asyncio.gather(*[binding.put(f"key{task}", number) for task in range(5)])
                await asyncio.to_thread(terminate_sessions, admin)
                assert await asyncio.gather(*[binding.get(f"key{task}") for task in range(5)]) == [number] * 5
                await asyncio.to_thread(terminate_sessions, admin)
                await asyncio.gather(*[binding.put(f"key{task}", number) for task in range(5)])
            await storage.aclose()

        asyncio.run(in_event_loop())


@pytest.mark.parametrize("happened", [True, False])
def test_swap_with_a_lost_response_is_looked_up(
    binding: Binding, monkeypatch: pytest.MonkeyPatch, happened: bool
) -> None:
    first = binding.put_if_version("key", "old", None)
    execute = BlockingDriver.execute

    async def lose(self: BlockingDriver, connection: Any, query: str, parameters: Any) -> Any:
        if happened:
            await execute(self, connection, query, parameters)
        monkeypatch.undo()
        connection.close()
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(BlockingDriver, "execute", lose)
    if happened:
        second = binding.put_if_version("key", "new", first)
        assert binding.get_versioned("key") == ("new", second)
    else:
        with pytest.raises(UnknownOutcomeError):
            binding.put_if_version("key", "new", first)
        assert binding.get_versioned("key") == ("old", first)


def test_read_with_a_lost_connection_is_retried(binding: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    binding.put("key", 1)

    async def lose(self: BlockingDriver, connection: Any, query: str, parameters: Any) -> Any:
        monkeypatch.undo()
        connection.close()
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(BlockingDriver, "execute", lose)
    assert binding.get("key") == 1


def test_cancelled_calls_leave_a_pool_that_works(postgres_url: str, schema: str) -> None:
    async def work() -> None:
        async with PostgresStorage(postgres_url, schema=schema, pool_size=2) as storage:
            binding: Any = storage.bind_async("credentials")
            await binding.put("key", 0)
            for delay in range(20):
                tasks = [asyncio.create_task(binding.put("key", number)) for number in range(6)]
                await asyncio.sleep(delay / 2000)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*[binding.put(f"key{number}", number) for number in range(10)])
            assert await binding.get("key9") == 9

    asyncio.run(work())


@needs_fork
def test_forked_child_and_parent_use_separate_connections(binding: Binding, storage: PostgresStorage) -> None:
    binding.put("key", "from the parent")

    def work() -> bool:
        good = binding.get("key") == "from the parent"
        binding.put("child", 1)
        storage.close()
        return good

    child = Child(work)
    for number in range(20):
        binding.put("parent", number)
    assert child.exit_code() == 0
    assert binding.get_many(["child", "parent"]) == {"child": 1, "parent": 19}


def test_exhausted_pool_is_reported(postgres_url: str, schema: str) -> None:
    with PostgresStorage(postgres_url, schema=schema, pool_size=1, busy_timeout=0.05) as storage:
        binding = storage.bind("credentials")
        binding.put("key", 1)
        pool = storage._sync_pool
        assert pool is not None

        async def hold() -> None:
            async with pool.get().connection():
                with pytest.raises(StorageError, match="Raise pool_size"):
                    binding.get("key")

        drive(hold())
        assert binding.get("key") == 1


def test_user_without_create_privilege_uses_existing_tables(own_server: PostgresServer) -> None:
    with psycopg.connect(own_server.url, autocommit=True) as admin:
        admin.execute("CREATE ROLE worker LOGIN PASSWORD 's3cret'")
        url = own_server.url.replace("postgres@", "worker:s3cret@")
        with PostgresStorage(url, schema="shared") as storage:
            with pytest.raises(StorageError, match="lacks a privilege") as refused:
                storage.bind("credentials").put("key", 1)
            assert "s3cret" not in str(refused.value)
            with PostgresStorage(own_server.url, schema="shared") as owner:
                owner.migrate()
            admin.execute("GRANT USAGE ON SCHEMA shared TO worker")
            admin.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shared TO worker")
            storage.bind("credentials").put("key", 1)
            assert storage.bind("credentials").try_lease("work", 60) is not None
            assert storage.migrate() == 0


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_database_that_can_not_hold_every_key_is_refused(own_server: PostgresServer, encoding: str) -> None:
    name = encoding.lower()
    with psycopg.connect(own_server.url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    with (
        PostgresStorage(own_server.url_of(name)) as storage,
        pytest.raises(StorageError, match="ENCODING 'UTF8'"),
    ):
        storage.bind("credentials").put("key", 1)


@pytest.mark.parametrize(("user", "database"), [("postgres", "nowhere"), ("stranger", "postgres")])
def test_login_that_fails_is_explained(own_server: PostgresServer, user: str, database: str) -> None:
    url = own_server.url_of(database).replace("postgres@", f"{user}:s3cret@")
    with PostgresStorage(url) as storage, pytest.raises(StorageError) as failed:
        storage.bind("credentials").get("key")
    told = str(failed.value)
    assert f"127.0.0.1:{own_server.port}, database {database!r}: no connection could be made" in told
    assert "does not exist" in told
    assert "s3cret" not in told


def test_read_only_server_is_explained(own_server: PostgresServer) -> None:
    with psycopg.connect(own_server.url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE replica")
        url = own_server.url_of("replica")
        with PostgresStorage(url) as storage:
            storage.bind("credentials").put("key", 1)
        admin.execute("ALTER DATABASE replica SET default_transaction_read_only = on")
    with PostgresStorage(url) as storage:
        assert storage.bind("credentials").get("key") == 1
        with pytest.raises(StorageError, match="read-only"):
            storage.bind("credentials").put("key", 2)


@needs_fork
def test_pool_of_the_app_is_not_used_in_a_forked_child(postgres_url: str, schema: str) -> None:
    with ConnectionPool(postgres_url, min_size=1, open=True) as pool:
        storage = PostgresStorage(pool, schema=schema)
        binding = storage.bind("namespace")
        binding.put("key", 1)

        def work() -> None:
            with pytest.raises(StorageError, match="before this process was forked"):
                binding.get("key")

        assert in_child(work) == 0
        assert binding.get("key") == 1
