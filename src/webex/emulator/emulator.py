"""The emulator as a thing to start and stop: a cloud on sockets of this process."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from webex.emulator.cloud import Cloud
from webex.emulator.seed import changed
from webex.emulator.server import Listener, ServerThread, listen
from webex.emulator.settings import Settings
from webex.extras import require

if TYPE_CHECKING:
    from os import PathLike
    from types import TracebackType

_SAVE_EVERY: Final = 1.0  # seconds between looks at whether something changed


class Emulator:
    """Serves one cloud on a loopback port from a thread of its own.

    `port` 0 takes a free one. `host` other than loopback lets other machines in: say so only in a closed network.
    `hosts` are further Host names to answer to. `tls` serves https as well, on `tls_port`, with an authority of its own
    whose files rest in `tls_directory` (None: a temporary one). `seed` is a seed file or a mapping like one;
    `random_seed` makes ids and tokens repeatable. `data` is a file: read at the start, written as things change.
    Keyword arguments beyond these are settings: `Emulator(rotation="strict")`. `ValueError` for what can't be meant.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        hosts: tuple[str, ...] = (),
        tls: bool = False,
        tls_port: int = 0,
        tls_directory: str | PathLike[str] | None = None,
        seed: Mapping[str, Any] | str | PathLike[str] | None = None,
        random_seed: int | None = None,
        data: str | PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        self._host, self._port = host, port
        self._tls, self._tls_port, self._tls_directory = tls, tls_port, tls_directory
        self._data = Path(data) if data is not None else None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._thread: ServerThread | None = None
        self._saver: _Saver | None = None
        if not host:
            raise ValueError("host is empty, which would mean every address of this machine.")
        given: object = hosts
        if isinstance(given, str):
            raise ValueError("hosts is a list of names, not one text.")
        if self._data is not None and not self._data.absolute().parent.is_dir():
            raise ValueError(f"The folder of {self._data}, the emulator's data, is not there.")
        self.cloud: Cloud = Cloud(settings=changed(Settings(), settings), seed=random_seed)
        self.cloud.hosts |= {name.lower() for name in hosts}
        if host not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            self.cloud.hosts.add(host.lower())
        if seed is not None:
            self.cloud.load_seed(seed)
        if self._data is not None and self._data.exists():
            self.cloud.load(self._data)

    def start(self) -> Cloud:
        """Take the ports and serve; `PortInUseError` when one is taken. Gives the cloud."""
        if self._thread is not None:
            raise RuntimeError("This emulator runs already.")
        require("The emulator", "uvicorn", "jinja2", "python_multipart")
        listeners = [listen(self._host, self._port)]
        try:
            if self._tls:
                listeners.append(self._listen_tls())
            self.cloud.url = f"http://{self._name}:{listeners[0].port}"
            self._thread = ServerThread(self.cloud, listeners)
            self._thread.start()
        except BaseException:
            for listener in listeners:
                listener.socket.close()
            self._thread = None
            raise
        if self._data is not None:
            self._saver = _Saver(self.cloud, self._data)
        return self.cloud

    def stop(self) -> None:
        """End every connection and every thread; write the data file. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()
        self.cloud.close()
        saver, self._saver = self._saver, None
        if saver is not None:
            saver.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = self.cloud.ca_file = None

    @property
    def console_url(self) -> str:
        """A URL that opens the console in one browser; once it was used, this is another one."""
        return self.cloud.console_url

    @property
    def _name(self) -> str:
        # A client can't call an address that stands for all of them.
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104
        return f"[{name}]" if ":" in name else name

    def _listen_tls(self) -> Listener:
        from webex.emulator.tls import Authority

        directory = self._tls_directory
        if directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="webex-emulator-")
            directory = self._temporary.name
        authority = Authority.open(directory)
        listener = listen(self._host, self._tls_port, authority.context(sorted(self.cloud.hosts)))
        self.cloud.ca_file = authority.file
        self.cloud.tls_url = f"https://{self._name}:{listener.port}"
        return listener

    def __enter__(self) -> Cloud:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Saver:
    """Writes a cloud to its file a moment after it changed, and at the end."""

    def __init__(self, cloud: Cloud, path: Path) -> None:
        self._cloud, self._path = cloud, path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webex-emulator-data", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        saved = self._cloud.revision
        while not self._ended.wait(_SAVE_EVERY):
            if self._cloud.revision != saved:
                saved = self._cloud.revision
                self._cloud.save(self._path)
        self._cloud.save(self._path)
