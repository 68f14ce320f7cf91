"""What an adapter is asked, with which arguments and in which thread, and how its failures are named."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.storage.helpers import AsyncDictAdapter, AsyncMemory, DictAdapter, FakeRuntime, MovableClock
from webex.errors import MissingKeyError, StorageError
from webex.runtime import EventLoopRuntime, drive
from webex.storage import Capabilities, MemoryStorage, StorageAccess
from webex.storage.protocol import BusyError


class Recording:
    """A full adapter over memory: notes every call, and fails those that `fails` names."""

    asynchronous = False

    def __init__(self, *, sorted_keys: bool = False, **claims: bool) -> None:
        defaults = {"ttl": True, "scan": True, "compare_and_swap": True, "lease": True, "relaxed": True}
        self.capabilities = Capabilities(**{**defaults, **claims})
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.threads: dict[str, int] = {}
        self.bound: list[str] = []
        self.fails: dict[str, list[Exception]] = {}
        self._memory = MemoryStorage()
        if sorted_keys:
            self.bind_nonwaiting = self.bind

    def bind(self, namespace: str) -> Any:
        self.bound.append(namespace)
        return _RecordingBinding(self, self._memory.bind(namespace))

    def note(self, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.calls.append((method, arguments, dict(options)))
        self.threads[method] = threading.get_ident()
        if self.fails.get(method):
            raise self.fails[method].pop(0)

    def last(self, method: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return next((arguments, options) for name, arguments, options in reversed(self.calls) if name == method)


class _RecordingBinding:
    nonblocking_methods = frozenset({"get"})
    quick_methods = frozenset({"put", "keys"})

    def __init__(self, adapter: Recording, inner: Any) -> None:
        self._adapter = adapter
        self._inner = inner

    def __getattr__(self, method: str) -> Any:
        inner = getattr(self._inner, method)

        def call(*arguments: Any, **options: Any) -> Any:
            self._adapter.note(method, arguments, options)
            options.pop("durable", None)
            if not self._adapter.capabilities.ttl:
                assert "expires_in" not in options
            result = inner(*arguments, **options)
            return _RecordingLease(self._adapter, result) if method == "try_lease" and result else result

        return call

    def keys(self, prefix: str = "", *, page_size: int = 1000) -> Iterator[list[str]]:
        self._adapter.note("keys", (prefix,), {"page_size": page_size})
        for key in sorted(key for page in self._inner.keys(prefix) for key in page):
            self._adapter.note("page", (), {})
            yield [key]


class _RecordingLease:
    def __init__(self, adapter: Recording, inner: Any) -> None:
        self._adapter = adapter
        self._inner = inner
        self.name = inner.name
        self.token = inner.token

    def renew(self, ttl: float) -> bool:
        self._adapter.note("renew", (ttl,), {})
        return bool(self._inner.renew(ttl))

    def release(self) -> None:
        self._adapter.note("release", (), {})
        self._inner.release()


def access_of(adapter: Recording, clock: Any = None, *, busy_timeout: float | None = None) -> StorageAccess:
    runtime: Any = FakeRuntime("blocking", clock)
    return StorageAccess(adapter, runtime, busy_timeout=busy_timeout)


async def swap(access: StorageAccess, **options: Any) -> None:
    found = await access.get_versioned("space", "key")
    assert await access.put_if_version("space", "key", 2, found.version, **options)


async def renewed(access: StorageAccess) -> bool:
    lease = await access.try_lease("space", "work", 5)
    assert lease is not None
    return await lease.renew(60)


async def released(access: StorageAccess) -> None:
    lease = await access.try_lease("space", "work", 5)
    assert lease is not None
    await lease.release()


async def listed(access: StorageAccess, prefix: str = "") -> list[str]:
    return [key async for key in access.keys("space", prefix)]


WRITES: dict[str, Any] = {
    "put": lambda access, **options: access.put("space", "key", 2, **options),
    "delete": lambda access, **options: access.delete("space", "key", **options),
    "put_if_version": swap,
    "delete_if_version": lambda access, **options: access.take("space", "key", **options),
}


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize(
    ("asked", "claims", "told"),
    [
        pytest.param({}, {}, {}, id="durable unless asked otherwise"),
        pytest.param({"durable": True}, {}, {}, id="durable"),
        pytest.param({"durable": False}, {}, {"durable": False}, id="relaxed"),
        pytest.param({"durable": False}, {"relaxed": False}, {}, id="an adapter that knows one kind of write"),
    ],
)
def test_durable_is_passed_to_an_adapter_that_supports_it(
    method: str, asked: dict[str, Any], claims: dict[str, bool], told: dict[str, Any]
) -> None:
    adapter = Recording(**claims)
    access = access_of(adapter)
    drive(access.put("space", "key", 1))
    drive(WRITES[method](access, **asked))
    assert adapter.last(method)[1] == told


@pytest.mark.parametrize("claims", [{"ttl": False}, {"compare_and_swap": False}], ids=lambda claims: next(iter(claims)))
def test_durable_is_passed_to_adapters_lacking_other_features(claims: dict[str, bool]) -> None:
    adapter = Recording(**claims)
    access = access_of(adapter)
    for durable in (False, True):
        told = {} if durable else {"durable": False}
        drive(access.put("space", "key", 1, durable=durable))
        assert adapter.last("put")[1] == told
        drive(swap(access, durable=durable))
        assert adapter.calls[-1][2] == told
        assert drive(access.take("space", "key", durable=durable)) == 2
        assert adapter.calls[-1][2] == told


@pytest.mark.parametrize("method", ["put", "put_if_version"])
def test_time_to_live_is_passed_together_with_durable(method: str) -> None:
    adapter = Recording()
    access = access_of(adapter)
    drive(access.put("space", "key", 1))
    drive(WRITES[method](access, expires_in=60, durable=False))
    assert adapter.last(method)[1] == {"expires_in": 60, "durable": False}


@pytest.mark.parametrize("claims", [{"ttl": False}, {"ttl": False, "compare_and_swap": False}], ids=["swap", "plain"])
def test_time_to_live_of_a_swap_is_emulated(claims: dict[str, bool]) -> None:
    clock = MovableClock()
    access = access_of(Recording(**claims), clock)
    drive(access.put("space", "key", 1))
    drive(swap(access, expires_in=60))
    assert drive(access.get_versioned("space", "key")).value == 2
    assert drive(access.get_many("space", ["missing", "key"])) == {"key": 2}
    clock.advance(60)
    for read in (access.get, access.get_versioned):
        with pytest.raises(MissingKeyError) as missing:
            drive(read("space", "key"))
        assert (missing.value.key, missing.value.namespace) == ("key", "space")
    assert drive(access.get_many("space", ["key"])) == {}


@pytest.mark.parametrize(
    ("call", "method"),
    [
        pytest.param(lambda access: access.put("space", "key", 1), "put", id="put"),
        pytest.param(lambda access: access.get("space", "key"), "get", id="get"),
        pytest.param(lambda access: access.try_lease("space", "work", 5), "try_lease", id="try_lease"),
        pytest.param(renewed, "renew", id="renew"),
        pytest.param(released, "release", id="release"),
        pytest.param(listed, "keys", id="keys"),
    ],
)
@pytest.mark.parametrize(
    ("failure", "text"),
    [
        pytest.param(OSError("secret"), r"\(\) of .*Recording.* failed with OSError", id="failure"),
        pytest.param(KeyError("secret"), r"\(\) of .*Recording.* failed with KeyError", id="KeyError"),
        pytest.param(BusyError("locked"), r"\(\) of .*did not get its turn within 2 s: locked", id="busy"),
    ],
)
def test_failure_names_the_call(call: Any, method: str, failure: Exception, text: str) -> None:
    adapter = Recording()
    access = access_of(adapter, MovableClock(), busy_timeout=2)
    adapter.fails[method] = [failure] * 500
    if method == "get" and isinstance(failure, KeyError):
        with pytest.raises(MissingKeyError):
            drive(call(access))
        return
    with pytest.raises(StorageError, match=f"^{method}{text}") as raised:
        drive(call(access))
    assert raised.value.__cause__ is failure
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        pytest.param(lambda access, bad: access.put("space", bad, 1), "a key is text", id="put"),
        pytest.param(lambda access, bad: access.put_if_version("space", bad, 1, None), "a key is text", id="swap"),
        pytest.param(listed, "a prefix is text", id="keys"),
        pytest.param(lambda access, bad: access.try_lease("space", bad, 1), "a lease name is text", id="lease"),
        pytest.param(
            lambda access, bad: access.put("space", "key", 1, expires_in=bad), "expires_in is a number", id="put ttl"
        ),
        pytest.param(
            lambda access, bad: access.put_if_version("space", "key", 1, None, expires_in=bad),
            "expires_in is a number",
            id="swap ttl",
        ),
        pytest.param(lambda access, bad: access.try_lease("space", "work", bad), "ttl is a number", id="lease ttl"),
    ],
)
def test_bad_argument_is_named_before_calling_the_adapter(call: Any, text: str) -> None:
    adapter = Recording()
    access = access_of(adapter)
    with pytest.raises(StorageError, match=f"^{text}"):
        drive(call(access, b"bad"))
    assert adapter.calls == []


@pytest.mark.parametrize("sorted_keys", [True, False])
def test_busy_listing_is_resumed(sorted_keys: bool) -> None:
    adapter = Recording(sorted_keys=sorted_keys)
    clock = MovableClock()
    access = access_of(adapter, clock, busy_timeout=2)
    drive(access.put("space", "", 1))
    assert drive(listed(access)) == [""]
    for name in ("other", "k/2", "k/1", "k/0"):
        drive(access.put("space", name, 1))
    assert drive(listed(access, "k/")) == ["k/0", "k/1", "k/2"]
    assert adapter.last("keys") == (("k/",), {"page_size": 1000})

    async def busy_in_the_middle() -> list[str]:
        seen = []
        async for key in access.keys("space", "k/"):
            seen.append(key)
            if key == "k/1":
                adapter.fails["page"] = [BusyError("locked")] * 3
        return seen

    adapter.fails["keys"] = [BusyError("locked")] * 3
    assert drive(listed(access, "k/")) == ["k/0", "k/1", "k/2"]
    if sorted_keys:
        assert drive(busy_in_the_middle()) == ["k/0", "k/1", "k/2"]
        assert adapter.fails["page"] == []

    adapter.fails["keys"] = [BusyError("locked")] * 500
    began = clock.now
    with pytest.raises(StorageError, match=r"^keys\(\) of .* within 2 s: locked"):
        drive(listed(access))
    assert 1.5 < clock.now - began <= 2


def test_client_busy_timeout_overrides_that_of_the_storage() -> None:
    class Patient(Recording):
        busy_timeout = 30.0

    for own, seconds in ((None, 30.0), (2.0, 2.0)):
        adapter, clock = Patient(), MovableClock()
        access = access_of(adapter, clock, busy_timeout=own)
        adapter.fails["put"] = [BusyError("locked")] * 5000
        began = clock.now
        with pytest.raises(StorageError, match=f"within {seconds:g} s"):
            drive(access.put("space", "key", 1))
        assert seconds - 0.1 < clock.now - began <= seconds


def test_namespace_is_bound_once() -> None:
    adapter = Recording()
    access = access_of(adapter)
    for namespace in ("one", "two", "one", "two"):
        drive(access.put(namespace, "key", namespace))
        assert drive(access.get(namespace, "key")) == namespace
    assert sorted(adapter.bound) == ["one", "two"]


def test_only_non_blocking_calls_run_on_the_event_loop_thread() -> None:
    adapter = Recording()

    async def run() -> int:
        runtime = EventLoopRuntime()
        access = StorageAccess(adapter, runtime)
        await access.put("space", "key", 1)
        durable_put = adapter.threads["put"]
        await access.put("space", "key", 1, durable=False)
        await access.get("space", "key")
        await access.delete("space", "key")
        lease = await access.try_lease("space", "work", 5)
        assert lease is not None
        assert lease.token
        await lease.renew(6)
        await lease.release()
        assert await listed(access) == []
        await access.put("space", "key", 1, durable=False)
        assert await listed(access) == ["key"]
        await runtime.aclose()
        return durable_put

    durable_put = asyncio.run(run())
    here = threading.get_ident()
    inline = {method for method, thread in adapter.threads.items() if thread == here}
    assert inline == {"get", "put"}  # `put` may, when it need not be durable
    assert durable_put != here


def test_blocking_calls_run_in_the_callers_thread() -> None:
    adapter = Recording()

    class NoThreads(FakeRuntime):
        async def run_blocking(self, function: Any, /, *args: Any) -> Any:
            raise AssertionError("not in blocking style")

        async def single_flight(self, key: Any, work: Any, **_: Any) -> Any:
            raise AssertionError("nothing is cancelled in blocking style")

    access = StorageAccess(adapter, NoThreads("blocking"))  # type: ignore[arg-type]  # as much as is needed
    drive(access.put("space", "key", 1))
    drive(renewed(access))
    assert drive(listed(access)) == ["key"]


def test_emulated_lease_needs_no_thread() -> None:
    async def run() -> list[str]:
        runtime = FakeRuntime("async")
        access = StorageAccess(DictAdapter(), runtime)  # type: ignore[arg-type]  # as much as is needed
        assert await renewed(access)
        assert await access.lease_remaining("space", "work") > 5
        return runtime.in_threads

    assert asyncio.run(run()) == []


def test_coroutine_that_the_blocking_client_cannot_await_is_closed() -> None:
    class Late(Recording):
        def bind(self, namespace: str) -> Any:
            binding = super().bind(namespace)

            async def get(key: str) -> Any:
                return key

            def made(key: str) -> Any:
                late.append(get(key))
                return late[-1]

            binding.get = made
            return binding

    late: list[Any] = []
    access = access_of(Late())
    with pytest.raises(StorageError, match=r"^get\(\) of"):
        drive(access.get("space", "key"))
    assert late[0].cr_frame is None  # closed, so that Python does not warn


def test_concurrent_lease_requests_are_distinct() -> None:
    async def run() -> None:
        runtime = EventLoopRuntime()
        access = StorageAccess(AsyncMemory(), runtime)
        one, two = await asyncio.gather(*(access.try_lease("space", name, 5) for name in ("one", "two")))
        assert one is not None
        assert two is not None
        assert (one.name, two.name) == ("one", "two")
        same = await asyncio.gather(*(access.try_lease("space", "three", 5) for _ in range(5)))
        assert len([lease for lease in same if lease is not None]) == 1
        await runtime.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("method", ["get", "get_versioned", "delete"])
def test_key_error_of_an_adapter_means_a_missing_key(method: str) -> None:
    adapter = Recording()
    access = access_of(adapter)
    drive(access.put("space", "key", 1))
    adapter.fails[method] = [KeyError("whatever")]
    call = getattr(access, method)
    if method == "delete":
        drive(call("space", "key"))
        return
    with pytest.raises(MissingKeyError) as missing:
        drive(call("space", "key"))
    assert (missing.value.key, missing.value.namespace) == ("key", "space")


@pytest.mark.parametrize("raises", [False, True])
def test_cancellation_that_an_adapter_swallows_is_heeded(raises: bool) -> None:
    began = asyncio.Event()

    class Swallowing(AsyncDictAdapter):
        """As over `asyncio.wait_for` of Python 3.11, when the answer comes at the moment of the cancellation."""

        async def get(self, key: str) -> Any:
            began.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            if raises:
                raise OSError("the connection was lost")
            return 1

        async def bind(self, namespace: str, options: Any) -> Any:
            bound = await super().bind(namespace, options)
            bound.get = self.get  # type: ignore[method-assign]  # the call that swallows
            return bound

    async def main() -> bool:
        runtime = EventLoopRuntime()
        task = asyncio.create_task(StorageAccess(Swallowing(), runtime).get("space", "key"))
        await began.wait()
        task.cancel()
        await asyncio.wait({task})
        await runtime.aclose()
        return task.cancelled()

    assert asyncio.run(main())
