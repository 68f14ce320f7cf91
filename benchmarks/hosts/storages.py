"""The storages of a run: how each is described to a worker, and servers of the run's own that can be stopped."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.support.postgres_server import PostgresServer
from tests.support.services import RedisServer, free_port

__all__ = ["STORAGES", "Kept", "Server", "opened"]

Described = dict[str, Any]


class Server(Protocol):
    """A server of the run's own."""

    port: int

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass
class Kept:
    """A storage of a run. `server` is where its address leads; None for a file."""

    name: str
    described: Described
    server: tuple[str, int] | None = None
    own: Server | None = None
    fail_over: Callable[[], None] | None = None
    notes: list[str] = field(default_factory=list)

    def at(self, address: tuple[str, int] | None) -> Described:
        """Return the description for a worker that reaches the server at another address."""
        if address is None or self.server is None:
            return self.described
        return {**self.described, "address": list(address)}

    def open(self) -> Any:
        """Open it here, in blocking style."""
        return opened(self.described, "blocking")


def opened(described: Described, style: str) -> Any:
    """Make the storage that is described."""
    import webex.storage

    kind, name = described["kind"], described["name"]
    host, port = described.get("address", ("", 0))
    if kind == "sqlite":
        return webex.storage.SQLiteStorage(name)
    if kind == "redis":
        return webex.storage.RedisStorage(f"redis://{host}:{port}/0", prefix=name, timeout=20)
    if kind == "sentinel":
        return webex.storage.RedisStorage(
            f"sentinel://{host}:{port}/webex/0", prefix=name, timeout=1, wait_replicas=described["replicas"]
        )
    if kind == "postgres":
        database = described["database"]
        return webex.storage.PostgresStorage(f"postgresql://postgres@{host}:{port}/{database}", schema=name)
    return _over_sqlalchemy(host, port, style, name)


def _over_sqlalchemy(host: str, port: int, style: str, prefix: str) -> Any:
    """The engines have `pool_pre_ping`: dead connections are found before they are used."""
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    from tests.storage.sqlalchemy_storages import WithEngine

    driver = "mysql+pymysql" if style == "blocking" else "mysql+aiomysql"
    url = f"{driver}://root@{host}:{port}/test?connect_timeout=3"
    options: dict[str, Any] = {"pool_size": 10, "pool_pre_ping": True}
    if style == "async":
        return WithEngine(create_async_engine(url, **options), prefix=prefix)
    return WithEngine(sa.create_engine(url, **options), prefix=prefix)


@contextmanager
def _sqlite() -> Iterator[Kept]:
    with tempfile.TemporaryDirectory(prefix="webex-hosts-") as folder:
        yield Kept("SQLite", {"kind": "sqlite", "name": str(Path(folder) / "webex.db")})


@contextmanager
def _redis() -> Iterator[Kept]:
    with RedisServer("appendonly yes", "appendfsync always") as server:
        address = ("127.0.0.1", server.port)
        yield Kept("Redis", {"kind": "redis", "name": "webex", "address": list(address)}, address, server)


@contextmanager
def _postgres() -> Iterator[Kept]:
    with PostgresServer("max_connections = 400") as server:
        address = ("127.0.0.1", server.port)
        described = {"kind": "postgres", "name": "webex", "database": "postgres", "address": list(address)}
        yield Kept("PostgreSQL", described, address, server)


@contextmanager
def _mariadb() -> Iterator[Kept]:
    from tests.storage.sqlalchemy_storages import made

    with MariaDBServer() as server:
        address = ("127.0.0.1", server.port)
        made(f"mysql+pymysql://root@127.0.0.1:{server.port}/test", "blocking", "webex_", create=True).close()
        described = {"kind": "mariadb", "name": "webex_", "address": list(address)}
        yield Kept("MariaDB (SQLAlchemy)", described, address, server)


@contextmanager
def _sentinel(replicas: int) -> Iterator[Kept]:
    import redis

    with ExitStack() as stack:
        durable = ("appendonly yes", "appendfsync always")
        primary = stack.enter_context(RedisServer(*durable))
        replica = stack.enter_context(RedisServer(f"replicaof 127.0.0.1 {primary.port}", *durable))
        second = stack.enter_context(RedisServer(f"replicaof 127.0.0.1 {primary.port}", *durable))
        sentinel = stack.enter_context(
            RedisServer(
                f"sentinel monitor webex 127.0.0.1 {primary.port} 1",
                "sentinel down-after-milliseconds webex 500",
                "sentinel failover-timeout webex 4000",
                port=free_port(),
                sentinel=True,
            )
        )
        with redis.Redis(port=sentinel.port) as client:
            until(lambda: len(client.sentinel_slaves("webex")) == 2)
        for each in (replica, second):
            with redis.Redis(port=each.port) as client:
                until(lambda client=client: client.info("replication")["master_link_status"] == "up")  # type: ignore[misc]  # bound here

        def fail_over() -> None:
            primary.stop(kill=True)

            def promoted() -> bool:
                roles = []
                for each in (replica, second):
                    with redis.Redis(port=each.port) as client:
                        roles.append(client.info("replication")["role"])
                return "master" in roles

            until(promoted)

        address = ("127.0.0.1", sentinel.port)
        described = {"kind": "sentinel", "name": "webex", "replicas": replicas, "address": list(address)}
        yield Kept(f"Redis with Sentinel, wait_replicas={replicas}", described, address, None, fail_over)


class MariaDBServer:
    """A MariaDB server of the run's own on a free port, with user root without a password and a database `test`."""

    def __init__(self) -> None:
        program, install = shutil.which("mariadbd") or shutil.which("mysqld"), shutil.which("mariadb-install-db")
        if program is None or install is None:
            raise FileNotFoundError("mariadbd and mariadb-install-db are not on the PATH")
        self.port = free_port()
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="webex-mariadb-"))
        self._user = "mysql" if os.getuid() == 0 else None
        if self._user:
            found = pwd.getpwnam(self._user)
            os.chown(self._folder, found.pw_uid, found.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        arguments = [
            install,
            "--no-defaults",
            f"--datadir={self._folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        subprocess.run(
            [*arguments, *([f"--user={self._user}"] if self._user else [])],
            check=True,
            capture_output=True,
            timeout=120,
        )

    def start(self) -> None:
        """Start it, and return when it answers."""
        import pymysql

        arguments = [
            self._program,
            "--no-defaults",
            f"--datadir={self._folder / 'data'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self._folder / 'socket'}",
            f"--pid-file={self._folder / 'pid'}",
            f"--log-error={self._folder / 'log'}",
            "--max-connections=400",
            *([f"--user={self._user}"] if self._user else []),
        ]
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers() -> bool:
            try:
                with pymysql.connect(host="127.0.0.1", port=self.port, user="root").cursor() as cursor:
                    cursor.execute("CREATE DATABASE IF NOT EXISTS test")
            except pymysql.OperationalError:
                return False
            return True

        until(answers)

    def stop(self) -> None:
        """End it as on a normal stop."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
            self._process = None

    def __enter__(self) -> MariaDBServer:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Return when something holds."""
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            raise TimeoutError("it did not come to that")
        time.sleep(0.02)


STORAGES: dict[str, Callable[[], Any]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "postgres": _postgres,
    "mariadb": _mariadb,
    "sentinel": lambda: _sentinel(0),
    "sentinel-wait": lambda: _sentinel(1),
}
