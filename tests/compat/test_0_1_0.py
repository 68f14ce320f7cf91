"""What version 0.1.0 stored is read: SQLite files, plain and encrypted, cookies, and the emulator's data.

`make_0_1_0.py` wrote the files. The tests run at the time at which they were written.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.loops import run
from webex import AsyncIntegration, AsyncWebex
from webex.emulator import Cloud, Emulator
from webex.encryption.keys import KeyRing, UserKeys
from webex.errors import ReauthorizationRequiredError
from webex.storage import EncryptedStorage, SQLiteStorage
from webex.web.core import SignIn
from webex.web.messages import WebRequest, WebResponse

FILES = Path(__file__).parent / "v0_1_0"
MADE: dict[str, Any] = json.loads((FILES / "made.json").read_text())
HTML = {"accept": "text/html"}


@dataclass
class Old:
    """What 0.1.0 left behind: a cloud that runs again, a storage, and what is expected of them."""

    cloud: Cloud
    storage: Any
    made: dict[str, Any]
    settings: dict[str, Any]

    def integration(self) -> AsyncIntegration:
        return AsyncIntegration(storage=self.storage, **self.settings)


@pytest.fixture(params=["plain", "encrypted"])
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Old]:
    name = request.param
    back = time.time() - MADE["made_at"]
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - back)
    for kind in ("sqlite", "cloud"):
        shutil.copy(FILES / f"{name}.{kind}", tmp_path)
        (tmp_path / f"{name}.{kind}").chmod(0o600)
    file = SQLiteStorage(tmp_path / f"{name}.sqlite")
    storage = EncryptedStorage(file, [MADE["key"]]) if name == "encrypted" else file
    with (Path(tempfile.gettempdir()) / f"webex-compat-{MADE['port']}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the stored device has the emulator's address in it
        with Emulator(port=MADE["port"], data=tmp_path / f"{name}.cloud") as cloud:
            settings = {
                "emulator_url": cloud.url,
                "client_id": cloud.env["WEBEX_CLIENT_ID"],
                "client_secret": cloud.env["WEBEX_CLIENT_SECRET"],
                "redirect_uri": f"http://{MADE['host']}/auth/callback",
                "scope": "openid email profile spark:all spark:kms",
            }
            yield Old(cloud, storage, MADE[name], settings)
        file.close()


def test_users_are_signed_in_and_their_tokens_can_be_refreshed(old: Old) -> None:
    async def main() -> None:
        async with old.integration() as integration:
            users = [key async for key in integration.users()]
            assert sorted(users) == sorted(["@", "refused", old.made["alice"], old.made["bob"]])
            for who in ("alice", "bob"):
                client = integration.user(old.made[who])
                assert (await client.people.me()).emails == [f"{who}@example.com"]
                before = await client.get_user_token()
                await client.refresh()
                assert await client.get_user_token() != before
                assert (await client.people.me()).emails == [f"{who}@example.com"]
        async with old.integration() as integration:
            old.cloud.clock.advance(15 * 86400)
            assert (await integration.user(old.made["bob"]).people.me()).emails == ["bob@example.com"]

    run(main())


def test_refusal_is_remembered(old: Old) -> None:
    async def main() -> None:
        async with old.integration() as integration:
            assert not await integration.is_signed_in("refused")
            with pytest.raises(ReauthorizationRequiredError):
                await integration.user("refused").people.me()
        assert not old.cloud.requests.find(path="/v1/access_token")

    run(main())


def test_standalone_client_finds_its_token(old: Old) -> None:
    async def main() -> None:
        async with AsyncWebex(storage=old.storage, **old.settings) as client:
            assert (await client.people.me()).emails == ["bob@example.com"]

    run(main())


def test_cookie_means_the_same_session(old: Old) -> None:
    async def main() -> None:
        async with old.integration() as integration:
            sign_in = SignIn(integration, session_secret=MADE["secret"])
            session = await sign_in.session(_request("/", sent=old.made["session_cookies"]))
            assert session is not None
            assert (session.user_key, session.email) == (old.made["alice"], "alice@example.com")
            assert await integration.sign_out_everywhere(old.made["alice"]) == 1
            assert await sign_in.session(_request("/", sent=old.made["session_cookies"])) is None

    run(main())


def test_pending_sign_in_can_be_finished(old: Old) -> None:
    async def main() -> None:
        async with old.integration() as integration:
            sign_in = SignIn(integration, session_secret=MADE["secret"])
            back = urlsplit(old.cloud.sign_in(old.made["login_url"], as_="bob"))
            done = await sign_in.callback(_request(back.path, back.query, old.made["login_cookies"]))
            assert (done.status, done.headers["location"]) == (303, "/later")
            session = await sign_in.session(_request("/", sent=_cookies(done)))
            assert session is not None
            assert session.user_key == old.made["bob"]

    run(main())


def test_listener_resumes_with_its_device_and_without_loss_or_repeat(old: Old) -> None:
    async def main() -> None:
        devices = len(old.cloud.state.devices)
        async with old.integration() as integration:
            async with integration.user(old.made["bob"]).messages.listen(first_pause=0.05) as events:
                taken = [await anext(events) for _ in range(3)]
                old.cloud.settle()
                await AsyncWebex(old.cloud.token_for("alice"), emulator_url=old.cloud.url).messages.create(
                    room_id=str(taken[0].data.room_id), text="five"
                )
                taken.append(await anext(events))
        assert [event.data.text for event in taken] == ["two", "three", "four", "five"]
        assert taken[0].redelivered
        assert not old.cloud.requests.find(method="POST", path="/wdm/api/v1/devices")
        assert len(old.cloud.state.devices) == devices

    run(main())


@pytest.mark.parametrize("old", ["encrypted"], indirect=True)  # a plain file never holds content keys
def test_content_keys_are_read_without_the_key_service(old: Old) -> None:
    async def main() -> None:
        async with old.integration() as integration:
            urls = [key async for key in integration._app.access.keys("keys", "")]
            assert len(urls) == 1
            kept = UserKeys(
                old.made["bob"],
                _NoKeyService(),  # type: ignore[arg-type]  # it must not be asked
                KeyRing(),
                integration._app.access,
                client_id=old.settings["client_id"],
            )
            (room,) = [room for room in old.cloud.state.rooms.values() if room.key_uri]
            await kept.get(str(room.key_uri))

    run(main())


class _NoKeyService:
    async def request(self, body: Any) -> Any:
        raise AssertionError("the key service was asked")


def _request(path: str, query: str = "", sent: dict[str, str] | None = None) -> WebRequest:
    return WebRequest("GET", "http", MADE["host"], path, query, HTML, sent or {})


def _cookies(answer: WebResponse) -> dict[str, str]:
    return {cookie.name: cookie.value for cookie in answer.cookies if cookie.max_age}
