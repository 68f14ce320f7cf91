"""Try a storage: every call that the SDK makes of it, and what its server says of clock and durability."""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple

from webex.errors import MissingKeyError, StorageError
from webex.runtime import drive
from webex.storage import ServerFacts, StorageAccess

__all__ = ["Problem", "capabilities_of", "server_facts", "server_problems", "tried"]

_CHECK: Final = "webex-check"  # a namespace that nothing else uses
_ROUNDS: Final = 20
GUARANTEES: Final = "docs/storage-guarantees.md says what each lost write means."


class Problem(NamedTuple):
    """What speaks against a storage, and what to do about it."""

    what: str
    remedy: str


def capabilities_of(access: StorageAccess) -> list[str]:
    """Return the names of what the storage can do beyond the four plain calls."""
    capabilities = access.capabilities
    return [name for name in capabilities.__slots__ if getattr(capabilities, name)]


def tried(access: StorageAccess) -> tuple[dict[str, float], list[Problem]]:
    """Return how many seconds each call takes (the median), and what does not work."""
    key, value = secrets.token_hex(8), {"text": "\u00e9\U0001f512", "number": 1.5, "list": [None, True]}
    broken = "The adapter breaks its contract: run the conformance suite, pytest --webex-storage=module:factory."
    problems: list[Problem] = []

    def get() -> None:
        if drive(access.get(_CHECK, key)) != value:
            problems.append(Problem("a value that was read is not the one that was written", broken))

    def swap() -> None:
        version = drive(access.get_versioned(_CHECK, key)).version
        if drive(access.put_if_version(_CHECK, key, value, version)) is None:
            problems.append(Problem("a swap of the present version lost", broken))
        if drive(access.put_if_version(_CHECK, key, value, "another")) is not None:
            problems.append(Problem("a swap of a version that is not there won", broken))

    def lease() -> None:
        granted = drive(access.try_lease(_CHECK, key, 10))
        if granted is None:
            problems.append(Problem("a lease that is free was not granted", broken))
            return
        if drive(access.try_lease(_CHECK, key, 10)) is not None:
            problems.append(Problem("a lease was granted twice", broken))
        drive(granted.release())

    steps: dict[str, Callable[[], None]] = {
        "put": lambda: drive(access.put(_CHECK, key, value)),
        "get": get,
        "swap": swap,
        "lease": lease,
    }
    took: dict[str, float] = {}
    try:
        for name, step in steps.items():
            took[name] = statistics.median(_timed(step))
    finally:
        with suppress(StorageError):
            drive(access.delete(_CHECK, key))
    with suppress(MissingKeyError):
        drive(access.get(_CHECK, key))
        problems.append(Problem("a value is there after it was removed", broken))
    if not access.capabilities.compare_and_swap or not access.capabilities.lease:
        problems.append(
            Problem(
                "it has no compare-and-swap or no leases: safe for one process only",
                "Use a storage that has both (SQLite, Redis, PostgreSQL, SQLAlchemy), or run one process.",
            )
        )
    return took, list(dict.fromkeys(problems))


def _timed(step: Callable[[], None]) -> Iterator[float]:
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        step()
        yield time.perf_counter() - began


def server_facts(storage: Any) -> ServerFacts | None:
    """Return what the server behind a storage says of itself; None where there is none, or it can't be asked."""
    while storage is not None and not hasattr(storage, "server_facts"):
        storage = getattr(storage, "inner", None) or getattr(storage, "adapter", None)
    if storage is None:
        return None
    with suppress(StorageError):
        facts = storage.server_facts()
        if isinstance(facts, ServerFacts):
            return facts
        close = getattr(facts, "close", None)  # a coroutine, of a storage of event-loop style
        if close is not None:
            close()
    return None


def server_problems(facts: ServerFacts) -> list[Problem]:
    """Return which settings of a server lose writes that it has acknowledged."""
    settings = facts.settings
    rules: list[tuple[bool, str, str]]
    if facts.kind == "redis":
        policy = settings.get("maxmemory-policy", "noeviction")
        rules = [
            (
                policy != "noeviction",
                f"maxmemory-policy is {policy}, not noeviction: a full server removes tokens of its own accord",
                "CONFIG SET maxmemory-policy noeviction, and the same in the server's configuration file.",
            ),
            (
                settings.get("appendonly") == "no",
                "appendonly is no: what was written since the last snapshot is lost with the server",
                f"CONFIG SET appendonly yes, and the same in the server's configuration file. {GUARANTEES}",
            ),
        ]
    elif facts.kind == "postgresql":
        rules = [
            (
                settings.get("synchronous_commit") == "off",
                "synchronous_commit is off: a crash of the server loses the writes of its last moments",
                f"ALTER ROLE … SET synchronous_commit = on, for the role that this app connects as. {GUARANTEES}",
            ),
            (
                settings.get("fsync") == "off",
                "fsync is off: a crash of the machine may damage the whole database",
                "Set fsync = on in postgresql.conf and restart the server.",
            ),
            (
                settings.get("full_page_writes") == "off",
                "full_page_writes is off: a crash of the machine may damage the whole database",
                "Set full_page_writes = on in postgresql.conf and reload it.",
            ),
        ]
    else:
        flush = settings.get("innodb_flush_log_at_trx_commit", "1")
        rules = [
            (
                flush != "1",
                f"innodb_flush_log_at_trx_commit is {flush}: a crash loses the writes of its last second",
                f"SET GLOBAL innodb_flush_log_at_trx_commit = 1, and the same in my.cnf. {GUARANTEES}",
            )
        ]
    return [Problem(what, remedy) for applies, what, remedy in rules if applies]
