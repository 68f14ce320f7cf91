"""Encrypting everything anew: progress, an interruption, and going on after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.helpers import AsyncMemory, DictAdapter, MovableClock
from webex.errors import ConfigurationError
from webex.storage import EncryptedStorage, MemoryStorage, SQLiteStorage
from webex.storage.encrypted import ReencryptProgress
from webex.storage.reserved import MOVED, NOTES, moved_value

OLD, NEW = EncryptedStorage.generate_key(), EncryptedStorage.generate_key()


class InterruptedByTest(Exception):
    pass


@pytest.fixture
def inner(tmp_path: Path) -> Iterator[SQLiteStorage]:
    with SQLiteStorage(tmp_path / "webex.db") as storage:
        encrypted = EncryptedStorage(storage, keys=[OLD])
        for namespace, count in (("a", 3), ("b", 1200), ("c", 2)):
            for number in range(count):
                encrypted.bind(namespace).put(f"key{number:04}", number, durable=False)
        yield storage


def check(inner: SQLiteStorage) -> None:
    opened = EncryptedStorage(inner, keys=[NEW])
    for namespace, count in (("a", 3), ("b", 1200), ("c", 2)):
        values = opened.bind(namespace).get_many([f"key{number:04}" for number in range(count)])
        assert list(values.values()) == list(range(count))
    assert NOTES not in inner.namespaces()


def test_all_namespaces_are_reencrypted_with_progress(inner: SQLiteStorage) -> None:
    told: list[ReencryptProgress] = []
    assert EncryptedStorage(inner, keys=[NEW, OLD]).reencrypt(progress=told.append) == 1205
    assert told == [("a", 3, 3), ("b", 503, 503), ("b", 1003, 1003), ("b", 1203, 1203), ("c", 1205, 1205)]
    check(inner)


def test_interrupted_reencrypt_is_resumed(inner: SQLiteStorage) -> None:
    def interrupt(so_far: ReencryptProgress) -> None:
        if so_far.seen > 600:
            raise InterruptedByTest

    storage = EncryptedStorage(inner, keys=[NEW, OLD])
    with pytest.raises(InterruptedByTest):
        storage.reencrypt(progress=interrupt)
    assert storage.bind("b").get("key1100") == 1100
    told: list[ReencryptProgress] = []
    again = EncryptedStorage(inner, keys=[NEW, OLD])  # as after a restart
    assert again.reencrypt(progress=told.append) == 202
    assert told[0] == ("a", 3, 0)
    assert told[-1] == ("c", 1205, 202)
    check(inner)


def test_value_that_is_written_after_an_interruption_is_encrypted_anew(inner: SQLiteStorage) -> None:
    """A worker that was not restarted yet writes with the old key into a namespace that was done."""

    def interrupt(so_far: ReencryptProgress) -> None:
        if so_far.namespace == "b":
            raise InterruptedByTest

    storage = EncryptedStorage(inner, keys=[NEW, OLD])
    with pytest.raises(InterruptedByTest):
        storage.reencrypt(progress=interrupt)
    EncryptedStorage(inner, keys=[OLD, NEW]).bind("a").put("key0001", 1)
    storage.reencrypt()
    check(inner)


def test_note_of_a_migration_is_encrypted_anew(inner: SQLiteStorage) -> None:
    storage = EncryptedStorage(inner, keys=[NEW, OLD])
    EncryptedStorage(inner, keys=[OLD]).bind(NOTES).put(MOVED, moved_value("another one", phase="moved"))
    storage.reencrypt()
    assert EncryptedStorage(inner, keys=[NEW]).bind(NOTES).get(MOVED)["phase"] == "moved"


def test_interrupted_reencrypt_to_another_key_starts_over(inner: SQLiteStorage) -> None:
    def interrupt(so_far: ReencryptProgress) -> None:
        if so_far.namespace == "b":
            raise InterruptedByTest

    third = EncryptedStorage.generate_key()
    with pytest.raises(InterruptedByTest):
        EncryptedStorage(inner, keys=[third, OLD]).reencrypt(progress=interrupt)
    assert EncryptedStorage(inner, keys=[NEW, third, OLD]).reencrypt() == 1205
    check(inner)


def test_reencrypt_works_in_event_loop_style() -> None:
    inner = AsyncMemory(MovableClock())

    async def main() -> None:
        await EncryptedStorage(inner, keys=[OLD]).bind("a").put("key", 1)  # type: ignore[misc]  # it is asynchronous
        assert await EncryptedStorage(inner, keys=[NEW, OLD]).reencrypt_async("a") == 1
        assert await EncryptedStorage(inner, keys=[NEW]).bind("a").get("key") == 1

    asyncio.run(main())


def test_unsupported_storages_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no scan and no compare_and_swap"):
        EncryptedStorage(DictAdapter(), keys=[NEW]).reencrypt()

    class Nameless:
        def __init__(self, inner: MemoryStorage) -> None:
            self.bind, self.capabilities, self.asynchronous = inner.bind, inner.capabilities, False

    with pytest.raises(ConfigurationError, match="name them"):
        EncryptedStorage(Nameless(MemoryStorage()), keys=[NEW]).reencrypt()
