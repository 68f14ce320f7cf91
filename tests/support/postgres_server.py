"""A PostgreSQL server of the test's own: it can be stopped as in a crash, and started again with its data."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.ports import free_port
from tests.support.services import SERVICES, Service
from tests.support.tiers import left_out, program

__all__ = ["PgBouncer", "PostgresServer"]


class PostgresServer:
    """Data in a temporary directory, a free port of 127.0.0.1; `settings` are lines of its configuration."""

    def __init__(self, *settings: str) -> None:
        self.port = free_port()
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="webex-postgres-"))
        self._user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
        if self._user:
            found = pwd.getpwnam(self._user)
            os.chown(self._folder, found.pw_uid, found.pw_gid)
        self._data = self._folder / "data"
        self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "--no-locale")
        lines = [
            f"port = {self.port}",
            "listen_addresses = '127.0.0.1'",
            f"unix_socket_directories = '{self._folder}'",
            *settings,
        ]
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.write("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        """Return the URL for `PostgresStorage`."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the URL of another database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self._folder / 'log'}")

    def stop(self, mode: str = "fast") -> None:
        """End it; with `immediate` as in a crash: what is not on the disk is lost."""
        self._run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    def __enter__(self) -> PostgresServer:
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), f"--pgdata={self._data}", *arguments],
            check=True,
            timeout=60,
            user=self._user,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
        )


class PgBouncer:
    """A pooler of the test's own before a server, in transaction mode: each transaction may get another session."""

    def __init__(self, service: Service) -> None:
        self._program = program("pgbouncer")
        self._port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="webex-pgbouncer-"))
        self._user = "postgres" if os.getuid() == 0 else None
        host, port = service.address
        settings = self._folder / "pgbouncer.ini"
        lines = [
            "[databases]",
            f"test = host={host} port={port} dbname=test user=postgres",
            "[pgbouncer]",
            "pool_mode = transaction",
            "auth_type = any",
            "listen_addr = 127.0.0.1",
            f"listen_port = {self._port}",
            "unix_socket_dir =",
            "default_pool_size = 4",
        ]
        settings.write_text("\n".join(lines) + "\n")
        self._folder.chmod(0o755)
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """Return the URL of a database by way of the pooler."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def __enter__(self) -> PgBouncer:
        self._process = subprocess.Popen(
            [self._program, str(self._settings)], user=self._user, cwd=self._folder, stderr=subprocess.DEVNULL
        )
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        self.__exit__()
        raise AssertionError("pgbouncer did not start")

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=60)
        shutil.rmtree(self._folder, ignore_errors=True)


def _programs() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        left_out(f"initdb is not on this machine: {SERVICES['postgres'].how}")
    return folders[-1]
