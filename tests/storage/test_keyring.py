"""`KeyringStorage` over a backend as narrow as that of Windows."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import keyring.backend
import keyring.backends.fail
import keyring.errors
import pytest

from tests.auth.conftest import sign_in
from tests.storage.test_conformance import asked_for
from webex import AsyncIntegration, Integration
from webex.emulator import Cloud
from webex.errors import ConfigurationError, StorageError
from webex.storage import KeyringStorage
from webex.storage.conformance import StorageConformance


class Narrow(keyring.backend.KeyringBackend):
    """Texts of 1,280 characters under names whose case does not count."""

    priority = 1  # type: ignore[assignment]  # as keyring's own backends do

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[tuple[str, str], str] = {}
        self.fails: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.fails:
            raise self.fails
        return self.texts.get((service.lower(), username.lower()))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.fails:
            raise self.fails
        if len(password) > 1280 or len(username) > 320:
            raise ValueError("too long")
        self.texts[service.lower(), username.lower()] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.texts.pop((service.lower(), username.lower()), None) is None:
            raise keyring.errors.PasswordDeleteError("not found")


@asked_for(KeyringStorage.capabilities)
class TestSuite(StorageConformance):
    style = "blocking"
    many = 60

    def make_storage(self) -> object:
        return KeyringStorage(backend=Narrow())


for _left_out in ("keeps_large_values", "gets_very_many"):  # megabytes in thousands of entries
    if hasattr(TestSuite, f"test_{_left_out}"):
        setattr(TestSuite, f"test_{_left_out}", None)


def test_removed_values_leave_no_parts() -> None:
    backend = Narrow()
    binding: Any = KeyringStorage(backend=backend).bind("credentials")
    for length in (10, 5000, 2000, 10):
        binding.put("key", "x" * length)
        assert binding.get("key") == "x" * length
    assert len(backend.texts) == 3
    binding.put("key", "x" * 5000)
    binding.delete("key")
    binding.clear()
    assert [text.partition(":")[2] for text in backend.texts.values()] == ["[]"]


def test_both_styles_sign_in_and_stay_signed_in(cloud: Cloud) -> None:
    backend = Narrow()
    with Integration(storage=KeyringStorage(backend=backend)) as integration:
        key = sign_in(integration, cloud)

    async def main() -> None:
        async with AsyncIntegration(storage=KeyringStorage(backend=backend)) as integration:
            assert (await integration.user(key).people.me()).emails == ["alice@example.com"]
            assert [each async for each in integration.users()] == [key]

    asyncio.run(main())


def test_machine_without_a_keyring_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keyring.get_keyring", keyring.backends.fail.Keyring)
    with pytest.raises(ConfigurationError, match=r"use EncryptedStorage\(SQLiteStorage"):
        KeyringStorage()


def test_failures_are_reported_without_the_value() -> None:
    backend = Narrow()
    binding: Any = KeyringStorage(backend=backend).bind("credentials")
    backend.fails = keyring.errors.KeyringLocked("locked")
    with pytest.raises(StorageError, match="the keyring Narrow is locked"):
        binding.get("key")
    secret = "s3" + "cret"
    backend.fails = keyring.errors.KeyringError("failed")
    with pytest.raises(StorageError, match="failed: KeyringError") as failed:
        binding.put("key", secret)
    assert secret not in "".join(traceback.format_exception(failed.value))


def test_a_missing_part_is_reported() -> None:
    backend = Narrow()
    binding: Any = KeyringStorage(backend=backend).bind("credentials")
    binding.put("key", "x" * 3000)
    del backend.texts[next(name for name in backend.texts if name[1].endswith(".2"))]
    with pytest.raises(StorageError, match="lacks a part"):
        binding.get("key")
    assert repr(KeyringStorage("mine", backend=backend)) == "KeyringStorage('mine')"
