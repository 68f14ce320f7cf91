"""The suite can fail: an adapter broken in any one of these ways is found out, by the behaviour that it breaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.storage.helpers import MovableClock
from webex.storage import Capabilities, MemoryStorage, MissingKeyError, Versioned, conformance
from webex.storage.local_lease import LocalLease
from webex.storage.memory import MemoryBinding

BROKEN: dict[str, tuple[type[Broken], str]] = {}


class Broken:
    """A memory storage that is right, until a subclass breaks one method of its binding."""

    capabilities = MemoryStorage.capabilities

    def __init__(self, clock: MovableClock) -> None:
        self.memory = MemoryStorage(clock=clock)
        self.clock = clock
        self.start()

    def start(self) -> None:
        pass

    def bind(self, namespace: str) -> Any:
        return _Binding(self, self.memory.bind(self.place(namespace)), namespace)

    def place(self, namespace: str) -> str:
        return namespace

    def get(self, inner: MemoryBinding, key: str) -> Any:
        return inner.get(key)

    def put(self, inner: MemoryBinding, key: str, value: Any, expires_in: float | None) -> Any:
        return inner.put(key, value, expires_in=expires_in)

    def get_many(self, inner: MemoryBinding, keys: list[str]) -> Any:
        return inner.get_many(keys)

    def delete(self, inner: MemoryBinding, key: str) -> Any:
        inner.delete(key)

    def clear(self, inner: MemoryBinding) -> Any:
        inner.clear()

    def keys(self, inner: MemoryBinding, prefix: str, page_size: int) -> Iterator[list[str]]:
        return inner.keys(prefix, page_size=page_size)

    def get_versioned(self, inner: MemoryBinding, key: str) -> Any:
        return inner.get_versioned(key)

    def put_if_version(self, inner: MemoryBinding, key: str, value: Any, version: Any, expires_in: Any) -> Any:
        return inner.put_if_version(key, value, version, expires_in=expires_in)

    def delete_if_version(self, inner: MemoryBinding, key: str, version: str) -> Any:
        return inner.delete_if_version(key, version)

    def try_lease(self, inner: MemoryBinding, name: str, ttl: float) -> Any:
        return inner.try_lease(name, ttl)

    def lease_remaining(self, inner: MemoryBinding, name: str) -> float:
        return inner.lease_remaining(name)


class _Binding:
    def __init__(self, storage: Broken, inner: MemoryBinding, namespace: str) -> None:
        self.storage, self.inner, self.namespace = storage, inner, namespace

    def get(self, key: str) -> Any:
        return self.storage.get(self.inner, key)

    def put(self, key: str, value: Any, *, expires_in: float | None = None) -> Any:
        return self.storage.put(self.inner, key, value, expires_in)

    def get_many(self, keys: list[str]) -> Any:
        return self.storage.get_many(self.inner, keys)

    def delete(self, key: str) -> Any:
        return self.storage.delete(self.inner, key)

    def clear(self) -> Any:
        return self.storage.clear(self.inner)

    def keys(self, prefix: str = "", *, page_size: int = 1000) -> Any:
        return self.storage.keys(self.inner, prefix, page_size)

    def get_versioned(self, key: str) -> Any:
        return self.storage.get_versioned(self.inner, key)

    def put_if_version(self, key: str, value: Any, version: Any, *, expires_in: float | None = None) -> Any:
        return self.storage.put_if_version(self.inner, key, value, version, expires_in)

    def delete_if_version(self, key: str, version: str) -> Any:
        return self.storage.delete_if_version(self.inner, key, version)

    def try_lease(self, name: str, ttl: float) -> Any:
        return self.storage.try_lease(self.inner, name, ttl)

    def lease_remaining(self, name: str) -> float:
        return self.storage.lease_remaining(self.inner, name)


def breaks(behaviour: str) -> Any:
    def add(kind: type[Broken]) -> type[Broken]:
        BROKEN[kind.__name__] = (kind, behaviour)
        return kind

    return add


@breaks("misses_unknown_keys")
class GivesNoneForAMissingKey(Broken):
    def get(self, inner: MemoryBinding, key: str) -> Any:
        try:
            return inner.get(key)
        except MissingKeyError:
            return None


@breaks("keeps_none")
class TakesNoneForAbsent(Broken):
    def get(self, inner: MemoryBinding, key: str) -> Any:
        value = inner.get(key)
        if value is None:
            raise MissingKeyError(key)
        return value


@breaks("keeps_zero")
class TakesFalsyForAbsent(Broken):
    def get(self, inner: MemoryBinding, key: str) -> Any:
        value = inner.get(key)
        if not value:
            raise MissingKeyError(key)
        return value


@breaks("keeps_every_json_type")
class KeepsEverythingAsText(Broken):
    def get(self, inner: MemoryBinding, key: str) -> Any:
        return str(inner.get(key))


@breaks("isolates_values")
class KeepsValuesByReference(Broken):
    def start(self) -> None:
        self.values: dict[tuple[int, str], Any] = {}

    def put(self, inner: MemoryBinding, key: str, value: Any, expires_in: float | None) -> Any:
        inner.put(key, value, expires_in=expires_in)
        self.values[id(inner._space), key] = value

    def get(self, inner: MemoryBinding, key: str) -> Any:
        inner.get(key)
        return self.values.get((id(inner._space), key), inner.get(key))


@breaks("deletes")
class RefusesToDeleteWhatIsNotThere(Broken):
    def delete(self, inner: MemoryBinding, key: str) -> Any:
        inner.get(key)
        inner.delete(key)


@breaks("clears_no_other_namespace")
class ClearsEveryNamespace(Broken):
    def clear(self, inner: MemoryBinding) -> Any:
        for namespace in list(self.memory._namespaces):
            self.memory.bind(namespace).clear()


@breaks("clears_no_other_namespace")
class ClearsNamespacesThatBeginAlike(Broken):
    def clear(self, inner: MemoryBinding) -> Any:
        own = next(name for name, space in self.memory._namespaces.items() if space is inner._space)
        for namespace in list(self.memory._namespaces):
            if namespace.startswith(own):
                self.memory.bind(namespace).clear()


@breaks("keeps_namespace_and_key_apart")
class JoinsNamespaceAndKey(Broken):
    def bind(self, namespace: str) -> Any:
        from webex.storage.protocol import Storage
        from webex.storage.scope import prefixed

        memory: Storage = self.memory
        return prefixed(
            memory.bind("all"),
            f"{namespace}/",
            namespace=namespace,
            capabilities=self.capabilities,
            asynchronous=False,
        )


@breaks("keeps_keys_exact")
class IgnoresCase(Broken):
    def get(self, inner: MemoryBinding, key: str) -> Any:
        return inner.get(key.lower())

    def put(self, inner: MemoryBinding, key: str, value: Any, expires_in: float | None) -> Any:
        inner.put(key.lower(), value, expires_in=expires_in)


@breaks("keeps_large_values")
class CutsLargeValues(Broken):
    def put(self, inner: MemoryBinding, key: str, value: Any, expires_in: float | None) -> Any:
        inner.put(key, value if len(str(value)) < 65536 else str(value)[:65536], expires_in=expires_in)


@breaks("expires")
class NeverExpires(Broken):
    def put(self, inner: MemoryBinding, key: str, value: Any, expires_in: float | None) -> Any:
        inner.put(key, value)


@breaks("replaces_the_expiry")
class KeepsTheFirstExpiry(Broken):
    def start(self) -> None:
        self.first: dict[str, float] = {}

    def put(self, inner: MemoryBinding, key: str, value: Any, expires_in: float | None) -> Any:
        if expires_in is not None:
            self.first.setdefault(key, expires_in)
        inner.put(key, value, expires_in=self.first.get(key))


@breaks("expires_for_swaps")
class SwapsExpiredValues(Broken):
    def start(self) -> None:
        self.versions: dict[str, str] = {}

    def put_if_version(self, inner: MemoryBinding, key: str, value: Any, version: Any, expires_in: Any) -> Any:
        if version is not None and self.versions.get(key) == version:
            version = None if not list(inner.keys(key)) else version
        written = inner.put_if_version(key, value, version, expires_in=expires_in)
        if written:
            self.versions[key] = written
        return written


@breaks("lists_by_prefix")
class TreatsPrefixesAsPatterns(Broken):
    def keys(self, inner: MemoryBinding, prefix: str, page_size: int) -> Iterator[list[str]]:
        import fnmatch

        names = [key for page in inner.keys() for key in page]  # noqa: SIM118
        yield [key for key in names if fnmatch.fnmatchcase(key, prefix + "*")]


@breaks("gets_many")
class GetsManyWithHoles(Broken):
    def get_many(self, inner: MemoryBinding, keys: list[str]) -> Any:
        return {key: inner.get_many(keys).get(key) for key in keys}


@breaks("gets_very_many")
class GetsOnlyAThousand(Broken):
    def get_many(self, inner: MemoryBinding, keys: list[str]) -> Any:
        return inner.get_many(keys[:1000])


@breaks("lists_in_pages")
class RepeatsTheLastKeyOfAPage(Broken):
    def keys(self, inner: MemoryBinding, prefix: str, page_size: int) -> Iterator[list[str]]:
        last: list[str] = []
        for page in inner.keys(prefix, page_size=page_size):
            yield (last + page)[:page_size]
            last = page[-1:]


@breaks("lists_in_pages")
class ListsAllInOnePage(Broken):
    def keys(self, inner: MemoryBinding, prefix: str, page_size: int) -> Iterator[list[str]]:
        return inner.keys(prefix)


@breaks("lists_steadily")
class PagesByOffset(Broken):
    def keys(self, inner: MemoryBinding, prefix: str, page_size: int) -> Iterator[list[str]]:
        offset = 0
        while True:
            names = [key for page in inner.keys(prefix) for key in page]
            if not names[offset:]:
                return
            yield names[offset : offset + page_size]
            offset += page_size


@breaks("swaps_by_version")
class SwapsWhateverTheVersion(Broken):
    def put_if_version(self, inner: MemoryBinding, key: str, value: Any, version: Any, expires_in: Any) -> Any:
        inner.put(key, value, expires_in=expires_in)
        return inner.get_versioned(key).version


@breaks("lets_one_swap_win")
class ChecksAndThenWrites(Broken):
    def put_if_version(self, inner: MemoryBinding, key: str, value: Any, version: Any, expires_in: Any) -> Any:
        try:
            present = inner.get_versioned(key).version
        except MissingKeyError:
            present = None
        if present != version:
            return None
        time.sleep(0.01)
        inner.put(key, value, expires_in=expires_in)
        return inner.get_versioned(key).version


@breaks("reuses_no_version")
class CountsVersionsFromOneAgain(Broken):
    def start(self) -> None:
        self.counts: dict[str, tuple[str, int]] = {}

    def version(self, inner: MemoryBinding, key: str) -> str:
        real = inner.get_versioned(key).version
        known, count = self.counts.get(key, ("", 0))
        if known != real:
            self.counts[key] = (real, count + 1)
        return str(self.counts[key][1])

    def delete(self, inner: MemoryBinding, key: str) -> Any:
        inner.delete(key)
        self.counts.pop(key, None)

    def get_versioned(self, inner: MemoryBinding, key: str) -> Any:
        return Versioned(inner.get(key), self.version(inner, key))

    def put_if_version(self, inner: MemoryBinding, key: str, value: Any, version: Any, expires_in: Any) -> Any:
        try:
            present = self.version(inner, key)
        except MissingKeyError:
            present = None
        if present != version:
            return None
        inner.put(key, value, expires_in=expires_in)
        return self.version(inner, key)


@breaks("reuses_no_version")
class TakesAHashForTheVersion(Broken):
    def get_versioned(self, inner: MemoryBinding, key: str) -> Any:
        value = inner.get(key)
        return Versioned(value, repr(value))


@breaks("deletes_by_version")
class DeletesWhateverTheVersion(Broken):
    def delete_if_version(self, inner: MemoryBinding, key: str, version: str) -> Any:
        inner.delete(key)
        return True


@breaks("lets_one_delete_win")
class LetsEveryDeleteWin(Broken):
    def delete_if_version(self, inner: MemoryBinding, key: str, version: str) -> Any:
        try:
            won = inner.get_versioned(key).version == version
        except MissingKeyError:
            return False
        if won:
            time.sleep(0.01)
            inner.delete(key)
        return won


@breaks("leases_to_one")
class LeasesToEverybody(Broken):
    def try_lease(self, inner: MemoryBinding, name: str, ttl: float) -> Any:
        inner._space.leases.clear()
        return inner.try_lease(name, ttl)


@breaks("waits_for_no_lease")
class WaitsForTheLease(Broken):
    def try_lease(self, inner: MemoryBinding, name: str, ttl: float) -> Any:
        lease = inner.try_lease(name, ttl)
        if lease is None:
            time.sleep(1.1)
        return lease


@breaks("expires_leases")
class LeasesForGood(Broken):
    def try_lease(self, inner: MemoryBinding, name: str, ttl: float) -> Any:
        return inner.try_lease(name, 1e9)


@breaks("releases_no_lost_lease")
class ReleasesTheNextHolder(Broken):
    def try_lease(self, inner: MemoryBinding, name: str, ttl: float) -> Any:
        lease = inner.try_lease(name, ttl)
        if lease is None:
            return None
        return LocalLease(name, lease.token, inner._renew, lambda name, _: inner._space.leases.pop(name, None))


@breaks("renews_no_lost_lease")
class RenewsWhatWasLost(Broken):
    def try_lease(self, inner: MemoryBinding, name: str, ttl: float) -> Any:
        lease = inner.try_lease(name, ttl)
        if lease is None:
            return None
        return LocalLease(name, lease.token, lambda *renewed: inner._renew(*renewed) or True, inner._release)


@breaks("fences_leases")
class HandsOutOneFencingToken(Broken):
    def try_lease(self, inner: MemoryBinding, name: str, ttl: float) -> Any:
        lease = inner.try_lease(name, ttl)
        if lease is not None:
            inner._space.leases[name] = ("1", self.clock.monotonic() + ttl)
            lease.token = "1"
        return lease


@breaks("keeps_leases_from_keys")
class KeepsLeasesAmongTheKeys(Broken):
    def try_lease(self, inner: MemoryBinding, name: str, ttl: float) -> Any:
        lease = inner.try_lease(name, ttl)
        if lease is not None:
            inner.put(name, "leased")
        return lease


@breaks("separates_leases")
class SharesLeasesAmongNamespaces(Broken):
    def try_lease(self, inner: MemoryBinding, name: str, ttl: float) -> Any:
        return self.memory.bind("leases").try_lease(name, ttl)


@breaks("tells_what_remains")
class ForgetsWhatRemains(Broken):
    def lease_remaining(self, inner: MemoryBinding, name: str) -> float:
        return 0.0


@pytest.mark.parametrize("name", BROKEN)
def test_an_adapter_that(name: str) -> None:
    kind, behaviour = BROKEN[name]
    clock = MovableClock()

    cases = conformance.cases(lambda: kind(clock), advance=clock.advance)
    (case,) = [case for case in cases if case.behaviour.name == behaviour]

    with pytest.raises((AssertionError, KeyError)):
        case()


def test_the_unmodified_adapter_conforms() -> None:
    clock = MovableClock()
    assert conformance.run(lambda: Broken(clock), advance=clock.advance) == []


def test_a_false_capability_claim_is_detected() -> None:
    class Claims:
        capabilities = Capabilities(lease=True)

        def bind(self, namespace: str) -> Any:
            class Four:
                def get(self, key: str) -> Any: ...
                def put(self, key: str, value: Any) -> None: ...
                def delete(self, key: str) -> None: ...
                def clear(self) -> None: ...

            return Four()

    failures = conformance.run(Claims)

    assert failures
    assert all("claims the capability lease" in failure.reason for failure in failures)


def test_verify_names_every_broken_behaviour() -> None:
    clock = MovableClock()
    with pytest.raises(conformance.ConformanceError) as caught:
        conformance.verify(lambda: GivesNoneForAMissingKey(clock), advance=clock.advance)
    assert "get of a key that was never put raises a KeyError" in str(caught.value)
    assert "misses_unknown_keys" in [failure.name for failure in caught.value.failures]
    assert all(failure.reason and failure.behaviour in str(failure) for failure in caught.value.failures)
