"""A token manager over a scripted token endpoint and a storage that fails on demand, in either style."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from webex.auth import CredentialStore, Events, TokenManager, TokenSet
from webex.config import load_config
from webex.runtime import BlockingRuntime, EventLoopRuntime, drive
from webex.storage import MemoryStorage, StorageAccess

KEY = "alice"
STYLES = ["blocking", "async"]
SETTINGS: dict[str, Any] = {
    "client_id": "client",
    "client_secret": "secret",
    "refresh_deadline": 20.0,
    "lease_ttl": 30.0,
    "credential_max_age": 0,
}


def tokens(number: int, *, lifetime: float = 3600.0, refresh: str | None = None, age: float = 0.0) -> TokenSet:
    """Tokens that were issued at 1000 - `age`."""
    return TokenSet(
        f"access-{number}",
        issued_at=1000.0 - age,
        expires_at=1000.0 - age + lifetime,
        refresh_token=refresh or f"refresh-{number}",
    )


EXPIRED = tokens(1, lifetime=10.0, age=20.0)


class ScriptedEndpoint:
    """Answers refreshes with what the script says next: tokens, an exception, or a function that gives either."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.sent: list[str] = []
        self.revoked: list[str] = []
        self.moment = 1000.0

    def now(self) -> float:
        return self.moment

    async def refresh(self, refresh_token: str, *, timeout: float | None = None) -> TokenSet:
        self.sent.append(refresh_token)
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Coroutine):
            answer = await answer
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, TokenSet)
        return answer

    async def revoke(self, token: str, *, hint: str, timeout: float | None = None) -> None:
        self.revoked.append(token)


class FailingStorage:
    """A storage in memory whose writes, or whose every answer, fail while told so."""

    asynchronous = False

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner if inner is not None else MemoryStorage()
        self.capabilities = self.inner.capabilities
        self.full = False
        self.silent = False

    def bind(self, namespace: str) -> Any:
        return _FailingBinding(self, self.inner.bind(namespace))


class _FailingBinding:
    def __init__(self, storage: FailingStorage, inner: Any) -> None:
        self._storage = storage
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not callable(method):
            return method

        def call(*args: Any, **options: Any) -> Any:
            if self._storage.silent or (self._storage.full and name.startswith(("put", "delete"))):
                raise OSError(28, "No space left on device")
            return method(*args, **options)

        return call


class PassingClock:
    """A clock that goes on only while something sleeps: no stall of the machine uses up a time limit."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if asyncio._get_running_loop() is not None:
            await asyncio.sleep(0)


class Process:
    """One process of an app: runtime, storage, endpoint and token manager; `clock` replaces the machine's."""

    def __init__(
        self,
        style: str,
        endpoint: ScriptedEndpoint,
        storage: Any,
        *,
        clock: PassingClock | None = None,
        **settings: Any,
    ) -> None:
        self.endpoint = endpoint
        self.storage = storage
        config, _ = load_config({**SETTINGS, **settings}, None)
        self.runtime: Any = BlockingRuntime() if style == "blocking" else EventLoopRuntime()
        if clock is not None:
            self.runtime.clock, self.runtime.sleep = clock, clock.sleep
        self.events = Events(self.runtime)
        self.store = CredentialStore(StorageAccess(storage, self.runtime), config)
        made: Any = endpoint
        self.tokens = TokenManager(self.runtime, made, self.store, config, self.events)


def run(style: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run asynchronous code in one style."""
    return drive(work()) if style == "blocking" else asyncio.run(work())
