"""`KeyValueStorage` passes what it claims, and says what it has not."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from key_value.aio.stores.memory import MemoryStore

from tests.storage.helpers import DictAdapter
from tests.storage.test_conformance import asked_for
from webex import AsyncIntegration, Integration
from webex.emulator import Cloud
from webex.errors import ConfigurationError, StorageError
from webex.storage import KeyValueStorage
from webex.storage.conformance import StorageConformance
from webex.storage.emulation import _warned


@asked_for(KeyValueStorage(MemoryStore()).capabilities, event_loop=True)
class TestSuite(StorageConformance):
    style = "async"

    def make_storage(self) -> object:
        return KeyValueStorage(MemoryStore())


def test_app_works_with_a_warning(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    _warned.discard(KeyValueStorage)

    async def main() -> None:
        async with AsyncIntegration(storage=KeyValueStorage(MemoryStore())) as integration:
            login = await integration.begin_login()
            back = await asyncio.to_thread(cloud.sign_in, login.url, as_="alice")
            key = (await integration.finish_login(back, browser=login.browser)).user.key
            assert (await integration.user(key).people.me()).emails == ["alice@example.com"]
            assert await integration.erase(key) == []

    with caplog.at_level(logging.WARNING, "webex.storage"):
        asyncio.run(main())
    assert "KeyValueStorage has no compare-and-swap and no leases" in caplog.text


def test_blocking_clients_are_refused(cloud: Cloud) -> None:
    with pytest.raises(ConfigurationError, match="is asynchronous and can't be used by the blocking client"):
        Integration(storage=KeyValueStorage(MemoryStore()))


class Bare:
    """A store that neither lists nor removes collections."""

    def __init__(self, inner: MemoryStore) -> None:
        self.get, self.get_many, self.put, self.delete = inner.get, inner.get_many, inner.put, inner.delete


def test_store_without_listing_is_reported() -> None:
    storage = KeyValueStorage(Bare(MemoryStore()))
    assert not storage.capabilities.scan
    assert not hasattr(storage, "namespaces")
    binding: Any = storage.bind("credentials")

    async def main() -> None:
        await binding.put("key", 1)
        assert await binding.get("key") == 1
        with pytest.raises(StorageError, match="Bare can neither list"):
            await binding.clear()

    asyncio.run(main())


def test_more_keys_than_a_store_lists_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webex.storage.key_value._MOST_KEYS", 3)
    binding: Any = KeyValueStorage(MemoryStore()).bind("credentials")

    async def main() -> None:
        for number in range(3):
            await binding.put(f"key{number}", number)
        with pytest.raises(StorageError, match="lists at most 3 keys"):
            await anext(binding.keys())
        await binding.clear()
        assert await anext(binding.keys(), None) is None

    asyncio.run(main())


def test_record_of_another_program_is_reported() -> None:
    store = MemoryStore()
    binding: Any = KeyValueStorage(store).bind("credentials")

    async def main() -> None:
        await store.put("key", {"other": 1}, collection="credentials")
        with pytest.raises(StorageError, match="another program wrote it"):
            await binding.get("key")

    asyncio.run(main())


def test_an_invalid_store_is_refused() -> None:
    for given in (DictAdapter(), None, MemoryStore, {}):
        with pytest.raises(ConfigurationError, match="a store of py-key-value"):
            KeyValueStorage(given)
    assert repr(KeyValueStorage(MemoryStore())) == "KeyValueStorage(MemoryStore)"
