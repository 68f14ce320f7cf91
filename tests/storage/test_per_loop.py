"""What is open belongs to one process and one event loop."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

from tests.support.forks import in_child, needs_fork
from webex.storage.per_loop import PerLoop, PerProcess


class Resource:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed = False

    async def aclose(self) -> None:
        assert asyncio.get_running_loop() is self.loop
        self.closed = True


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run an asynchronous test in an event loop of its own."""

    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


@in_loop
async def test_one_loop_opens_one_resource_for_many_tasks() -> None:
    opened: list[Resource] = []

    async def open_slowly() -> Resource:
        await asyncio.sleep(0)
        opened.append(Resource())
        return opened[-1]

    kept = PerLoop(open_slowly, Resource.aclose)
    assert len(set(await asyncio.gather(*(kept.get() for _ in range(10))))) == len(opened) == 1
    await kept.aclose()
    assert opened[0].closed
    assert await kept.get() is not opened[0]
    await kept.aclose()
    await kept.aclose()


@in_loop
async def test_cancelled_opening_is_repeated_by_the_next_task() -> None:
    opening, go_on = asyncio.Event(), asyncio.Event()
    tries: list[int] = []

    async def open_slowly() -> Resource:
        tries.append(1)
        opening.set()
        await go_on.wait()
        return Resource()

    kept = PerLoop(open_slowly, Resource.aclose)
    first, second = asyncio.create_task(kept.get()), asyncio.create_task(kept.get())
    await opening.wait()
    first.cancel()
    go_on.set()
    assert isinstance(await second, Resource)
    assert first.cancelled() or first.cancelling()
    assert len(tries) == 2
    await kept.aclose()


@in_loop
async def test_closing_during_opening_closes_the_resource() -> None:
    opened: list[Resource] = []
    opening, go_on = asyncio.Event(), asyncio.Event()

    async def open_slowly() -> Resource:
        opening.set()
        await go_on.wait()
        opened.append(Resource())
        return opened[-1]

    kept = PerLoop(open_slowly, Resource.aclose)
    tasks = [asyncio.create_task(kept.get()) for _ in range(3)]
    await opening.wait()
    closing = asyncio.create_task(kept.aclose())
    await asyncio.sleep(0)
    go_on.set()
    await closing
    await asyncio.gather(*tasks)
    await kept.aclose()
    assert opened
    assert all(one.closed for one in opened)


def test_two_concurrent_loops_have_separate_resources() -> None:
    kept = PerLoop(Resource, Resource.aclose)
    met = threading.Barrier(2)
    found: list[Resource] = []

    async def work(first: bool) -> None:
        mine = await kept.get()
        found.append(mine)
        met.wait(60)
        if first:
            await kept.aclose()
        met.wait(60)
        assert mine.closed is first
        assert mine.loop is asyncio.get_running_loop()
        await kept.aclose()

    threads = [threading.Thread(target=asyncio.run, args=(work(first),)) for first in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 2
    assert all(one.closed for one in found)


def test_resource_of_a_closed_loop_is_discarded() -> None:
    discarded: list[Resource] = []
    kept = PerLoop(Resource, Resource.aclose, discarded.append)
    first = asyncio.run(kept.get())
    assert discarded == []
    second = asyncio.run(kept.get())
    assert first is not second
    assert discarded == [first]
    loop = weakref.ref(first.loop)
    discarded.clear()
    del first
    gc.collect()
    assert loop() is None


@needs_fork
def test_child_opens_its_own_and_never_touches_the_inherited_one() -> None:
    async def main() -> None:
        kept = PerLoop(Resource, Resource.aclose)
        mine = await kept.get()

        def child() -> bool:
            async def work() -> bool:
                theirs = await kept.get()
                await kept.aclose()
                return theirs is not mine and theirs.closed and not mine.closed

            outcome: list[bool] = []
            thread = threading.Thread(target=lambda: outcome.append(asyncio.run(work())))
            thread.start()
            thread.join()
            return outcome == [True]

        assert in_child(child) == 0
        assert await kept.get() is mine
        await kept.aclose()

    asyncio.run(main())


@needs_fork
def test_each_process_has_its_own_resource() -> None:
    closed: list[object] = []
    kept = PerProcess(object, closed.append)
    mine = kept.get()
    assert kept.get() is mine

    def child() -> bool:
        theirs = kept.get()
        kept.close()
        return theirs is not mine and closed == [theirs]

    assert in_child(child) == 0
    assert kept.get() is mine
    kept.close()
    kept.close()
    assert closed == [mine]
    assert kept.get() is not mine


def test_threads_share_the_resource_of_the_process() -> None:
    opened: list[int] = []
    start = threading.Barrier(8)

    def open_one() -> int:
        opened.append(len(opened))
        return opened[-1]

    kept = PerProcess(open_one, lambda _: None)

    def work() -> None:
        start.wait(60)
        kept.get()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [0]
