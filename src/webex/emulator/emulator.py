"""The emulator as a thing to start and stop: a cloud on a socket of this process."""

from __future__ import annotations

from types import TracebackType

from webex.emulator.cloud import Cloud
from webex.emulator.server import Listener, ServerThread, listen
from webex.emulator.settings import Settings


class Emulator:
    """Serves one cloud on a loopback port from a thread of its own.

    `port` 0 takes a free one. `host` other than loopback lets other machines in: say so only in a closed network.
    `hosts` are further Host names to answer to.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        hosts: tuple[str, ...] = (),
        settings: Settings | None = None,
        seed: int | None = None,
    ) -> None:
        self._host, self._port = host, port
        self.cloud = Cloud(settings=settings, seed=seed)
        self.cloud.hosts |= {name.lower() for name in hosts}
        self._thread: ServerThread | None = None

    def start(self) -> Cloud:
        """Take the port and serve; `PortInUseError` when it is taken. Gives the cloud."""
        if self._thread is not None:
            raise RuntimeError("This emulator runs already.")
        listeners: list[Listener] = [listen(self._host, self._port)]
        name = f"[{self._host}]" if ":" in self._host else self._host
        self.cloud.url = f"http://{name}:{listeners[0].port}"
        self._thread = ServerThread(self.cloud, listeners)
        self._thread.start()
        return self.cloud

    def stop(self) -> None:
        """End every connection and every thread. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()
        self.cloud.close()

    def __enter__(self) -> Cloud:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
