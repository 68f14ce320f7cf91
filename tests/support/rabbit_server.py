"""A RabbitMQ node of the test's own: it can be stopped, killed and started again with its queues."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.services import SERVICES, free_port
from tests.support.tiers import left_out

__all__ = ["RabbitServer"]

_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on the PATH serves root and one other user only
_GREETING = b"AMQP\x00\x00\x09\x01"
_METHOD = b"\x01"  # the first byte of what a server answers


class RabbitServer:
    """A node without plugins on a free port, with data, cookie and port mapper (epmd) of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self._mapper_port, self._cluster_port = free_port(), free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="webex-rabbitmq-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._mapper: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL for `RabbitPublisher`."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start it, and return when it answers."""
        program = str(_PROGRAM) if _PROGRAM.exists() else shutil.which("rabbitmq-server")
        mapper = shutil.which("epmd")
        if program is None or mapper is None:
            left_out(f"rabbitmq-server is not there: {SERVICES['rabbitmq'].how}")
        assert program is not None
        assert mapper is not None
        folder = self._folder
        settings = {
            "HOME": str(folder),  # of the cookie
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": f"{folder.name}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._cluster_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            # The script then becomes the node, so that signals reach it.
            "RABBITMQ_ALLOW_INPUT": "true",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
        }
        with (folder / "log").open("ab") as log:
            if self._mapper is None:
                self._mapper = subprocess.Popen(
                    [mapper, "-port", str(self._mapper_port), "-address", "127.0.0.1"], stdout=log, stderr=log
                )
            self._process = subprocess.Popen(
                [program], env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
            )
        give_up = time.monotonic() + 90
        while time.monotonic() < give_up and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                    connection.sendall(_GREETING)
                    if connection.recv(1) == _METHOD:
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"rabbitmq-server did not start: {(folder / 'log').read_text()[-4000:]}")

    def stop(self, *, kill: bool = False) -> None:
        """End it: as on a normal stop, or at once as in a crash."""
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait(timeout=60)
            self._process = None

    def __enter__(self) -> RabbitServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(kill=True)
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait(timeout=60)
        shutil.rmtree(self._folder, ignore_errors=True)
