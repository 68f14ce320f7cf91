"""Notifications, with an adapter in memory: through every wrapper, and broken in each way that the suite finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from tests.storage.helpers import AsyncMemory
from tests.storage.test_broken_resilience import broken, case_of
from webex.errors import ConfigurationError, StorageError
from webex.runtime.event_loop import EventLoopRuntime
from webex.storage import (
    EncryptedStorage,
    MemoryStorage,
    MigratingStorage,
    NoNotificationsError,
    StorageAccess,
    as_storage,
    scoped,
)

BEHAVIOURS = ("tells_no_one", "tells_who_listens", "tells_of_a_cut")


class Telling(AsyncMemory):
    """A storage in memory that tells; what it does wrong is in `faults`."""

    capabilities = replace(AsyncMemory.capabilities, notifications=True)

    def __init__(self, *faults: str) -> None:
        super().__init__()
        self.faults = faults
        self.listening: dict[str, list[asyncio.Queue[str]]] = {}

    def bind(self, namespace: str) -> Any:
        binding: Any = super().bind(namespace)
        place = "" if "mixes namespaces" in self.faults else namespace

        async def notify(key: str) -> None:
            if "refuses" in self.faults:
                raise StorageError("it is away")
            for queue in self.listening.get(place, [])[: 1 if "tells one only" in self.faults else None]:
                queue.put_nowait(key.upper() if "changes keys" in self.faults else key)

        async def notifications() -> AsyncGenerator[str | None, None]:
            queue: asyncio.Queue[str] = asyncio.Queue()
            self.listening.setdefault(place, []).append(queue)
            try:
                if "does not say when it begins" not in self.faults:
                    yield None
                while True:
                    key = await queue.get()
                    if key == "cut":
                        raise StorageError("the connection was cut")
                    yield key
                    if "ends" in self.faults:
                        return
            finally:
                self.listening[place].remove(queue)

        binding.notify, binding.notifications = notify, notifications
        return binding

    def cut(self) -> None:
        for queues in self.listening.values():
            for queue in queues:
                queue.put_nowait("made up" if "makes up keys" in self.faults else "cut")


class AwaitedBind:
    """The same, with a `bind` that has to be awaited."""

    capabilities = Telling.capabilities

    def __init__(self) -> None:
        self.inner = Telling()

    async def bind(self, namespace: str) -> Any:
        return self.inner.bind(namespace)


@pytest.mark.parametrize("behaviour", BEHAVIOURS[:2])
@pytest.mark.parametrize(
    "make",
    [
        Telling,
        AwaitedBind,
        lambda: EncryptedStorage(Telling(), keys=[EncryptedStorage.generate_key()]),
        lambda: scoped(Telling(), "client", "a/b"),
    ],
    ids=["itself", "awaited", "encrypted", "scoped"],
)
def test_storage_that_tells_conforms(make: Callable[[], Any], behaviour: str) -> None:
    case_of(behaviour, make, style="async")()


def test_storage_that_tells_conforms_when_it_is_cut() -> None:
    storage = Telling()
    case_of("tells_of_a_cut", lambda: storage, style="async", cut=storage.cut)()
    assert storage.listening == {"namespace": []}


@pytest.mark.parametrize(
    ("fault", "behaviour", "told"),
    [
        ("refuses", "tells_no_one", "away"),
        ("mixes namespaces", "tells_who_listens", "of another namespace"),
        ("tells one only", "tells_who_listens", "does not give what was told"),
        ("changes keys", "tells_who_listens", "KEY"),
        ("does not say when it begins", "tells_who_listens", "does not give what was told"),
        ("ends", "tells_who_listens", "does not give what was told"),
        ("makes up keys", "tells_of_a_cut", "made up"),
    ],
)
def test_storage_that_tells_wrongly_is_found(
    fault: str, behaviour: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webex.storage.conformance.notifications.PATIENCE", 0.2)
    storage = Telling(fault)
    assert told in broken(behaviour, lambda: storage, style="async", cut=storage.cut)


def test_claim_without_the_method_is_refused() -> None:
    class Claiming(AsyncMemory):
        capabilities = Telling.capabilities

    with pytest.raises(ConfigurationError, match="notify"):
        as_storage(Claiming())


def test_telling_that_fails_is_no_error_and_listening_that_fails_is_one() -> None:
    async def main() -> None:
        storage = Telling("refuses")
        access = StorageAccess(storage, EventLoopRuntime())
        await access.notify("n", "key")
        async with asyncio.timeout(60), aclosing(access.notifications("n")) as told:
            assert await anext(told) is None
            storage.cut()
            with pytest.raises(StorageError, match="was cut"):
                await anext(told)

    asyncio.run(main())


def test_storage_that_does_not_tell_says_so() -> None:
    async def main() -> None:
        for storage in (MemoryStorage(), MigratingStorage(MemoryStorage(), MemoryStorage())):
            access = StorageAccess(storage, EventLoopRuntime())
            await access.notify("n", "key")
            with pytest.raises(NoNotificationsError):
                await anext(access.notifications("n"))

    asyncio.run(main())
