"""Listening ends when its user is signed out: here, in another process, or because the consent was refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.auth.leftovers import KEY, all_keys
from tests.realtime.helpers import QUICK, client_of, run, until
from webex import (
    AsyncIntegration,
    AsyncWebex,
    Integration,
    NotSignedInError,
    RealtimeHub,
    ReauthorizationRequiredError,
    Webex,
    WebexError,
)
from webex.emulator import accounts
from webex.emulator.cloud import Cloud
from webex.errors import StorageError
from webex.storage import EncryptedStorage, MemoryStorage, SQLiteStorage
from webex.storage.access import StorageAccess, path

ROOT = Path(__file__).parents[2]
APP: dict[str, Any] = {
    "client_id": accounts.CLIENT_ID,
    "client_secret": accounts.CLIENT_SECRET,
    "redirect_uri": accounts.REDIRECT_URIS[0],
    "scope": "openid spark:all spark:kms",
    "credential_max_age": 0.5,
}


def integration_of(cloud: Cloud, storage: Any, **more: Any) -> AsyncIntegration:
    return AsyncIntegration(storage=storage, emulator_url=cloud.url, **{**APP, **more})


async def sign_in(integration: AsyncIntegration, cloud: Cloud, who: str = "bob", key: str | None = None) -> str:
    login = await integration.begin_login(user_key=key)
    return (await integration.finish_login(cloud.sign_in(login.url, as_=who), browser=login.browser)).user.key


@asynccontextmanager
async def two_processes(
    cloud: Cloud, storage: Any, key: str | None = None, **more: Any
) -> AsyncIterator[tuple[AsyncIntegration, AsyncIntegration, AsyncWebex, str]]:
    """Two integrations with one storage, as two processes have them; Alice, who writes; and Bob's key."""
    async with (
        client_of(cloud) as alice,
        integration_of(cloud, storage, **more) as here,
        integration_of(cloud, storage, **more) as there,
    ):
        yield here, there, alice, await sign_in(here, cloud, key=key)


async def say(alice: AsyncWebex, text: str) -> None:
    await alice.messages.create(to_person_email="bob@example.com", text=text)


def forget_record(storage: Any, key: str) -> None:
    storage.bind("credentials").delete(path(accounts.CLIENT_ID, key))


# In the process that signs out


@pytest.mark.parametrize("options", [{}, {"ephemeral": True}])
def test_sign_out_ends_listening_and_drops_queued_events(
    webex_cloud: Cloud, tmp_path: Path, options: dict[str, Any]
) -> None:
    async def main() -> None:
        storage = EncryptedStorage(SQLiteStorage(tmp_path / "s.db"), [KEY])
        async with client_of(webex_cloud) as alice, integration_of(webex_cloud, storage) as integration:
            key = await sign_in(integration, webex_cloud)
            events = await integration.user(key).messages.listen(**QUICK, **options)
            await say(alice, "first")
            assert (await anext(events)).data.text == "first"
            await say(alice, "second")
            await until(lambda: events._queue)
            assert {name for name, _ in all_keys(storage)} >= {"credentials", "realtime", "keys"}
            assert await integration.sign_out(key)
            with pytest.raises(NotSignedInError):
                await anext(events)
            assert webex_cloud.mercury.connections("bob") == 0
            assert webex_cloud.devices.all(accounts.BOB_ID) == []
            assert all_keys(storage) == set()
            await events.stop_listening()
            with pytest.raises(NotSignedInError):
                await integration.user(key).messages.listen(**QUICK)
            assert len(integration._app.realtime.manager().keys) == 0
        assert all_keys(storage) == set()

    run(main())


