"""How a contestant talks to the benchmark: a command a line of JSON in, its result a line of JSON out.

Standard library only: it is imported in every contestant's own environment.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Case = Callable[..., Awaitable[dict[str, Any]] | dict[str, Any]]


def serve(cases: dict[str, Case]) -> None:
    """Answer commands until standard input ends. Cases may be plain or asynchronous; all share one event loop."""
    with asyncio.Runner() as runner:
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            command = json.loads(line)
            case = cases[command.pop("case")]

            async def run(case: Case = case, command: dict[str, Any] = command) -> dict[str, Any]:
                result = case(**command)
                return result if isinstance(result, dict) else await result

            try:
                gc.collect()
                result = runner.run(run())
            except Exception as error:
                result = {"error": f"{type(error).__name__}: {error}"[:500]}
            print(json.dumps(result), flush=True)
        if close := cases.get("close"):

            async def end() -> None:
                ended = close()
                if not isinstance(ended, dict):
                    await ended

            runner.run(end())


def resident_bytes() -> int:
    """Memory that this process holds now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


class Timer:
    """`with Timer() as timer: ...; timer.seconds`"""

    seconds = 0.0

    def __enter__(self) -> Timer:
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began


async def measure_views(make: Callable[[], Any], n: int) -> dict[str, Any]:
    """Time and memory of `n` clients that are all kept. Memory is counted in a second pass, as Python allocates it."""
    kept: list[Any] = [None] * n
    made = make()
    if asyncio.iscoroutine(made):
        await made
        with Timer() as timer:
            for index in range(n):
                kept[index] = await make()
    else:
        with Timer() as timer:
            for index in range(n):
                kept[index] = make()
    fewer = min(n, 1000)
    kept = [None] * fewer
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for index in range(fewer):
        made = make()
        kept[index] = await made if asyncio.iscoroutine(made) else made
    del made
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"seconds": timer.seconds, "each_bytes": (after - before) / fewer}


async def concurrently(call: Callable[[], Awaitable[object]], n: int, at_once: int) -> dict[str, Any]:
    """`n` calls, `at_once` of them at any time."""
    left = n

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call()

    with Timer() as timer:
        await asyncio.gather(*(worker() for _ in range(at_once)))
    return {"seconds": timer.seconds}


def in_threads(call: Callable[[], object], n: int, at_once: int) -> dict[str, Any]:
    """The same with threads, for a blocking client."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(at_once) as pool, Timer() as timer:
        for future in [pool.submit(call) for _ in range(n)]:
            future.result()
    return {"seconds": timer.seconds}
