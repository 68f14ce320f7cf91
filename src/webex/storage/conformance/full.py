"""What the capabilities `ttl`, `scan` and `compare_and_swap` promise."""

from __future__ import annotations

from webex.errors import MissingKeyError
from webex.storage.conformance.behaviours import behaviour
from webex.storage.conformance.bench import Bench
from webex.storage.faces import settle
from webex.storage.protocol import Versioned

RACERS = 8
LONG = 600.0


@behaviour("a value expires after expires_in seconds, and not before", "ttl")
async def expires(bench: Bench) -> None:
    binding = bench.bind()
    await bench.put(binding, "short", 1, expires_in=bench.tick)
    await bench.put(binding, "long", 2, expires_in=LONG)
    await bench.put(binding, "ever", 3)
    await bench.same(binding, "long", 2)
    await bench.pass_time(bench.tick * 1.5)
    await bench.absent(binding, "short", "after its expiry")
    await bench.same(binding, "long", 2)
    await bench.same(binding, "ever", 3)
    await settle(binding.delete("short"))
    await bench.put(binding, "short", 4)
    await bench.same(binding, "short", 4)


@behaviour("a later put sets the expiry anew, and without expires_in takes it away", "ttl")
async def replaces_the_expiry(bench: Bench) -> None:
    binding = bench.bind()
    for key in ("ever", "longer"):
        await bench.put(binding, key, 1, expires_in=bench.tick)
    await bench.put(binding, "ever", 2)
    await bench.put(binding, "longer", 2, expires_in=LONG)
    await bench.put(binding, "shorter", 1)
    await bench.put(binding, "shorter", 2, expires_in=bench.tick)
    await bench.pass_time(bench.tick * 1.5)
    await bench.same(binding, "ever", 2)
    await bench.same(binding, "longer", 2)
    await bench.absent(binding, "shorter", "after its expiry")


@behaviour(
    "an expired value has no version: it can't be swapped or taken, and its place is free", "ttl", "compare_and_swap"
)
async def expires_for_swaps(bench: Bench) -> None:
    binding = bench.bind()
    version = await settle(binding.put_if_version("key", 1, None, expires_in=bench.tick))
    bench.expect(version is not None, "put_if_version(…, None) lost although nothing was stored")
    await bench.pass_time(bench.tick * 1.5)
    await bench.absent(binding, "key", "after its expiry")
    bench.expect(
        await settle(binding.put_if_version("key", 2, version)) is None,
        "put_if_version with the version of an expired value won",
    )
    bench.expect(
        not await settle(binding.delete_if_version("key", version)),
        "delete_if_version with the version of an expired value won",
    )
    bench.expect(
        await settle(binding.put_if_version("key", 3, None)) is not None,
        "put_if_version(…, None) lost although the value had expired",
    )
    await bench.same(binding, "key", 3)


@behaviour("keys does not list expired values", "ttl", "scan")
async def lists_no_expired_keys(bench: Bench) -> None:
    binding = bench.bind()
    await bench.put(binding, "short", 1, expires_in=bench.tick)
    await bench.put(binding, "long", 1, expires_in=LONG)
    await bench.pass_time(bench.tick * 1.5)
    found = await bench.keys(binding)
    bench.expect(found == ["long"], f"keys() gives {found} where only 'long' is alive")


@behaviour("keys lists the keys that begin with the prefix, sorted by code point, and of this namespace only", "scan")
async def lists_by_prefix(bench: Bench) -> None:
    binding = bench.bind()
    names = ["a", "a%", "a%b", "a/1", "a/2", "aa", "ab", "a_b", "a*", "a[x]", "a\\", "A", "b", "é", "日本", "日",
             "\uffff", "\U0001f512", "\U0010ffff", "\U0010ffffz"]  # fmt: skip
    for name in names:
        await bench.put(binding, name, 1)
    await bench.put(bench.bind("namespace2"), "a/3", 1)
    await bench.put(bench.bind("other"), "a", 1)
    for prefix in ("", "a", "a%", "a/", "a_", "a*", "a[", "a\\", "A", "é", "日", "\uffff", "\U0010ffff", "zzz"):
        found = await bench.keys(binding, prefix)
        wanted = sorted(name for name in names if name.startswith(prefix))
        bench.expect(found == wanted, f"keys({prefix!r}) gives {found}, not {wanted}")
    await settle(binding.delete("a/1"))
    found = await bench.keys(binding, "a/")
    bench.expect(found == ["a/2"], f"keys('a/') gives {found} after 'a/1' was deleted")
    await settle(binding.clear())
    bench.expect(await bench.keys(binding) == [], "keys() is not empty after clear")


