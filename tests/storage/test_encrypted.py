"""Encrypted values: never readable, never movable, and keys can be rotated."""

from __future__ import annotations

import asyncio
import base64
import os
import traceback
from pathlib import Path
from typing import Any

import pytest

from tests.storage.helpers import AsyncMemory, DictAdapter
from webex.errors import ConfigurationError, DecryptionError, MissingKeyError
from webex.storage import EncryptedStorage, MemoryStorage, SQLiteStorage

OLD, NEW = EncryptedStorage.generate_key(), EncryptedStorage.generate_key()
SECRET = {"access_token": "very secret token", "n": 1}


def encrypted_text(inner: Any, namespace: str = "credentials", key: str = "key") -> str:
    text = inner.bind(namespace).get(key)
    assert isinstance(text, str)
    return text


def test_the_inner_storage_gets_no_plain_text() -> None:
    inner = MemoryStorage()
    EncryptedStorage(inner, [OLD]).bind("credentials").put("key", SECRET)
    assert "secret" not in encrypted_text(inner)
    assert encrypted_text(inner).startswith("webex1.")


def test_the_file_contains_no_plain_text(tmp_path: Path) -> None:
    storage = EncryptedStorage(SQLiteStorage(tmp_path / "webex.db"), [OLD])
    storage.bind("credentials").put("key", SECRET)
    assert storage.bind("credentials").get("key") == SECRET
    for file in tmp_path.iterdir():
        assert b"very secret token" not in file.read_bytes()


def test_equal_values_have_different_ciphertexts() -> None:
    inner = MemoryStorage()
    binding = EncryptedStorage(inner, [OLD]).bind("credentials")
    texts = set()
    for _ in range(5):
        binding.put("key", SECRET)
        texts.add(encrypted_text(inner))
    assert len(texts) == 5


