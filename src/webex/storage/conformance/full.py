"""What the capabilities `ttl`, `scan` and `compare_and_swap` promise."""

from __future__ import annotations

from webex.errors import MissingKeyError
from webex.storage.conformance.behaviours import behaviour
from webex.storage.conformance.harness import Harness
from webex.storage.protocol import Versioned
from webex.storage.wrappers import settle

RACERS = 8
LONG = 600.0


@behaviour("a value expires after expires_in seconds, and not before", "ttl")
async def expires(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "short", 1, expires_in=harness.tick)
    await harness.put(binding, "long", 2, expires_in=LONG)
    await harness.put(binding, "ever", 3)
    await harness.same(binding, "long", 2)
    await harness.pass_time(harness.tick * 1.5)
    await harness.absent(binding, "short", "after its expiry")
    await harness.same(binding, "long", 2)
    await harness.same(binding, "ever", 3)
    await settle(binding.delete("short"))
    await harness.put(binding, "short", 4)
    await harness.same(binding, "short", 4)


@behaviour("a later put sets the expiry anew, and without expires_in takes it away", "ttl")
async def replaces_the_expiry(harness: Harness) -> None:
    binding = harness.bind()
    for key in ("ever", "longer"):
        await harness.put(binding, key, 1, expires_in=harness.tick)
    await harness.put(binding, "ever", 2)
    await harness.put(binding, "longer", 2, expires_in=LONG)
    await harness.put(binding, "shorter", 1)
    await harness.put(binding, "shorter", 2, expires_in=harness.tick)
    await harness.pass_time(harness.tick * 1.5)
    await harness.same(binding, "ever", 2)
    await harness.same(binding, "longer", 2)
    await harness.absent(binding, "shorter", "after its expiry")


@behaviour(
    "an expired value has no version: it can't be swapped or taken, and its place is free", "ttl", "compare_and_swap"
)
async def expires_for_swaps(harness: Harness) -> None:
    binding = harness.bind()
    version = await settle(binding.put_if_version("key", 1, None, expires_in=harness.tick))
    harness.expect(version is not None, "put_if_version(…, None) lost although nothing was stored")
    await harness.pass_time(harness.tick * 1.5)
    await harness.absent(binding, "key", "after its expiry")
    harness.expect(
        await settle(binding.put_if_version("key", 2, version)) is None,
        "put_if_version with the version of an expired value won",
    )
    harness.expect(
        not await settle(binding.delete_if_version("key", version)),
        "delete_if_version with the version of an expired value won",
    )
    harness.expect(
        await settle(binding.put_if_version("key", 3, None)) is not None,
        "put_if_version(…, None) lost although the value had expired",
    )
    await harness.same(binding, "key", 3)


@behaviour("keys does not list expired values", "ttl", "scan")
async def lists_no_expired_keys(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "short", 1, expires_in=harness.tick)
    await harness.put(binding, "long", 1, expires_in=LONG)
    await harness.pass_time(harness.tick * 1.5)
    found = await harness.keys(binding)
    harness.expect(found == ["long"], f"keys() gives {found} where only 'long' is alive")


@behaviour("keys lists the keys that begin with the prefix, each once and of this namespace only", "scan")
async def lists_by_prefix(harness: Harness) -> None:
    binding = harness.bind()
    names = ["a", "a%", "a%b", "a/1", "a/2", "aa", "ab", "a_b", "a*", "a[x]", "a\\", "A", "b", "é", "日本", "日",
             "\uffff", "\U0001f512", "\U0010ffff", "\U0010ffffz"]  # fmt: skip
    for name in names:
        await harness.put(binding, name, 1)
    await harness.put(harness.bind("namespace2"), "a/3", 1)
    await harness.put(harness.bind("other"), "a", 1)
    for prefix in ("", "a", "a%", "a/", "a_", "a*", "a[", "a\\", "A", "é", "日", "\uffff", "\U0010ffff", "zzz"):
        found = sorted(await harness.keys(binding, prefix))
        wanted = sorted(name for name in names if name.startswith(prefix))
        harness.expect(found == wanted, f"keys({prefix!r}) gives {found}, not {wanted}")
    await settle(binding.delete("a/1"))
    found = await harness.keys(binding, "a/")
    harness.expect(found == ["a/2"], f"keys('a/') gives {found} after 'a/1' was deleted")
    await settle(binding.clear())
    harness.expect(await harness.keys(binding) == [], "keys() is not empty after clear")


