"""`webex storage`: check, migrate, count and copy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from webex.cli.group import webex
from webex.storage import EncryptedStorage, MigratingStorage, SQLiteStorage
from webex.storage.migration import Migration

STORAGES = "tests.command_line.storages"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEBEX_STORAGE", "WEBEX_STORAGE_KEYS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A file with values in two namespaces."""
    place = str(tmp_path / "webex.db")
    with SQLiteStorage(place) as storage:
        for number in range(5):
            storage.bind("credentials").put(f"app/user{number}", {"number": number})
        storage.bind("app/notes").put("note", "text", expires_in=3600)
    return place


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flip does not wait for workers, of which there are none here."""

    async def pause(*_: object) -> None:
        return None

    monkeypatch.setattr(Migration, "_pause", pause)


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(webex, ["storage", *arguments], **options)


def test_check_measures_and_cleans_up(database: str) -> None:
    result = run("check", "--storage", database)
    assert result.exit_code == 0, result.output
    assert "No problem was found." in result.output
    data = json.loads(run("check", "--storage", database, "--json").output)
    assert set(data["milliseconds"]) == {"put", "get", "swap", "lease"}
    assert "compare_and_swap" in data["capabilities"]
    assert json.loads(run("stats", "--storage", database, "--json").output)["namespaces"] == {
        "app/notes": 1,
        "credentials": 5,
    }


def test_check_fails_for_a_storage_without_leases() -> None:
    result = run("check", "--storage", f"{STORAGES}:plain")
    assert result.exit_code == 1
    assert "safe for one process only" in result.output


def test_storage_comes_from_the_environment_or_from_a_module(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBEX_STORAGE", database)
    assert run("stats").output.splitlines()[-1].split() == ["all", "6"]
    monkeypatch.setenv("STORAGE_OF_THE_TEST", database)
    assert run("stats", "--storage", f"{STORAGES}:file").output.splitlines()[-1].split() == ["all", "6"]


def test_migrate_creates_tables_and_is_idempotent(tmp_path: Path) -> None:
    url = f"sqlite+pysqlite:///{tmp_path / 'app.db'}"
    for _ in range(2):
        result = run("migrate", "--storage", url)
        assert result.exit_code == 0, result.output
        assert result.output == "The tables are there.\n"
    assert run("check", "--storage", url).exit_code == 0
    assert "nothing to migrate" in run("migrate", "--storage", str(tmp_path / "webex.db")).output


def test_migrate_creates_the_tables_of_a_storage_that_is_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_OF_THE_TEST", str(tmp_path / "app.db"))
    assert run("migrate", "--storage", f"{STORAGES}:encrypted_tables").output == "The tables are there.\n"


def test_copy_counts_first_and_copies_once(database: str, tmp_path: Path) -> None:
    target = str(tmp_path / "new.db")
    would = json.loads(run("copy", database, target, "--dry-run", "--json").output)
    assert (would["keys"], would["copied"]) == (6, 6)
    assert run("copy", database, target).output == "6 keys: 6 copied, 0 were there already.\n"
    assert run("copy", database, target).output == "6 keys: 0 copied, 6 were there already.\n"
    with SQLiteStorage(target) as storage:
        assert storage.bind("credentials").get("app/user3") == {"number": 3}


def test_flip_confirms_and_makes_the_new_storage_primary(database: str, tmp_path: Path) -> None:
    target = str(tmp_path / "new.db")
    asked = run("copy", database, target, "--flip")
    assert asked.exit_code == 2
    assert "--yes" in asked.output
    done = json.loads(run("copy", database, target, "--flip", "--yes", "--json").output)
    assert done["moved"] is not None
    with SQLiteStorage(target) as storage:
        assert storage.bind("credentials").get("app/user3") == {"number": 3}


def flip(source: str, target: str) -> Result:
    return run("copy", source, target, "--flip", "--yes", "--json")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key of an app whose values are encrypted."""
    made = EncryptedStorage.generate_key()
    monkeypatch.setenv("WEBEX_STORAGE_KEYS", made)
    return made


def test_flip_of_an_encrypted_app_keeps_its_workers_going(tmp_path: Path, key: str) -> None:
    files = [str(tmp_path / "old.db"), str(tmp_path / "new.db")]
    with SQLiteStorage(files[0]) as old, SQLiteStorage(files[1]) as new:
        worker = MigratingStorage(EncryptedStorage(old, [key]), EncryptedStorage(new, [key]))
        worker.bind("credentials").put("app/user", {"number": 1})
        worker.bind("sessions").put("session", "text", expires_in=3600)
        result = flip(*files)
        assert result.exit_code == 0, result.output
        assert worker.phase() == "moved"
        assert worker.bind("credentials").get("app/user") == {"number": 1}
        worker.bind("credentials").put("app/other", 2)
        alone = EncryptedStorage(new, [key])
        assert alone.bind("credentials").get_many(["app/user", "app/other"]) == {
            "app/user": {"number": 1},
            "app/other": 2,
        }
        assert 3590 < new.bind("sessions").time_left("session") <= 3600  # type: ignore[operator]  # it expires


