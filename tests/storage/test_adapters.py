"""Which objects are taken for adapters, and what is said about those that are not."""

from __future__ import annotations

import asyncio
import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.storage.helpers import AsyncDictAdapter, AsyncMemory, DictAdapter, DictBinding, DirectAdapter
from webex.errors import ConfigurationError, MissingKeyError, StorageError
from webex.storage import (
    Capabilities,
    EncryptedStorage,
    MemoryStorage,
    SQLiteStorage,
    StorageSet,
    as_storage,
    conformance,
    scoped,
)
from webex.storage.adapt import is_asynchronous


def test_a_storage_of_the_package_is_not_wrapped() -> None:
    class Mine(MemoryStorage):
        pass

    for storage in (MemoryStorage(), Mine()):
        assert as_storage(storage) is storage


def test_an_adapter_is_wrapped_once() -> None:
    adapter = DictAdapter()
    assert as_storage(adapter) is as_storage(adapter)
    assert as_storage(adapter) is not as_storage(DictAdapter())
    assert as_storage(as_storage(adapter)) is as_storage(adapter)


def test_equal_adapters_of_each_request_share_emulated_state() -> None:
    @dataclass(frozen=True)
    class ForSession:
        session: str

        def bind(self, namespace: str) -> DictBinding:
            return DictBinding()

    kept = as_storage(ForSession("a"))
    assert as_storage(ForSession("a")) is kept
    assert as_storage(ForSession("b")) is not kept


@pytest.mark.parametrize("name", ["delete", "del_", "del", "remove"])
def test_delete_may_have_another_name(name: str) -> None:
    gone: list[str] = []
    binding = type("B", (), {"get": lambda s, k: 1, "put": lambda s, k, v: None, "clear": lambda s: None})()
    setattr(binding, name, gone.append)
    adapter = type("A", (), {"bind": lambda s, namespace: binding})()
    as_storage(adapter).bind("x").delete("key")
    assert gone == ["key"]


@pytest.mark.parametrize(
    ("signature", "options"),
    [
        ("lambda self, namespace: b(None)", False),
        ("lambda self, namespace, options: b(options)", True),
        ("lambda self, namespace, options=None: b(options)", True),
        ("lambda self, namespace, table='x': b(None) if table == 'x' else 1 / 0", False),
        ("lambda self, *args: b(None)", False),
    ],
)
def test_bind_gets_options_with_a_logger_if_accepted(signature: str, options: bool) -> None:
    seen: list[Any] = []

    def bound(given: Any) -> DictBinding:
        seen.append(given)
        return DictBinding()

    adapter = type("A", (), {"bind": eval(signature, {"b": bound})})()
    as_storage(adapter).bind("x")
    assert isinstance(seen[-1]["logger"], logging.Logger) if options else seen[-1] is None