@behaviour("keys comes in pages of at most page_size, with every key exactly once", "scan")
async def lists_in_pages(harness: Harness) -> None:
    binding = harness.bind()
    names = [f"key{number:03}" for number in range(25)]
    for name in reversed(names):
        await harness.put(binding, name, 1)
    for size in (1, 4, 5, 24, 25, 26):
        pages = [page async for page in harness.pages(binding, "key", size)]
        harness.expect(all(len(page) <= size for page in pages), f"a page is longer than page_size={size}")
        found = sorted(key for page in pages for key in page)
        harness.expect(found == names, f"with page_size={size} keys() gives {found}, not each of {names} once")


@behaviour("a key that is there throughout is seen exactly once, whatever comes and goes meanwhile", "scan")
async def lists_steadily(harness: Harness) -> None:
    binding = harness.bind()
    names = [f"key{number:02}" for number in range(0, 40, 2)]
    for name in names:
        await harness.put(binding, name, 1)
    passing = [f"key{number:02}" for number in range(1, 40, 2)]
    found: list[str] = []
    step = 0
    async for page in harness.pages(binding, "", 3):
        found += page
        await harness.put(binding, passing[step], 1)
        await harness.put(binding, passing[-1 - step], 1)
        if step > 1:
            await settle(binding.delete(passing[step - 2]))
        step = min(step + 1, len(passing) - 1)
    seen = sorted(key for key in found if key in names)
    harness.expect(seen == names, f"of the keys that were there throughout keys() gives {seen}, not {names}")
    harness.expect(len(found) == len(set(found)), "keys() gives a key twice")


@behaviour(
    "get_versioned gives the value and a version that is text; a missing key raises a KeyError", "compare_and_swap"
)
async def gives_versions(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "key", {"a": 1})
    found = Versioned(*await settle(binding.get_versioned("key")))
    harness.expect(found.value == {"a": 1}, f"get_versioned gives the value {found.value!r}")
    harness.expect(isinstance(found.version, str), f"the version is {type(found.version).__name__}, not text")
    again = Versioned(*await settle(binding.get_versioned("key")))
    harness.expect(again.version == found.version, "the version changed although nothing was written")
    try:
        await settle(binding.get_versioned("notakey"))
    except KeyError as error:
        harness.expect(isinstance(error, MissingKeyError | KeyError), "")
    else:
        harness.expect(False, "get_versioned of a missing key raises nothing")


@behaviour(
    "put_if_version writes only over the version that it names; None means that nothing is stored", "compare_and_swap"
)
async def swaps_by_version(harness: Harness) -> None:
    binding = harness.bind()
    harness.expect(
        await settle(binding.put_if_version("key", 0, "never")) is None, "it won with a version where nothing is stored"
    )
    await harness.absent(binding, "key", "after a swap that lost")
    first = await settle(binding.put_if_version("key", 1, None))
    harness.expect(isinstance(first, str), f"the first put_if_version(…, None) gives {first!r}, not a version")
    harness.expect(
        await settle(binding.put_if_version("key", 2, None)) is None, "put_if_version(…, None) won over a stored value"
    )
    second = await settle(binding.put_if_version("key", 3, first))
    harness.expect(isinstance(second, str), "put_if_version with the present version lost")
    harness.expect(
        (await settle(binding.get_versioned("key")))[1] == second, "the version it returned is not the stored one"
    )
    harness.expect(await settle(binding.put_if_version("key", 4, first)) is None, "it won with an old version")
    await harness.same(binding, "key", 3)
    await harness.put(binding, "key", 5)
    harness.expect(
        await settle(binding.put_if_version("key", 6, second)) is None, "a plain put did not change the version"
    )
    await harness.same(binding, "key", 5)
    await settle(binding.delete("key"))
    harness.expect(await settle(binding.put_if_version("key", 7, second)) is None, "it won after the value was deleted")
    await harness.absent(binding, "key", "after a swap that lost")


