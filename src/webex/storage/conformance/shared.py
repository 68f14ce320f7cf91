"""What the capabilities promise beyond one adapter object: `durable`, `shared`, and that claims are true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from webex.runtime import drive
from webex.storage.adapt import as_storage
from webex.storage.conformance.behaviours import behaviour
from webex.storage.conformance.harness import BrokenError, Harness, bind, close
from webex.storage.wrappers import settle

PROCESSES = 4
STEPS = 25


@behaviour("methods are either all def or all async def, and what is claimed to be nonblocking is def")
async def keeps_one_style(harness: Harness) -> None:
    harness.expect(
        not (harness.asynchronous and harness.capabilities.nonblocking),
        "it claims nonblocking, which is about plain methods, but its methods are async def",
    )
    binding = harness.bind()
    await harness.put(binding, "key", 1)
    result = binding.get("key")
    awaitable = hasattr(result, "__await__")
    await settle(result)
    harness.expect(
        awaitable == harness.asynchronous, "get returns something to await although it is a plain def, or the reverse"
    )


@behaviour("what was put is there when the storage is opened again", "durable", again=True)
async def lasts(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "key", {"a": [1, "ü"]})
    await harness.put(binding, "gone", 1)
    await settle(binding.delete("gone"))
    again = await harness.bind_again()
    await harness.same(again, "key", {"a": [1, "ü"]})
    await harness.absent(again, "gone", "after it was deleted and the storage opened again")


@behaviour("another process sees what this one puts, and the reverse", "shared", again=True)
async def is_seen_by_processes(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "from here", {"text": "ü"})
    await _in_processes(harness, 1, _echo)
    await harness.same(binding, "from there", {"text": "ü"})


@behaviour(
    "a counter that many processes raise by compare-and-swap loses no step", "shared", "compare_and_swap", again=True
)
async def counts_across_processes(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "counter", 0)
    await _in_processes(harness, PROCESSES, _count)
    await harness.same(binding, "counter", PROCESSES * STEPS)


@behaviour(
    "of many processes that delete the same version exactly one gets True", "shared", "compare_and_swap", again=True
)
async def lets_one_process_take(harness: Harness) -> None:
    binding = harness.bind()
    for step in range(STEPS):
        await harness.put(binding, f"key{step}", step)
    taken = sorted(step for steps in await _in_processes(harness, PROCESSES, _take_all) for step in steps)
    harness.expect(taken == list(range(STEPS)), f"of {STEPS} values these were taken: {taken}")


@behaviour("of many processes one at a time holds a lease", "shared", "lease", again=True)
async def leases_to_one_process(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "inside", 0)
    await harness.put(binding, "counter", 0)
    await _in_processes(harness, PROCESSES, _count_leased)
    await harness.same(binding, "counter", PROCESSES * STEPS)


async def _echo(binding: Any) -> None:
    await settle(binding.put("from there", await settle(binding.get("from here"))))


async def _count(binding: Any) -> None:
    done = 0
    for _ in range(PROCESSES * STEPS):  # each try that loses is one that another process won
        value, version = await settle(binding.get_versioned("counter"))
        done += await settle(binding.put_if_version("counter", value + 1, version)) is not None
        if done == STEPS:
            return
    raise BrokenError("a swap of the version just read kept losing although no other process won")


async def _take_all(binding: Any) -> list[int]:
    taken: list[int] = []
    for step in range(STEPS):
        try:
            value, version = await settle(binding.get_versioned(f"key{step}"))
        except KeyError:
            continue
        if await settle(binding.delete_if_version(f"key{step}", version)):
            taken.append(value)
    return taken


async def _count_leased(binding: Any) -> None:
    # Read and write without comparing: only the lease keeps the steps apart.
    done = 0
    give_up = time.monotonic() + 60
    while done < STEPS:
        if time.monotonic() > give_up:
            raise BrokenError("a free lease was not to be had for a minute")
        lease = await settle(binding.try_lease("work", 60.0))
        if lease is not None:
            value = await settle(binding.get("counter"))
            await settle(binding.put("counter", value + 1))
            await settle(lease.release())
            done += 1


async def _in_processes(harness: Harness, count: int, work: Callable[[Any], Any]) -> list[Any]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")  # a fresh interpreter, as another host would be
    with ProcessPoolExecutor(count, mp_context=context, initializer=_meet, initargs=(context.Barrier(count),)) as pool:
        assert harness.open_again is not None
        futures = [pool.submit(_process, harness.open_again, work, harness.asynchronous) for _ in range(count)]
        try:
            return [future.result(timeout=120) for future in futures]
        except BrokenError:
            raise
        except Exception as error:
            raise BrokenError(f"a second process failed with {type(error).__name__}: {error}") from error


_barrier: Any = None


def _meet(barrier: Any) -> None:
    global _barrier  # noqa: PLW0603
    _barrier = barrier


def _process(open_again: Callable[[], object], work: Callable[[Any], Any], asynchronous: bool) -> Any:
    _barrier.wait(timeout=60)
    if not asynchronous:
        return drive(work(bind(as_storage(drive(settle(open_again()))), "namespace", asynchronous=False)))
    import asyncio

    async def main() -> Any:
        adapter = await settle(open_again())
        try:
            return await work(bind(as_storage(adapter), "namespace", asynchronous=True))
        finally:
            await close(adapter, asynchronous=True)

    return asyncio.run(main())