def test_callbacks_end_at_sign_out_and_may_sign_out(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, integration_of(webex_cloud, MemoryStorage()) as integration:
            key = await sign_in(integration, webex_cloud)
            heard: list[str] = []

            async def handle(event: Any) -> None:
                heard.append(event.data.text)
                await integration.sign_out(key)

            events = await integration.user(key).messages.listen(**QUICK)
            events.on("created", handle)
            await say(alice, "first")
            await say(alice, "second")
            pump = events._pump
            assert pump is not None
            await asyncio.wait({pump})
            assert heard == ["first"]
            assert webex_cloud.mercury.connections("bob") == 0

    run(main())


def test_a_stand_alone_client_receives_nothing_after_logout(webex_cloud: Cloud) -> None:
    async def main() -> None:
        token = webex_cloud.token_for("bob", client_id=accounts.CLIENT_ID)
        async with AsyncWebex(token, emulator_url=webex_cloud.url, **APP) as bob:
            events = await bob.messages.listen(**QUICK)
            await bob.logout()
            with pytest.raises(NotSignedInError):
                await anext(events)
            assert webex_cloud.devices.all(accounts.BOB_ID) == []

    run(main())


def test_sign_out_ends_sending(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with integration_of(webex_cloud, MemoryStorage()) as integration:
            key = await sign_in(integration, webex_cloud)
            room = await integration.user(key).rooms.create(title="A room")
            await integration.user(key).conversations.post(str(room.id), "hello")
            assert webex_cloud.mercury.connections("bob") == 1
            await integration.sign_out(key)
            assert webex_cloud.mercury.connections("bob") == 0
            with pytest.raises(NotSignedInError):
                await integration.user(key).conversations.post(str(room.id), "hello")

    run(main())


# In other processes

ENDINGS: dict[str, tuple[Callable[[AsyncIntegration, Any, str, Cloud], Awaitable[Any]], type[WebexError]]] = {}


def ending(error: type[WebexError]) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        ENDINGS[function.__name__] = (function, error)
        return function

    return register


@ending(NotSignedInError)
async def signed_out(there: AsyncIntegration, storage: Any, key: str, cloud: Cloud) -> None:
    await there.sign_out(key)


@ending(NotSignedInError)
async def erased(there: AsyncIntegration, storage: Any, key: str, cloud: Cloud) -> None:
    assert await there.erase(key) == []


@ending(NotSignedInError)
async def invalidated(there: AsyncIntegration, storage: Any, key: str, cloud: Cloud) -> None:
    await there.user(key).credentials.invalidate()


@ending(NotSignedInError)
async def lost_by_the_storage(there: AsyncIntegration, storage: Any, key: str, cloud: Cloud) -> None:
    forget_record(storage, key)


@ending(NotSignedInError)
async def marked_by_a_process_that_died(there: AsyncIntegration, storage: Any, key: str, cloud: Cloud) -> None:
    store = there._app.store
    record = await store.load_any(key)
    assert record is not None
    await store.swap(key, record, signing_out={"revoke": True})


@ending(ReauthorizationRequiredError)
async def refused(there: AsyncIntegration, storage: Any, key: str, cloud: Cloud) -> None:
    cloud.revoke_consent("bob", accounts.CLIENT_ID)
    with pytest.raises(ReauthorizationRequiredError):
        await there.user(key).people.me()


@pytest.mark.parametrize("how", list(ENDINGS))
@pytest.mark.parametrize("key", [None, "customer-17"])
def test_listening_in_another_process_ends_without_records(
    webex_cloud: Cloud, tmp_path: Path, how: str, key: str | None
) -> None:
    end, error = ENDINGS[how]

    async def main() -> None:
        storage = EncryptedStorage(SQLiteStorage(tmp_path / "s.db"), [KEY])
        async with two_processes(webex_cloud, storage, key) as (here, there, alice, bob):
            events = await here.user(bob).messages.listen(**QUICK)
            await say(alice, "before")
            assert (await anext(events)).data.text == "before"
            await end(there, storage, bob, webex_cloud)
            with pytest.raises(error):
                while True:
                    await anext(events)
            await events.stop_listening()
            listeners = here._app.realtime.manager().listeners
            await until(lambda: not listeners() and not here._app.realtime.manager().watch._leaving)
            with pytest.raises(error):
                await here.user(bob).people.me()
            kept = {name for name, _ in all_keys(storage)}
            assert kept == set() if error is NotSignedInError else "credentials" in kept

    run(main())


def test_late_writes_of_another_process_are_removed(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        storage = EncryptedStorage(SQLiteStorage(tmp_path / "s.db"), [KEY])
        async with two_processes(webex_cloud, storage, credential_max_age=2.0) as (here, there, alice, bob):
            events = await here.user(bob).messages.listen(**QUICK)
            device = here._app.realtime.manager().listeners()[0].devices
            device_url = device.current
            # The device is not deleted and the token not revoked: Webex can't be reached by the one who signs out.
            webex_cloud.faults.add("*devices*", method="DELETE", status=403)
            webex_cloud.faults.add("*revoke*", status=403)
            await there.sign_out(bob)
            assert all_keys(storage) == set()
            await say(alice, "after")
            assert (await anext(events)).data.text == "after"  # within credential_max_age
            assert device_url is device.current
            with pytest.raises(NotSignedInError):
                await anext(events)
            await events.stop_listening()
            await until(lambda: not here._app.realtime.manager().watch._leaving)
            assert all_keys(storage) == set()

    run(main())


def test_an_immediate_new_sign_in_continues_listening(webex_cloud: Cloud, tmp_path: Path) -> None:
    async def main() -> None:
        storage = SQLiteStorage(tmp_path / "s.db")
        async with two_processes(webex_cloud, storage, credential_max_age=2.0) as (here, there, alice, bob):
            events = await here.user(bob).messages.listen(**QUICK)
            await here._app.realtime.manager().watch._check(here._app.realtime.manager().listeners()[0])
            webex_cloud.faults.add("*devices*", method="DELETE", status=403)
            webex_cloud.faults.add("*revoke*", status=403)
            await there.sign_out(bob)
            assert await sign_in(there, webex_cloud) == bob
            await here._app.realtime.manager().watch._check(here._app.realtime.manager().listeners()[0])
            await say(alice, "still there")
            assert (await anext(events)).data.text == "still there"
            assert ("realtime", path(accounts.CLIENT_ID, bob, "webex-python-sdk", "head")) in all_keys(storage)

    run(main())


def test_a_temporary_storage_failure_does_not_end_listening(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with two_processes(webex_cloud, MemoryStorage()) as (here, _there, alice, bob):
            events = await here.user(bob).messages.listen(**QUICK)
            failed = asyncio.Event()

            async def broken(*_: Any, **__: Any) -> Any:
                failed.set()
                raise StorageError("not now")

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(StorageAccess, "get_many", broken)
                patch.setattr(StorageAccess, "get_versioned", broken)
                await failed.wait()
                await asyncio.sleep(0)
            await say(alice, "still there")
            assert (await anext(events)).data.text == "still there"

    run(main())


@pytest.mark.webex_cloud(close_revoked_sockets=True)
def test_the_cloud_may_close_the_sockets_of_revoked_tokens(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with two_processes(webex_cloud, MemoryStorage(), credential_max_age=600.0) as (here, there, _, bob):
            events = await here.user(bob).messages.listen(**QUICK)
            webex_cloud.revoke_consent("bob", accounts.CLIENT_ID)
            with pytest.raises(ReauthorizationRequiredError):
                await anext(events)
            assert not (await there.is_signed_in(bob))

    run(main())


# Many users


@pytest.mark.parametrize("how", list(ENDINGS))
@pytest.mark.parametrize("where", ["here", "there"])
def test_a_hub_reports_a_users_failure_during_event_handling(
    webex_cloud: Cloud, tmp_path: Path, how: str, where: str
) -> None:
    end, error = ENDINGS[how]

    async def main() -> None:
        storage = SQLiteStorage(tmp_path / "s.db")
        async with two_processes(webex_cloud, storage) as (here, there, alice, bob):
            carol = await sign_in(here, webex_cloud, "admin")
            async with RealtimeHub(here, ("messages",), **QUICK) as hub:  # type: ignore[arg-type]  # of any kind
                await hub.add_all([bob, carol])
                await say(alice, "in hand")
                heard: list[str] = []
                async for event in hub.events():
                    heard.append(event.data.text)
                    if len(heard) == 2:
                        break
                    await say(alice, "waits")
                    await end({"here": here, "there": there}[where], storage, bob, webex_cloud)
                    await until(lambda: hub.failure(bob))
                    assert isinstance(hub.failure(bob), error)
                    await alice.messages.create(to_person_email="admin@example.com", text="for another")
                assert heard == ["in hand", "for another"]
                await until(lambda: hub.users == [carol])
                assert hub.failure(carol) is None
                with pytest.raises(error):
                    await hub.add(bob)
                if error is NotSignedInError:
                    await sign_in(here, webex_cloud)
                    await hub.add(bob)
                    assert hub.failure(bob) is None

    run(main())


# Stand-alone clients


@pytest.mark.parametrize("style", ["async", "blocking"])
@pytest.mark.parametrize("stored", [True, False])
def test_logout_ends_the_listening_of_a_stand_alone_client(
    webex_cloud: Cloud, tmp_path: Path, style: str, stored: bool
) -> None:
    storage = SQLiteStorage(tmp_path / "s.db") if stored else None
    token = webex_cloud.token_for("bob", client_id=accounts.CLIENT_ID)
    options: dict[str, Any] = {**APP, "emulator_url": webex_cloud.url, "storage": storage}

    async def main() -> None:
        async with AsyncWebex(token, **options) as bob:
            events = await bob.messages.listen(**QUICK)
            await bob.logout()
            with pytest.raises(NotSignedInError):
                await anext(events)

    if style == "async":
        run(main())
    else:
        with Webex(token, **options) as bob, bob.messages.listen(**QUICK) as events:
            bob.logout()
            with pytest.raises(NotSignedInError):
                events.get(timeout=20)
    assert webex_cloud.devices.all(accounts.BOB_ID) == []
    assert token not in webex_cloud.state.tokens
    if storage is not None:
        assert all_keys(storage) == set()


# Blocking code


@pytest.mark.parametrize("how", ["sign_out", "elsewhere", "handler"])
def test_blocking_listening_ends(webex_cloud: Cloud, tmp_path: Path, how: str) -> None:
    storage = SQLiteStorage(tmp_path / "s.db")
    options: dict[str, Any] = {**APP, "emulator_url": webex_cloud.url, "storage": storage}
    with Integration(**options) as here, Integration(**options) as there:
        login = here.begin_login()
        bob = here.finish_login(webex_cloud.sign_in(login.url, as_="bob"), browser=login.browser).user.key
        with here.user(bob).messages.listen(**QUICK) as events:
            if how == "handler":
                events.on("*", lambda event: here.sign_out(bob))
                with Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice:
                    alice.messages.create(to_person_email="bob@example.com", text="sign yourself out")
                run(until(lambda: not webex_cloud.mercury.connections("bob")))
            else:
                {"sign_out": here, "elsewhere": there}[how].sign_out(bob)
                with pytest.raises(NotSignedInError):
                    events.get(timeout=20)
            with pytest.raises(NotSignedInError):
                here.user(bob).people.me()
        assert all_keys(storage) == set()


def test_another_process_ends_within_its_credential_max_age(webex_cloud: Cloud, tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "s.db")
    with Integration(storage=storage, emulator_url=webex_cloud.url, **APP) as integration:
        login = integration.begin_login()
        bob = integration.finish_login(webex_cloud.sign_in(login.url, as_="bob"), browser=login.browser).user.key
        command = [
            sys.executable,
            "-m",
            "tests.realtime.signed_out_worker",
            webex_cloud.url,
            str(tmp_path / "s.db"),
            bob,
        ]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "listening\n"
                integration.sign_out(bob)
                assert process.stdout.readline() == "NotSignedInError\n"
                assert process.wait(60) == 0
            finally:
                process.kill()
        assert all_keys(storage) == set()