@behaviour("a value of None has a version like any other", "compare_and_swap")
async def versions_none(harness: Harness) -> None:
    binding = harness.bind()
    version = await settle(binding.put_if_version("key", None, None))
    harness.expect(version is not None, "put_if_version('key', None, None) lost although nothing was stored")
    harness.expect(await settle(binding.put_if_version("key", 1, None)) is None, "a stored None counts as missing")
    harness.expect(
        bool(await settle(binding.delete_if_version("key", version))), "a stored None can't be deleted by version"
    )


@behaviour("delete_if_version removes only the version that it names", "compare_and_swap")
async def deletes_by_version(harness: Harness) -> None:
    binding = harness.bind()
    old = await settle(binding.put_if_version("key", 1, None))
    new = await settle(binding.put_if_version("key", 2, old))
    harness.expect(not await settle(binding.delete_if_version("key", old)), "delete_if_version won with an old version")
    await harness.same(binding, "key", 2)
    harness.expect(bool(await settle(binding.delete_if_version("key", new))), "it lost with the present version")
    await harness.absent(binding, "key", "after delete_if_version")
    harness.expect(not await settle(binding.delete_if_version("key", new)), "it won twice with one version")


@behaviour(
    "a version is never used again for a key: not for an equal value, not after delete or clear", "compare_and_swap"
)
async def reuses_no_version(harness: Harness) -> None:
    binding = harness.bind()
    seen: list[str] = []

    async def note() -> None:
        seen.append((await settle(binding.get_versioned("key")))[1])

    for _ in range(3):
        await harness.put(binding, "key", 1)
        await note()
        await settle(binding.put_if_version("key", 1, seen[-1]))
        await note()
        await settle(binding.delete("key"))
        await settle(binding.put_if_version("key", 1, None))
        await note()
        await settle(binding.clear())
        await harness.put(binding, "key", 1)
        await note()
        await settle(binding.delete_if_version("key", seen[-1]))
    harness.expect(len(seen) == len(set(seen)), f"versions came twice: {seen}")


@behaviour(
    "of many who swap the same version at once exactly one wins, and its value is the stored one", "compare_and_swap"
)
async def lets_one_swap_win(harness: Harness) -> None:
    binding = harness.bind()
    for attempt in range(5):
        await harness.put(binding, f"key{attempt}", "start")
        version = (await settle(binding.get_versioned(f"key{attempt}")))[1]
        for wanted in (version, None):
            key = f"key{attempt}" if wanted else f"new{attempt}"

            async def swap(number: int, key: str = key, wanted: str | None = wanted) -> str | None:
                written: str | None = await settle(binding.put_if_version(key, number, wanted))
                return written

            results = await harness.race(RACERS, swap)
            winners = [number for number, written in enumerate(results) if written is not None]
            what = "of one version" if wanted else "into a free place"
            harness.expect(len(winners) == 1, f"{len(winners)} of {RACERS} swaps {what} won at once")
            await harness.same(binding, key, winners[0])


