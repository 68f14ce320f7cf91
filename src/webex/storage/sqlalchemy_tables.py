"""The tables of a `SQLAlchemyStorage`, and its statements for each kind of database.

Names are kept as the bytes of their UTF-8, and so compared byte for byte whatever the collation, in the order of code
points. Times are seconds since the epoch by the server's clock.
"""

from __future__ import annotations

from typing import Any

from webex.errors import ConfigurationError
from webex.extras import needed_by

with needed_by("SQLAlchemyStorage", "sqlalchemy"):
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql, postgresql, sqlite

__all__ = ["DIALECTS", "Statements", "Tables", "add_tables", "durability_settings"]

DIALECTS = ("postgresql", "mysql", "mariadb", "sqlite")
NAMESPACE_BYTES = 512  # with the key they are what an index of MariaDB holds: 3,072 bytes
NAME_BYTES = 2560

_MYSQL = ("mysql", "mariadb")


class Tables:
    """The two tables."""

    def __init__(self, values: sa.Table, leases: sa.Table) -> None:
        self.values = values
        self.leases = leases


def add_tables(metadata: sa.MetaData, *, prefix: str = "webex_", schema: str | None = None) -> Tables:
    """Add the storage's tables to the `MetaData` of an app, so that Alembic sees them; those that are there stay.

    They are called `<prefix>values` and `<prefix>leases`.
    """
    names = f"{prefix}values", f"{prefix}leases"
    found = [metadata.tables.get(name if schema is None else f"{schema}.{name}") for name in names]
    values = found[0] if found[0] is not None else _values(metadata, names[0], schema)
    leases = found[1] if found[1] is not None else _leases(metadata, names[1], schema)
    return Tables(values, leases)


def durability_settings(dialect: str) -> dict[str, Any]:
    """Return what selects the settings on which it depends whether a commit survives a crash, by their names."""
    if dialect == "postgresql":
        names = ("synchronous_commit", "fsync", "full_page_writes", "synchronous_standby_names")
        return {name: sa.func.current_setting(name) for name in names}
    if dialect == "sqlite":
        return {}
    return {
        name: sa.literal_column(f"@@{name}", sa.String()) for name in ("innodb_flush_log_at_trx_commit", "sync_binlog")
    }


def _bytes(length: int) -> Any:
    return sa.LargeBinary().with_variant(mysql.VARBINARY(length), *_MYSQL)


def _expiry(*, nullable: bool) -> sa.Column[float]:
    return sa.Column("expires_at", sa.Double(), nullable=nullable, index=True)


def _values(metadata: sa.MetaData, name: str, schema: str | None) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("namespace", _bytes(NAMESPACE_BYTES), primary_key=True),
        sa.Column("key", _bytes(NAME_BYTES), primary_key=True),
        sa.Column("value", sa.LargeBinary().with_variant(mysql.LONGBLOB(), *_MYSQL), nullable=False),
        sa.Column("version", _bytes(32), nullable=False),
        _expiry(nullable=True),
        schema=schema,
    )


def _leases(metadata: sa.MetaData, name: str, schema: str | None) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("namespace", _bytes(NAMESPACE_BYTES), primary_key=True),
        sa.Column("name", _bytes(NAME_BYTES), primary_key=True),
        sa.Column("token", _bytes(32), nullable=False),
        _expiry(nullable=False),
        schema=schema,
    )


class Statements:
    """The statements over the tables in one dialect. Each is atomic."""

    def __init__(self, dialect: str, tables: Tables) -> None:
        if dialect not in DIALECTS:
            raise ConfigurationError(
                f"SQLAlchemyStorage works with PostgreSQL, MariaDB, MySQL and SQLite, not with {dialect}"
            )
        self._dialect = dialect
        self.values: sa.Table = tables.values
        self.leases: sa.Table = tables.leases
        self.now: sa.ColumnElement[Any] = _now(dialect)
        columns = self.values.c
        self.alive: sa.ColumnElement[bool] = sa.or_(columns.expires_at.is_(None), columns.expires_at > self.now)

    @property
    def upserts_by_condition(self) -> bool:
        """Whether one statement can insert, or replace what expired; else `replace` comes before `insert`."""
        return self._dialect not in _MYSQL

    def until(self, seconds: float | None) -> Any:
        """Return the expiry of what lives that long."""
        return sa.null() if seconds is None else self.now + sa.literal(seconds, sa.Double())

    def put(self, place: dict[str, bytes], row: dict[str, Any]) -> Any:
        """Insert or replace a value."""
        if self._dialect in _MYSQL:
            return mysql.insert(self.values).values(**place, **row).on_duplicate_key_update(**row)
        return self._insert(self.values).values(**place, **row).on_conflict_do_update(index_elements=[*place], set_=row)

    def put_over_expired(self, table: sa.Table, place: dict[str, bytes], row: dict[str, Any]) -> Any:
        """Insert, or replace what expired; a row comes back where that happened."""
        insert = self._insert(table).values(**place, **row)
        expired = table.c.expires_at <= self.now
        upsert = insert.on_conflict_do_update(index_elements=[*place], set_=row, where=expired)
        return upsert.returning(table.c.expires_at)

    def replace_expired(self, table: sa.Table, place: dict[str, bytes], row: dict[str, Any]) -> Any:
        """Replace what expired."""
        return sa.update(table).where(*_at(table, place), table.c.expires_at <= self.now).values(**row)

    def insert(self, table: sa.Table, place: dict[str, bytes], row: dict[str, Any]) -> Any:
        """Insert; an `IntegrityError` where something is."""
        return sa.insert(table).values(**place, **row)

    def swap(self, place: dict[str, bytes], version: bytes, row: dict[str, Any]) -> Any:
        """Replace the value that has this version."""
        same = self.values.c.version == version
        return sa.update(self.values).where(*_at(self.values, place), same, self.alive).values(**row)

    def take(self, place: dict[str, bytes], version: bytes) -> Any:
        """Delete the value that has this version."""
        return sa.delete(self.values).where(*_at(self.values, place), self.values.c.version == version, self.alive)

    def at(self, table: sa.Table, place: dict[str, bytes]) -> list[Any]:
        """Return the conditions for one row."""
        return _at(table, place)

    def _insert(self, table: sa.Table) -> Any:
        return postgresql.insert(table) if self._dialect == "postgresql" else sqlite.insert(table)


def _at(table: sa.Table, place: dict[str, bytes]) -> list[Any]:
    return [table.c[name] == value for name, value in place.items()]


def _now(dialect: str) -> Any:
    # The present moment, in UTC: not the start of the transaction, and no local time with an hour that comes twice.
    if dialect == "postgresql":
        text = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)"
    elif dialect == "sqlite":
        text = "((julianday('now') - 2440587.5) * 86400.0)"
    else:
        text = "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) / 1e6)"
    return sa.literal_column(text, sa.Double())
