"""What has to hold when callers are many, cancelled, forked, or in other event loops, and when a connection is cut."""

from __future__ import annotations

import os
import random
import time
import unittest
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from webex.errors import StorageError, WebexError
from webex.runtime import drive
from webex.storage.conformance.behaviours import behaviour
from webex.storage.conformance.harness import BrokenError, Harness, bind
from webex.storage.wrappers import settle

CROWD = 64
CANCELLED = 60
LONG = 600.0


def every_plane() -> list[str]:
    """Keys with characters of each plane of Unicode: first, some in between, last, and those next to the surrogates."""
    points = [0x1, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFDD0, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF]
    points += [plane * 0x10000 + offset for plane in range(1, 17) for offset in (0, 0x100, 0xF512, 0xFFFE, 0xFFFF)]
    return [f"key/{chr(point)}/{point:x}" for point in points]


@behaviour("names may hold characters of every plane of Unicode: keys, namespaces, leases, and texts in values")
async def keeps_names_of_every_plane(harness: Harness) -> None:
    binding = harness.bind()
    names = every_plane()
    for name in names:
        await harness.put(binding, name, name)
    for name in names:
        await harness.same(binding, name, name)
    elsewhere = harness.bind("".join(name.split("/")[1] for name in names))
    await harness.put(elsewhere, "key", 1)
    await harness.same(elsewhere, "key", 1)
    if harness.capabilities.scan:
        found = sorted(await harness.keys(binding, "key/"))
        harness.expect(found == sorted(names), f"keys() gives {len(found)} of {len(names)} names, or others")
        for name in names:
            prefix = name.rpartition("/")[0]
            harness.expect(await harness.keys(binding, prefix) == [name], f"keys({prefix!r}) is not just {name!r}")
    if harness.capabilities.bulk:
        many = await settle(binding.get_many(names))
        harness.expect(many == {name: name for name in names}, "get_many does not give every one of them")
    if harness.capabilities.lease:
        for name in names:
            lease = await settle(binding.try_lease(name, LONG))
            harness.expect(lease is not None, f"the lease {name!r} is held although no caller took it")


@behaviour("keys lists thousands of keys, each once, and clear removes them all", "scan")
async def lists_and_clears_many(harness: Harness) -> None:
    binding = harness.bind()

    async def write(number: int) -> None:
        for step in range(number, harness.many, 8):
            await harness.put(binding, f"client/{step:06}/part", step)

    await harness.race(8, write)
    found = [key for page in [page async for page in harness.pages(binding, "client/")] for key in page]
    harness.expect(len(found) == harness.many, f"keys() gives {len(found)} keys of {harness.many}")
    harness.expect(len(set(found)) == harness.many, "keys() gives a key twice")
    await settle(binding.clear())
    harness.expect(await harness.keys(binding) == [], "keys() is not empty after clear")


@behaviour("a value of a megabyte is swapped, read with others, and replaced like any other", "compare_and_swap")
async def swaps_large_values(harness: Harness) -> None:
    binding = harness.bind()
    large = {"text": "0123456789abcde\u00e9" * 65536}
    version = await settle(binding.put_if_version("key", large, None))
    harness.expect(version is not None, "put_if_version(…, None) lost although nothing was stored")
    await harness.same(binding, "key", large)
    harness.expect((await settle(binding.get_versioned("key"))).version == version, "its version is another one")
    if harness.capabilities.bulk:
        await harness.put(binding, "other", 1)
        found = await settle(binding.get_many(["key", "other"]))
        harness.expect(found == {"key": large, "other": 1}, "get_many does not give it whole")
    harness.expect(await settle(binding.delete_if_version("key", version)), "delete_if_version lost with its version")


@behaviour("many more callers at once than there are connections are all served")
async def serves_a_crowd(harness: Harness) -> None:
    binding = harness.bind()

    async def work(number: int) -> None:
        for step in range(4):
            await harness.put(binding, f"key{number}", [number, step])
            await harness.same(binding, f"key{number}", [number, step])

    await harness.race(CROWD, work)


