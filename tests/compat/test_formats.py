"""Every stored record has a format number; one of a later version is refused with a `StorageError` that says so."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.loops import run
from webex import AsyncIntegration, AsyncWebex
from webex.emulator import Cloud
from webex.emulator.accounts import BOB_ID
from webex.encryption.keys import KeyRing, UserKeys
from webex.errors import StorageError
from webex.runtime.event_loop import EventLoopRuntime
from webex.storage import EncryptedStorage, MemoryStorage
from webex.storage.access import StorageAccess
from webex.storage.emulation import unwrap
from webex.web.core import SignIn
from webex.web.messages import WebRequest

NEWER = {"format": 99, "anything": "at all"}


class Shelf:
    """A storage that outlives clients, as a database does."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        return self.entries[key]

    async def put(self, key: str, value: Any) -> None:
        self.entries[key] = value

    async def delete(self, key: str) -> None:
        self.entries.pop(key, None)

    async def keys(self) -> list[str]:
        return list(self.entries)

    async def clear(self) -> None:
        self.entries.clear()


def integration(cloud: Cloud, storage: Any) -> AsyncIntegration:
    return AsyncIntegration(
        storage=storage,
        emulator_url=cloud.url,
        client_id=cloud.env["WEBEX_CLIENT_ID"],
        client_secret=cloud.env["WEBEX_CLIENT_SECRET"],
        redirect_uri="http://127.0.0.1:18438/auth/callback",
        scope="openid email profile spark:all spark:kms",
        credential_max_age=0,
    )


async def sign_in(app: AsyncIntegration, cloud: Cloud, who: str = "bob") -> str:
    login = await app.begin_login()
    return (await app.finish_login(cloud.sign_in(login.url, as_=who), browser=login.browser)).user.key


def request(path: str, query: str = "", sent: dict[str, str] | None = None) -> WebRequest:
    return WebRequest("GET", "http", "127.0.0.1:18438", path, query, {"accept": "text/html"}, sent or {})


def test_every_record_has_a_format_number(webex_cloud: Cloud) -> None:
    shelf = Shelf()

    async def main() -> None:
        async with (
            integration(webex_cloud, shelf) as app,
            AsyncWebex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice,
        ):
            web = SignIn(app, session_secret="a session secret of thirty-two bytes or more")
            begun = await web.login(request("/auth/login"))
            back = urlsplit(webex_cloud.sign_in(begun.headers["location"], as_="bob"))
            done = await web.callback(
                request(back.path, back.query, {cookie.name: cookie.value for cookie in begun.cookies})
            )
            assert done.status == 303
            room = await alice.rooms.create(title="A room")
            await alice.memberships.create(room_id=room.id, person_email="bob@example.com")
            async with app.user(BOB_ID).messages.listen(first_pause=0.05) as events:
                await alice.messages.create(room_id=room.id, text="one")
                assert (await anext(events)).data.text == "one"

    run(main())
    unnumbered = [key for key, value in shelf.entries.items() if not _is_numbered(value)]
    assert all(re.search(r"^logins/[^/]+/used/", key) for key in unnumbered), unnumbered  # a mark without content
    assert {key.split("/")[0] for key in shelf.entries} >= {"credentials", "sessions", "logins", "realtime"}


def _is_numbered(value: Any) -> bool:
    found = unwrap(value, 0.0)[1]
    return isinstance(found, dict) and found.get("format") == 2


def test_newer_credentials_are_refused_until_the_user_signs_in_again(webex_cloud: Cloud) -> None:
    storage = MemoryStorage()

    async def main() -> None:
        async with integration(webex_cloud, storage) as app:
            bob = await sign_in(app, webex_cloud)
            (key,) = await _all(storage, "credentials")
            storage.bind("credentials").put(key, NEWER)
            for work in (app.user(bob).people.me(), app.is_signed_in(bob), app.sign_out(bob)):
                with pytest.raises(StorageError, match=r"format 99; this version of webex reads formats 1 to 2"):
                    await work
            assert storage.bind("credentials").get(key) == NEWER
            await sign_in(app, webex_cloud)
            assert (await app.user(bob).people.me()).emails == ["bob@example.com"]

    run(main())


@pytest.mark.parametrize("record", ["session", "list"])
def test_newer_session_is_refused(webex_cloud: Cloud, record: str) -> None:
    storage = MemoryStorage()

    async def main() -> None:
        async with integration(webex_cloud, storage) as app:
            web = SignIn(app, session_secret="a session secret of thirty-two bytes or more")
            begun = await web.login(request("/auth/login"))
            back = urlsplit(webex_cloud.sign_in(begun.headers["location"], as_="bob"))
            done = await web.callback(request(back.path, back.query, {each.name: each.value for each in begun.cookies}))
            sent = {each.name: each.value for each in done.cookies if each.max_age}
            assert await web.session(request("/", sent=sent)) is not None
            for key in await _all(storage, "sessions"):
                if ("/of/" in key) == (record == "list"):
                    storage.bind("sessions").put(key, NEWER)
            with pytest.raises(StorageError, match="format 99"):
                await (web.session(request("/", sent=sent)) if record == "session" else app.sign_out_everywhere(BOB_ID))

    run(main())


def test_newer_sign_in_is_refused(webex_cloud: Cloud) -> None:
    storage = MemoryStorage()

    async def main() -> None:
        async with integration(webex_cloud, storage) as app:
            await app.begin_login()
            (key,) = await _all(storage, "logins")
            storage.bind("logins").put(key, NEWER)
            with pytest.raises(StorageError, match="format 99"):
                await app.begin_login()

    run(main())


@pytest.mark.parametrize("name", ["device", "head", "slot-0"])
def test_newer_checkpoint_record_ends_listening(webex_cloud: Cloud, name: str) -> None:
    shelf = Shelf()

    async def main() -> None:
        async with (
            integration(webex_cloud, shelf) as app,
            AsyncWebex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url) as alice,
        ):
            bob = await sign_in(app, webex_cloud)
            room = await alice.rooms.create(title="A room")
            await alice.memberships.create(room_id=room.id, person_email="bob@example.com")
            async with app.user(bob).messages.listen(first_pause=0.05) as events:
                await alice.messages.create(room_id=room.id, text="one")
                await anext(events)
            (key,) = [key for key in shelf.entries if key.endswith(f"/{name}")]
            shelf.entries[key] = NEWER
        async with integration(webex_cloud, shelf) as app:
            with pytest.raises(StorageError, match="format 99"):
                async with app.user(bob).messages.listen(first_pause=0.05):
                    pass
            assert shelf.entries[key] == NEWER

    run(main())


def test_newer_content_key_is_refused() -> None:
    storage = EncryptedStorage(MemoryStorage(), [EncryptedStorage.generate_key()])

    async def main() -> None:
        access = StorageAccess(storage, EventLoopRuntime())
        keys = UserKeys("a11ce", None, KeyRing(), access, client_id="app")  # type: ignore[arg-type]  # not asked
        from webex.encryption.stored_keys import NAMESPACE, key_path

        url = "kms://kms.example.com/keys/1"
        await access.put(NAMESPACE, key_path("app", "a11ce", url), NEWER)
        with pytest.raises(StorageError, match="format 99"):
            await keys.get(url)

    run(main())


async def _all(storage: Any, namespace: str) -> list[str]:
    access = StorageAccess(storage, EventLoopRuntime())
    return [key async for key in access.keys(namespace, "")]