@pytest.mark.parametrize(
    ("adapter", "hint"),
    [
        ({}, "is a dict"),
        (None, "has no get, put, delete, clear"),
        ("webex.db", "SQLiteStorage"),
        (MemoryStorage, "pass an instance"),
        (DictAdapter, "pass an instance of it, DictAdapter"),
        (object(), "has no get"),
    ],
)
def test_an_invalid_adapter_is_refused_with_a_hint(adapter: Any, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        as_storage(adapter)


def test_a_binding_without_a_method_is_refused_at_construction() -> None:
    class Half:
        def bind(self, namespace: str) -> Any:
            return type("B", (), {"get": lambda s, k: 1, "put": lambda s, k, v: None})()

    with pytest.raises(ConfigurationError, match="has no delete, clear"):
        as_storage(Half())


@pytest.mark.parametrize("claim", ["ttl", "scan", "compare_and_swap", "lease"])
def test_a_capability_without_its_methods_is_refused_at_construction(claim: str) -> None:
    class Claims(DictAdapter):
        capabilities = Capabilities(**{claim: True})

    with pytest.raises(ConfigurationError, match=f"claims the capability {claim}"):
        as_storage(Claims())


def test_capabilities_of_another_type_are_refused() -> None:
    class Claims(DictAdapter):
        capabilities = {"lease": True}  # noqa: RUF012  # as somebody might write it

    with pytest.raises(ConfigurationError, match=r"Capabilities\(…\)"):
        as_storage(Claims())


def test_the_style_is_found_without_a_call() -> None:
    class Partial:
        def __init__(self) -> None:
            async def get(table: str, key: str) -> Any: ...

            self.get = functools.partial(get, "table")
            self.put = self.delete = self.clear = lambda *args: None

    assert is_asynchronous(as_storage(AsyncMemory()))
    assert is_asynchronous(as_storage(AsyncDictAdapter()))
    assert is_asynchronous(as_storage(Partial()))
    assert not is_asynchronous(as_storage(DictAdapter()))
    assert not is_asynchronous(MemoryStorage())


def test_a_direct_adapter_separates_namespaces_by_key() -> None:
    adapter = DirectAdapter()
    storage = as_storage(adapter)
    storage.bind("a").put("b/c", 1)
    storage.bind("a/b").put("c", 2)
    assert adapter.data == {"a/b/c": 1, "a%2Fb/c": 2}
    storage.bind("a").clear()
    assert adapter.data == {"a%2Fb/c": 2}


def test_a_direct_adapter_without_scan_refuses_clear() -> None:
    adapter = DictBinding()
    storage = as_storage(adapter)
    storage.bind("a").put("key", 1)
    with pytest.raises(StorageError, match="give the adapter bind"):
        storage.bind("a").clear()
    assert storage.bind("a").get("key") == 1


def test_a_scope_lists_and_clears_only_its_own_keys() -> None:
    storage = MemoryStorage()
    one, other = scoped(storage, "client", "a/b"), scoped(storage, "client", "a")
    one.bind("notes").put("key", 1)
    other.bind("notes").put("b/key", 2)
    assert one.bind("notes").get("key") == 1
    with pytest.raises(MissingKeyError) as caught:
        other.bind("notes").get("key")
    assert caught.value.key == "key"
    other.bind("notes").clear()
    assert one.bind("notes").get("key") == 1
    assert [page for page in storage.bind("notes").keys()] == [["client/a%2Fb/key"]]  # noqa: C416, SIM118


def test_without_a_setting_both_storages_are_memory() -> None:
    storages = StorageSet.from_config()
    assert isinstance(storages.bounded, MemoryStorage)
    assert storages.bounded is storages.unbounded


def test_one_adapter_serves_for_both() -> None:
    storage = MemoryStorage()
    assert StorageSet.from_config(storage) == StorageSet(storage, storage)
    assert StorageSet.from_config(StorageSet(storage, storage)) == StorageSet(storage, storage)


@pytest.mark.parametrize(
    "names",
    [("bounded_adapter", "unbounded_adapter"), ("boundedAdapter", "unboundedAdapter"), ("bounded", "unbounded")],
)
def test_a_mapping_gives_each_storage(names: tuple[str, str]) -> None:
    one, other = MemoryStorage(), MemoryStorage()
    assert StorageSet.from_config({names[0]: one, names[1]: other}) == StorageSet(one, other)
    half = StorageSet.from_config({names[0]: one})
    assert half.bounded is one
    assert isinstance(half.unbounded, MemoryStorage)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"bounded_adaptor": MemoryStorage()}, "unknown setting bounded_adaptor"),
        ({"bounded_adapter": MemoryStorage(), "boundedAdapter": MemoryStorage()}, "twice"),
        ({"bounded_adapter": "webex.db"}, "SQLiteStorage"),
    ],
)
def test_a_mapping_that_is_wrong_is_explained(value: Any, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        StorageSet.from_config(value)


class NoneForMissing:
    """An adapter in the manner of a cache: `get` gives None for a key that is not there."""

    def __init__(self) -> None:
        self.namespaces: dict[str, dict[str, Any]] = {}

    def bind(self, namespace: str) -> Any:
        values = self.namespaces.setdefault(namespace, {})

        class Binding:
            def get(self, key: str) -> Any:
                return values.get(key)

            def put(self, key: str, value: Any) -> None:
                values[key] = value

            def delete(self, key: str) -> None:
                values.pop(key, None)

            def clear(self) -> None:
                values.clear()

        return Binding()


class AsyncNoneForMissing(NoneForMissing):
    """The same with `async def`."""

    def bind(self, namespace: str) -> Any:
        inner = super().bind(namespace)

        class Binding:
            async def get(self, key: str) -> Any:
                return inner.get(key)

            async def put(self, key: str, value: Any) -> None:
                inner.put(key, value)

            async def delete(self, key: str) -> None:
                inner.delete(key)

            async def clear(self) -> None:
                inner.clear()

        return Binding()


class AwaitedNoneForMissing(AsyncNoneForMissing):
    """The same, bound by an `async def`."""

    async def bind(self, namespace: str) -> Any:  # type: ignore[override]  # the point of the class
        return super().bind(namespace)


@pytest.mark.parametrize("adapter", [NoneForMissing, AsyncNoneForMissing, AwaitedNoneForMissing])
def test_none_for_a_missing_key_passes_the_conformance_suite(adapter: type[Any]) -> None:
    conformance.verify(adapter)


def test_none_for_a_missing_key_means_that_no_user_is_signed_in() -> None:
    from webex import NotSignedInError, Webex

    with Webex(storage=NoneForMissing(), client_id="C", client_secret="S") as client, pytest.raises(NotSignedInError):
        client.people.me()


class BindFails:
    def bind(self, namespace: str) -> Any:
        raise OSError("no database at postgres://user:hush@db.example.com")


class AwaitedBindFails:
    async def bind(self, namespace: str) -> Any:
        raise OSError("hush")


def test_bind_that_raises_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match=r"bind.*OSError") as caught:
        as_storage(BindFails())
    assert "hush" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


def test_bind_that_raises_later_is_a_storage_error() -> None:
    class FailsLater(NoneForMissing):
        broken = False

        def bind(self, namespace: str) -> Any:
            if self.broken:
                raise ValueError(namespace)
            return super().bind(namespace)

    adapter = FailsLater()
    storage = as_storage(adapter)
    adapter.broken = True
    with pytest.raises(StorageError, match="ValueError"):
        storage.bind("credentials")


def test_awaited_bind_that_raises_is_a_storage_error() -> None:
    from webex import AsyncWebex

    async def main() -> None:
        async with AsyncWebex(storage=AwaitedBindFails(), client_id="C", client_secret="S") as client:
            with pytest.raises(StorageError, match="OSError"):
                await client.ready()

    asyncio.run(main())


@pytest.mark.parametrize("namespace", ["", None, 7])
@pytest.mark.parametrize("make", [MemoryStorage, NoneForMissing, AwaitedNoneForMissing])
def test_a_namespace_is_needed(make: Any, namespace: Any) -> None:
    with pytest.raises(StorageError, match="namespace"):
        as_storage(make()).bind(namespace)


@pytest.mark.parametrize("namespace", ["", None])
def test_a_namespace_is_needed_in_files_and_wrappers(tmp_path: Path, namespace: Any) -> None:
    inner = SQLiteStorage(tmp_path / "a.db")
    wrapped = EncryptedStorage(inner, keys=[EncryptedStorage.generate_key()])
    for storage in (inner, wrapped, scoped(inner, "one")):
        with pytest.raises(StorageError, match="namespace"):
            storage.bind(namespace)
    inner.close()
