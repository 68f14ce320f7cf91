"""Refreshed tokens that the storage did not take are served, saved later, and never saved over something newer."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.auth.scripted import (
    EXPIRED,
    KEY,
    STYLES,
    FailingStorage,
    PassingClock,
    Process,
    ScriptedEndpoint,
    run,
    tokens,
)
from webex import NotSignedInError, ReauthorizationRequiredError
from webex.errors import DeadlineError, InvalidGrantError, StorageError
from webex.runtime import drive
from webex.storage import MemoryStorage, SQLiteStorage


def fill_disk_after_refresh(storage: FailingStorage, number: int = 2) -> Any:
    def answer() -> Any:
        storage.full = True
        return tokens(number)

    return answer


async def unsaved(style: str, storage: FailingStorage, **settings: Any) -> Process:
    """A process that has refreshed tokens which the storage did not take."""
    endpoint = ScriptedEndpoint(fill_disk_after_refresh(storage), InvalidGrantError("invalid_grant", status=400))
    process = Process(style, endpoint, storage, **settings)
    await process.store.save_login(KEY, EXPIRED)
    assert await process.tokens.access_token(KEY) == "access-2"
    return process


async def stored_token(process: Process) -> str:
    record = await process.store.load(KEY)
    assert record is not None
    return record.tokens.access_token


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_tokens_that_could_not_be_saved_are_served_and_saved_later(style: str, kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        storage = FailingStorage(SQLiteStorage(tmp_path / "webex.db") if kind == "sqlite" else MemoryStorage())
        process = await unsaved(style, storage)
        assert await process.tokens.access_token(KEY) == "access-2"
        assert await stored_token(process) == "access-1"
        storage.full = False
        while await stored_token(process) == "access-1":
            assert await process.tokens.access_token(KEY) == "access-2"
            await process.runtime.sleep(0.02)
        record = await process.store.load(KEY)
        assert record is not None
        assert (record.tokens.access_token, record.attempt, record.refused) == ("access-2", None, None)
        assert process.endpoint.sent == ["refresh-1"]
        await process.tokens.aclose()
        await process.runtime.aclose()

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_unsaved_tokens_are_saved_in_the_background(style: str) -> None:
    async def main() -> None:
        storage = FailingStorage()
        process = await unsaved(style, storage)
        storage.full = False
        give_up = time.monotonic() + 60
        while await stored_token(process) == "access-1":
            assert time.monotonic() < give_up
            await process.runtime.sleep(0.02)
        await process.tokens.aclose()
        await process.runtime.aclose()

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_closing_saves_unsaved_tokens(style: str) -> None:
    async def main() -> None:
        storage = FailingStorage()
        process = await unsaved(style, storage)
        storage.full = False
        await process.tokens.aclose()
        await process.runtime.aclose()
        assert await stored_token(process) == "access-2"

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_closing_ends_while_the_storage_is_still_full(style: str) -> None:
    async def main() -> None:
        process = await unsaved(style, FailingStorage())
        await process.tokens.aclose()
        await process.runtime.aclose()

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_unsaved_tokens_are_used_while_the_storage_hangs(style: str) -> None:
    async def main() -> None:
        storage = FailingStorage()
        process = await unsaved(style, storage, storage_grace=60)
        clock = process.runtime.clock = PassingClock()
        clock.now = process.tokens._unsaved._pending[KEY].answered_at
        storage.silent = True
        clock.now += 59
        assert await process.tokens.access_token(KEY) == "access-2"
        clock.now += 2
        with pytest.raises(StorageError):
            await process.tokens.access_token(KEY)
        storage.silent = False  # full, but it answers: the tokens are known to be the newest
        assert await process.tokens.access_token(KEY) == "access-2"
        storage.silent = True
        clock.now += 59
        assert await process.tokens.access_token(KEY) == "access-2"
        await process.tokens.aclose()
        await process.runtime.aclose()

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("gone", ["signed out", "signed in anew"])
def test_unsaved_tokens_of_a_signed_out_user_are_revoked(style: str, gone: str) -> None:
    async def main() -> None:
        storage = FailingStorage()
        process = await unsaved(style, storage)
        other = Process(style, ScriptedEndpoint(), storage.inner)
        if gone == "signed out":
            await other.store.remove_unread(KEY)
            with pytest.raises(NotSignedInError):
                await process.tokens.access_token(KEY)
        else:
            await other.store.save_login(KEY, tokens(9))
            assert await process.tokens.access_token(KEY) == "access-9"
        assert sorted(process.endpoint.revoked) == ["access-2", "refresh-2"]
        storage.full = False
        await process.tokens.aclose()
        await process.runtime.aclose()
        if gone == "signed in anew":
            assert await stored_token(process) == "access-9"
        else:
            assert await process.store.load(KEY) is None

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_newer_tokens_of_another_process_win_over_unsaved_ones(style: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        storage = FailingStorage()
        process = await unsaved(style, storage)
        other = Process(style, ScriptedEndpoint(), storage.inner)
        record = await other.store.load(KEY)
        assert record is not None
        await other.store.swap(KEY, record, tokens=tokens(9), attempt=None)
        assert await process.tokens.access_token(KEY) == "access-9"
        assert process.endpoint.revoked == []
        storage.full = False
        await process.tokens.aclose()
        await process.runtime.aclose()
        assert await stored_token(process) == "access-9"

    run(style, main)
    assert "are lost" not in caplog.text


@pytest.mark.parametrize("style", STYLES)
def test_other_processes_wait_for_unsaved_tokens_during_the_lease(style: str) -> None:
    async def main() -> None:
        storage = FailingStorage()
        process = await unsaved(style, storage, lease_ttl=30)
        assert await process.store.lease_remaining(KEY) > 0
        storage.full = False
        while await stored_token(process) == "access-1":
            await process.tokens.access_token(KEY)
            await process.runtime.sleep(0.02)
        assert await process.store.lease_remaining(KEY) == 0
        await process.tokens.aclose()
        await process.runtime.aclose()

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_unsaved_tokens_replace_a_refusal_that_came_after_the_lease(style: str) -> None:
    """The lease ran out, another process was refused with the old token: the unsaved ones still are the answer."""

    async def main() -> None:
        clock = PassingClock()
        storage = FailingStorage(MemoryStorage(clock=clock))
        process = await unsaved(style, storage)
        clock.now += 60
        other = Process(style, ScriptedEndpoint(InvalidGrantError("invalid_grant", status=400)), storage.inner)
        with pytest.raises(ReauthorizationRequiredError, match="sign in again"):
            await other.tokens.access_token(KEY)
        storage.full = False
        while await stored_token(process) == "access-1":
            assert await process.tokens.access_token(KEY) == "access-2"
            await process.runtime.sleep(0.02)
        assert await other.tokens.access_token(KEY) == "access-2"
        await process.tokens.aclose()
        await process.runtime.aclose()

    run(style, main)


@pytest.mark.parametrize("style", STYLES)
def test_rejected_unsaved_token_is_refreshed_after_it_is_saved(style: str) -> None:
    async def main() -> None:
        clock = PassingClock()
        storage = FailingStorage(MemoryStorage(clock=clock))
        process = await unsaved(style, storage)
        clock.now += 60  # the lease has run out
        with pytest.raises(StorageError):
            await process.tokens.replace(KEY, "access-2")  # it can't be marked, so it is not sent
        assert process.endpoint.sent == ["refresh-1"]
        storage.full = False
        process.endpoint.script = [tokens(3)]
        assert await process.tokens.replace(KEY, "access-2") == "access-3"
        assert process.endpoint.sent == ["refresh-1", "refresh-2"]
        await process.tokens.aclose()
        await process.runtime.aclose()
        assert await stored_token(process) == "access-3"

    run(style, main)


def test_interruption_while_saving_loses_nothing() -> None:
    storage = MemoryStorage()
    process = Process("blocking", ScriptedEndpoint(tokens(2)), storage)
    drive(process.store.save_login(KEY, EXPIRED))
    swap = process.store.swap
    calls: list[dict[str, Any]] = []

    async def interrupted(key: str, record: Any, **changes: Any) -> Any:
        calls.append(changes)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return await swap(key, record, **changes)

    process.store.swap = interrupted  # type: ignore[method-assign]  # Ctrl-C between answer and save
    with pytest.raises(KeyboardInterrupt):
        drive(process.tokens.access_token(KEY))
    assert drive(process.tokens.access_token(KEY)) == "access-2"
    assert process.endpoint.sent == ["refresh-1"]
    assert drive(stored_token(process)) == "access-2"


def test_unsaved_tokens_survive_their_event_loop() -> None:
    storage = FailingStorage()
    made: list[Process] = []

    async def first() -> None:
        made.append(await unsaved("async", storage))

    async def second() -> None:
        storage.full = False
        while await stored_token(made[0]) == "access-1":
            assert await made[0].tokens.access_token(KEY) == "access-2"
            await asyncio.sleep(0.02)
        await made[0].tokens.aclose()
        await made[0].runtime.aclose()

    asyncio.run(first())
    asyncio.run(asyncio.wait_for(second(), 60))


def test_many_threads_save_unsaved_tokens_once() -> None:
    storage = FailingStorage()
    process = drive(unsaved("blocking", storage))
    storage.full = False
    outcomes: list[str] = []

    def call() -> None:
        while drive(stored_token(process)) == "access-1":
            outcomes.append(drive(process.tokens.access_token(KEY)))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert set(outcomes) == {"access-2"}
    assert process.endpoint.sent == ["refresh-1"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("answer", ["refreshed", "refused"])
@pytest.mark.parametrize("wins", [0, 1])
def test_compare_and_swap_that_never_succeeds_is_an_error(style: str, answer: str, wins: int) -> None:
    clock = PassingClock()

    class NeverWins(MemoryStorage):
        def bind(self, namespace: str) -> Any:
            binding = super().bind(namespace)
            swap, left = binding.put_if_version, [wins]

            def put_if_version(*args: Any, **options: Any) -> Any:
                left[0] -= 1
                return swap(*args, **options) if left[0] >= 0 else None

            binding.put_if_version = put_if_version  # type: ignore[method-assign]  # a broken adapter
            return binding

    async def main() -> None:
        refused = InvalidGrantError("invalid_grant", status=400)
        endpoint = ScriptedEndpoint(tokens(2) if answer == "refreshed" else refused)
        process = Process(style, endpoint, NeverWins(clock=clock), clock=clock, refresh_deadline=2.0, lease_ttl=5.0)
        await process.store.save_login(KEY, EXPIRED)
        if (wins, answer) == (1, "refreshed"):
            assert await process.tokens.access_token(KEY) == "access-2"  # kept in memory
        else:
            with pytest.raises((StorageError, DeadlineError)):
                await process.tokens.access_token(KEY)
        assert len(endpoint.sent) == wins
        await process.tokens.aclose()
        await process.runtime.aclose()

    run(style, main)
