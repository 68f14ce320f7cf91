"""One suite for every transport, in both styles, plain and over TLS."""

from __future__ import annotations

import asyncio
import importlib.util
import ssl
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.transports.hostile import Peer, Server, make_certificate
from webex.runtime import BlockingRuntime, EventLoopRuntime, WireRequest, drive

CELLS = ["aiohttp-async", "urllib3-blocking"]
FAST = ["pyreqwest-async", "pyreqwest-blocking"]
WITHOUT_PYREQWEST = pytest.mark.skipif(
    importlib.util.find_spec("pyreqwest") is None, reason="pyreqwest is not installed"
)


def cells(*, style: str = "", tls: tuple[bool, ...] = (False, True)) -> list[Any]:
    """The cells of the matrix, or those of one style, or only those with TLS."""
    return [
        pytest.param(
            (name, secure),
            id=f"{name}-{'tls' if secure else 'plain'}",
            marks=[WITHOUT_PYREQWEST] if name in FAST else [],
        )
        for name in (*CELLS, *FAST)
        if name.endswith(style)
        for secure in tls
    ]


TLS_ONLY = pytest.mark.parametrize("cell", cells(tls=(True,)), indirect=True)
EVENT_LOOP_ONLY = pytest.mark.parametrize("cell", cells(style="async"), indirect=True)


class Got(NamedTuple):
    """An answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes


class Cell:
    """One transport in one style, plain or over TLS."""

    def __init__(self, name: str, *, tls: bool, ca: Path) -> None:
        self.transport, self.style = name.split("-")
        self.tls = tls
        self._ca = ca

    def runtime(self, **options: Any) -> Any:
        kind = BlockingRuntime if self.style == "blocking" else EventLoopRuntime
        if self.tls:
            options["ca_bundle"] = str(self._ca)
        return kind(self.transport, **options)

    def run(self, scenario: Callable[[Any], Awaitable[Any]], **options: Any) -> Any:
        """Run a scenario with a runtime, which is closed at its end."""

        async def main() -> Any:
            runtime = self.runtime(**options)
            try:
                return await scenario(runtime)
            finally:
                await runtime.aclose()

        return drive(main()) if self.style == "blocking" else asyncio.run(main())

    def at_once(self, scenarios: dict[str, Callable[[Any], Awaitable[Any]]]) -> None:
        """Run scenarios at the same time with one runtime, in tasks or in threads; a failure says which it was."""

        async def noted(name: str, scenario: Callable[[Any], Awaitable[Any]], runtime: Any) -> None:
            try:
                await scenario(runtime)
            except BaseException as error:
                error.add_note(f"in {name}")
                raise

        async def all_of_them(runtime: Any) -> None:
            if self.style == "async":
                await asyncio.gather(*(noted(name, each, runtime) for name, each in scenarios.items()))
                return
            with ThreadPoolExecutor(len(scenarios)) as pool:
                running = [pool.submit(drive, noted(name, each, runtime)) for name, each in scenarios.items()]
            for each in running:
                each.result()

        self.run(all_of_them)

    def get(self, url: str, *, method: str = "GET", options: dict[str, Any] | None = None, **more: Any) -> Got:
        """One request; its answer, read to its end."""

        async def scenario(runtime: Any) -> Got:
            return await got(runtime, WireRequest(method, url, **{"timeout": 10.0, **more}))

        result: Got = self.run(scenario, **(options or {}))
        return result


async def got(runtime: Any, request: WireRequest) -> Got:
    """Send, and read the answer to its end."""
    answer = await runtime.send(request)
    try:
        body = b"".join([chunk async for chunk in answer.chunks()]) if request.stream else await answer.read()
    finally:
        await answer.close()
    return Got(answer.status, dict(answer.headers), body)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=cells())
def cell(request: pytest.FixtureRequest, certificate: tuple[Path, Path, Path]) -> Cell:
    name, tls = request.param
    return Cell(name, tls=tls, ca=certificate[0])


Serve = Callable[[Callable[[Peer], Any]], Server]


@pytest.fixture
def serve(cell: Cell, certificate: tuple[Path, Path, Path]) -> Iterator[Serve]:
    """Start servers that do as they are told, in the cell's protocol."""
    context = None
    if cell.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate[1:])
    made: list[Server] = []

    def start(handler: Callable[[Peer], Any]) -> Server:
        made.append(Server(handler, context))
        return made[-1]

    yield start
    for server in made:
        server.close()
