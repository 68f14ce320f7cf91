"""The SQLite file: who may read it, what happens when it can't be used, threads, forks."""

from __future__ import annotations

import os
import pickle
import socket
import sqlite3
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.storage.helpers import MovableClock
from tests.support.forks import in_child, needs_fork
from webex.errors import ConfigurationError, MissingKeyError, StorageError
from webex.runtime import BlockingRuntime, drive
from webex.storage import SQLiteStorage, StorageAccess
from webex.storage.protocol import BusyError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "webex.db"


def test_only_the_owner_can_read_the_files(path: Path) -> None:
    storage = SQLiteStorage(path)
    storage.bind("credentials").put("key", 1)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"webex.db": 0o600, "webex.db-wal": 0o600, "webex.db-shm": 0o600}


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o666, 0o600])
def test_mode_of_an_existing_file_is_kept(path: Path, mode: int, caplog: pytest.LogCaptureFixture) -> None:
    sqlite3.connect(path).execute("CREATE TABLE theirs (x)").connection.close()
    path.chmod(mode)
    SQLiteStorage(path).bind("credentials").put("key", 1)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert ("others can read the storage" in caplog.text) == (mode != 0o600)


def test_modes_of_existing_side_files_are_kept(path: Path) -> None:
    with SQLiteStorage(path) as storage:
        storage.bind("credentials").put("key", 1)
    path.chmod(0o640)
    keeps_open = sqlite3.connect(path)
    keeps_open.execute("SELECT * FROM webex_values").fetchall()
    log = path.with_name("webex.db-wal")
    log.chmod(0o640)
    storage.bind("credentials").put("key", 2)
    assert stat.S_IMODE(log.stat().st_mode) == 0o640
    keeps_open.close()


@pytest.mark.parametrize("there", [False, True])
def test_new_file_behind_a_symlink_is_private(tmp_path: Path, there: bool) -> None:
    (tmp_path / "data").mkdir()
    real, link = tmp_path / "data" / "real.db", tmp_path / "link.db"
    link.symlink_to(real)
    if there:
        real.touch(0o644)
        real.chmod(0o644)
    previous = os.umask(0)
    try:
        storage = SQLiteStorage(link)
        storage.bind("credentials").put("key", 1)
    finally:
        os.umask(previous)
    assert link.is_symlink()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "data").iterdir()}
    expected = 0o644 if there else 0o600
    assert modes == {"real.db": expected, "real.db-wal": expected, "real.db-shm": expected}
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".webex")] == []


@pytest.mark.parametrize("kind", ["device", "link to a device", "pipe", "socket"])
def test_a_non_regular_file_is_refused_and_unchanged(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "storage"
    if kind == "device":
        path = Path("/dev/null")
    elif kind == "link to a device":
        path.symlink_to("/dev/null")
    elif kind == "pipe":
        os.mkfifo(path, 0o644)
    else:
        socket.socket(socket.AF_UNIX).bind(str(path))
    before = path.stat().st_mode

    with pytest.raises(ConfigurationError, match="no regular file"):
        SQLiteStorage(path).bind("credentials").put("key", 1)

    assert path.stat().st_mode == before
    assert {file.name for file in tmp_path.iterdir()} <= {"storage"}


def test_the_file_may_be_one_that_the_app_uses_itself(path: Path) -> None:
    theirs = sqlite3.connect(path)
    theirs.execute("CREATE TABLE theirs (x)")
    theirs.execute("PRAGMA user_version = 77")
    theirs.commit()
    SQLiteStorage(path).bind("credentials").put("key", 1)
    assert theirs.execute("PRAGMA user_version").fetchone() == (77,)
    theirs.close()


def test_nothing_is_opened_before_the_first_call(path: Path) -> None:
    SQLiteStorage(path).bind("credentials")
    assert not path.exists()


def test_close_leaves_one_file_and_a_later_call_reopens_it(path: Path) -> None:
    with SQLiteStorage(path) as storage:
        storage.bind("credentials").put("key", 1)
    storage.close()
    assert [file.name for file in path.parent.iterdir()] == ["webex.db"]
    assert storage.bind("credentials").get("key") == 1


@pytest.mark.parametrize("bad", [":memory:", "", "file:webex.db?mode=memory"])
def test_an_invalid_path_is_refused(bad: str) -> None:
    with pytest.raises(ConfigurationError):
        SQLiteStorage(bad)
    if bad == ":memory:":
        with pytest.raises(ConfigurationError, match="MemoryStorage"):
            SQLiteStorage(bad)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "missing" / "webex.db")
    with pytest.raises(ConfigurationError, match=r"does not exist: create .*missing"):
        storage.bind("credentials").put("key", 1)
    (tmp_path / "missing").mkdir()
    storage.bind("credentials").put("key", 1)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a directory"):
        SQLiteStorage(tmp_path).bind("credentials").put("key", 1)