@behaviour("a counter that many raise by compare-and-swap loses no step", "compare_and_swap")
async def counts_by_swapping(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "counter", 0)

    async def count(_number: int) -> None:
        done = 0
        for _ in range(RACERS * 10):  # each try that loses is one that another caller won
            value, version = await settle(binding.get_versioned("counter"))
            done += await settle(binding.put_if_version("counter", value + 1, version)) is not None
            if done == 10:
                return
        harness.expect(False, "a swap of the version just read kept losing although no other caller won")

    await harness.race(RACERS, count)
    await harness.same(binding, "counter", RACERS * 10)


@behaviour("of many who delete the same version at once exactly one gets True", "compare_and_swap")
async def lets_one_delete_win(harness: Harness) -> None:
    binding = harness.bind()
    for attempt in range(10):
        key = f"key{attempt}"
        version = await settle(binding.put_if_version(key, 1, None))

        async def take(_: int, key: str = key, version: str = version) -> bool:
            return bool(await settle(binding.delete_if_version(key, version)))

        winners = sum(await harness.race(RACERS, take))
        harness.expect(winners == 1, f"{winners} of {RACERS} took the same value")
        await harness.absent(binding, key, "after it was taken")


@behaviour("get_many gives the values of the keys that are there, and leaves the others out", "bulk")
async def gets_many(harness: Harness) -> None:
    binding = harness.bind()
    values = {"a": 1, "b": None, "c": {"deep": [1, "ü"]}, "日本/\U0001f512": "text", "A": "other"}
    for key, value in values.items():
        await harness.put(binding, key, value)
    await harness.put(harness.bind("namespace2"), "elsewhere", 1)
    wanted = [*values, "missing", "elsewhere", "a%", "á"]
    found = await settle(binding.get_many(wanted))
    harness.expect(found == values, f"get_many({wanted}) gives {found}, not {values}")
    harness.expect(await settle(binding.get_many([])) == {}, "get_many([]) is not an empty dict")
    twice = await settle(binding.get_many(["a", "a"]))
    harness.expect(twice == {"a": 1}, f"get_many(['a', 'a']) gives {twice}")


@behaviour("get_many takes two thousand keys at once", "bulk")
async def gets_very_many(harness: Harness) -> None:
    binding = harness.bind()
    for number in range(0, 2000, 40):
        await harness.put(binding, f"slot-{number}", number)
    found = await settle(binding.get_many([f"slot-{number}" for number in range(2000)]))
    wanted = {f"slot-{number}": number for number in range(0, 2000, 40)}
    harness.expect(found == wanted, f"get_many gives {len(found)} of {len(wanted)} values, or others")


@behaviour("get_many leaves out expired values", "bulk", "ttl")
async def gets_many_alive(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "short", 1, expires_in=harness.tick)
    await harness.put(binding, "long", 2, expires_in=LONG)
    await harness.pass_time(harness.tick * 1.5)
    found = await settle(binding.get_many(["short", "long"]))
    harness.expect(found == {"long": 2}, f"get_many gives {found} where only 'long' is alive")


@behaviour("writes with durable=False do what the others do", "relaxed", "compare_and_swap")
async def writes_relaxed(harness: Harness) -> None:
    binding = harness.bind()
    await harness.put(binding, "key", 1, durable=False)
    await harness.same(binding, "key", 1)
    version = (await settle(binding.get_versioned("key"))).version
    written = await settle(binding.put_if_version("key", 2, version, durable=False))
    harness.expect(written is not None, "put_if_version(…, durable=False) lost with the version that is stored")
    lost = await settle(binding.put_if_version("key", 3, version, durable=False))
    harness.expect(lost is None, "put_if_version(…, durable=False) won with an old version")
    harness.expect(
        not await settle(binding.delete_if_version("key", version, durable=False)),
        "delete_if_version(…, durable=False) won with an old version",
    )
    harness.expect(
        await settle(binding.delete_if_version("key", written, durable=False)),
        "delete_if_version(…, durable=False) lost with the version that is stored",
    )
    await harness.put(binding, "key", 4)
    await settle(binding.delete("key", durable=False))
    await harness.absent(binding, "key", "after delete(…, durable=False)")
