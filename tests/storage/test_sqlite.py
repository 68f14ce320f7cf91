"""The SQLite file: who may read it, what happens when it can't be used, threads, forks."""

from __future__ import annotations

import os
import pickle
import sqlite3
import stat
import threading
import time
from pathlib import Path

import pytest

from tests.storage.helpers import MovableClock
from webex.errors import ConfigurationError, MissingKeyError, StorageError
from webex.storage import SQLiteStorage
from webex.storage.protocol import BusyError

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "webex.db"


def in_child(work: object) -> int:
    """Run `work()` in a forked child; 0 when it returned."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()  # type: ignore[operator]  # it is called where it is an object
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_only_the_owner_can_read_the_files(path: Path) -> None:
    storage = SQLiteStorage(path)
    storage.bind("credentials").put("key", 1)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"webex.db": 0o600, "webex.db-wal": 0o600, "webex.db-shm": 0o600}


def test_an_existing_file_becomes_private(path: Path) -> None:
    sqlite3.connect(path).execute("CREATE TABLE theirs (x)").connection.close()
    path.chmod(0o644)
    SQLiteStorage(path).bind("credentials").put("key", 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


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


def test_close_leaves_one_file_and_a_later_call_opens_it_again(path: Path) -> None:
    with SQLiteStorage(path) as storage:
        storage.bind("credentials").put("key", 1)
    storage.close()
    assert [file.name for file in path.parent.iterdir()] == ["webex.db"]
    assert storage.bind("credentials").get("key") == 1


@pytest.mark.parametrize("bad", [":memory:", "", "file:webex.db?mode=memory"])
def test_what_is_no_path_is_refused(bad: str) -> None:
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


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a directory"):
        SQLiteStorage(tmp_path).bind("credentials").put("key", 1)


def test_a_relative_path_stays_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = SQLiteStorage("webex.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    storage.bind("credentials").put("key", 1)
    assert (tmp_path / "webex.db").exists()


def test_a_file_of_another_kind_is_refused_and_left_alone(path: Path) -> None:
    text = b"this is no database, and never was\n" * 100
    path.write_bytes(text)
    with pytest.raises(StorageError, match=r"not an SQLite database.*Move it away"):
        SQLiteStorage(path).bind("credentials").get("key")
    assert path.read_bytes() == text


def test_a_damaged_file_says_so(path: Path) -> None:
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


def test_a_read_only_database_says_what_to_change(path: Path) -> None:
    storage = SQLiteStorage(path)
    binding = storage.bind("credentials")
    binding.put("key", 1)
    storage._connections._mine().connected().execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="writable for the user"):
        binding.put("key", 2)
    assert binding.get("key") == 1


def test_a_value_that_another_program_wrote_is_an_error_and_not_a_crash(path: Path) -> None:
    storage = SQLiteStorage(path)
    storage.bind("credentials").put("key", 1)
    other = sqlite3.connect(path)
    other.execute("UPDATE webex_values SET value = x'ff00'")
    other.commit()
    other.close()
    with pytest.raises(StorageError, match="not JSON"):
        storage.bind("credentials").get("key")


def test_a_file_that_was_deleted_is_made_anew(path: Path) -> None:
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


def test_expired_values_are_swept_away(path: Path) -> None:
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


def test_a_lease_from_the_future_is_not_waited_for(path: Path) -> None:
    clock = MovableClock()
    binding = SQLiteStorage(path, clock=clock).bind("credentials")
    assert binding.try_lease("work", 30)
    clock.advance(-3600)  # the machine's clock was set right
    assert binding.lease_remaining("work") == 0.0
    assert binding.try_lease("work", 30)


def test_credentials_wait_for_the_disk_and_pending_logins_do_not(path: Path) -> None:
    storage = SQLiteStorage(path)

    def synchronous() -> int:
        level: int = storage._connections._mine().connected().execute("PRAGMA synchronous").fetchone()[0]
        return level

    storage.bind("credentials").put("key", 1)
    assert synchronous() == 2  # FULL
    storage.bind("logins").put("key", 1)
    assert synchronous() == 1  # NORMAL
    storage.bind("sessions").delete("key")
    assert synchronous() == 2
    storage.bind("credentials").try_lease("work", 1)
    assert synchronous() == 1


def test_a_nonwaiting_binding_says_busy_at_once_and_reads_all_the_same(path: Path) -> None:
    storage = SQLiteStorage(path)
    storage.bind("credentials").put("key", 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    binding = storage.bind_nonwaiting("credentials")
    began = time.monotonic()
    with pytest.raises(BusyError):
        binding.put("key", 2)
    assert time.monotonic() - began < 1
    assert binding.get("key") == 1
    other.execute("COMMIT")
    binding.put("key", 2)
    other.close()


def test_a_waiting_binding_gets_its_turn_or_says_after_a_while_that_it_did_not(path: Path) -> None:
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
    writer.join(timeout=10)
    assert storage.bind("credentials").get("key") == 3
    other.close()


def test_threads_have_connections_of_their_own_which_go_with_them(path: Path) -> None:
    storage = SQLiteStorage(path)
    storage.bind("credentials").put("key", 1)
    seen: list[object] = []

    def work() -> None:
        assert storage.bind("credentials").get("key") == 1
        seen.append(id(storage._connections._mine()))

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(storage._connections._records) == 1
    assert id(storage._connections._mine()) not in seen


def test_a_storage_can_be_sent_to_another_process(path: Path) -> None:
    SQLiteStorage(path).bind("credentials").put("key", 1)
    again = pickle.loads(pickle.dumps(SQLiteStorage(path)))
    assert again.bind("credentials").get("key") == 1


@forks
def test_a_forked_child_and_its_parent_open_connections_of_their_own(path: Path) -> None:
    storage = SQLiteStorage(path)
    binding = storage.bind("credentials")
    binding.put("parent", 1)
    mine = storage._connections._mine()
    assert mine._connection is not None

    def child() -> None:
        assert storage._connections._mine() is not mine
        assert mine._connection is None
        assert binding.get("parent") == 1
        binding.put("child", 2)
        storage.close()

    assert in_child(child) == 0
    assert mine._connection is None  # closed before the fork, so that nothing was inherited
    assert binding.get("child") == 2
    binding.put("parent", 3)


@forks
def test_children_that_end_by_themselves_do_not_harm_the_parents_writes(path: Path) -> None:
    storage = SQLiteStorage(path)
    binding = storage.bind("credentials")
    for number in range(5):
        binding.put(f"before{number}", number)
        assert in_child(lambda: binding.put(f"child{number}", number)) == 0  # noqa: B023
        binding.put(f"after{number}", number)
    storage.close()
    pages = SQLiteStorage(path).bind("credentials").keys()
    assert len([key for page in pages for key in page]) == 15


@forks
def test_a_fork_waits_for_threads_at_work_and_all_go_on(path: Path) -> None:
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


@forks
def test_a_connection_that_crossed_a_fork_unseen_is_never_touched(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = SQLiteStorage(path)
    binding = storage.bind("credentials")
    binding.put("key", 1)
    monkeypatch.setattr(type(storage._connections), "before_fork", lambda self: None)
    monkeypatch.setattr(type(storage._connections), "after_fork", lambda self, in_child: None)
    inherited = storage._connections._mine()._connection
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


@forks
def test_memory_survives_a_fork_in_the_midst_of_work() -> None:
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
