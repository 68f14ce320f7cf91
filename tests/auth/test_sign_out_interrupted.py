"""Signing out in several processes at once, of which some die in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.auth.conftest import sign_in
from tests.auth.leftovers import SDK, all_keys, furnish, live_tokens
from tests.support.forks import in_child, needs_fork
from webex import (
    AsyncIntegration,
    Integration,
    NotSignedInError,
)
from webex.auth.store import Record
from webex.emulator import Cloud
from webex.errors import StorageError
from webex.storage import SQLiteStorage
from webex.storage.access import StorageAccess

# A process that dies in the middle


def die_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill this process at its n-th call to the storage or the network."""
    from webex.http.pipeline import Pipeline

    left = [step]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return await function(*args, **options)

        return call

    monkeypatch.setattr(StorageAccess, "_call", counted(StorageAccess._call))
    monkeypatch.setattr(Pipeline, "send", counted(Pipeline.send))


@needs_fork
@pytest.mark.parametrize(
    ("style", "up", "erase"),
    [("blocking", True, False), ("async", False, False), ("blocking", False, True), ("async", True, True)],
)
def test_sign_out_killed_at_any_step_is_completed_later(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, up: bool, erase: bool, style: str
) -> None:
    step, outcomes = 0, []
    while True:
        step += 1
        storage = SQLiteStorage(tmp_path / f"{step}.db")
        with Integration(storage=storage) as integration:
            key = sign_in(integration, cloud)
            furnish(integration, storage, key, key)
        if not up:
            cloud.faults.add("*", drop=True)

        def work(key: str = key, step: int = step) -> None:
            die_at(step, monkeypatch)
            mine = SQLiteStorage(tmp_path / f"{step}.db")
            if style == "blocking":
                integration = Integration(storage=mine, refresh_deadline=0.5)
                integration.erase(key) if erase else integration.sign_out(key)
            else:

                async def main() -> None:
                    made = AsyncIntegration(storage=mine, refresh_deadline=0.5)
                    await (made.erase(key) if erase else made.sign_out(key))

                asyncio.run(main())

        code = in_child(work)
        cloud.faults.clear()
        with Integration(storage=storage) as integration:
            try:
                integration.user(key).people.me()
                outcomes.append("still signed in")
                assert integration.sign_out(key)
            except NotSignedInError:
                outcomes.append("signed out")
            left = {namespace for namespace, _ in all_keys(storage)}
            assert left in ([set(), {"app/notes"}] if erase else [{"app/notes"}]), step
            assert not any(namespace in SDK for namespace in left), step
        if up:
            assert live_tokens(cloud) == [], step
        if code != -signal.SIGKILL:
            assert code == 0
            break
    assert step > 8
    began = outcomes.index("signed out")
    assert set(outcomes[began:]) == {"signed out"}  # once it has begun there is no way back


def half_done(integration: Integration, key: str, **how: Any) -> Record:
    """Mark a user as one who is being signed out, as a process does that dies then."""
    from webex.runtime import drive

    store = integration._app.store
    record = drive(store.load_any(key))
    assert record is not None
    marked = drive(store.swap(key, record, signing_out={"revoke": True, **how}))
    assert marked is not None
    return marked


@pytest.mark.parametrize("meets", ["call", "listing", "is_signed_in", "sign_out", "erase", "listen", "another style"])
def test_an_interrupted_sign_out_is_completed_by_the_next_use(cloud: Cloud, database: str, meets: str) -> None:
    storage = SQLiteStorage(database)
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        furnish(integration, storage, key, key)
        half_done(integration, key)
    with Integration(storage=storage) as integration:
        if meets == "call":
            with pytest.raises(NotSignedInError):
                integration.user(key).rooms.list().first_page()
        elif meets == "listing":
            for found in integration.users():
                assert not integration.is_signed_in(found)
        elif meets == "is_signed_in":
            assert not integration.is_signed_in(key)
        elif meets == "sign_out":
            assert integration.sign_out(key)
        elif meets == "erase":
            assert integration.erase(key) == []
        elif meets == "listen":
            with pytest.raises(NotSignedInError), integration.user(key).messages.listen():
                pass
        else:

            async def main() -> None:
                async with AsyncIntegration(storage=storage) as other:
                    with pytest.raises(NotSignedInError):
                        await other.user(key).people.me()

            asyncio.run(main())
    assert not any(namespace in SDK for namespace, _ in all_keys(storage))
    assert live_tokens(cloud) == []
    with Integration(storage=storage) as integration, pytest.raises(NotSignedInError):
        integration.user(key).people.me()


