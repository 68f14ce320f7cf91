"""The storage of the model: every call is a point, and may fail before or after it was carried out."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Final

from tests.auth.model_check.scheduler import Point
from webex.auth.store import NAMESPACE
from webex.errors import MissingKeyError, StorageError
from webex.storage.protocol import Capabilities, Versioned

if TYPE_CHECKING:
    from tests.auth.model_check.world import World


class ModelStorage:
    """A storage whose every call is a point. A call may fail before or after it was carried out."""

    capabilities: Final = Capabilities(ttl=True, compare_and_swap=True, lease=True, shared=True)
    asynchronous: Final = True

    def __init__(self, world: World) -> None:
        self.world = world
        self.entries: dict[tuple[str, str], tuple[Any, str]] = {}
        self.leases: dict[str, tuple[str, float]] = {}
        self.writes = 0

    def bind(self, namespace: str) -> ModelBinding:
        """Return the namespace."""
        return ModelBinding(self, namespace)

    def number(self) -> str:
        """Return a version or fencing token that was never given before."""
        self.writes += 1
        return str(self.writes)

    def lease_end(self) -> float | None:
        """Return when the running lease expires; None when there is none."""
        ends = [expires for _, expires in self.leases.values() if expires > self.world.clock.now]
        return min(ends) if ends else None

    def key(self) -> Hashable:
        """Return what distinguishes its state from any other."""
        now = self.world.clock.now
        leases = tuple(sorted((name, held) for name, held in self.leases.items() if held[1] > now))
        return (repr(self.entries), leases, self.writes)


class ModelBinding:
    """One namespace of a `ModelStorage`."""

    def __init__(self, storage: ModelStorage, namespace: str) -> None:
        self._storage, self._world, self._namespace = storage, storage.world, namespace

    async def get(self, key: str) -> Any:
        return (await self.get_versioned(key)).value

    async def get_versioned(self, key: str) -> Versioned:
        def read() -> Versioned:
            found = self._storage.entries.get((self._namespace, key))
            if found is None:
                raise MissingKeyError(key)
            return Versioned(*found)

        return await self._call("get", read, writes=False)

    async def put(self, key: str, value: Any, *, expires_in: float | None = None) -> None:
        await self._call("put", lambda: self._write(key, value))

    async def put_if_version(
        self, key: str, value: Any, version: str | None, *, expires_in: float | None = None
    ) -> str | None:
        def swap() -> str | None:
            found = self._storage.entries.get((self._namespace, key))
            return None if (found[1] if found else None) != version else self._write(key, value)

        return await self._call("swap", swap)

    async def delete(self, key: str) -> None:
        await self._call("delete", lambda: self._storage.entries.pop((self._namespace, key), None))

    async def delete_if_version(self, key: str, version: str) -> bool:
        def remove() -> bool:
            found = self._storage.entries.get((self._namespace, key))
            if found is None or found[1] != version:
                return False
            del self._storage.entries[self._namespace, key]
            return True

        return await self._call("delete", remove)

    async def clear(self) -> None:
        raise NotImplementedError

    async def try_lease(self, name: str, ttl: float) -> ModelLease | None:
        def take() -> str | None:
            held = self._storage.leases.get(name)
            if held is not None and held[1] > self._world.clock.now:
                return None
            token = self._storage.number()
            self._storage.leases[name] = (token, self._world.clock.now + ttl)
            return token

        token = await self._call("lease", take)
        return None if token is None else ModelLease(self, name, token)

    async def lease_remaining(self, name: str) -> float:
        def remaining() -> float:
            held = self._storage.leases.get(name)
            return max(0.0, held[1] - self._world.clock.now) if held else 0.0

        return await self._call("remaining", remaining, writes=False)

    async def renew(self, name: str, token: str, ttl: float) -> bool:
        def renew() -> bool:
            held = self._storage.leases.get(name)
            if held is None or held[0] != token or held[1] <= self._world.clock.now:
                return False
            self._storage.leases[name] = (token, self._world.clock.now + ttl)
            return True

        return await self._call("renew", renew)

    async def release(self, name: str, token: str) -> None:
        def release() -> None:
            held = self._storage.leases.get(name)
            if held is not None and held[0] == token:
                del self._storage.leases[name]

        await self._call("release", release)

    def _write(self, key: str, value: Any) -> str:
        version = self._storage.number()
        place = (self._namespace, key)
        before = self._storage.entries.get(place)
        self._storage.entries[place] = (value, version)
        if self._namespace == NAMESPACE:
            self._world.written(before[0] if before else None, value)
        return version

    async def _call(self, label: str, act: Callable[[], Any], *, writes: bool = True) -> Any:
        outcome = await Point(label, lambda: self._world.storage_outcomes(writes=writes))
        if outcome == "fails":
            raise StorageError("the storage does not answer")
        result = act()
        self._world.scheduler.observe(result)
        if outcome == "answer lost":
            raise StorageError("the storage's answer was lost")
        return result


class ModelLease:
    """A lease of a `ModelStorage`."""

    def __init__(self, binding: ModelBinding, name: str, token: str) -> None:
        self.name, self.token, self._binding = name, token, binding

    async def renew(self, ttl: float) -> bool:
        return await self._binding.renew(self.name, self.token, ttl)

    async def release(self) -> None:
        await self._binding.release(self.name, self.token)