@behaviour("a call that is cancelled leaves nothing half-written, and no answer for the next call", event_loop=True)
async def survives_cancellation(harness: Harness) -> None:
    import asyncio

    binding = harness.bind()
    chance = random.Random(1)  # noqa: S311  # the same steps each time
    for number in range(8):
        await harness.put(binding, f"steady{number}", number)
    await harness.put(binding, "torn", ["0"] * 200)
    for attempt in range(CANCELLED):
        calls = [partial(binding.put, "torn", [str(attempt)] * 200), partial(binding.get, "steady1")]
        if harness.capabilities.compare_and_swap:
            calls += [
                partial(binding.get_versioned, "steady2"),
                partial(binding.put_if_version, "torn", ["x"] * 200, "never"),
            ]
        tasks = [asyncio.ensure_future(_called(call)) for call in calls]
        for _ in range(chance.randrange(8)):
            await asyncio.sleep(0 if chance.random() < 0.7 else 0.0005)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        number = attempt % 8
        await harness.same(binding, f"steady{number}", number)
        seen = await settle(binding.get("torn"))
        harness.expect(len(seen) == 200 and len(set(seen)) == 1, "a cancelled put left parts of two values")
    await harness.put(binding, "torn", 1)
    await harness.same(binding, "torn", 1)


async def _called(call: Callable[[], Any]) -> Any:
    return await settle(call())


@behaviour("a lease whose asker was cancelled is given back", "lease", event_loop=True)
async def gives_back_leases_of_cancelled_callers(harness: Harness) -> None:
    import asyncio

    from webex.runtime import EventLoopRuntime
    from webex.storage.access import StorageAccess

    runtime = EventLoopRuntime()
    access = StorageAccess(harness.storage, runtime)
    for attempt in range(20):
        task = asyncio.ensure_future(access.try_lease("namespace", f"work{attempt}", LONG))
        for _ in range(attempt % 6):
            await asyncio.sleep(0 if attempt % 2 else 0.0003)
        task.cancel()
        granted = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(granted, BaseException) or granted is None:
            for _ in range(200):
                if await access.lease_remaining("namespace", f"work{attempt}") == 0:
                    break
                await asyncio.sleep(0.01)
            else:
                raise BrokenError("a lease stays held although its asker was cancelled")


@behaviour(
    "one adapter object serves several event loops, one after another and at the same time", "loops", event_loop=True
)
async def serves_several_loops(harness: Harness) -> None:
    import asyncio

    await harness.put(harness.bind(), "key0", 0)
    for _ in range(2):
        await asyncio.gather(*(asyncio.to_thread(asyncio.run, _use(harness, number)) for number in range(1, 4)))
        await asyncio.to_thread(asyncio.run, _use(harness, 4))
    for number in range(5):
        await harness.same(harness.bind(), f"key{number}", number)


async def _use(harness: Harness, number: int) -> None:
    binding = harness.bind()
    await harness.same(binding, "key0", 0)
    await harness.put(binding, f"key{number}", number)
    await harness.same(binding, f"key{number}", number)


@behaviour("a forked child uses the same adapter object, and the parent is not disturbed", "shared")
async def survives_forks(harness: Harness) -> None:
    if not hasattr(os, "fork"):
        raise unittest.SkipTest("this system has no fork")
    if not getattr(harness.storage, "crosses_forks", True):
        raise unittest.SkipTest("the storage says that it does not cross a fork")
    if harness.asynchronous and not harness.capabilities.loops:
        raise unittest.SkipTest("the storage does not claim loops")
    binding = harness.bind()
    await harness.put(binding, "from parent", 1)

    async def work() -> None:
        inner = bind(harness.storage, "namespace", asynchronous=harness.asynchronous)
        for step in range(5):
            await harness.same(inner, "from parent", 1)
            await settle(inner.put("from child", step))

    child = os.fork()
    if child == 0:
        _end_with(lambda: _run_in_child(work, asynchronous=harness.asynchronous))
    for step in range(5):
        await harness.put(binding, "beside", step)
        await harness.same(binding, "beside", step)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])  # noqa: ASYNC222  # the loop has nothing else to do
    harness.expect(code == 0, "a forked child could not use the storage")
    await harness.same(binding, "from child", 4)
    await harness.same(binding, "from parent", 1)


