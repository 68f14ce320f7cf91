"""Signing out: what ends, and what stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.auth.conftest import sign_in
from tests.auth.leftovers import KEY, all_keys, begin_session, furnish, live_tokens
from webex import (
    AsyncIntegration,
    AuthenticationError,
    Integration,
    NotSignedInError,
    ReauthorizationRequiredError,
    Webex,
)
from webex.emulator import Cloud
from webex.errors import StorageError
from webex.realtime.records import device_path
from webex.storage import EncryptedStorage, MemoryStorage, SQLiteStorage
from webex.storage.access import path
from webex.storage.encrypted import EncryptedStorage as Encrypted

# What ends


def test_all_records_of_the_user_are_removed_and_others_are_kept(cloud: Cloud, tmp_path: Path) -> None:
    storage = EncryptedStorage(SQLiteStorage(tmp_path / "webex.db"), [KEY])
    with Integration(storage=storage) as integration:
        before: dict[str, set[tuple[str, str]]] = {}
        for key, who in (("customer-1", "alice"), ("customer-17", "bob"), ("customer-1/7", "admin")):
            login = integration.begin_login(user_key=key)
            integration.finish_login(cloud.sign_in(login.url, as_=who), browser=login.browser)
            seen = all_keys(storage)
            person = cloud.state.people[next(p.id for p in cloud.state.people.values() if p.email.startswith(who))].id
            furnish(integration, storage, key, person)
            before[key] = all_keys(storage) - seen
            before[key] |= {(n, k) for n, k in seen if n == "credentials" and k.endswith(path("", key))}
        assert set(integration.stored("customer-1")) == before["customer-1"]
        assert integration.sign_out("customer-1")
        app = {("app/notes", path(str(integration.config.client_id), "customer-1", "colour"))}
        assert all_keys(storage) == before["customer-17"] | before["customer-1/7"] | app
        assert integration.stored("customer-1") == list(app)
        assert integration.erase("customer-1") == []
        assert all_keys(storage) == before["customer-17"] | before["customer-1/7"]
        assert integration.user("customer-17").people.me().emails == ["bob@example.com"]


def test_records_of_a_uuid_still_signed_in_are_kept(cloud: Cloud) -> None:
    storage = MemoryStorage()
    with Integration(storage=storage) as integration:
        uuid_key = sign_in(integration, cloud)
        login = integration.begin_login(user_key="mine")
        integration.finish_login(cloud.sign_in(login.url), browser=login.browser)
        client_id = str(integration.config.client_id)
        head = path(client_id, uuid_key, "webex-python-sdk", "head")
        storage.bind("realtime").put(head, {"at": "x"})
        integration.sign_out("mine")
        assert ("realtime", head) in all_keys(storage)
        integration.sign_out(uuid_key)
        assert all_keys(storage) == set()


@pytest.mark.parametrize("style", ["blocking", "async"])
@pytest.mark.parametrize("trouble", [{"drop": True}, {"status": 500}, {"status": 200, "not_json": True}])
def test_a_user_is_signed_out_during_an_outage(
    cloud: Cloud, database: str, style: str, trouble: dict[str, Any]
) -> None:
    storage = SQLiteStorage(database)
    with Integration(storage=storage, refresh_deadline=1.0) as integration:
        key = sign_in(integration, cloud)
        furnish(integration, storage, key, key)
        url = f"{cloud.url}/wdm/api/v1/devices/1"
        device = device_path(str(integration.config.client_id), key, "webex-python-sdk")
        storage.bind("realtime").put(device, {"record": {"userId": key, "url": url}})
        cloud.faults.add("*", **trouble)
        if style == "blocking":
            assert integration.sign_out(key)
        else:

            async def main() -> bool:
                async with AsyncIntegration(storage=storage, refresh_deadline=1.0) as other:
                    return await other.sign_out(key)

            assert asyncio.run(main())
        assert not integration.is_signed_in(key)
        assert {namespace for namespace, _ in all_keys(storage)} == {"app/notes"}


def test_a_device_is_deleted_with_a_refreshed_token(cloud: Cloud, database: str) -> None:
    storage = SQLiteStorage(database)
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        with Webex(integration.user(key).get_user_token()) as client:
            registered = client.request("POST", f"{cloud.url}/wdm/api/v1/devices", json={"deviceType": "DESKTOP"})
        device = device_path(str(integration.config.client_id), key, "webex-python-sdk")
        storage.bind("realtime").put(device, {"record": registered.json()})
        assert len(cloud.state.devices) == 1
        cloud.clock.advance(14 * 86400 + 60)
        for each in cloud.state.devices.values():
            each.expires += 100 * 86400
        integration.sign_out(key)
        assert len(cloud.state.devices) == 0
        assert live_tokens(cloud) == []


def test_invalidate_deletes_the_tokens_without_revoking_them(cloud: Cloud) -> None:
    storage = MemoryStorage()
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        token = integration.user(key).get_user_token()
        integration.user(key).credentials.invalidate()
        assert all_keys(storage) == set()
        with Webex(token) as other:
            assert other.people.me().display_name == "Alice Example"


def test_a_record_that_is_unreadable_is_removed(cloud: Cloud, database: str) -> None:
    storage = SQLiteStorage(database)
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        name = path(str(integration.config.client_id), key)
        storage.bind("credentials").put(name, {"what": "is this"})
        with pytest.raises(StorageError):
            integration.is_signed_in(key)
        assert not integration.sign_out(key)
        assert all_keys(storage) == set()


def test_records_encrypted_with_a_lost_key_are_removed(cloud: Cloud, tmp_path: Path) -> None:
    inner = SQLiteStorage(tmp_path / "webex.db")
    with Integration(storage=EncryptedStorage(inner, [KEY])) as integration:
        key = sign_in(integration, cloud)
        furnish(integration, integration._app.storage.bounded, key, key)
    with Integration(storage=EncryptedStorage(inner, [Encrypted.generate_key()])) as integration:
        integration.sign_out(key)
    assert {namespace for namespace, _ in all_keys(inner)} <= {"app/notes", "sessions"}


def test_a_storage_that_fails_at_first_leaves_the_user_signed_in(cloud: Cloud) -> None:
    storage = MemoryStorage()
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)

        def broken(*_: Any, **__: Any) -> Any:
            raise OSError("the disk is full")

        storage.bind = lambda namespace: _Failing(MemoryStorage.bind(storage, namespace), broken)  # type: ignore[method-assign,assignment]  # a storage that breaks
        integration._app.access._bindings.clear()
        with pytest.raises(StorageError):
            integration.sign_out(key)
        del storage.bind
        integration._app.access._bindings.clear()
        assert integration.is_signed_in(key)
        assert live_tokens(cloud) != []


class _Failing:
    def __init__(self, inner: Any, put: Callable[..., Any]) -> None:
        self._inner, self.put_if_version = inner, put

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


# Browser sessions


def test_all_sessions_of_a_user_end_and_others_are_kept(cloud: Cloud) -> None:
    from webex.runtime import drive

    storage = MemoryStorage()
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        mine = [begin_session(integration, key) for _ in range(3)]
        theirs = begin_session(integration, "someone-else")
        sessions = integration._app.sessions
        assert integration.sign_out_everywhere(key) == 3
        assert [drive(sessions.find(each)) for each in mine] == [None] * 3
        assert drive(sessions.find(theirs)) is not None
        assert integration.is_signed_in(key)
        assert integration.sign_out_everywhere(key) == 0


def test_a_session_of_an_earlier_version_ends_too(cloud: Cloud) -> None:
    from webex.runtime import drive

    storage = MemoryStorage()
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        session = begin_session(integration, key)
        binding = storage.bind("sessions")
        pages = [name for page in binding.keys("") for name in page]
        for name in pages:
            value = binding.get(name)
            if "sessions" in value:
                binding.delete(name)
            else:
                binding.put(name, {k: v for k, v in value.items() if k != "listed"})
        assert drive(integration._app.sessions.find(session)) is not None
        integration.sign_out(key)
        assert all_keys(storage) == set()


# A refused consent


def test_the_refusal_marker_lasts_until_a_new_sign_in_or_erase(cloud: Cloud, database: str, expired: str) -> None:
    cloud.revoke_consent("alice")
    for _ in range(2):
        with Integration(storage=SQLiteStorage(database)) as integration:
            with pytest.raises(ReauthorizationRequiredError) as caught:
                integration.user(expired).people.me()
            assert caught.value.reason == "refused"
    with Integration(storage=SQLiteStorage(database)) as integration:
        assert sign_in(integration, cloud) == expired
        assert integration.user(expired).people.me().display_name == "Alice Example"
        cloud.revoke_consent("alice")
        with pytest.raises(ReauthorizationRequiredError):
            integration.user(expired).people.me()
        assert integration.erase(expired) == []
        with pytest.raises(NotSignedInError):
            integration.user(expired).people.me()


# Storages that can do less


class _Plain:
    """A storage of four methods, and `keys` where it is given."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.entries[key]

    def put(self, key: str, value: Any) -> None:
        self.entries[key] = value

    def delete(self, key: str) -> None:
        self.entries.pop(key, None)

    def clear(self) -> None:
        self.entries.clear()


