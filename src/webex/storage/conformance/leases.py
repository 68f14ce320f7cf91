"""What the capability `lease` promises."""

from __future__ import annotations

import time
from typing import Any

from webex.storage.conformance.behaviours import behaviour
from webex.storage.conformance.harness import BrokenError, Harness
from webex.storage.wrappers import settle

RACERS = 8
LONG = 600.0


async def _take(binding: Any, name: str, ttl: float) -> Any:
    lease = await settle(binding.try_lease(name, ttl))
    if lease is None:
        raise BrokenError(f"try_lease({name!r}) gives None although that lease is free")
    return lease


async def _held(harness: Harness, binding: Any, name: str, why: str) -> None:
    other = await settle(binding.try_lease(name, LONG))
    harness.expect(other is None, f"a second holder got the lease {name!r} {why}")


@behaviour("a lease has one holder until it is released; try_lease gives the others None", "lease")
async def leases_to_one(harness: Harness) -> None:
    binding = harness.bind()
    first = await _take(binding, "work", LONG)
    harness.expect(first.name == "work", f"the lease calls itself {first.name!r}, not 'work'")
    await _held(harness, binding, "work", "while it was held")
    await _held(harness, harness.bind(), "work", "through another binding")
    await settle(first.release())
    second = await _take(binding, "work", LONG)
    await _held(harness, binding, "work", "after it was released and taken again")
    await settle(second.release())
    await settle(second.release())


@behaviour("leases of other names and namespaces are other leases", "lease")
async def separates_leases(harness: Harness) -> None:
    for namespace in ("namespace", "namespace2"):
        for name in ("work", "Work", "work ", "wor_", "wor%", "ü/日本"):
            await _take(harness.bind(namespace), name, LONG)
    await _take(harness.bind("a"), "b/c", LONG)
    await _take(harness.bind("a/b"), "c", LONG)


@behaviour("try_lease does not wait for the holder", "lease")
async def waits_for_no_lease(harness: Harness) -> None:
    binding = harness.bind()
    await _take(binding, "work", LONG)
    began = time.monotonic()
    await _held(harness, binding, "work", "while it was held")
    harness.expect(time.monotonic() - began < 1.0, "try_lease waited while another caller held the lease")


@behaviour("a lease expires by the storage's clock and is then free", "lease")
async def expires_leases(harness: Harness) -> None:
    binding = harness.bind()
    await _take(binding, "work", harness.tick)
    await _held(harness, binding, "work", "before it expired")
    await harness.pass_time(harness.tick * 1.5)
    await _take(binding, "work", LONG)


@behaviour("lease_remaining says how long a running lease has left, and 0.0 when there is none", "lease")
async def tells_what_remains(harness: Harness) -> None:
    binding = harness.bind()

    async def remaining() -> float:
        return float(await settle(binding.lease_remaining("work")))

    harness.expect(await remaining() == 0.0, "lease_remaining is not 0.0 before anybody took the lease")
    lease = await _take(binding, "work", LONG)
    harness.expect(LONG - 60 < await remaining() <= LONG + 1, f"lease_remaining is {await remaining()} of {LONG} s")
    await settle(lease.renew(LONG * 2))
    harness.expect(LONG < await remaining() <= LONG * 2 + 1, "lease_remaining does not follow renew")
    await settle(lease.release())
    harness.expect(await remaining() == 0.0, "lease_remaining is not 0.0 after release")
    await _take(binding, "work", harness.tick)
    await harness.pass_time(harness.tick * 1.5)
    harness.expect(await remaining() == 0.0, "lease_remaining is not 0.0 after the expiry")


@behaviour("renew extends a lease that is held", "lease")
async def renews_leases(harness: Harness) -> None:
    binding = harness.bind()
    lease = await _take(binding, "work", harness.tick)
    harness.expect(await settle(lease.renew(LONG)) is True, "renew of a lease that is held is not True")
    await harness.pass_time(harness.tick * 1.5)
    await _held(harness, binding, "work", "after it was renewed")


@behaviour("renew of a lease that was lost gives False and leaves the new holder alone", "lease")
async def renews_no_lost_lease(harness: Harness) -> None:
    binding = harness.bind()
    lost = await _take(binding, "work", harness.tick)
    await harness.pass_time(harness.tick * 1.5)
    harness.expect(await settle(lost.renew(LONG)) is False, "renew of an expired lease is not False")
    holder = await _take(binding, "work", LONG)
    harness.expect(await settle(lost.renew(harness.tick)) is False, "renew of a lost lease is not False")
    await harness.pass_time(harness.tick * 1.5)
    await _held(harness, binding, "work", "after a lost one was renewed")
    await settle(holder.release())
    harness.expect(await settle(holder.renew(LONG)) is False, "renew of a released lease is not False")
    await _take(binding, "work", LONG)


@behaviour("release of a lease that was lost leaves the new holder alone", "lease")
async def releases_no_lost_lease(harness: Harness) -> None:
    binding = harness.bind()
    lost = await _take(binding, "work", harness.tick)
    await harness.pass_time(harness.tick * 1.5)
    holder = await _take(binding, "work", LONG)
    await settle(lost.release())
    await _held(harness, binding, "work", "after a lost one was released")
    harness.expect(await settle(holder.renew(LONG)) is True, "releasing a lost lease took that of the new holder")


@behaviour("every lease has a fencing token of its own", "lease")
async def fences_leases(harness: Harness) -> None:
    binding = harness.bind()
    tokens: list[str] = []
    for name in ("work", "other"):
        for _ in range(5):
            lease = await _take(binding, name, LONG)
            tokens.append(lease.token)
            await settle(lease.release())
    harness.expect(all(isinstance(token, str) and token for token in tokens), "a fencing token is no text, or empty")
    harness.expect(len(set(tokens)) == len(tokens), f"fencing tokens came twice: {tokens}")


@behaviour("lease names never meet keys: neither get, keys, delete nor clear touches a lease", "lease")
async def keeps_leases_from_keys(harness: Harness) -> None:
    binding = harness.bind()
    await _take(binding, "work", LONG)
    await harness.absent(binding, "work", "of a name that is only a lease")
    await harness.put(binding, "work", 1)
    await harness.same(binding, "work", 1)
    if harness.capabilities.scan:
        found = await harness.keys(binding)
        harness.expect(found == ["work"], f"keys() gives {found} where only 'work' was put")
    await settle(binding.delete("work"))
    await settle(binding.clear())
    await _held(harness, binding, "work", "after delete and clear")


@behaviour("of many who ask for a free lease at once exactly one gets it, also when it has just expired", "lease")
async def leases_to_one_of_many(harness: Harness) -> None:
    binding = harness.bind()

    async def take(_: int) -> Any:
        return await settle(binding.try_lease("work", LONG))

    for _ in range(5):
        granted = [lease for lease in await harness.race(RACERS, take) if lease is not None]
        harness.expect(len(granted) == 1, f"{len(granted)} of {RACERS} got the lease at once")
        await settle(granted[0].release())
    await _take(binding, "work", harness.tick)
    await harness.pass_time(harness.tick * 1.5)
    granted = [lease for lease in await harness.race(RACERS, take) if lease is not None]
    harness.expect(len(granted) == 1, f"{len(granted)} of {RACERS} got the expired lease at once")
