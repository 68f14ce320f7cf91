"""States that carry a sign-in: who can open them, and how long one counts as used."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from tests.storage.helpers import FakeRuntime, MovableClock
from webex.auth.pending import PendingLogins
from webex.config import load_config
from webex.errors import ConfigurationError
from webex.ids import base64url_decode, base64url_encode
from webex.runtime import drive
from webex.storage import MemoryStorage, StorageAccess
from webex.storage.formats import NewerRecordError

LOGIN = {"browser": "b", "return_to": "/", "begun": 1.0}


class App:
    """One process of an app; the clock belongs to the storage."""

    def __init__(self, storage: Any, **settings: Any) -> None:
        config, _ = load_config({"client_id": "app", "client_secret": "secret", **settings}, None)
        runtime: Any = FakeRuntime("blocking")
        self.logins = PendingLogins(StorageAccess(storage, runtime), config)

    def write(self) -> str:
        return drive(self.logins.write(LOGIN))

    def read(self, state: str) -> Any:
        return drive(self.logins.read(state))


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def stored(storage: MemoryStorage) -> dict[str, Any]:
    binding = storage.bind("logins")
    pages = binding.keys()
    return {key: binding.get(key) for page in pages for key in page}


def test_state_is_read_by_every_process_of_the_app(storage: MemoryStorage) -> None:
    one, two = App(storage), App(storage)
    states = [one.write(), one.write(), two.write()]
    assert len(set(states)) == 3
    for state in states:
        assert one.read(state) == two.read(state) == App(storage).read(state) == LOGIN
    assert list(stored(storage)) == ["app/key"]
    assert stored(storage)["app/key"]["format"]
    assert len(base64url_decode(stored(storage)["app/key"]["key"])) == 32


def test_state_that_no_url_takes_is_refused(storage: MemoryStorage) -> None:
    with pytest.raises(ConfigurationError, match=r"user_key \(9,000 characters\)"):
        drive(App(storage).logins.write({**LOGIN, "user_key": "x" * 9000}))


@pytest.mark.parametrize(
    "settings", [{"client_secret": "another"}, {"client_id": "other"}], ids=["another secret", "another app"]
)
def test_state_is_not_read_by_another_app(storage: MemoryStorage, settings: dict[str, Any]) -> None:
    state = App(storage).write()
    other = App(storage, **settings)
    assert other.read(state) is None
    key = stored(storage)["app/key"]
    storage.bind("logins").put("other/key", key)  # even with the same key: the state is bound to its app
    assert other.read(state) is None


def test_any_changed_bit_is_detected(storage: MemoryStorage) -> None:
    app = App(storage)
    state = app.write()
    content = base64url_decode(state)
    for place in (0, 11, 12, 20, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        assert app.read(base64url_encode(bytes(changed))) is None


@pytest.mark.parametrize(
    "state",
    ["", "A", "AAAA", base64url_encode(bytes(12)), base64url_encode(bytes(13)), "é" * 20, "A" * 8001, "=" * 16],
    ids=["empty", "one", "short", "a nonce", "a nonce and a byte", "not ASCII", "long", "padding"],
)
def test_invalid_state_is_not_read(storage: MemoryStorage, state: str) -> None:
    app = App(storage)
    assert app.read(state) is None  # before there is a key
    app.write()
    assert app.read(state) is None


def test_state_has_one_spelling(storage: MemoryStorage) -> None:
    app = App(storage)
    state = app.write()
    for other in (f"{state}=", f"{state}==", f" {state}", f"{state}\n"):
        assert app.read(other) is None


def test_lost_key_invalidates_pending_logins_in_every_process(storage: MemoryStorage) -> None:
    one, two = App(storage), App(storage)
    before = one.write()
    assert two.read(before) == LOGIN
    storage.bind("logins").delete("app/key")
    after = two.write()
    assert one.read(after) == two.read(after) == LOGIN
    assert one.read(before) is None
    assert one.read(after) == LOGIN


@pytest.mark.parametrize(
    "damaged",
    ["text", {"key": "AAAA"}, {"key": 5}, {}, 5, base64url_encode(bytes(31)), {"key": base64url_encode(bytes(33))}],
    ids=["text", "short", "no text", "empty", "number", "31 bytes", "33 bytes"],
)
def test_damaged_key_is_replaced(storage: MemoryStorage, damaged: Any) -> None:
    storage.bind("logins").put("app/key", damaged)
    app = App(storage)
    state = app.write()
    assert app.read(state) == App(storage).read(state) == LOGIN
    assert len(base64url_decode(stored(storage)["app/key"]["key"])) == 32


def test_key_of_0_1_0_is_text_and_is_kept(storage: MemoryStorage) -> None:
    key = base64url_encode(bytes(range(32)))
    storage.bind("logins").put("app/key", key)
    state = App(storage).write()
    assert App(storage).read(state) == LOGIN
    assert stored(storage)["app/key"] == key


def test_key_of_a_later_version_is_refused(storage: MemoryStorage) -> None:
    storage.bind("logins").put("app/key", {"key": base64url_encode(bytes(32)), "format": 1000})
    with pytest.raises(NewerRecordError, match="key of an app's sign-ins"):
        App(storage).write()


def test_key_created_by_two_processes_at_once_is_one(storage: MemoryStorage) -> None:
    one, two = App(storage), App(storage)
    load, states = one.logins._load_key, []

    async def late() -> bytes | None:
        key = await load()
        if not states:
            states.append(await two.logins.write(LOGIN))  # between the look and the write
            return None
        return key

    one.logins._load_key = late  # type: ignore[method-assign]  # two processes, in this order
    states.append(one.write())
    assert [App(storage).read(state) for state in states] == [LOGIN, LOGIN]


def test_state_counts_as_used_for_its_lifetime() -> None:
    clock = MovableClock()
    storage = MemoryStorage(clock=clock)
    one, two = App(storage), App(storage)
    states = [one.write(), one.write()]
    assert drive(one.logins.mark_used(states[0], 60.0))
    assert not drive(two.logins.mark_used(states[0], 60.0))
    assert drive(two.logins.mark_used(states[1], 60.0))
    assert drive(App(storage, client_id="other").logins.mark_used(states[0], 60.0))
    used = "app/used/" + hashlib.sha256(states[0].encode()).hexdigest()
    assert used in stored(storage)  # under a hash: who reads the storage learns no state
    clock.advance(59)
    assert not drive(one.logins.mark_used(states[0], 60.0))
    clock.advance(1)
    assert list(stored(storage)) == ["app/key"]


def test_login_stored_by_0_1_0_is_used_once(storage: MemoryStorage) -> None:
    key = "app/" + hashlib.sha256(b"state").hexdigest()
    storage.bind("logins").put(key, LOGIN)
    assert drive(App(storage).logins.take_stored("state")) == LOGIN
    assert drive(App(storage).logins.take_stored("state")) is None


def test_derived_secrets_differ_by_purpose_state_and_browser() -> None:
    derive = PendingLogins.derive
    expected = hmac.digest(b"browser", b"verifier\0state", hashlib.sha256)
    assert derive("verifier", "state", "browser") == base64url_encode(expected)
    made = {
        derive(purpose, state, browser)
        for purpose in ("verifier", "nonce")
        for state in ("a", "b")
        for browser in ("c", "d\ud800")
    }
    assert len(made) == 8