def test_a_changed_value_is_refused() -> None:
    inner = MemoryStorage()
    binding = EncryptedStorage(inner, [OLD]).bind("credentials")
    binding.put("key", SECRET)
    head, key_id, body = encrypted_text(inner).split(".")
    raw = bytearray(base64.urlsafe_b64decode(body))
    for position in (0, 11, 12, len(raw) // 2, len(raw) - 1):
        changed = bytearray(raw)
        changed[position] ^= 1
        inner.bind("credentials").put("key", f"{head}.{key_id}.{base64.urlsafe_b64encode(changed).decode()}")
        with pytest.raises(DecryptionError, match="was changed"):
            binding.get("key")
        with pytest.raises(DecryptionError, match="was changed"):
            binding.get_versioned("key")


@pytest.mark.parametrize("text", ["", "webex1", "webex1..", "webex1.x.y", 7, None, {"access_token": "x"}, ["webex1"]])
def test_an_unencrypted_value_is_refused(text: Any) -> None:
    inner = MemoryStorage()
    inner.bind("credentials").put("key", text)
    with pytest.raises(DecryptionError):
        EncryptedStorage(inner, [OLD]).bind("credentials").get("key")


@pytest.mark.parametrize("body", ["", "AAAA", "not base64!", "é", "A" * 15])
def test_a_truncated_value_is_refused(body: str) -> None:
    inner = MemoryStorage()
    storage = EncryptedStorage(inner, [OLD])
    storage.bind("credentials").put("key", SECRET)
    head, key_id, _ = encrypted_text(inner).split(".")
    inner.bind("credentials").put("key", f"{head}.{key_id}.{body}")
    with pytest.raises(DecryptionError):
        storage.bind("credentials").get("key")


@pytest.mark.parametrize(
    ("namespace", "key"),
    [("credentials", "other"), ("sessions", "key"), ("credential", "skey"), ("credentialsk", "ey")],
)
def test_a_value_moved_to_another_key_is_refused(namespace: str, key: str) -> None:
    inner = MemoryStorage()
    storage = EncryptedStorage(inner, [OLD])
    storage.bind("credentials").put("key", SECRET)
    inner.bind(namespace).put(key, encrypted_text(inner))
    with pytest.raises(DecryptionError, match="moved"):
        storage.bind(namespace).get(key)


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    inner = MemoryStorage()
    EncryptedStorage(inner, [OLD]).bind("credentials").put("key", SECRET)
    both = EncryptedStorage(inner, [NEW, OLD]).bind("credentials")
    assert both.get("key") == SECRET
    both.put("new", SECRET)
    assert EncryptedStorage(inner, [NEW]).bind("credentials").get("new") == SECRET


def test_a_value_of_a_removed_key_names_the_key() -> None:
    inner = MemoryStorage()
    EncryptedStorage(inner, [OLD]).bind("credentials").put("key", SECRET)
    wanted = encrypted_text(inner).split(".")[1]
    with pytest.raises(DecryptionError, match=wanted) as caught:
        EncryptedStorage(inner, [NEW]).bind("credentials").get("key")
    assert OLD not in str(caught.value)


def test_reencrypt_replaces_the_old_key(tmp_path: Path) -> None:
    inner = SQLiteStorage(tmp_path / "webex.db")
    old = EncryptedStorage(inner, [OLD])
    for number in range(700):
        old.bind("credentials").put(f"key{number}", number)
    old.bind("sessions").put("session", SECRET, expires_in=600)
    both = EncryptedStorage(inner, [NEW, OLD])
    both.bind("credentials").put("fresh", 1)

    assert both.reencrypt("credentials", "sessions") == 701
    assert both.reencrypt("credentials", "sessions") == 0

    new = EncryptedStorage(inner, [NEW])
    assert [new.bind("credentials").get(f"key{number}") for number in range(700)] == list(range(700))
    assert new.bind("sessions").get("session") == SECRET


def test_reencrypt_keeps_the_expiry(tmp_path: Path) -> None:
    from tests.storage.helpers import MovableClock

    clock = MovableClock()
    inner = MemoryStorage(clock=clock)
    EncryptedStorage(inner, [OLD]).bind("logins").put("login", SECRET, expires_in=600)
    EncryptedStorage(inner, [NEW, OLD]).reencrypt("logins")
    binding = EncryptedStorage(inner, [NEW]).bind("logins")
    assert binding.get("login") == SECRET
    clock.advance(601)
    with pytest.raises(MissingKeyError):
        binding.get("login")


def test_reencrypt_keeps_a_newer_value() -> None:
    inner = MemoryStorage()
    EncryptedStorage(inner, [OLD]).bind("credentials").put("key", "old")

    class Overtaken(MemoryStorage):
        """Somebody writes between the read and the write of reencrypt, once."""

        done = False

        def bind(self, namespace: str) -> Any:
            binding = inner.bind(namespace)
            swap = binding.put_if_version

            def overtaken(*args: Any, **options: Any) -> Any:
                if not Overtaken.done:
                    Overtaken.done = True
                    EncryptedStorage(inner, [OLD]).bind(namespace).put("key", "newer")
                return swap(*args, **options)

            binding.put_if_version = overtaken  # type: ignore[method-assign]  # that is the point
            return binding

    assert EncryptedStorage(Overtaken(), [NEW, OLD]).reencrypt("credentials") == 1
    assert EncryptedStorage(inner, [NEW]).bind("credentials").get("key") == "newer"


def test_reencrypt_of_an_asynchronous_storage_is_awaited() -> None:
    async def main() -> None:
        inner = AsyncMemory()
        await EncryptedStorage(inner, [OLD]).bind("credentials").put("key", SECRET)
        both = EncryptedStorage(inner, [NEW, OLD])
        work = both.reencrypt("credentials")
        assert not isinstance(work, int)
        assert await work == 1
        assert await EncryptedStorage(inner, [NEW]).bind("credentials").get("key") == SECRET

    asyncio.run(main())


def test_former_name_of_reencrypt_warns() -> None:
    inner = MemoryStorage()
    EncryptedStorage(inner, [OLD]).bind("credentials").put("key", SECRET)
    with pytest.warns(DeprecationWarning, match="reencrypt") as caught:
        assert EncryptedStorage(inner, [NEW, OLD]).reseal("credentials") == 1
    assert caught[0].filename == __file__


def test_reencrypt_refuses_an_adapter_without_scan_and_swap() -> None:
    with pytest.raises(ConfigurationError, match="scan and no compare_and_swap"):
        EncryptedStorage(DictAdapter(), [OLD]).reencrypt("credentials")


@pytest.mark.parametrize(
    "key",
    [
        "correct horse battery staple",
        "0123456789abcdef0123456789abcdef",
        b"0123456789abcdef0123456789abcdef",
        base64.b64encode(b"a passphrase of thirty-two bytes").decode(),
        bytes(32),
        b"\xff" * 32,
        bytes(range(200, 231)),
        bytes(range(200, 216)),
        "",
        b"",
        12,
        None,
    ],
)
def test_a_weak_key_is_refused_without_being_shown(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="generate_key") as caught:
        EncryptedStorage(MemoryStorage(), [NEW, key])
    assert "key 2" in str(caught.value)
    if isinstance(key, str) and key:
        assert key not in str(caught.value)


@pytest.mark.parametrize("keys", [[], (), "text", b"bytes", base64.b64encode(bytes(range(32))).decode(), None, 1])
def test_keys_are_a_list_of_at_least_one(keys: Any) -> None:
    with pytest.raises(ConfigurationError):
        EncryptedStorage(MemoryStorage(), keys)


def test_a_key_may_be_bytes_or_any_base64() -> None:
    raw = b"\xfb\xff" + os.urandom(30)
    forms: list[Any] = [
        raw,
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        f" {base64.b64encode(raw).decode()}\n",
    ]
    inner = MemoryStorage()
    EncryptedStorage(inner, [raw]).bind("credentials").put("key", SECRET)
    for form in forms:
        assert EncryptedStorage(inner, [form]).bind("credentials").get("key") == SECRET


def test_no_repr_and_no_traceback_shows_a_key_or_a_value() -> None:
    inner = MemoryStorage()
    storage = EncryptedStorage(inner, [OLD])
    storage.bind("credentials").put("key", SECRET)
    inner.bind("credentials").put("key", encrypted_text(inner)[:-4] + "AAAA")
    shown = repr(storage) + repr(storage.bind("credentials")) + repr(vars(storage))
    try:
        storage.bind("credentials").get("key")
    except DecryptionError:
        shown += traceback.format_exc()
    assert OLD not in shown
    assert "very secret token" not in shown


def test_capabilities_are_those_of_the_inner_storage(tmp_path: Path) -> None:
    sqlite = SQLiteStorage(tmp_path / "webex.db")
    assert EncryptedStorage(sqlite, [OLD]).capabilities == sqlite.capabilities
    assert EncryptedStorage(DictAdapter(), [OLD]).capabilities.lease is False
