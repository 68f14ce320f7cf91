"""`webex tokens`: users are listed, shown and removed, and no token is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from webex import Integration
from webex.cli.group import webex
from webex.storage import EncryptedStorage, SQLiteStorage

DAY = 86_400.0
SECRETS = ("access-secret", "refresh-secret")


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEBEX_CLIENT_SECRET", "WEBEX_STORAGE_KEYS", "WEBEX_EMULATOR_URL", "WEBEX_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WEBEX_CLIENT_ID", "the-app")
    monkeypatch.setenv("WEBEX_STORAGE", str(tmp_path / "webex.db"))


def fill(storage: Any) -> None:
    """Store a user for each state."""
    now = time.time()
    with Integration(storage=storage, client_id="the-app", client_secret="s") as integration:
        for key, issued, ends, scope in (
            ("early", now - 80 * DAY, now + 10 * DAY, "spark:all"),
            ("late", now - DAY, now + 89 * DAY, "spark:all spark:kms"),
            ("over", now - 100 * DAY, now - 10 * DAY, "spark:all"),
        ):
            integration.adopt(
                key,
                {
                    "access_token": f"{SECRETS[0]}-{key}",
                    "refresh_token": f"{SECRETS[1]}-{key}",
                    "issued_at": issued,
                    "expires_at": issued + 14 * DAY,
                    "refresh_token_expires_at": ends,
                    "scope": scope,
                },
            )


@pytest.fixture
def users(tmp_path: Path) -> None:
    with SQLiteStorage(tmp_path / "webex.db") as storage:
        fill(storage)


def run(*arguments: str, **options: Any) -> Result:
    result = CliRunner().invoke(webex, ["tokens", *arguments], **options)
    assert not any(secret in result.output for secret in SECRETS)
    return result


def listed(*arguments: str) -> list[str]:
    result = run("list", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return sorted(each["key"] for each in json.loads(result.output)["users"])


def test_list_shows_the_state_of_the_tokens(users: None) -> None:
    lines = run("list").output.splitlines()
    assert lines[0].split() == ["user", "access", "token", "until", "sign-in", "ends"]
    states = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert states == {"early": "expired", "late": "fresh", "over": "expired"}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--expires-within", "14"], ["early", "over"]),
        (["--changed-within", "2"], ["late"]),
        (["--scope", "spark:kms"], ["late"]),
        (["--kind", "service_app"], []),
    ],
    ids=["expires", "changed", "scope", "kind"],
)
def test_list_accepts_filters(users: None, filters: list[str], found: list[str]) -> None:
    assert listed(*filters) == found


def test_list_for_a_wrong_app_names_the_one_that_is_there(users: None) -> None:
    assert "No users of the app 'other'. The storage has users of '" in run("list", "--client-id", "other").output


def test_list_reports_further_entries(users: None) -> None:
    assert "There are more" in run("list", "--limit", "2").output
    assert json.loads(run("list", "--limit", "2", "--json").output)["more"] is True


def test_show_lists_stored_records_without_tokens(users: None) -> None:
    output = run("show", "early").output
    assert "state: expired" in output
    assert "stored: credentials the-app/early" in output
    missing = run("show", "nobody")
    assert missing.exit_code == 1
    assert "nobody" in missing.output


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["show", "a\nb"], ["show", "a\nb", "--json"]])
def test_names_neither_move_the_cursor_nor_add_lines(tmp_path: Path, arguments: list[str]) -> None:
    with SQLiteStorage(tmp_path / "webex.db") as storage:
        with Integration(storage=storage, client_id="the-app", client_secret="s") as integration:
            integration.adopt("a\nb", {"access_token": "access-secret"})
            integration.adopt("\x1b[2J\x9b1A\u202e", {"access_token": "access-secret"})
    output = run(*arguments).output
    assert json.loads(output) if "--json" in arguments else "a\\nb" in output
    assert not any(mark in output for mark in "\x1b\x9b\u202e")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_names_are_printed_where_the_terminal_lacks_characters(tmp_path: Path, options: list[str]) -> None:
    with SQLiteStorage(tmp_path / "webex.db") as storage:
        with Integration(storage=storage, client_id="the-app", client_secret="s") as integration:
            integration.adopt("Zoë 山田 →", {"access_token": "access-secret"})
    ended = subprocess.run(
        [sys.executable, "-m", "webex", "tokens", "list", *options],
        env={**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    output = ended.stdout.decode("cp1252")
    assert (json.loads(output)["users"][0]["key"] == "Zoë 山田 →") if options else "Zo" in output


def test_purge_asks_for_confirmation(users: None) -> None:
    refused = run("purge", "early")
    assert refused.exit_code == 2
    assert "--yes" in refused.output
    assert listed() == ["early", "late", "over"]
    assert run("purge", "early", "unheard-of", "--yes").output == (
        "1 users were signed out. Nothing was stored for unheard-of.\n"
    )
    assert listed() == ["late", "over"]


def test_purge_removes_expired_sign_ins(users: None) -> None:
    assert json.loads(run("purge", "--ended", "--yes", "--json").output) == {"removed": ["over"], "unknown": []}
    assert listed() == ["early", "late"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["purge"], "Name the users"),
        (["purge", "early", "--revoke", "--yes"], "client_secret"),
        (["rotate-keys"], "WEBEX_STORAGE_KEYS"),
        (["lst"], "did you mean 'list'?"),
        (["frobnicate"], "there are list, purge, rotate-keys, show."),
        (["list", "--storage", "nowhere.db"], "There is no file 'nowhere.db'"),
        (["list", "--storage", "gopher://x"], "gopher://"),
        (["list", "--storage", "no_such_module:storage"], "no_such_module"),
        (["list", "--client-id", ""], "Which app?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_suggest_a_fix(users: None, arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert words in result.output
    assert "Traceback" not in result.output


def test_misspelled_command_is_named() -> None:
    result = CliRunner().invoke(webex, ["tokns"])
    assert result.exit_code == 2
    assert "did you mean 'tokens'?" in result.output


def test_keys_are_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = EncryptedStorage.generate_key(), EncryptedStorage.generate_key()
    with SQLiteStorage(tmp_path / "webex.db") as storage:
        fill(EncryptedStorage(storage, [old]))
    monkeypatch.setenv("WEBEX_STORAGE_KEYS", f"{new}, {old}")
    assert json.loads(run("rotate-keys", "--json").output)["encrypted"] == 3
    monkeypatch.setenv("WEBEX_STORAGE_KEYS", new)
    assert listed() == ["early", "late", "over"]
    assert old not in run("rotate-keys").output
    monkeypatch.setenv("WEBEX_STORAGE_KEYS", "password")
    wrong = run("rotate-keys")
    assert wrong.exit_code == 1
    assert "password" not in wrong.output
