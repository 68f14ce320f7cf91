"""Database servers of this machine, which the tests marked `services` use; and servers of a test's own.

A server on its standard port is shared with others: a test uses names that nothing else has, and removes only those.
What stops or restarts a server starts one of its own, on a free port.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port
from tests.support.tiers import left_out

__all__ = ["SERVICES", "NatsServer", "RedisServer", "Service", "need"]


@dataclass(frozen=True)
class Service:
    """A server that listens on this machine, and what gets it there; `variable` may name another address."""

    name: str
    port: int
    variable: str
    how: str

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port."""
        host, _, port = os.environ.get(self.variable, f"127.0.0.1:{self.port}").rpartition(":")
        return host, int(port)

    def is_there(self) -> bool:
        """Return whether something listens."""
        try:
            socket.create_connection(self.address, timeout=2).close()
        except OSError:
            return False
        return True


SERVICES = {
    "mariadb": Service(
        "MariaDB", 3306, "WEBEX_TEST_MARIADB", "apt-get install mariadb-server, user root without a password"
    ),
    "nats": Service(
        "NATS with JetStream", 4222, "WEBEX_TEST_NATS", "apt-get install nats-server, then: nats-server -js"
    ),
    "postgres": Service(
        "PostgreSQL", 5432, "WEBEX_TEST_POSTGRES", "apt-get install postgresql, user postgres trusted on 127.0.0.1"
    ),
    "rabbitmq": Service(
        "RabbitMQ", 5672, "WEBEX_TEST_RABBITMQ", "apt-get install rabbitmq-server, user guest with the password guest"
    ),
    "redis": Service(
        "Redis", 6379, "WEBEX_TEST_REDIS", "apt-get install redis-server, or: docker run -p 6379:6379 redis"
    ),
}


def need(name: str) -> Service:
    """Return a server that is there; without it the running test is left out."""
    service = SERVICES[name]
    if not service.is_there():
        left_out(f"no {service.name} at {service.address[0]}:{service.address[1]}: {service.how}")
    return service


class RedisServer:
    """A `redis-server` of the test's own, empty, on a free port; it can be stopped, killed and started again."""

    def __init__(self, *settings: str, port: int | None = None, sentinel: bool = False) -> None:
        self.port = port or free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="webex-redis-"))
        self._settings = settings
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL for `RedisStorage`."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and return when it answers."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            left_out(f"redis-server is not on the PATH: {SERVICES['redis'].how}")
        assert program is not None
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self._folder}", "save ''", *self._settings]
        if self._sentinel:
            lines.remove("save ''")
        settings = self._folder / "redis.conf"
        settings.write_text("\n".join(lines) + "\n")
        arguments = [program, str(settings), *(["--sentinel"] if self._sentinel else [])]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when it answers PING."""
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(100).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"redis-server did not start: {(self._folder / 'log').read_text()}")

    def stop(self, *, kill: bool = False) -> None:
        """End it: as on a normal stop, or at once as in a crash."""
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait(timeout=60)
            self._process = None

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Let it answer nothing for a while, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(kill=True)
        shutil.rmtree(self._folder, ignore_errors=True)


class NatsServer:
    """A `nats-server` with JetStream of the test's own, on a free port; it can be stopped, killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="webex-nats-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL for `NatsPublisher`."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it greets."""
        program = shutil.which("nats-server")
        if program is None:
            left_out(f"nats-server is not on the PATH: {SERVICES['nats'].how}")
        assert program is not None
        arguments = [program, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log)
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                    if connection.recv(100).startswith(b"INFO"):
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"nats-server did not start: {(self._folder / 'log').read_text()}")

    def stop(self, *, kill: bool = False) -> None:
        """End it: as on a normal stop, or at once as in a crash."""
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait(timeout=60)
            self._process = None

    def __enter__(self) -> NatsServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(kill=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def main() -> int:
    """Say of each server whether it is there."""
    missing = 0
    for service in SERVICES.values():
        host, port = service.address
        there = service.is_there()
        missing += not there
        print(
            f"{'ok      ' if there else 'MISSING '} {service.name} at {host}:{port}"
            + ("" if there else f": {service.how}")
        )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
