"""What the capabilities promise beyond one adapter object: `durable`, `shared`, and that claims are true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from webex.runtime import drive
from webex.storage.adapt import as_storage, is_asynchronous
from webex.storage.conformance.behaviours import behaviour
from webex.storage.conformance.bench import Bench, BrokenError
from webex.storage.faces import settle

PROCESSES = 4
STEPS = 25


@behaviour("methods are either all def or all async def, and what is claimed to be nonblocking is def")
async def keeps_one_style(bench: Bench) -> None:
    bench.expect(
        not (bench.asynchronous and bench.capabilities.nonblocking),
        "it claims nonblocking, which is about plain methods, but its methods are async def",
    )
    binding = bench.bind()
    await bench.put(binding, "key", 1)
    result = binding.get("key")
    awaitable = hasattr(result, "__await__")
    await settle(result)
    bench.expect(
        awaitable == bench.asynchronous, "get returns something to await although it is a plain def, or the reverse"
    )


@behaviour("what was put is there when the storage is opened again", "durable", again=True)
async def lasts(bench: Bench) -> None:
    binding = bench.bind()
    await bench.put(binding, "key", {"a": [1, "ü"]})
    await bench.put(binding, "gone", 1)
    await settle(binding.delete("gone"))
    again = _reopened(bench).bind("namespace")
    await bench.same(again, "key", {"a": [1, "ü"]})
    await bench.absent(again, "gone", "after it was deleted and the storage opened again")


@behaviour("another process sees what this one puts, and the reverse", "shared", again=True)
async def is_seen_by_processes(bench: Bench) -> None:
    binding = bench.bind()
    await bench.put(binding, "from here", {"text": "ü"})
    await _in_processes(bench, 1, _echo)
    await bench.same(binding, "from there", {"text": "ü"})


@behaviour(
    "a counter that many processes raise by compare-and-swap loses no step", "shared", "compare_and_swap", again=True
)
async def counts_across_processes(bench: Bench) -> None:
    binding = bench.bind()
    await bench.put(binding, "counter", 0)
    await _in_processes(bench, PROCESSES, _count)
    await bench.same(binding, "counter", PROCESSES * STEPS)


@behaviour(
    "of many processes that delete the same version exactly one gets True", "shared", "compare_and_swap", again=True
)
async def lets_one_process_take(bench: Bench) -> None:
    binding = bench.bind()
    for step in range(STEPS):
        await bench.put(binding, f"key{step}", step)
    taken = sorted(step for steps in await _in_processes(bench, PROCESSES, _take_all) for step in steps)
    bench.expect(taken == list(range(STEPS)), f"of {STEPS} values these were taken: {taken}")


@behaviour("of many processes one at a time holds a lease", "shared", "lease", again=True)
async def leases_to_one_process(bench: Bench) -> None:
    binding = bench.bind()
    await bench.put(binding, "inside", 0)
    await bench.put(binding, "counter", 0)
    await _in_processes(bench, PROCESSES, _count_leased)
    await bench.same(binding, "counter", PROCESSES * STEPS)


async def _echo(binding: Any) -> None:
    await settle(binding.put("from there", await settle(binding.get("from here"))))


async def _count(binding: Any) -> None:
    done = 0
    for _ in range(PROCESSES * STEPS):  # each try that loses is one that somebody else won
        value, version = await settle(binding.get_versioned("counter"))
        done += await settle(binding.put_if_version("counter", value + 1, version)) is not None
        if done == STEPS:
            return
    raise BrokenError("a swap of the version just read kept losing although nobody else won")


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


def _reopened(bench: Bench) -> Any:
    assert bench.open_again is not None
    return as_storage(bench.open_again())


async def _in_processes(bench: Bench, count: int, work: Callable[[Any], Any]) -> list[Any]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    context = multiprocessing.get_context("spawn")  # a fresh interpreter, as another host would be
    with ProcessPoolExecutor(count, mp_context=context, initializer=_meet, initargs=(context.Barrier(count),)) as pool:
        assert bench.open_again is not None
        futures = [pool.submit(_process, bench.open_again, work) for _ in range(count)]
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


def _process(open_again: Callable[[], object], work: Callable[[Any], Any]) -> Any:
    _barrier.wait(timeout=60)
    storage = as_storage(open_again())
    binding = storage.bind("namespace")
    if is_asynchronous(storage):
        import asyncio

        return asyncio.run(work(binding))
    return drive(work(binding))
