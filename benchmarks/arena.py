"""Starts the sink and the contestants, and talks to them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.environments import make

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FOLDER = HERE / "contestants"

WEBEX, FAST, BEFORE = "webex", "webex[fast]", "webex before"
AIOHTTP, URLLIB3, PYREQWEST = "bare aiohttp", "bare urllib3", "bare pyreqwest"
BARE = (AIOHTTP, URLLIB3, PYREQWEST)
WEBEXPYTHONSDK, WXC_SDK, NODE = "webexpythonsdk 2.0.6", "wxc-sdk 1.41.0", "npm webex 3.12.0"
PEERS = (WEBEXPYTHONSDK, WXC_SDK, NODE)


class ContestantError(Exception):
    """A contestant could not do what it was asked."""


def command(name: str, url: str) -> tuple[list[str], dict[str, str]]:
    """How a contestant is started, and the variables that it needs."""
    if name == NODE:
        modules = make("node-webex") / "node_modules"
        node = shutil.which("node") or "node"
        return [node, "--expose-gc", str(FOLDER / "node_webex.js"), url], {"WEBEX_NODE_MODULES": str(modules)}
    if name == WEBEXPYTHONSDK:
        return [str(make("webexpythonsdk")), str(FOLDER / "peer_webexpythonsdk.py"), url], {}
    if name == WXC_SDK:
        return [str(make("wxc-sdk")), str(FOLDER / "peer_wxc_sdk.py"), url], {}
    if name in BARE:
        return [sys.executable, str(FOLDER / f"{name.replace(' ', '_')}.py"), url], {}
    if name == BEFORE:
        root = Path(os.environ["BENCHMARKED_BEFORE"])
        python = root / ".venv" / "bin" / "python"
        script = root / "benchmarks" / "contestants" / "ours.py"
        return [str(python if python.exists() else sys.executable), str(script), url], {"PYTHONPATH": str(root / "src")}
    return [sys.executable, str(FOLDER / "ours.py"), url], {"WEBEX_TRANSPORT": "pyreqwest"} if name == FAST else {}


class Contestant:
    """One contestant in a process of its own, which stays for the whole run."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        arguments, variables = command(name, url)
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={key: value for key, value in os.environ.items() if not key.startswith(("WEBEX_", "CISCOSPARK_"))}
            | variables,
        )
        self._read()

    def run(self, case: str, **parameters: Any) -> dict[str, Any]:
        """Run a case once."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"case": case, **parameters}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """Let it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ContestantError(f"{self.name} ended with status {self._process.wait()}.")
        result = json.loads(line)
        if "error" in result:
            raise ContestantError(f"{self.name}: {result['error']}")
        return dict(result)


class Sink:
    """The stand-in for the cloud, see sink.js."""

    def __enter__(self) -> Self:
        node = shutil.which("node")
        if node is None:
            raise ContestantError("The benchmarks need Node: the sink and one of the peers run on it.")
        self._process = subprocess.Popen(
            [node, str(HERE / "sink.js")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def spent(self) -> tuple[int, float]:
        """Requests answered so far, and the seconds of processor time that they took."""
        from urllib.request import urlopen

        with urlopen(f"{self.url}/sink") as response:
            told = json.load(response)
        return told["requests"], told["cpuMicroseconds"] / 1e6

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
