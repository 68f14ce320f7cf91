"""Content keys: fetched once, kept for the user they were given to, and for nobody else."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import pytest

from tests.encryption.fake_kms import CLUSTER, FakeKMS, key_answer
from tests.support.loops import run
from webex.encryption.jose import Cipher
from webex.encryption.keys import KeyRing, UserKeys
from webex.errors import DecryptionError, KeyRevokedError, KMSError
from webex.ids import base64url_encode
from webex.runtime.event_loop import EventLoopRuntime
from webex.storage import MemoryStorage
from webex.storage.access import StorageAccess

URL = f"{CLUSTER}/keys/1"
T = TypeVar("T")


def uris(kms: FakeKMS) -> list[str]:
    return [request["uri"] for request in kms.requests]


def test_concurrent_callers_fetch_a_key_once() -> None:
    async def main() -> None:
        kms = FakeKMS()
        keys = UserKeys("alice", kms.channel, KeyRing())
        assert keys.cached(URL) is None
        ciphers = await asyncio.gather(*(keys.get(URL) for _ in range(20)))
        assert len({id(cipher) for cipher in ciphers}) == 1
        assert await keys.get(URL) is keys.cached(URL)
        assert uris(kms) == [URL]

    run(main())


def test_another_user_fetches_the_key_separately() -> None:
    async def main() -> None:
        ring = KeyRing()
        alice, bob = FakeKMS(), FakeKMS(lambda body: {"status": 403, "reason": "Not authorized"})
        await UserKeys("alice", alice.channel, ring).get(URL)
        keys = UserKeys("bob", bob.channel, ring)
        assert keys.cached(URL) is None
        with pytest.raises(KMSError) as caught:
            await keys.get(URL)
        assert caught.value.status == 403
        assert uris(bob) == [URL]
        assert keys.cached(URL) is None

    run(main())


def test_the_key_ring_keeps_the_most_recently_used_keys() -> None:
    ring = KeyRing(3)
    ciphers = {name: Cipher(name.encode() * 32) for name in "abcd"}
    for name in "abc":
        ring.keep("alice", name, ciphers[name])
    assert ring.find("alice", "a") is ciphers["a"]
    ring.keep("alice", "d", ciphers["d"])
    assert len(ring) == 3
    assert ring.find("alice", "b") is None
    assert ring.find("alice", "a") is ciphers["a"]
    ring.drop("alice", "a")
    ring.drop("alice", "a")
    assert ring.find("alice", "a") is None


def test_an_evicted_key_is_fetched_again() -> None:
    async def main() -> None:
        kms = FakeKMS()
        keys = UserKeys("alice", kms.channel, KeyRing(2))
        for number in (1, 2, 3, 1):
            await keys.get(f"{CLUSTER}/keys/{number}")
        assert len(kms.requests) == 4

    run(main())


def test_a_moved_key_is_followed_once_and_cached_under_its_old_url() -> None:
    async def main() -> None:
        moved, twice = f"{CLUSTER}/keys/2", f"{CLUSTER}/keys/3"

        def answer(body: dict[str, Any]) -> dict[str, Any]:
            target = {URL: moved, twice: URL}.get(body["uri"])
            return {"status": 301, "errorCode": 301002, "redirectUri": target} if target else key_answer(body)

        kms = FakeKMS(answer)
        keys = UserKeys("alice", kms.channel, KeyRing())
        cipher = await keys.get(URL)
        assert keys.cached(URL) is cipher
        assert uris(kms) == [URL, moved]
        with pytest.raises(KMSError):
            await keys.get(twice)
        assert uris(kms) == [URL, moved, twice, URL]

    run(main())


def test_a_revoked_key_is_an_error_and_not_cached() -> None:
    async def main() -> None:
        kms = FakeKMS(lambda body: {"status": 405, "errorCode": 405005})
        keys = UserKeys("alice", kms.channel, KeyRing())
        for count in (1, 2):
            with pytest.raises(KeyRevokedError):
                await keys.get(URL)
            assert len(kms.requests) == count

    run(main())


@pytest.mark.parametrize("url", ["", "https://kms.example.com/keys/1", None, 5])
def test_an_invalid_key_url_is_not_requested(url: Any) -> None:
    async def main() -> None:
        kms = FakeKMS()
        with pytest.raises(DecryptionError):
            await UserKeys("alice", kms.channel, KeyRing()).get(url)
        assert kms.posts == []

    run(main())


@pytest.mark.parametrize("key", [None, {}, {"jwk": {}}, {"jwk": {"k": "AAAA"}}, {"jwk": {"k": 5}}, [1]])
def test_an_unusable_key_is_a_kms_error(key: Any) -> None:
    kms = FakeKMS(lambda body: {"status": 200, "key": key})
    with pytest.raises(KMSError):
        run(UserKeys("alice", kms.channel, KeyRing()).get(URL))


@pytest.mark.parametrize("keys", [None, [], [None], [{}], [{"uri": URL}], [{"uri": 5, "jwk": {"k": "A" * 43}}]])
def test_an_unusable_created_key_is_a_kms_error(keys: Any) -> None:
    kms = FakeKMS(lambda body: {"status": 201, "keys": keys})
    with pytest.raises(KMSError):
        run(UserKeys("alice", kms.channel, KeyRing()).create())


def test_closing_fails_pending_key_requests() -> None:
    async def main() -> None:
        kms = FakeKMS(lambda body: None)
        keys = UserKeys("alice", kms.channel, KeyRing())
        waiting = [asyncio.ensure_future(keys.get(URL)) for _ in range(3)]
        while not kms.requests:
            await asyncio.sleep(0.005)
        await keys.close()
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert type(result) is KMSError

    run(main())


def test_stored_keys_persist_and_belong_to_one_user() -> None:
    async def main() -> None:
        storage = StorageAccess(MemoryStorage(), EventLoopRuntime())
        first, second, bob = FakeKMS(), FakeKMS(), FakeKMS()
        cipher = await UserKeys("alice", first.channel, KeyRing(), storage).get(URL)
        again = await UserKeys("alice", second.channel, KeyRing(), storage).get(URL)
        assert again.decrypt(cipher.encrypt(b"text")) == b"text"
        assert second.posts == []
        await UserKeys("bob", bob.channel, KeyRing(), storage).get(URL)
        assert uris(bob) == [URL]

    run(main())


def test_an_unreadable_stored_key_is_fetched_again() -> None:
    async def main() -> None:
        storage = StorageAccess(MemoryStorage(), EventLoopRuntime())
        kms = FakeKMS()
        await UserKeys("alice", kms.channel, KeyRing(), storage).get(URL)
        async for name in storage.keys("keys"):
            await storage.put("keys", name, {"jwk": {"k": "AAAA"}})
        await UserKeys("alice", kms.channel, KeyRing(), storage).get(URL)
        assert uris(kms) == [URL, URL]
        await UserKeys("alice", kms.channel, KeyRing(), storage).get(URL)
        assert uris(kms) == [URL, URL]

    run(main())


def made(*keys: Any) -> FakeKMS:
    return FakeKMS(lambda body: {"status": 201, "keys": list(keys)})


def test_new_key_is_requested_and_cached() -> None:
    async def main() -> None:
        secret = base64url_encode(bytes(range(32)))
        kms = made({"uri": URL, "jwk": {"kty": "oct", "k": secret}})
        ring = KeyRing()
        url, cipher = await UserKeys("alice", kms.channel, ring).create()
        (request,) = kms.requests
        assert (request["method"], request["uri"], request["count"]) == ("create", "/keys", 1)
        assert url == URL
        assert ring.find("alice", URL) is cipher
        assert Cipher(bytes(range(32))).decrypt(cipher.encrypt(b"x")) == b"x"

    run(main())


@pytest.mark.parametrize(
    ("keys", "text"), [([], "made no key"), (["text"], "made no key"), ([{"jwk": {}}], "made a key without a name")]
)
def test_missing_new_key_is_a_kms_error(keys: list[Any], text: str) -> None:
    with pytest.raises(KMSError, match=text):
        run(UserKeys("alice", made(*keys).channel, KeyRing()).create())


@pytest.mark.parametrize(("client_id", "place"), [("app", "app/alice/"), ("", "alice/")])
def test_key_is_stored_for_one_app_and_one_person(client_id: str, place: str) -> None:
    async def main() -> None:
        storage = MemoryStorage()
        options: list[Any] = []
        access = StorageAccess(storage, EventLoopRuntime())
        put = access.put

        async def noting(*arguments: Any, **given: Any) -> None:
            options.append(given)
            await put(*arguments, **given)

        access.put = noting  # type: ignore[method-assign]  # notes what is asked of the storage
        keys = UserKeys("alice", FakeKMS().channel, KeyRing(), access, client_id=client_id)
        await keys.get(URL)
        pages = storage.bind("keys").keys()
        (name,) = [key for page in pages for key in page]
        assert name == place + base64url_encode(URL)
        assert storage.bind("keys").get(name)["jwk"]["kty"] == "oct"
        assert options == [{"durable": False}]  # it can be asked for again
        keys.forget()
        assert keys.cached(URL) is None
        later = FakeKMS()
        found = UserKeys("alice", later.channel, KeyRing(), access, client_id=client_id)
        await found.get(URL)
        assert later.requests == []
        for user, app in (("bob", client_id), ("alice", "other")):
            asked = FakeKMS()
            await UserKeys(user, asked.channel, KeyRing(), access, client_id=app).get(URL)
            assert uris(asked) == ([] if not client_id and user == "alice" else [URL])

    run(main())


def test_forgotten_keys_are_removed_from_the_storage() -> None:
    async def main() -> None:
        storage = MemoryStorage()
        keys = UserKeys("alice", FakeKMS().channel, KeyRing(), StorageAccess(storage, EventLoopRuntime()))
        keys.forget()
        await keys.get(URL)
        assert [*storage.bind("keys").keys()] == []
        keys.drop(URL)
        assert keys.cached(URL) is None

    run(main())


def test_key_ring_drops_one_user_only() -> None:
    ring = KeyRing(2)
    cipher = Cipher(bytes(32))
    for user, url in (("alice", "a"), ("alice", "b"), ("bob", "c")):
        ring.keep(user, url, cipher)
    assert len(ring) == 2
    assert ring.find("alice", "a") is None
    assert ring.find("alice", "b") is cipher
    ring.keep("bob", "d", cipher)
    assert ring.find("bob", "c") is None  # the least recently used
    ring.drop_user("alice")
    ring.drop("bob", "unknown")
    assert (len(ring), ring.find("bob", "d")) == (1, cipher)
