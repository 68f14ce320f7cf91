"""The processes of the run in `benchmarks.fleet`, and gates between them, their storage and the cloud that can be cut.

Each worker reaches the cloud by one name and port, `CLOUD`, as the hosts of a fleet do: the address of a device that
one of them has registered has to work for the others. Behind the name each has a loopback address of its own, where its
gate listens.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

ROOT: Final = Path(__file__).resolve().parent.parent
CLOUD: Final = "localhost"


class Gate:
    """A TCP forwarder to a server that can be cut: connections hang, and new ones too, until it is restored."""

    def __init__(self, host: str, port: int, *, at: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._target, self._at = (host, port), at
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._is_cut = False
        self.port: int = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    async def _open(self) -> int:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, *self._at)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            try:
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            finally:
                far_writer.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        writer.close()

    def cut(self) -> None:
        """Let nothing through any more; nothing is refused either."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def restore(self) -> None:
        """Let everything through again, also what waited."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def close(self) -> None:
        """End it."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._flowing.set()
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Worker:
    """One process of the fleet."""

    def __init__(self, number: int, how: dict[str, Any], folder: Path, cloud_port: int) -> None:
        self.number, self._how, self._folder = number, how, folder
        self._starts = 0
        self.process: subprocess.Popen[bytes] | None = None
        cloud, here = urlsplit(how["url"]), f"127.0.0.{number + 2}"
        self.cloud_gate = Gate(cloud.hostname or "127.0.0.1", cloud.port or 80, at=(here, cloud_port))
        self._how = {**how, "url": f"http://{CLOUD}:{self.cloud_gate.port}", "cloud": here}
        self.storage_gate: Gate | None = None
        address = urlsplit(how["storage"])
        if address.scheme in ("redis", "postgresql") and address.port is not None:
            self.storage_gate = Gate(address.hostname or "127.0.0.1", address.port)
            through = address.netloc.replace(f":{address.port}", f":{self.storage_gate.port}")
            self._how["storage"] = address._replace(netloc=through).geturl()

    @property
    def name(self) -> str:
        """The name of the process that runs now."""
        return f"w{self.number}.{self._starts}"

    def start(self) -> None:
        """Start it, under another name than before."""
        self._starts += 1
        how = {**self._how, "worker": self.name, "log": str(self._folder / f"log-{self.name}")}
        with (self._folder / f"errors-{self.name}").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.fleet_worker", json.dumps(how)],
                cwd=ROOT,
                stdout=errors,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it, as a machine that fails would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Ask it to end, and wait."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self) -> None:
        """End whatever is left of it."""
        self.kill()
        for gate in (self.cloud_gate, self.storage_gate):
            if gate is not None:
                gate.close()

    def used(self) -> tuple[float, float]:
        """Return the memory in MB (resident) and the CPU in seconds."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return resident / 1024, ticks / os.sysconf("SC_CLK_TCK")