@behaviour("keys comes in pages of at most page_size, with every key exactly once", "scan")
async def lists_in_pages(bench: Bench) -> None:
    binding = bench.bind()
    names = [f"key{number:03}" for number in range(25)]
    for name in reversed(names):
        await bench.put(binding, name, 1)
    for size in (1, 4, 5, 24, 25, 26):
        pages = [page async for page in bench.pages(binding, "key", size)]
        bench.expect(all(len(page) <= size for page in pages), f"a page is longer than page_size={size}")
        found = [key for page in pages for key in page]
        bench.expect(found == names, f"with page_size={size} keys() gives {found}, not each of {names} once")


@behaviour("a key that is there throughout is seen exactly once, whatever comes and goes meanwhile", "scan")
async def lists_steadily(bench: Bench) -> None:
    binding = bench.bind()
    names = [f"key{number:02}" for number in range(0, 40, 2)]
    for name in names:
        await bench.put(binding, name, 1)
    passing = [f"key{number:02}" for number in range(1, 40, 2)]
    found: list[str] = []
    step = 0
    async for page in bench.pages(binding, "", 3):
        found += page
        await bench.put(binding, passing[step], 1)
        await bench.put(binding, passing[-1 - step], 1)
        if step > 1:
            await settle(binding.delete(passing[step - 2]))
        step = min(step + 1, len(passing) - 1)
    seen = [key for key in found if key in names]
    bench.expect(seen == names, f"of the keys that were there throughout keys() gives {seen}, not {names}")
    bench.expect(len(found) == len(set(found)), "keys() gives a key twice")


@behaviour(
    "get_versioned gives the value and a version that is text; a missing key raises a KeyError", "compare_and_swap"
)
async def gives_versions(bench: Bench) -> None:
    binding = bench.bind()
    await bench.put(binding, "key", {"a": 1})
    found = Versioned(*await settle(binding.get_versioned("key")))
    bench.expect(found.value == {"a": 1}, f"get_versioned gives the value {found.value!r}")
    bench.expect(isinstance(found.version, str), f"the version is {type(found.version).__name__}, not text")
    again = Versioned(*await settle(binding.get_versioned("key")))
    bench.expect(again.version == found.version, "the version changed although nothing was written")
    try:
        await settle(binding.get_versioned("notakey"))
    except KeyError as error:
        bench.expect(isinstance(error, MissingKeyError | KeyError), "")
    else:
        bench.expect(False, "get_versioned of a missing key raises nothing")


@behaviour(
    "put_if_version writes only over the version that it names; None means that nothing is stored", "compare_and_swap"
)
async def swaps_by_version(bench: Bench) -> None:
    binding = bench.bind()
    bench.expect(
        await settle(binding.put_if_version("key", 0, "never")) is None, "it won with a version where nothing is stored"
    )
    await bench.absent(binding, "key", "after a swap that lost")
    first = await settle(binding.put_if_version("key", 1, None))
    bench.expect(isinstance(first, str), f"the first put_if_version(…, None) gives {first!r}, not a version")
    bench.expect(
        await settle(binding.put_if_version("key", 2, None)) is None, "put_if_version(…, None) won over a stored value"
    )
    second = await settle(binding.put_if_version("key", 3, first))
    bench.expect(isinstance(second, str), "put_if_version with the present version lost")
    bench.expect(
        (await settle(binding.get_versioned("key")))[1] == second, "the version it returned is not the stored one"
    )
    bench.expect(await settle(binding.put_if_version("key", 4, first)) is None, "it won with an old version")
    await bench.same(binding, "key", 3)
    await bench.put(binding, "key", 5)
    bench.expect(
        await settle(binding.put_if_version("key", 6, second)) is None, "a plain put did not change the version"
    )
    await bench.same(binding, "key", 5)
    await settle(binding.delete("key"))
    bench.expect(await settle(binding.put_if_version("key", 7, second)) is None, "it won after the value was deleted")
    await bench.absent(binding, "key", "after a swap that lost")