def _end_with(work: Callable[[], None]) -> None:
    # The child is a copy of whatever runs the suite: it must end here, without that one's farewells.
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def _run_in_child(work: Callable[[], Coroutine[Any, Any, None]], *, asynchronous: bool) -> None:
    if not asynchronous:
        drive(work())
        return
    import asyncio
    import threading

    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)  # this thread's loop is the parent's
    thread.start()
    thread.join(60)
    if failed or thread.is_alive():
        raise BrokenError("the child failed")


@behaviour(
    "values and leases live by the server's clock, also while this process's own is an hour ahead or behind",
    "ttl",
    "lease",
    server_clock=True,
)
async def lives_by_the_clock_of_the_server(harness: Harness) -> None:
    binding = harness.bind()
    for name, hours in (("ahead", 1), ("behind", -1)):
        with _shifted_clock(hours * 3600.0):
            await harness.put(binding, f"short {name}", 1, expires_in=harness.tick)
            await harness.put(binding, f"long {name}", 2, expires_in=LONG)
            short = await settle(binding.try_lease(f"short {name}", harness.tick))
            long = await settle(binding.try_lease(f"long {name}", LONG))
            harness.expect(None not in (short, long), "a free lease was not to be had")
            await harness.same(binding, f"long {name}", 2)
            left = await settle(binding.lease_remaining(f"long {name}"))
            harness.expect(LONG - 60 < left <= LONG + 1, f"lease_remaining is {left} of {LONG} s")
        # As another process sees it, whose clock is right.
        await harness.same(binding, f"long {name}", 2)
        other = await settle(binding.try_lease(f"long {name}", LONG))
        harness.expect(other is None, f"a second holder got a lease that was taken while the clock was {name}")
        await harness.pass_time(harness.tick * 1.5)
        await harness.absent(binding, f"short {name}", "after its expiry")
        free = await settle(binding.try_lease(f"short {name}", LONG))
        harness.expect(free is not None, f"a lease that was taken while the clock was {name} did not expire")


@contextmanager
def _shifted_clock(seconds: float) -> Iterator[None]:
    real = time.time
    time.time = lambda: real() + seconds
    try:
        yield
    finally:
        time.time = real


@behaviour("after its connections were cut a call works, or raises StorageError and the next one works", cut=True)
async def survives_a_cut(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "key", 1)

    async def read(_: int) -> None:
        await _typed(harness, lambda: binding.get("key"))

    for _ in range(3):
        await harness.race(8, read)
        assert harness.cut is not None
        await settle(harness.cut())
        await _typed(harness, lambda: binding.get("key"))
        await harness.same(binding, "key", 1)
        await harness.race(8, read)
        await harness.put(binding, "key", 1)


@behaviour("a cut in the midst of calls fails them with StorageError, or not at all, and tears nothing", cut=True)
async def survives_a_cut_in_mid_call(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "torn", ["0"] * 200)

    async def work(number: int) -> None:
        for step in range(20):
            if number == 0 and step % 5 == 4:
                assert harness.cut is not None
                await settle(harness.cut())
            await _typed(harness, lambda: binding.put("torn", [str(number)] * 200))
            seen = await _typed(harness, lambda: binding.get("torn"))
            harness.expect(seen is None or (len(seen) == 200 and len(set(seen)) == 1), "a reader saw two values mixed")

    await harness.race(8, work)
    await _typed(harness, lambda: binding.get("torn"))
    await harness.put(binding, "torn", 1)
    await harness.same(binding, "torn", 1)


async def _typed(harness: Harness, call: Callable[[], Any]) -> Any:
    try:
        return await settle(call())
    except StorageError:
        return None
    except WebexError:
        raise
    except Exception as error:
        raise BrokenError(f"a cut connection shows as {type(error).__name__}, not as StorageError") from error