@pytest.fixture
def plain() -> _Plain:
    return _Plain()


def test_a_minimal_storage_is_cleared_partly_with_a_warning(
    cloud: Cloud, plain: _Plain, caplog: pytest.LogCaptureFixture
) -> None:
    with Integration(storage=plain) as integration:
        key = sign_in(integration, cloud)
        begin_session(integration, key)
        client_id = str(integration.config.client_id)
        for part in ("head", "slot-0", "slot-1"):
            plain.entries[path("realtime", "") + path(client_id, key, "webex-python-sdk", part)] = {"n": 0}
        plain.entries[path("realtime", "") + device_path(client_id, key, "webex-python-sdk")] = {
            "record": {"userId": key}
        }
        assert integration.sign_out(key)
        assert [name for name in plain.entries if not name.startswith("logins")] == []
        assert "can't list its keys" in caplog.text
        with pytest.raises(NotSignedInError):
            integration.user(key).people.me()
        with pytest.raises(StorageError, match="list its keys"):
            integration.erase(key)


def test_the_token_of_a_signed_out_client_is_revoked(cloud: Cloud) -> None:
    with Webex(cloud.token_for("alice", client_id=cloud.env["WEBEX_CLIENT_ID"])) as client:
        client.logout()
        with pytest.raises(AuthenticationError):
            client.people.me()
