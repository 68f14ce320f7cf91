"""What a client does with its token: time limits, what it can do, and whose storage it closes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.auth.conftest import sign_in
from tests.support.loops import run
from webex import AsyncIntegration, AsyncWebex, Integration, Webex
from webex.emulator import Cloud
from webex.errors import DeadlineError
from webex.storage import MemoryStorage, SQLiteStorage
from webex.storage.storage_set import StorageSet

CALLS: dict[str, Callable[[AsyncWebex], Coroutine[Any, Any, Any]]] = {
    "get_user_token": lambda client: client.get_user_token(),
    "get_user_token with scope": lambda client: client.get_user_token("spark:people_read"),
    "refresh": lambda client: client.refresh(),
    "logout": lambda client: client.logout(),
    "supertoken": lambda client: client.credentials.supertoken(),
    "get_org_id": lambda client: client.credentials.get_org_id(),
}


@pytest.mark.parametrize(("call", "first"), [*((call, None) for call in CALLS), ("refresh", "a token")])
def test_hanging_callback_ends_at_the_timeout(cloud: Cloud, call: str, first: str | None) -> None:

    async def main() -> None:
        released = asyncio.Event()

        async def hang() -> str:
            await released.wait()
            return "another"

        async with AsyncWebex(first, refresh_callback=hang, timeout=0.05) as client:
            try:
                with pytest.raises(DeadlineError):
                    await CALLS[call](client)
            finally:
                released.set()

    run(main())


def test_client_without_credentials_cannot_authorize(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLIENT_ID", "ACCESS_TOKEN"):
        monkeypatch.delenv(f"WEBEX_{name}", raising=False)
    with Webex() as client:
        assert (client.can_authorize, client.can_refresh) == (False, False)


def test_can_authorize_and_can_refresh_follow_the_credentials(cloud: Cloud, database: str) -> None:
    with Webex("a token") as client:
        assert (client.can_authorize, client.can_refresh) == (True, False)
    with Webex(refresh_callback=lambda: "a token") as client:
        assert (client.can_authorize, client.can_refresh) == (True, True)
    with Integration(storage=SQLiteStorage(database)) as integration:
        key = sign_in(integration, cloud)
        view = integration.user(key)
        assert (view.can_authorize, view.can_refresh) == (False, False)  # not read yet
        assert (view.ready().can_authorize, view.can_refresh) == (True, True)
        assert view.with_options(timeout=5).can_authorize
        view.logout()
        assert (view.can_authorize, view.can_refresh) == (False, False)


def test_clients_of_one_storage_do_not_share_given_credentials(cloud: Cloud) -> None:
    storage = MemoryStorage()
    with Webex({"refresh_token": "one"}, storage=storage) as one, Webex(storage=storage) as other:
        assert one.can_authorize
        assert not other.can_authorize


class Closable(MemoryStorage):
    """A storage in memory that counts how often it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("split", [False, True])
def test_given_storage_is_never_closed(cloud: Cloud, split: bool) -> None:
    storage = Closable()
    given: Any = {"bounded_adapter": storage, "unbounded_adapter": storage} if split else storage
    with Integration(storage=given) as integration:
        key = sign_in(integration, cloud)
        with integration.user(key).messages.listen(first_pause=0.05):
            pass

    async def main() -> None:
        async with AsyncIntegration(storage=given):
            pass
        async with AsyncWebex("a token", storage=given):
            pass

    run(main())
    with Webex("a token", storage=given):
        pass
    assert storage.closed == 0


def test_storage_created_by_the_integration_is_closed_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webex.storage.storage_set.MemoryStorage", Closable)
    with Integration() as integration:
        made: Any = integration._app.storage.bounded
        key = sign_in(integration, cloud)
        with integration.user(key).messages.listen(first_pause=0.05):
            pass
        assert made.closed == 0
    assert made.closed == 1


def test_only_the_created_part_of_a_storage_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webex.storage.storage_set.MemoryStorage", Closable)
    given = Closable()
    storages: Any = StorageSet.from_config({"unbounded_adapter": given})
    run(storages.aclose())
    assert (storages.bounded.closed, given.closed) == (1, 0)