def test_a_relative_path_is_resolved_at_construction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = SQLiteStorage("webex.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    storage.bind("credentials").put("key", 1)
    assert (tmp_path / "webex.db").exists()


def test_a_file_of_another_format_is_refused_and_unchanged(path: Path) -> None:
    text = b"this is no database, and never was\n" * 100
    path.write_bytes(text)
    with pytest.raises(StorageError, match=r"not an SQLite database.*Move it away"):
        SQLiteStorage(path).bind("credentials").get("key")
    assert path.read_bytes() == text


def test_a_damaged_file_is_reported(path: Path) -> None:
    with SQLiteStorage(path) as storage:
        for number in range(200):
            storage.bind("credentials").put(f"key{number}", "x" * 500)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(StorageError, match="damaged"):
        list(SQLiteStorage(path).bind("credentials").keys())


def test_a_file_of_a_newer_version_is_not_touched(path: Path) -> None:
    with SQLiteStorage(path) as storage:
        storage.bind("credentials").put("key", 1)
    other = sqlite3.connect(path)
    other.execute("UPDATE webex_state SET schema = 99")
    other.commit()
    other.close()
    with pytest.raises(StorageError, match=r"layout 99.*upgrade webex"):
        SQLiteStorage(path).bind("credentials").get("key")


def test_a_read_only_database_is_explained(path: Path) -> None:
    storage = SQLiteStorage(path)
    binding = storage.bind("credentials")
    binding.put("key", 1)
    storage.connections._mine().connected().execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="writable for the user"):
        binding.put("key", 2)
    assert binding.get("key") == 1


def test_an_invalid_value_of_another_program_is_a_storage_error(path: Path) -> None:
    storage = SQLiteStorage(path)
    storage.bind("credentials").put("key", 1)
    other = sqlite3.connect(path)
    other.execute("UPDATE webex_values SET value = x'ff00'")
    other.commit()
    other.close()
    with pytest.raises(StorageError, match="not JSON"):
        storage.bind("credentials").get("key")


def test_a_deleted_file_is_recreated(path: Path) -> None:
    storage = SQLiteStorage(path)
    storage.bind("credentials").put("key", 1)
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(MissingKeyError):
        storage.bind("credentials").get("key")
    storage.bind("credentials").put("key", 2)
    assert SQLiteStorage(path).bind("credentials").get("key") == 2


def test_a_deleted_value_is_gone_from_the_file(path: Path) -> None:
    with SQLiteStorage(path) as storage:
        storage.bind("credentials").put("key", {"access_token": "very secret token"})
        storage.bind("credentials").delete("key")
    assert b"very secret token" not in path.read_bytes()


def test_expired_values_are_removed(path: Path) -> None:
    clock = MovableClock()
    storage = SQLiteStorage(path, clock=clock)
    for number in range(100):
        storage.bind("logins").put(f"login{number}", 1, expires_in=600)
    clock.advance(601)
    for number in range(3):
        storage.bind("logins").put(f"new{number}", 1, expires_in=600)
    other = sqlite3.connect(path)
    assert other.execute("SELECT count(*) FROM webex_values").fetchone() == (3,)
    other.close()


def test_writes_are_synchronous_unless_durable_is_false(path: Path) -> None:
    storage = SQLiteStorage(path)

    def synchronous() -> int:
        level: int = storage.connections._mine().connected().execute("PRAGMA synchronous").fetchone()[0]
        return level

    binding = storage.bind("anything")
    binding.put("key", 1)
    assert synchronous() == 2  # FULL
    binding.put("key", 1, durable=False)
    assert synchronous() == 1  # NORMAL
    binding.delete("key")
    assert synchronous() == 2
    binding.put_if_version("key", 1, None, durable=False)
    assert synchronous() == 1
    binding.clear()
    assert synchronous() == 2
    binding.try_lease("work", 1)
    assert synchronous() == 1


def test_sign_ins_are_written_durably_and_checkpoints_are_not(path: Path) -> None:
    from webex.auth import CredentialStore
    from webex.auth.tokens import TokenSet
    from webex.config import Config

    class Recorded(SQLiteStorage):
        durable: list[tuple[str, bool]]

        def bind_nonwaiting(self, namespace: str) -> Any:
            binding = super().bind_nonwaiting(namespace)
            write = binding._write

            def recorded(function: Any, durable: bool) -> Any:
                self.durable.append((namespace, durable))
                return write(function, durable)

            binding._write = recorded  # type: ignore[method-assign]  # to see what was asked for
            return binding

    storage = Recorded(path)
    storage.durable = []
    access = StorageAccess(storage, BlockingRuntime())
    drive(CredentialStore(access, Config(client_id="C")).save_login("person", TokenSet("token")))
    drive(access.put("realtime", "head", 1, durable=False))
    assert storage.durable == [("credentials", True), ("realtime", False)]