def test_flip_without_the_keys_of_an_encrypted_app_is_refused(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [str(tmp_path / "old.db"), str(tmp_path / "new.db")]
    with SQLiteStorage(files[0]) as old, SQLiteStorage(files[1]) as new:
        worker = MigratingStorage(EncryptedStorage(old, [key]), EncryptedStorage(new, [key]))
        worker.bind("credentials").put("app/user", 1)
        monkeypatch.delenv("WEBEX_STORAGE_KEYS")
        refused = flip(*files)
        assert refused.exit_code == 2
        assert "FROM holds encrypted values" in refused.output
        assert "Set WEBEX_STORAGE_KEYS to the keys of the app" in refused.output
        assert worker.phase() is None
        assert worker.bind("credentials").get("app/user") == 1
        assert run("copy", *files).exit_code == 0  # as it is stored
        MigratingStorage(worker.old, worker.new).flip(wait=0)
        again = run("copy", *files)
        assert (again.exit_code, "it may be encrypted" in again.output) == (1, True), again.output


def test_flip_with_keys_that_the_app_does_not_use_is_refused(database: str, tmp_path: Path, key: str) -> None:
    refused = flip(database, str(tmp_path / "new.db"))
    assert refused.exit_code == 2
    assert "FROM holds values that are not encrypted" in refused.output
    with SQLiteStorage(database) as storage:
        assert storage.bind("credentials").get("app/user0") == {"number": 0}


def test_storage_of_the_app_that_encrypts_is_not_encrypted_twice(
    tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_OF_THE_TEST", str(tmp_path / "old.db"))
    with SQLiteStorage(tmp_path / "old.db") as old, SQLiteStorage(tmp_path / "new.db") as new:
        EncryptedStorage(old, [key]).bind("credentials").put("app/user", 1)
        result = flip(f"{STORAGES}:encrypted_file", str(tmp_path / "new.db"))
        assert result.exit_code == 0, result.output
        assert EncryptedStorage(new, [key]).bind("credentials").get("app/user") == 1


@pytest.mark.parametrize("interrupted_at", ["moving", "moved"])
def test_interrupted_flip_can_be_repeated(database: str, tmp_path: Path, interrupted_at: str) -> None:
    class InterruptedByTest(Exception):
        pass

    def interrupt(_: object) -> None:
        raise InterruptedByTest

    target = str(tmp_path / "new.db")
    with SQLiteStorage(database) as old, SQLiteStorage(target) as new:
        worker = MigratingStorage(old, new)
        if interrupted_at == "moving":
            with pytest.raises(InterruptedByTest):
                worker.flip(wait=0, progress=interrupt)
        else:
            worker.flip(wait=0)
        refused = run("copy", database, target)
        assert refused.exit_code == 2
        assert "Give --flip" in refused.output
        result = flip(database, target)
        assert result.exit_code == 0, result.output
        assert json.loads(result.output)["resumed"] is True
        assert stores_of(worker) == 6
        assert worker.phase() == "moved"
        assert "were moved to" in run("stats", "--storage", database).output


def stores_of(worker: MigratingStorage) -> int:
    """How many values the new storage holds."""
    new: Any = worker.new
    return sum(len(page) for namespace in new.namespaces() for page in new.bind(namespace).keys(page_size=10))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "WEBEX_STORAGE"),
        (["chekc", "--storage", "x"], "did you mean 'check'?"),
        (["copy", "a.db", "b.db"], "There is no file 'a.db'"),
        (["copy", "a.db", "b.db", "--flip", "--dry-run"], "--dry-run or --flip"),
        (["check", "--storage", "sqlite+pysqlite:////no/such/folder/a.db"], "unable to open database file"),
        (["stats", "--storage", f"{STORAGES}:plain"], "can't list its namespaces"),
        (["check", "--storage", "nonsense+driver://x"], "SQLAlchemy"),
        (["check", "--storage", "nonsense://x"], "No storage has addresses"),
        (["check", "--storage", "mssql+pyodbc://x/y"], "needs pyodbc, which is not installed"),
        (["check", "--storage", "no_such_module:storage"], "there is no module 'no_such_module'"),
        (["check", "--storage", f"{STORAGES}:missing"], "has no 'missing'"),
        (["check", "--storage", "redis://127.0.0.1:1/0"], "can't be reached"),
    ],
    ids=lambda value: value[0] + str(len(value)) if isinstance(value, list) else "",
)
def test_errors_suggest_a_fix(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert words in result.output
    assert "Traceback" not in result.output
