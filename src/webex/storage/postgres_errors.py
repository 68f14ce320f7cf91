"""What PostgreSQL's errors mean for the user of a storage, told without a password or a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from webex.errors import StorageError

if TYPE_CHECKING:
    import psycopg

__all__ = ["Place", "explained"]

# Code, or its class of two characters (PostgreSQL, Appendix A) → what happened, and what to do about it.
_REASONS = {
    "08": ("the connection failed", "Look at the server and the network"),
    "22": ("the server can't store this text", "Keep the storage in a database whose encoding is UTF8"),
    "25006": ("the server is read-only", "It is a replica: name the primary, or add target_session_attrs=read-write"),
    "28": ("the login was refused", "Look at user and password in the URL, and at pg_hba.conf"),
    "3D000": ("there is no such database", "Create it, or change the name in the URL"),
    "3F000": ("the schema is missing", "Call storage.migrate() once"),
    "42501": ("the user lacks a privilege", "Let a user who may create the tables call storage.migrate() once, and "
              "GRANT USAGE on the schema and SELECT, INSERT, UPDATE, DELETE on its tables to this one"),
    "42P01": ("a table is missing", "Call storage.migrate() once"),
    "53100": ("the server's disk is full", "Free some space"),
    "53300": ("the server has no connection left", "Raise max_connections, or lower pool_size"),
    "54": ("the key or value is too long for the server", "Keys may have about 2,000 bytes"),
    "57P01": ("the server is shutting down", "Try again when it is back"),
    "57P02": ("the server crashed", "Try again when it is back"),
    "57P03": ("the server is starting or stopping", "Try again in a moment"),
}  # fmt: skip


class Place:
    """Where a database is, as far as it may be shown: neither user nor password."""

    def __init__(self, parameters: dict[str, str | int | None]) -> None:
        host = str(parameters.get("host") or parameters.get("hostaddr") or "localhost")
        port = str(parameters.get("port") or 5432)
        self.database: str = str(parameters.get("dbname") or parameters.get("user") or "")
        hosts, ports = host.split(","), port.split(",")
        if len(ports) != len(hosts):
            ports = ports[:1] * len(hosts)
        self.hosts: str = ",".join(
            f"[{one}]:{of or 5432}" if ":" in one else f"{one}:{of or 5432}"
            for one, of in zip(hosts, ports, strict=True)
        )
        self._secrets = [str(value) for name, value in parameters.items() if "password" in name and value]

    def __str__(self) -> str:
        return f"PostgreSQL at {self.hosts}, database {self.database!r}"

    def cleared(self, text: str) -> str:
        """Return the text without any password of the URL."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def explained(error: psycopg.Error, place: Place, *, connecting: bool = False) -> StorageError:
    """Return what happened as a `StorageError` that names the host, the database and what to do."""
    code = error.sqlstate or ""
    reason, advice = _REASONS.get(code) or _REASONS.get(code[:2]) or ("", "")
    if connecting and not reason:
        reason, advice = "no connection could be made", "Look at the server, the network and the URL"
    if reason:
        # What libpq says of a failed connection names hosts and users only; other messages may quote what was stored.
        told = f" ({place.cleared(' '.join(str(error).split()))})" if connecting else ""
        return StorageError(f"{place}: {reason}{told}. {advice}")
    return StorageError(f"{place} failed: {type(error).__name__}{f' ({code})' if code else ''}")