def test_a_new_sign_in_completes_an_interrupted_sign_out(cloud: Cloud, database: str) -> None:
    storage = SQLiteStorage(database)
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        furnish(integration, storage, key, key)
        half_done(integration, key)
        assert sign_in(integration, cloud) == key
        assert integration.user(key).people.me().display_name == "Alice Example"
        assert {namespace for namespace, _ in all_keys(storage)} == {"credentials", "app/notes"}


def test_a_paused_sign_out_does_not_remove_a_newer_sign_in(cloud: Cloud, database: str) -> None:
    from webex.runtime import drive

    storage = SQLiteStorage(database)
    with Integration(storage=storage) as sleeper, Integration(storage=storage) as awake:
        key = sign_in(sleeper, cloud)
        record = half_done(sleeper, key)
        assert sign_in(awake, cloud) == key
        furnish(awake, storage, key, key)
        before = all_keys(storage)
        drive(sleeper._app.signing_out._end(key, record, 5.0, revoke=True, erase=True))
        assert all_keys(storage) == before
        assert awake.user(key).people.me().display_name == "Alice Example"


@pytest.mark.parametrize("erase", [False, True])
def test_a_storage_failure_after_the_mark_leaves_the_user_signed_out(
    cloud: Cloud, database: str, monkeypatch: pytest.MonkeyPatch, erase: bool
) -> None:
    storage = SQLiteStorage(database)
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        furnish(integration, storage, key, key)

        async def fails(*_: Any, **__: Any) -> None:
            raise StorageError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(StorageAccess, "delete", fails)
            patch.setattr(StorageAccess, "delete_if_version", fails)
            if erase:
                with pytest.raises(StorageError):
                    integration.erase(key)
            else:
                assert integration.sign_out(key)
            with pytest.raises(NotSignedInError):
                integration.user(key).people.me()
        assert live_tokens(cloud) == []
        assert not integration.is_signed_in(key)
        assert {namespace for namespace, _ in all_keys(storage)} == (set() if erase else {"app/notes"})


def test_a_sign_in_during_a_sign_out_is_kept(cloud: Cloud, database: str) -> None:
    cloud.faults.add("*revoke*", latency=0.5, count=1)

    async def main() -> None:
        async with AsyncIntegration(storage=SQLiteStorage(database)) as integration:
            login = await integration.begin_login()
            url = cloud.sign_in(login.url)
            key = (await integration.finish_login(url, browser=login.browser)).user.key
            going = asyncio.create_task(integration.sign_out(key))
            while not cloud.faults.as_list()[0]["hits"]:
                await asyncio.sleep(0.01)
            assert not await integration.is_signed_in(key)
            login = await integration.begin_login()
            await integration.finish_login(cloud.sign_in(login.url), browser=login.browser)
            assert await going
            assert (await integration.user(key).people.me()).display_name == "Alice Example"

    asyncio.run(main())


def test_a_cancelled_request_does_not_stop_a_sign_out(cloud: Cloud, database: str) -> None:
    cloud.faults.add("*revoke*", latency=0.3)
    storage = SQLiteStorage(database)

    async def main() -> None:
        async with AsyncIntegration(storage=storage) as integration:
            login = await integration.begin_login()
            key = (await integration.finish_login(cloud.sign_in(login.url), browser=login.browser)).user.key
            going = asyncio.create_task(integration.sign_out(key))
            while not cloud.faults.as_list()[0]["hits"]:
                await asyncio.sleep(0.01)
            going.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going

    asyncio.run(main())
    assert all_keys(storage) == set()
    assert live_tokens(cloud) == []


def test_concurrent_sign_outs_both_succeed(cloud: Cloud, database: str) -> None:
    told: list[str] = []

    async def main() -> None:
        async with AsyncIntegration(storage=SQLiteStorage(database)) as integration:
            integration.events.signed_out(lambda event: told.append(event.user_key))
            login = await integration.begin_login()
            key = (await integration.finish_login(cloud.sign_in(login.url), browser=login.browser)).user.key
            async with AsyncIntegration(storage=SQLiteStorage(database)) as other:
                assert all(await asyncio.gather(integration.sign_out(key), other.sign_out(key))) in (True, False)
            assert not await integration.is_signed_in(key)
            assert told in ([key], [])

    asyncio.run(main())
    assert all_keys(SQLiteStorage(database)) == set()
