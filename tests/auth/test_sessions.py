"""The sessions of browsers: what is stored, how long it lives, and how all of one user are ended."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.storage.helpers import FakeRuntime, MovableClock
from webex.auth.login import User
from webex.auth.sessions import Sessions, WebSession
from webex.runtime import drive
from webex.storage import MemoryStorage, StorageAccess
from webex.storage.formats import NewerRecordError
from webex.storage.paths import path

ALICE = User("alice", "uuid-alice", "Alice", "alice@example.com")
DAY = 86400.0


class Browsers:
    """Sessions of one app over a memory whose clock a test moves."""

    def __init__(self, max_age: float = DAY, client_id: str = "app", storage: MemoryStorage | None = None) -> None:
        self.clock = MovableClock()
        self.storage = storage or MemoryStorage(clock=self.clock)
        runtime: Any = FakeRuntime("blocking", self.clock)
        self.access = StorageAccess(self.storage, runtime)
        self.sessions = Sessions(self.access, self.clock, client_id, max_age)
        self.stored = self.storage.bind("sessions")

    def begin(self, user: User = ALICE) -> str:
        return drive(self.sessions.begin(user))

    def find(self, session_id: str) -> WebSession | None:
        return drive(self.sessions.find(session_id))

    def key(self, session_id: str, client_id: str = "app") -> str:
        return path(client_id, hashlib.sha256(session_id.encode()).hexdigest())

    def stored_keys(self) -> list[str]:
        pages = self.stored.keys()
        return [key for page in pages for key in page]


def test_session_has_its_user_and_expiry() -> None:
    browsers = Browsers()
    began = browsers.clock.now
    session_id = browsers.begin()
    assert len(session_id) >= 43  # 32 random bytes
    expected = WebSession("alice", "uuid-alice", "Alice", "alice@example.com", began, began + DAY)
    assert browsers.find(session_id) == expected
    browsers.clock.advance(DAY - 1)
    assert browsers.find(session_id) == expected
    browsers.clock.advance(1)
    assert browsers.find(session_id) is None
    assert browsers.stored_keys() == []  # the storage forgets it by itself


def test_session_of_a_user_without_a_profile() -> None:
    browsers = Browsers()
    session = browsers.find(browsers.begin(User("alice")))
    assert session is not None
    assert (session.user_key, session.person_id, session.display_name, session.email) == ("alice", None, None, None)


def test_id_is_not_in_the_storage() -> None:
    browsers = Browsers()
    session_id = browsers.begin()
    assert session_id not in repr([(key, browsers.stored.get(key)) for key in browsers.stored_keys()])
    assert browsers.find(browsers.key(session_id).rpartition("/")[2]) is None


def test_ended_session_is_not_found_and_others_are_kept() -> None:
    browsers = Browsers()
    one, two = browsers.begin(), browsers.begin()
    assert one != two
    drive(browsers.sessions.end(one))
    drive(browsers.sessions.end(one))
    assert browsers.find(one) is None
    assert browsers.find(two) is not None


def test_sessions_of_another_app_are_separate() -> None:
    mine = Browsers()
    theirs = Browsers(client_id="other", storage=mine.storage)
    session_id = theirs.begin()
    assert mine.find(session_id) is None
    assert drive(mine.sessions.end_all("alice", search=True)) == 0
    assert theirs.find(session_id) is not None


@pytest.mark.parametrize("search", [False, True])
def test_all_sessions_of_one_user_are_ended(search: bool) -> None:
    browsers = Browsers()
    hers = [browsers.begin() for _ in range(3)]
    his = browsers.begin(User("bob"))
    assert drive(browsers.sessions.end_all("alice", search=search)) == 3
    assert [browsers.find(session_id) for session_id in hers] == [None] * 3
    assert browsers.find(his) is not None
    assert drive(browsers.sessions.end_all("alice", search=search)) == 0
    assert drive(browsers.sessions.end_all("bob")) == 1
    assert browsers.stored_keys() == []


def earlier(browsers: Browsers, session_id: str, **changes: Any) -> dict[str, Any]:
    """A session as an earlier version stored it, in no list."""
    record = {"user_key": "alice", "began": browsers.clock.now, "expires": browsers.clock.now + 60.0, **changes}
    browsers.stored.put(browsers.key(session_id), record)
    return record


def test_session_of_an_earlier_version_is_ended_by_a_search_only() -> None:
    browsers = Browsers()
    earlier(browsers, "old")
    earlier(browsers, "old of bob", user_key="bob")
    assert drive(browsers.sessions.end_all("alice")) == 0
    assert drive(browsers.sessions.end_all("alice", search=True)) == 1
    assert browsers.find("old") is None
    assert browsers.find("old of bob") is not None


def test_session_of_an_earlier_version_is_listed_when_it_is_used() -> None:
    browsers = Browsers()
    earlier(browsers, "old", display_name="Alice")
    found = browsers.find("old")
    assert found is not None
    assert (found.display_name, found.expires) == ("Alice", browsers.clock.now + 60.0)
    written = browsers.stored.get_versioned(browsers.key("old")).version
    assert browsers.find("old") == found
    assert browsers.stored.get_versioned(browsers.key("old")).version == written  # once
    assert drive(browsers.sessions.end_all("alice")) == 1
    assert browsers.find("old") is None


def test_late_listed_session_still_expires_in_time() -> None:
    browsers = Browsers()
    earlier(browsers, "old")
    assert browsers.find("old") is not None
    browsers.clock.advance(60)
    assert browsers.stored_keys() == [key for key in browsers.stored_keys() if "/of/" in key]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param("text", id="text"),
        pytest.param({"expires": 9e9, "listed": True}, id="without a user"),
        pytest.param({"user_key": 5, "expires": 9e9, "listed": True}, id="a number's"),
        pytest.param({"user_key": "alice", "listed": True}, id="without an end"),
        pytest.param({"user_key": "alice", "expires": 5, "listed": True}, id="ended"),
    ],
)
def test_invalid_session_record_is_ignored(record: Any) -> None:
    browsers = Browsers()
    browsers.stored.put(browsers.key("id"), record)
    assert browsers.find("id") is None
    assert browsers.find("unknown") is None


def test_record_of_a_later_version_is_refused() -> None:
    browsers = Browsers()
    earlier(browsers, "new", format=1000)
    with pytest.raises(NewerRecordError, match="browser session"):
        browsers.find("new")
    session_id = browsers.begin(User("bob"))
    of_bob = next(key for key in browsers.stored_keys() if "/of/" in key)
    browsers.stored.put(of_bob, {"sessions": {}, "format": 1000})
    with pytest.raises(NewerRecordError, match="sessions of user 'bob'"):
        drive(browsers.sessions.end_all("bob"))
    assert browsers.find(session_id) is not None


def test_session_list_drops_expired_entries_and_expires_with_the_last() -> None:
    browsers = Browsers(max_age=100.0)
    first = browsers.begin()
    browsers.clock.advance(60)
    second = browsers.begin()
    (listing,) = [key for key in browsers.stored_keys() if "/of/" in key]
    assert set(browsers.stored.get(listing)["sessions"]) == {
        browsers.key(each).rpartition("/")[2] for each in (first, second)
    }
    browsers.clock.advance(60)
    third = browsers.begin()
    entries = browsers.stored.get(listing)["sessions"]
    assert set(entries) == {browsers.key(each).rpartition("/")[2] for each in (second, third)}
    assert sorted(entries.values()) == [browsers.clock.now + 40, browsers.clock.now + 100]
    browsers.clock.advance(99)
    assert listing in browsers.stored_keys()
    browsers.clock.advance(1)
    assert browsers.stored_keys() == []


def test_session_list_lasts_as_long_as_its_longest_session() -> None:
    longer = Browsers(max_age=1000.0)
    session_id = longer.begin()
    runtime: Any = FakeRuntime("blocking", longer.clock)
    shorter = Sessions(
        StorageAccess(longer.storage, runtime), longer.clock, "app", 10.0
    )  # deployed with another setting
    drive(shorter.begin(ALICE))
    longer.clock.advance(500)
    assert drive(shorter.end_all("alice")) == 2
    assert longer.find(session_id) is None


@pytest.mark.parametrize("damaged", [None, [], {"sessions": []}, {"sessions": {"x": "soon"}}, {}], ids=repr)
def test_damaged_session_list_is_replaced(damaged: Any) -> None:
    browsers = Browsers()
    browsers.begin()
    (listing,) = [key for key in browsers.stored_keys() if "/of/" in key]
    browsers.stored.put(listing, damaged)
    session_id = browsers.begin()
    assert drive(browsers.sessions.end_all("alice")) == 1
    assert browsers.find(session_id) is None


def test_session_started_during_end_all_is_ended_too() -> None:
    browsers = Browsers()
    browsers.begin()
    late: list[str] = []
    delete = browsers.access.delete

    async def deleting(*arguments: Any, **options: Any) -> None:
        await delete(*arguments, **options)
        if not late:
            late.append(await browsers.sessions.begin(ALICE))

    browsers.access.delete = deleting  # type: ignore[method-assign]  # another process, in the middle of it
    assert drive(browsers.sessions.end_all("alice")) == 2
    assert browsers.find(late[0]) is None
