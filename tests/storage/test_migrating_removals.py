"""`MigratingStorage`: a value that is removed stays removed, and one that two processes move stays."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.storage.migrations import NAMESPACE, Stores, away
from webex.errors import MissingKeyError, StorageError
from webex.runtime import drive
from webex.storage import MigratingStorage, SQLiteStorage


def test_removal_fails_while_the_new_storage_is_away(stores: Stores, tmp_path: Path) -> None:
    stores.worker().bind(NAMESPACE).put("key", 1)
    with away(tmp_path) as broken:
        binding = MigratingStorage(stores.old, broken).bind(NAMESPACE)
        version = binding.get_versioned("key").version
        for remove in (
            lambda: binding.delete("key"),
            lambda: binding.delete_if_version("key", version),
            binding.clear,
        ):
            with pytest.raises(StorageError, match="is away"):
                remove()
            assert binding.get("key") == 1
    back = stores.worker()
    back.bind(NAMESPACE).delete("key")
    back.flip(wait=0)
    with pytest.raises(MissingKeyError):
        back.bind(NAMESPACE).get("key")


class Interrupted(SQLiteStorage):
    """A storage where `then` is called once, before the next `put_if_version`."""

    then: Any = None

    def bind(self, namespace: str) -> Any:
        binding = super().bind(namespace)
        put = binding.put_if_version

        def put_if_version(*args: Any, **options: Any) -> str | None:
            then, self.then = self.then, None
            if then is not None:
                then()
            return put(*args, **options)

        binding.put_if_version = put_if_version  # type: ignore[method-assign]  # that is the test
        return binding


def moves(old: SQLiteStorage, new: SQLiteStorage) -> Any:
    """The logic of one namespace of a worker that has noticed the flip."""
    return MigratingStorage(old, new).async_binding(NAMESPACE, asynchronous=False)


@pytest.mark.parametrize("was_copied", [True, False], ids=["copied before", "not copied before"])
@pytest.mark.parametrize("by", ["a worker", "a worker that was left behind"])
@pytest.mark.parametrize("while_", ["copied", "moved"])
def test_value_that_is_removed_while_it_is_moved_stays_removed(
    stores: Stores, tmp_path: Path, was_copied: bool, by: str, while_: str
) -> None:
    """It is removed after its copy is in the new storage and before the marker is in the old one."""
    stores.old.bind(NAMESPACE).put("key", 1)
    if was_copied:
        stores.new.bind(NAMESPACE).put("key", 1)
    if while_ == "moved":
        stores.enter("moving")
    worker = stores.worker()

    def remove() -> None:
        (worker if by == "a worker" else stores.old).bind(NAMESPACE).delete("key")

    with Interrupted(tmp_path / "new.db") as new, Interrupted(tmp_path / "old.db") as old:
        binding = moves(old, new)
        if while_ == "moved":
            old.then = remove
            assert drive(binding.move("key")) is False
        else:
            new.then = remove
            drive(binding.copy("key"))
    with pytest.raises(MissingKeyError):
        stores.new.bind(NAMESPACE).get("key")
    stores.worker().flip(wait=0)
    with pytest.raises(MissingKeyError):
        worker.bind(NAMESPACE).get("key")


def test_value_that_is_removed_after_another_process_moved_it_stays_removed(stores: Stores, tmp_path: Path) -> None:
    stores.old.bind(NAMESPACE).put("key", 1)
    stores.enter("moving")
    worker = stores.worker()

    def move_and_remove() -> None:
        assert drive(moves(stores.old, stores.new).move("key")) is True
        worker.bind(NAMESPACE).delete("key")

    for name in ("move", "copy"):
        with Interrupted(tmp_path / "new.db") as new:
            new.then = move_and_remove
            drive(getattr(moves(stores.old, new), name)("key"))
        with pytest.raises(MissingKeyError):
            worker.bind(NAMESPACE).get("key")
        stores.old.bind(NAMESPACE).put("key", 1)  # for the next


@pytest.mark.parametrize("was_copied", [True, False], ids=["copied before", "not copied before"])
def test_value_that_two_processes_move_stays(stores: Stores, tmp_path: Path, was_copied: bool) -> None:
    stores.old.bind(NAMESPACE).put("key", 1)
    if was_copied:
        stores.new.bind(NAMESPACE).put("key", 1)
    stores.enter("moving")
    with Interrupted(tmp_path / "new.db") as new, Interrupted(tmp_path / "old.db") as old:

        def move_in_another_process() -> None:
            assert drive(moves(stores.old, stores.new).move("key")) is True

        old.then = move_in_another_process
        assert drive(moves(old, new).move("key")) is False
    assert drive(moves(stores.old, stores.new).move("key")) is False
    assert stores.worker().bind(NAMESPACE).get("key") == 1


def test_value_whose_copy_another_process_replaced_before_the_swap_stays(stores: Stores, tmp_path: Path) -> None:
    """The first process copies, the second replaces that copy, the first swaps, the swap of the second loses."""
    stores.old.bind(NAMESPACE).put("key", 1)
    stores.enter("moving")
    first = threading.Event()
    replaced, swapped = threading.Event(), threading.Event()
    with Interrupted(tmp_path / "old.db") as old_of_first, Interrupted(tmp_path / "old.db") as old_of_second:

        def before_first_swap() -> None:
            first.set()
            assert replaced.wait(60)

        def before_second_swap() -> None:
            replaced.set()
            assert swapped.wait(60)

        old_of_first.then, old_of_second.then = before_first_swap, before_second_swap
        moved: list[bool] = []
        threads = [
            threading.Thread(target=lambda old=old: moved.append(drive(moves(old, stores.new).move("key"))))
            for old in (old_of_first, old_of_second)
        ]
        threads[0].start()
        assert first.wait(60)
        threads[1].start()
        threads[0].join()
        swapped.set()
        threads[1].join()
    assert moved == [True, False]
    assert stores.worker().bind(NAMESPACE).get("key") == 1