def test_a_nonwaiting_binding_raises_busy_at_once_and_still_reads(path: Path) -> None:
    storage = SQLiteStorage(path, busy_timeout=60)
    storage.bind("credentials").put("key", 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    binding = storage.bind_nonwaiting("credentials")
    began = time.monotonic()
    with pytest.raises(BusyError):
        binding.put("key", 2)
    assert time.monotonic() - began < 30  # it did not wait for its turn, which takes twice as long
    assert binding.get("key") == 1
    other.execute("COMMIT")
    binding.put("key", 2)
    other.close()


def test_a_waiting_binding_writes_or_times_out(path: Path) -> None:
    storage = SQLiteStorage(path, busy_timeout=0.1)
    storage.bind("credentials").put("key", 1)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match=r"never our turn to write within 0\.1 s"):
        storage.bind("credentials").put("key", 2)

    patient = SQLiteStorage(path)
    writer = threading.Thread(target=lambda: patient.bind("credentials").put("key", 3))
    writer.start()
    other.execute("COMMIT")
    writer.join(timeout=60)
    assert storage.bind("credentials").get("key") == 3
    other.close()


def test_thread_connections_are_closed_with_their_threads(path: Path) -> None:
    storage = SQLiteStorage(path)
    storage.bind("credentials").put("key", 1)
    seen: list[object] = []

    def work() -> None:
        assert storage.bind("credentials").get("key") == 1
        seen.append(id(storage.connections._mine()))

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(storage.connections._records) == 1
    assert id(storage.connections._mine()) not in seen


def test_a_storage_can_be_pickled_to_another_process(path: Path) -> None:
    SQLiteStorage(path).bind("credentials").put("key", 1)
    again = pickle.loads(pickle.dumps(SQLiteStorage(path)))
    assert again.bind("credentials").get("key") == 1


@needs_fork
def test_a_forked_child_and_its_parent_open_separate_connections(path: Path) -> None:
    storage = SQLiteStorage(path)
    binding = storage.bind("credentials")
    binding.put("parent", 1)
    mine = storage.connections._mine()
    assert mine._connection is not None

    def child() -> None:
        assert storage.connections._mine() is not mine
        assert mine._connection is None
        assert binding.get("parent") == 1
        binding.put("child", 2)
        storage.close()

    assert in_child(child) == 0
    assert mine._connection is None  # closed before the fork, so that nothing was inherited
    assert binding.get("child") == 2
    binding.put("parent", 3)


@needs_fork
def test_exiting_children_do_not_affect_the_parents_writes(path: Path) -> None:
    storage = SQLiteStorage(path)
    binding = storage.bind("credentials")
    for number in range(5):
        binding.put(f"before{number}", number)
        assert in_child(lambda: binding.put(f"child{number}", number)) == 0  # noqa: B023
        binding.put(f"after{number}", number)
    storage.close()
    pages = SQLiteStorage(path).bind("credentials").keys()
    assert len([key for page in pages for key in page]) == 15


@needs_fork
def test_a_fork_waits_for_active_threads(path: Path) -> None:
    storage = SQLiteStorage(path)
    binding = storage.bind("logins")
    stop = threading.Event()
    counts = [0, 0]

    def work(number: int) -> None:
        while not stop.is_set():
            binding.put(f"thread{number}", counts[number])
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(8):
            assert in_child(lambda: binding.put(f"child{number}", 1)) == 0  # noqa: B023
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert all(binding.get(f"child{number}") == 1 for number in range(8))
    assert all(binding.get(f"thread{number}") == counts[number] - 1 for number in range(2))


@needs_fork
def test_a_connection_inherited_by_a_fork_is_never_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = SQLiteStorage(path)
    binding = storage.bind("credentials")
    binding.put("key", 1)
    monkeypatch.setattr(type(storage.connections), "before_fork", lambda self: None)
    monkeypatch.setattr(type(storage.connections), "after_fork", lambda self, in_child: None)
    inherited = storage.connections._mine()._connection
    assert inherited is not None

    def child() -> None:
        import gc

        from webex.storage import sqlite_connections

        assert binding.get("key") == 1
        gc.collect()
        assert inherited in sqlite_connections._left_alone
        inherited.execute("SELECT 1")  # still open, as nobody closed it
        storage.close()
        inherited.execute("SELECT 1")

    assert in_child(child) == 0
    binding.put("key", 2)
    assert binding.get("key") == 2


@needs_fork
def test_memory_storage_survives_a_fork_during_work() -> None:
    from webex.storage import MemoryStorage

    storage = MemoryStorage()
    binding = storage.bind("credentials")
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            binding.put("key", ["x"] * 50)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            assert in_child(lambda: binding.put("child", binding.get_versioned("key")[1])) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
