"""Content keys: fetched once, kept for the user they were given to, and for nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from tests.encryption.fake_kms import CLUSTER, FakeKMS, key_answer
from webex.encryption.jose import Cipher
from webex.encryption.keys import KeyRing, UserKeys
from webex.errors import DecryptionError, KeyRevokedError, KMSError
from webex.runtime.event_loop import EventLoopRuntime
from webex.storage import MemoryStorage
from webex.storage.access import StorageAccess

URL = f"{CLUSTER}/keys/1"
T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 30))


def uris(kms: FakeKMS) -> list[str]:
    return [request["uri"] for request in kms.requests]


def test_a_key_is_fetched_once_also_by_many_at_the_same_time() -> None:
    async def main() -> None:
        kms = FakeKMS()
        keys = UserKeys("alice", kms.channel, KeyRing())
        assert keys.cached(URL) is None
        ciphers = await asyncio.gather(*(keys.get(URL) for _ in range(20)))
        assert len({id(cipher) for cipher in ciphers}) == 1
        assert await keys.get(URL) is keys.cached(URL)
        assert uris(kms) == [URL]

    run(main())


def test_another_user_asks_for_the_key_itself() -> None:
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


def test_the_ring_keeps_the_keys_that_were_used_last() -> None:
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


def test_a_key_that_went_from_the_ring_is_fetched_again() -> None:
    async def main() -> None:
        kms = FakeKMS()
        keys = UserKeys("alice", kms.channel, KeyRing(2))
        for number in (1, 2, 3, 1):
            await keys.get(f"{CLUSTER}/keys/{number}")
        assert len(kms.requests) == 4

    run(main())


def test_a_moved_key_is_followed_once_and_kept_under_its_old_name() -> None:
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


def test_a_revoked_key_is_told_and_not_kept() -> None:
    async def main() -> None:
        kms = FakeKMS(lambda body: {"status": 405, "errorCode": 405005})
        keys = UserKeys("alice", kms.channel, KeyRing())
        for count in (1, 2):
            with pytest.raises(KeyRevokedError):
                await keys.get(URL)
            assert len(kms.requests) == count

    run(main())


@pytest.mark.parametrize("url", ["", "https://kms.example.com/keys/1", None, 5])
def test_what_is_no_key_is_not_asked_for(url: Any) -> None:
    async def main() -> None:
        kms = FakeKMS()
        with pytest.raises(DecryptionError):
            await UserKeys("alice", kms.channel, KeyRing()).get(url)
        assert kms.posts == []

    run(main())


@pytest.mark.parametrize("key", [None, {}, {"jwk": {}}, {"jwk": {"k": "AAAA"}}, {"jwk": {"k": 5}}, [1]])
def test_a_key_that_can_not_be_used_is_told(key: Any) -> None:
    kms = FakeKMS(lambda body: {"status": 200, "key": key})
    with pytest.raises(KMSError):
        run(UserKeys("alice", kms.channel, KeyRing()).get(URL))


@pytest.mark.parametrize("keys", [None, [], [None], [{}], [{"uri": URL}], [{"uri": 5, "jwk": {"k": "A" * 43}}]])
def test_a_made_key_that_can_not_be_used_is_told(keys: Any) -> None:
    kms = FakeKMS(lambda body: {"status": 201, "keys": keys})
    with pytest.raises(KMSError):
        run(UserKeys("alice", kms.channel, KeyRing()).create())


def test_who_waits_for_a_key_when_it_closes_is_told() -> None:
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


def test_stored_keys_outlive_the_process_and_stay_one_users() -> None:
    async def main() -> None:
        storage = StorageAccess(MemoryStorage(), EventLoopRuntime())
        first, second, bob = FakeKMS(), FakeKMS(), FakeKMS()
        cipher = await UserKeys("alice", first.channel, KeyRing(), storage).get(URL)
        again = await UserKeys("alice", second.channel, KeyRing(), storage).get(URL)
        assert again.open(cipher.seal(b"text")) == b"text"
        assert second.posts == []
        await UserKeys("bob", bob.channel, KeyRing(), storage).get(URL)
        assert uris(bob) == [URL]

    run(main())


def test_a_stored_key_that_can_not_be_read_is_fetched_again() -> None:
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