@behaviour("a value of None has a version like any other", "compare_and_swap")
async def versions_none(bench: Bench) -> None:
    binding = bench.bind()
    version = await settle(binding.put_if_version("key", None, None))
    bench.expect(version is not None, "put_if_version('key', None, None) lost although nothing was stored")
    bench.expect(await settle(binding.put_if_version("key", 1, None)) is None, "a stored None counts as nothing stored")
    bench.expect(
        bool(await settle(binding.delete_if_version("key", version))), "a stored None can't be deleted by version"
    )


@behaviour("delete_if_version removes only the version that it names", "compare_and_swap")
async def deletes_by_version(bench: Bench) -> None:
    binding = bench.bind()
    old = await settle(binding.put_if_version("key", 1, None))
    new = await settle(binding.put_if_version("key", 2, old))
    bench.expect(not await settle(binding.delete_if_version("key", old)), "delete_if_version won with an old version")
    await bench.same(binding, "key", 2)
    bench.expect(bool(await settle(binding.delete_if_version("key", new))), "it lost with the present version")
    await bench.absent(binding, "key", "after delete_if_version")
    bench.expect(not await settle(binding.delete_if_version("key", new)), "it won twice with one version")


@behaviour(
    "a version is never used again for a key: not for an equal value, not after delete or clear", "compare_and_swap"
)
async def reuses_no_version(bench: Bench) -> None:
    binding = bench.bind()
    seen: list[str] = []

    async def note() -> None:
        seen.append((await settle(binding.get_versioned("key")))[1])

    for _ in range(3):
        await bench.put(binding, "key", 1)
        await note()
        await settle(binding.put_if_version("key", 1, seen[-1]))
        await note()
        await settle(binding.delete("key"))
        await settle(binding.put_if_version("key", 1, None))
        await note()
        await settle(binding.clear())
        await bench.put(binding, "key", 1)
        await note()
        await settle(binding.delete_if_version("key", seen[-1]))
    bench.expect(len(seen) == len(set(seen)), f"versions came twice: {seen}")


@behaviour(
    "of many who swap the same version at once exactly one wins, and its value is the stored one", "compare_and_swap"
)
async def lets_one_swap_win(bench: Bench) -> None:
    binding = bench.bind()
    for attempt in range(5):
        await bench.put(binding, f"key{attempt}", "start")
        version = (await settle(binding.get_versioned(f"key{attempt}")))[1]
        for wanted in (version, None):
            key = f"key{attempt}" if wanted else f"new{attempt}"

            async def swap(number: int, key: str = key, wanted: str | None = wanted) -> str | None:
                written: str | None = await settle(binding.put_if_version(key, number, wanted))
                return written

            results = await bench.race(RACERS, swap)
            winners = [number for number, written in enumerate(results) if written is not None]
            what = "of one version" if wanted else "into a free place"
            bench.expect(len(winners) == 1, f"{len(winners)} of {RACERS} swaps {what} won at once")
            await bench.same(binding, key, winners[0])


@behaviour("a counter that many raise by compare-and-swap loses no step", "compare_and_swap")
async def counts_by_swapping(bench: Bench) -> None:
    binding = bench.bind()
    await bench.put(binding, "counter", 0)

    async def count(_number: int) -> None:
        done = 0
        for _ in range(RACERS * 10):  # each try that loses is one that somebody else won
            value, version = await settle(binding.get_versioned("counter"))
            done += await settle(binding.put_if_version("counter", value + 1, version)) is not None
            if done == 10:
                return
        bench.expect(False, "a swap of the version just read kept losing although nobody else won")

    await bench.race(RACERS, count)
    await bench.same(binding, "counter", RACERS * 10)


@behaviour("of many who delete the same version at once exactly one gets True", "compare_and_swap")
async def lets_one_delete_win(bench: Bench) -> None:
    binding = bench.bind()
    for attempt in range(10):
        key = f"key{attempt}"
        version = await settle(binding.put_if_version(key, 1, None))

        async def take(_: int, key: str = key, version: str = version) -> bool:
            return bool(await settle(binding.delete_if_version(key, version)))

        winners = sum(await bench.race(RACERS, take))
        bench.expect(winners == 1, f"{winners} of {RACERS} took the same value")
        await bench.absent(binding, key, "after it was taken")
