"""The cloud, the hosts and their workers of one run, and what is measured of it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.hosts.network import Host, Network
from benchmarks.hosts.storages import Kept, until
from webex import Integration
from webex.auth.store import NAMESPACE
from webex.emulator import Cloud, Emulator, accounts
from webex.errors import ReauthorizationRequiredError, StorageError, WebexError

ROOT: Final = Path(__file__).resolve().parents[2]
LIFE: Final = 14 * 86400.0


class Worker:
    """A worker process on one host."""

    def __init__(self, run: Run, host: Host, style: str) -> None:
        self.host, self.style = host, style
        self.refreshed = 0
        self._answers: queue.Queue[Any] = queue.Queue()
        storage = run.kept.at(host.way("storage", run.kept.server) if run.kept.server and run.through_proxies else None)
        address, port = host.way("cloud", ("127.0.0.1", run.port))
        environment = {**os.environ, **run.cloud.env, "WEBEX_EMULATOR_URL": f"http://{address}:{port}"}
        environment.pop("WEBEX_ACCESS_TOKEN", None)
        environment["PYTHONPATH"] = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
        settings = {**run.settings, "emulator_hosts": [address]}
        self.process = subprocess.Popen(
            [
                *host.command,
                sys.executable,
                "-m",
                "benchmarks.hosts.worker",
                json.dumps(storage),
                run.key,
                style,
                json.dumps(settings),
            ],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._read, args=(run,), daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, run: Run) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if isinstance(said, dict) and said.get("refreshing"):
                self.refreshed += 1
                run.holders.append(self)
            else:
                self._answers.put(said)
        self._answers.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line)

    def order(self, **order: Any) -> None:
        """Tell it what to do."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self, seconds: float = 150.0) -> Any:
        """Return what it says next."""
        try:
            said = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(
                f"a worker ({self.style}) on {self.host.name} said nothing: {''.join(self.errors)[-2000:]}"
            ) from None
        if said is None:
            raise RuntimeError(f"a worker on {self.host.name} ended: {''.join(self.errors)[-2000:]}")
        return said

    def signal(self, number: int) -> None:
        """Send a signal to the process."""
        self.process.send_signal(number)

    def end(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.process.send_signal(signal.SIGCONT)
            assert self.process.stdin is not None
            with contextlib.suppress(OSError):
                self.process.stdin.close()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for thread in self._threads:
            thread.join(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@dataclass
class Result:
    """What came of one scenario. `refreshes`: new tokens that the cloud issued; `asked`: requests for one."""

    scenario: str
    storage: str
    ok: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    elsewhere: Counter[str] = field(default_factory=Counter)  # of workers that something was done to
    refreshes: int = 0
    asked: int = 0
    longest: float = 0.0
    older_over_newer: int = 0
    lost: bool = False
    broken: list[str] = field(default_factory=list)  # promises

    def add(self, said: dict[str, Any], *, struck: bool = False) -> None:
        """Count what a worker says."""
        self.ok += said["ok"]
        (self.elsewhere if struck else self.failed).update(said["failed"])
        self.longest = max(self.longest, said["longest"])

    def expect(self, holds: bool, words: str) -> None:
        """Note a promise that was broken."""
        if not holds:
            self.broken.append(words)

    def __str__(self) -> str:
        failed = ", ".join(f"{count} {name}" for name, count in sorted(self.failed.items())) or "none"
        text = (
            f"{self.storage}; {self.scenario}: {self.ok} calls, failed: {failed}; {self.refreshes} refreshes "
            f"({self.asked} asked for), longest call {self.longest:.1f} s"
        )
        if self.elsewhere:
            text += "; on the struck host: " + ", ".join(f"{n} {name}" for name, n in sorted(self.elsewhere.items()))
        if self.lost:
            text += "; the refresh token is lost"
        return text + ("; BROKEN: " + "; ".join(self.broken) if self.broken else "")


class Run:
    """A cloud with one signed-in user, and workers on several hosts that act for this user."""

    def __init__(
        self, kept: Kept, *, hosts: int, workers: int, rotation: str, namespaces: bool | None, **settings: Any
    ) -> None:
        self.kept = kept
        self.through_proxies = kept.fail_over is None  # Sentinel tells addresses of this machine itself
        one_host = kept.server is None  # a file
        self.network = Network(1 if one_host else hosts, namespaces=namespaces if self.through_proxies else False)
        self._workers = (hosts * workers, 1) if one_host else (workers, hosts)
        self.rotation = rotation
        # All processes of all hosts share the processors of one machine.
        self.lease = 4.0 if hosts * workers <= 4 else 20.0
        self.deadline = 0.6 * self.lease
        self.settings = {"lease_ttl": self.lease, "refresh_deadline": self.deadline, "timeout": 90.0, **settings}
        self.workers: list[Worker] = []
        self.holders: list[Worker] = []
        self.key = ""
        self.port = 0
        self.verbose = False

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        try:
            self._stack.enter_context(self.network)
            names = tuple(host.address for host in self.network.hosts)
            emulator = Emulator(rotation=self.rotation, hosts=names)
            self.cloud: Cloud = self._stack.enter_context(emulator)
            self.port = int(self.cloud.url.rpartition(":")[2])
            self._settings = {
                "client_id": accounts.CLIENT_ID,
                "client_secret": accounts.CLIENT_SECRET,
                "redirect_uri": accounts.REDIRECT_URIS[0],
                "scope": "openid email spark:all spark:kms",
                "emulator_url": self.cloud.url,
            }
            storage = self.kept.open()
            with Integration(storage=storage, **self._settings) as integration:
                login = integration.begin_login()
                query = self.cloud.sign_in(login.url, as_="alice")
                self.key = integration.finish_login(query, browser=login.browser).user.key
            storage.close()
            self.watch = Watch(self)
            each, hosts = self._workers
            for number in range(each):
                for index in range(hosts):
                    style = ("blocking", "async")[(number + index) % 2]
                    self.workers.append(Worker(self, self.network.hosts[index], style))
            for worker in self.workers:
                if worker.answer() != "ready":
                    raise RuntimeError("a worker did not become ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.end()
        if self.verbose:
            print("".join(line for worker in self.workers for line in worker.errors[:3]), file=sys.stderr)
        self._stack.close()

    def expire(self) -> None:
        """Let the access token run out, and forget what was asked before."""
        self.cloud.clock.advance(LIFE + 60)
        self.cloud.requests.clear()
        self.issued = self.watch.issued()
        self.holders.clear()

    def holder(self) -> Worker:
        """Return the worker that refreshes, as soon as the cloud has its request."""
        until(lambda: self.holders and any(fault["hits"] for fault in self.cloud.faults.as_list()), 90)
        return self.holders[-1]

    def finish(self, result: Result) -> Result:
        """Count what the cloud did, and look whether the user can go on."""
        result.asked = self.cloud.requests.count(grant_type="refresh_token")
        result.refreshes = self.watch.issued() - self.issued
        result.older_over_newer = self.watch.wrong
        result.expect(not self.watch.wrong, "an older token over a newer one")
        self.cloud.faults.clear()
        self.cloud.clock.advance(LIFE + 60)
        storage = self.kept.open()
        try:
            with Integration(storage=storage, **self._settings) as integration:
                integration.user(self.key).people.me()
        except ReauthorizationRequiredError:
            result.lost = True
        finally:
            storage.close()
        return result


class Watch:
    """Reads what is stored again and again: tokens are replaced only by those that were issued later."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._order: dict[str, int] = {}
        self._last = 0
        self.wrong = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def issued(self) -> int:
        """Return how many access tokens the cloud has issued to the user's app so far."""
        with self._run.cloud.lock:
            values = [
                value
                for value, token in self._run.cloud.state.tokens.items()
                if token.client_id == accounts.CLIENT_ID and token.family
            ]
        for value in values:
            self._order.setdefault(value, len(self._order) + 1)
        return len(self._order)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        assert self._thread is not None
        self._thread.join()

    def _look(self) -> None:
        storage = self._run.kept.open()
        binding = storage.bind(NAMESPACE)
        path = f"{accounts.CLIENT_ID}/{self._run.key}"
        while not self._ended.wait(0.02):
            try:
                stored = binding.get(path)["tokens"]["access_token"]
            except (WebexError, OSError, KeyError):
                continue
            self.issued()
            number = self._order.get(stored, 0)
            self.wrong += number < self._last
            self._last = max(self._last, number)
        with contextlib.suppress(StorageError):
            storage.close()
