"""A pipeline over a scripted transport and a clock that moves only while something waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from webex.config import load_config
from webex.http.pipeline import Pipeline
from webex.http.types import Request
from webex.runtime import drive

BASE = "https://api.example.com/v1"


class Wire:
    """An answer of the transport."""

    def __init__(self, status: int = 200, body: bytes = b"{}", **headers: str) -> None:
        self.status = status
        self.body = body
        self.headers: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
        self.closed = False

    async def read(self) -> bytes:
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), 1000):
            yield self.body[start : start + 1000]

    async def close(self) -> None:
        self.closed = True


class Script:
    """A runtime whose transport gives the outcomes of a script; each attempt takes `takes` seconds."""

    style = "blocking"

    def __init__(self, *outcomes: Any, takes: float = 0.0) -> None:
        self.outcomes = list(outcomes) or [Wire()]
        self.takes = takes
        self.now = 1_000.0
        self.sent: list[Any] = []
        self.bodies: list[Any] = []
        self.slept: list[float] = []
        self.clock = self

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_800_000_000.0 + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def call(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    async def send(self, request: Any) -> Any:
        self.sent.append(request)
        body = request.body
        self.bodies.append(
            body if body is None or isinstance(body, bytes) else b"".join([piece async for piece in body])
        )
        self.now += self.takes
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class Hosts:
    """Only hosts below example.com may have the token."""

    async def url_of(self, service: str) -> str:
        return BASE if service == "hydra" else f"https://{service}.example.com"

    def may_receive_token(self, url: str) -> bool:
        return url.startswith("https://") and url.split("/")[2].endswith(".example.com")


class Tokens:
    """Gives the tokens of a list one after the other: the next when one was rejected."""

    key = None
    can_authorize = can_refresh = True

    def __init__(self, *tokens: str, owner: str = "alice") -> None:
        self.tokens = list(tokens) or ["token-1"]
        self.owner = owner
        self.rejected: list[str] = []
        self.deadlines: list[float | None] = []

    async def access_token(self, *, deadline: float | None = None) -> str:
        self.deadlines.append(deadline)
        return self.tokens[0]

    async def replace(self, rejected: str, *, deadline: float | None = None, reason: Any = None) -> str | None:
        self.deadlines.append(deadline)
        self.rejected.append(rejected)
        if len(self.tokens) == 1:
            return None
        self.tokens.pop(0)
        return self.tokens[0]


def pipeline_of(script: Script, *, hooks: Any = (), **settings: Any) -> Pipeline:
    """Make a pipeline over a script."""
    config, _ = load_config(settings, None)
    runtime: Any = script
    return Pipeline(runtime, config, Hosts(), hooks=hooks)


def ask(script: Script, request: Request, tokens: Any = None, **settings: Any) -> Any:
    """Send one request through a new pipeline."""
    return drive(pipeline_of(script, **settings).send(request, tokens))


async def one_time() -> AsyncIterator[bytes]:
    """Yield a body that can be read once."""
    yield b"piece"
