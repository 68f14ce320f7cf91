"""What storages do with many people: sign-ins, and the mixed calls of those who are signed in, in a process of its own.

Run as `python -m benchmarks.storage_people STORAGE SIGN_INS PEOPLE CALLS`; prints one line of JSON. A sign-in keeps a
pending login, takes it once and saves the tokens; a call reads one person's record, and each tenth takes the lease and
swaps new tokens in, as a refresh does. `contestants/slack_stores.py` does the same work with slack_sdk's stores.
"""

from __future__ import annotations

import json
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contestants.lines import resident_bytes
from benchmarks.storages import CONTESTANTS
from tests.support.services import SERVICES
from webex.auth.store import NAMESPACE, CredentialStore
from webex.auth.tokens import TokenSet
from webex.config import Config
from webex.runtime import BlockingRuntime, drive
from webex.storage import StorageAccess

CLIENT = "C" + "0" * 64


def tokens(version: int) -> TokenSet:
    """Tokens as long as those of Webex."""
    return TokenSet(
        access_token=f"{version}-" + "x" * 700,
        refresh_token=f"{version}-" + "y" * 700,
        issued_at=1_800_000_000.0,
        expires_at=1_900_000_000.0,
        scope="spark:all",
    )


@contextmanager
def _sqlalchemy(server: str) -> Iterator[Any]:
    import sqlalchemy as sa

    from webex.storage import SQLAlchemyStorage

    with tempfile.TemporaryDirectory() as folder:
        host, port = SERVICES[server].address if server != "sqlite" else ("", 0)
        url = {
            "postgres": f"postgresql+psycopg://postgres@{host}:{port}/test",
            "mariadb": f"mysql+pymysql://root@{host}:{port}/test",
            "sqlite": f"sqlite:///{folder}/app.db",
        }[server]
        engine = sa.create_engine(url)
        metadata = sa.MetaData()
        storage = SQLAlchemyStorage(engine, metadata=metadata, prefix=f"webex_benchmark_{secrets.token_hex(6)}_")
        storage.create_tables()
        try:
            yield storage
        finally:
            metadata.drop_all(engine)
            engine.dispose()


MORE: dict[str, tuple[Callable[[], Any], str | None]] = {
    "SQLAlchemyStorage (SQLite)": (lambda: _sqlalchemy("sqlite"), None),
    "SQLAlchemyStorage (PostgreSQL)": (lambda: _sqlalchemy("postgres"), "postgres"),
    "SQLAlchemyStorage (MariaDB)": (lambda: _sqlalchemy("mariadb"), "mariadb"),
}


def labels() -> list[str]:
    """The storages whose servers are at hand."""
    ours = [each.label for each in CONTESTANTS if each.service is None or each.service.is_there()]
    return ours + [label for label, (_, server) in MORE.items() if server is None or SERVICES[server].is_there()]


async def measured(access: StorageAccess, sign_ins: int, people: int, calls: int) -> dict[str, float]:
    """Return calls a second, late calls, and bytes of this process a person."""
    store = CredentialStore(access, Config(client_id=CLIENT))
    memory = resident_bytes()
    began = time.perf_counter()
    for number in range(sign_ins):
        state = secrets.token_urlsafe(24)
        await access.put_if_version("logins", state, {"verifier": "v" * 43, "return_to": "/"}, None, expires_in=600)
        assert await access.take("logins", state)
        await store.save_login(f"person{number}", tokens(0))
    took = time.perf_counter() - began
    record = await access.get(NAMESPACE, store.path("person0"))
    for number in range(sign_ins, people):
        await access.put(NAMESPACE, store.path(f"person{number}"), record, durable=False)
    chance = random.Random(1)
    times = []
    for call in range(calls):
        key = f"person{chance.randrange(people)}"
        before = time.perf_counter()
        found = await store.load(key)
        assert found is not None
        if call % 10 == 0:
            lease = await store.lease(key, 30.0)
            assert lease is not None
            found = await store.load(key)
            assert found is not None
            assert await store.swap(key, found, tokens=tokens(call)) is not None
            await lease.release()
        times.append(time.perf_counter() - before)
    times.sort()
    grown = resident_bytes() - memory
    return {
        "sign_ins": sign_ins / took,
        "calls": calls / sum(times),
        "p50": times[len(times) // 2],
        "p99": times[round(len(times) * 0.99) - 1],
        "memory": grown / people,
    }


def main() -> None:
    label, sign_ins, people, calls = sys.argv[1], *map(int, sys.argv[2:])
    makers: dict[str, Callable[[], Any]] = {each.label: each.opened for each in CONTESTANTS}
    makers |= {name: maker for name, (maker, _) in MORE.items()}
    with ExitStack() as stack:
        access = StorageAccess(stack.enter_context(makers[label]()), BlockingRuntime())
        print(json.dumps(drive(measured(access, sign_ins, people, calls))))


PROGRAM = Path(__file__).resolve().parent / "contestants" / "slack_stores.py"

if __name__ == "__main__":
    main()
