"""The tables of a `PostgresStorage` and how they are made and brought up to date.

Each list of `MIGRATIONS` leads from one version of the tables to the next. They run in one transaction under an
advisory lock, so that of many processes which start at once one makes the tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from webex.errors import ConfigurationError, StorageError

__all__ = ["MIGRATIONS", "check", "migrate", "quoted"]

_LONGEST_NAME = 63  # bytes; PostgreSQL cuts off the rest, so that two names would be one

# Asks the tables themselves: to_regclass may answer out of a cache that knows nothing of another session's commit.
_FIND = (
    "SELECT current_setting('server_encoding'), EXISTS (SELECT FROM pg_class JOIN pg_namespace ON "
    "pg_namespace.oid = relnamespace WHERE nspname = %s AND relname = 'webex_schema')"
)

MIGRATIONS = [
    [
        'CREATE TABLE {schema}.webex_values (namespace text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, '
        "value bytea NOT NULL, version text NOT NULL, expires_at timestamptz, PRIMARY KEY (namespace, key))",
        "CREATE INDEX webex_values_expiry ON {schema}.webex_values (expires_at) WHERE expires_at IS NOT NULL",
        'CREATE TABLE {schema}.webex_leases (namespace text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, '
        "token text NOT NULL, expires_at timestamptz NOT NULL, PRIMARY KEY (namespace, name))",
        "CREATE INDEX webex_leases_expiry ON {schema}.webex_leases (expires_at)",
    ],
]


def quoted(schema: str) -> str:
    """Return the name as an identifier in a statement with parameters; `ConfigurationError` when it can't be one."""
    if not isinstance(schema, str) or not schema or "\0" in schema:
        raise ConfigurationError(f"the schema is a name, such as schema='webex', not {schema!r}")
    if len(schema.encode(errors="replace")) > _LONGEST_NAME:
        raise ConfigurationError(f"the name of the schema has more than {_LONGEST_NAME} bytes: {schema!r}")
    return '"' + schema.replace('"', '""').replace("%", "%%") + '"'


async def check(run: Callable[..., Any], schema: str) -> int:
    """Return the version of the tables, 0 when there are none; `StorageError` when this package is older than they."""
    tables = quoted(schema)
    ((encoding, exists),) = (await run(_FIND, (schema,))).rows
    if encoding != "UTF8":
        raise StorageError(
            f"the database has the encoding {encoding}, which can't hold every key: create one with ENCODING 'UTF8'"
        )
    if not exists:
        return 0
    ((version,),) = (await run(f"SELECT version FROM {tables}.webex_schema")).rows
    if version > len(MIGRATIONS):
        raise StorageError(
            f"the tables in the schema {schema!r} have the version {version}, this version of webex knows "
            f"{len(MIGRATIONS)}: upgrade webex, or use another schema"
        )
    return int(version)


async def migrate(run: Callable[..., Any], schema: str) -> int:
    """Bring the tables to the newest version, in the transaction of `run`; return how many steps were taken."""
    await run("SELECT pg_advisory_xact_lock(%s::bigint)", (_lock_number(schema),))
    version = await check(run, schema)
    tables = quoted(schema)
    if version == 0:
        known = await run("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,))
        if not known.rows:  # with IF NOT EXISTS alone it would need the privilege even where it exists
            await run(f"CREATE SCHEMA IF NOT EXISTS {tables}")
        await run(f"CREATE TABLE {tables}.webex_schema (only_row bool PRIMARY KEY CHECK (only_row), version int)")
        await run(f"INSERT INTO {tables}.webex_schema VALUES (true, 0)")
    steps = MIGRATIONS[version:]
    for statements in steps:
        for statement in statements:
            await run(statement.format(schema=tables))
    if steps:
        await run(f"UPDATE {tables}.webex_schema SET version = %s", (len(MIGRATIONS),))
    return len(steps)


def _lock_number(schema: str) -> int:
    digest = hashlib.sha256(b"webex storage schema\0" + schema.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
