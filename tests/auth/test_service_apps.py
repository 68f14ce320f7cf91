"""Service apps: their tokens rest in the storage like those of people."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from webex import AsyncIntegration, AsyncWebex, Integration, NotSignedInError, Webex
from webex.auth.service_apps import ServiceAppTokens, service_app_key
from webex.emulator import Cloud, accounts
from webex.errors import ConfigurationError
from webex.ids import to_hydra_id
from webex.storage import MemoryStorage, SQLiteStorage
from webex.webhooks import ServiceAppEvent, read_event

APPLICATION = to_hydra_id("APPLICATION", accounts.SERVICE_APP_ID)
ORG = accounts.ORG_ID
KEY = f"org:{ORG}"
SETTINGS: Any = {
    "client_id": accounts.SERVICE_APP_ID,
    "client_secret": accounts.SERVICE_APP_SECRET,
    "access_token": None,
}


@pytest.fixture(autouse=True)
def no_token_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBEX_ACCESS_TOKEN", raising=False)


def asked(cloud: Cloud) -> int:
    return cloud.requests.count(method="POST", path=f"/v1/applications/{APPLICATION}/token")


def test_a_service_app_is_stored_like_a_person(cloud: Cloud, tmp_path: Path) -> None:
    with SQLiteStorage(tmp_path / "webex.db") as storage:
        with Integration(storage=storage, **SETTINGS) as integration:
            client = integration.service_app(APPLICATION, ORG, admin=accounts.ADMIN_TOKEN)
            assert client.user_key == KEY
            assert client.people.me().id
            assert integration.is_signed_in(KEY)
            assert list(integration.users()) == [KEY]
        with Integration(storage=storage, **SETTINGS) as later:
            later.service_app(APPLICATION, to_hydra_id("ORGANIZATION", ORG)).people.me()  # no administrator is needed
            later.user(KEY).people.me()
            assert asked(cloud) == 1
            cloud.clock.advance(2 * 3600)
            later.user(KEY).people.me()
            assert (asked(cloud), cloud.requests.refreshes) == (1, 1)
            assert later.sign_out(KEY)
            assert not later.is_signed_in(KEY)


def test_many_callers_send_one_request(cloud: Cloud) -> None:
    async def main() -> None:
        async with AsyncIntegration(storage=MemoryStorage(), **SETTINGS) as integration:
            ask = [integration.service_app(APPLICATION, ORG, admin=accounts.ADMIN_TOKEN) for _ in range(20)]
            clients = await asyncio.gather(*ask)
            await asyncio.gather(*(client.people.me() for client in clients))

    asyncio.run(main())
    assert asked(cloud) == 1


def test_threads_and_processes_send_one_request(cloud: Cloud, tmp_path: Path) -> None:
    storages = [SQLiteStorage(tmp_path / "webex.db") for _ in range(4)]
    integrations = [Integration(storage=storage, **SETTINGS) for storage in storages]  # as of four processes
    with ThreadPoolExecutor(8) as pool:
        futures = [
            pool.submit(integration.service_app, APPLICATION, ORG, admin=accounts.ADMIN_TOKEN)
            for integration in integrations * 2
        ]
        assert {future.result().user_key for future in futures} == {KEY}
    assert asked(cloud) == 1
    for integration, storage in zip(integrations, storages, strict=True):
        integration.close()
        storage.close()


def test_a_caller_uses_a_token_saved_meanwhile(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    obtain = ServiceAppTokens._obtain
    late = MemoryStorage()
    with Integration(storage=late, **SETTINGS) as first, Integration(storage=late, **SETTINGS) as second:

        async def overtaken(tokens: ServiceAppTokens, rejected: str | None = None) -> None:
            monkeypatch.undo()  # what follows asks in between: this caller has found nothing stored, and did not go on
            monkeypatch.delenv("WEBEX_ACCESS_TOKEN", raising=False)
            first.service_app(APPLICATION, ORG, admin=accounts.ADMIN_TOKEN)
            await obtain(tokens, rejected)

        monkeypatch.setattr(ServiceAppTokens, "_obtain", overtaken)
        second.service_app(APPLICATION, ORG, admin=accounts.ADMIN_TOKEN)
    assert asked(cloud) == 1


def test_a_refused_refresh_requests_a_new_admin_token(cloud: Cloud) -> None:
    with Integration(storage=MemoryStorage(), **SETTINGS) as integration:
        client = integration.service_app(APPLICATION, ORG, admin=accounts.ADMIN_TOKEN)
        first = client.get_user_token()
        cloud.tokens.discard(first)
        stored = cloud.requests.count(grant_type="refresh_token")
        cloud.faults.add("/v1/access_token", status=400, body={"error": "invalid_grant"}, count=1)
        assert client.people.me().id
        assert client.get_user_token() != first
        assert asked(cloud) == 2
        assert cloud.requests.count(grant_type="refresh_token") > stored


@pytest.mark.parametrize("shape", ["client", "text", "mapping", "function"])
def test_the_administrator_is_accepted_in_every_form(cloud: Cloud, shape: str) -> None:
    token = accounts.ADMIN_TOKEN
    given: Any = {"client": Webex(token), "text": token, "mapping": {"access_token": token}, "function": lambda: token}
    with Integration(storage=MemoryStorage(), **SETTINGS) as integration:
        assert integration.service_app(APPLICATION, ORG, admin=given[shape]).people.me().id
    given["client"].close()


def test_a_missing_administrator_error_says_how_to_pass_one(cloud: Cloud) -> None:
    with Integration(storage=MemoryStorage(), **SETTINGS) as integration:
        with pytest.raises(NotSignedInError, match="admin="):
            integration.service_app(APPLICATION, ORG)
        with pytest.raises(ConfigurationError, match="other style"):
            integration.service_app(APPLICATION, ORG, admin=AsyncWebex(accounts.ADMIN_TOKEN))
        with pytest.raises(ConfigurationError, match="organization id"):
            integration.service_app(APPLICATION, "nonsense", admin=accounts.ADMIN_TOKEN)


def test_the_key_is_the_same_for_every_spelling_of_an_organization() -> None:
    assert {service_app_key(ORG), service_app_key(ORG.upper()), service_app_key(to_hydra_id("ORGANIZATION", ORG))} == {
        KEY
    }


@pytest.mark.parametrize("event", ["authorized", "deauthorized"])
@pytest.mark.parametrize("where", ["data", "envelope"])
def test_webhooks_report_an_authorized_service_app(event: str, where: str) -> None:
    org = to_hydra_id("ORGANIZATION", ORG)
    data = {"id": APPLICATION, "friendlyName": "Reports", "somethingElse": [1]}
    body = {"resource": "serviceApp", "event": event, "data": data | ({"orgId": org} if where == "data" else {})}
    if where == "envelope":
        body["orgId"] = org
    read = read_event(json.dumps(body).encode())
    assert isinstance(read, ServiceAppEvent)
    assert read.data is not None
    assert (read.event, read.data.id, read.data.friendly_name) == (event, APPLICATION, "Reports")
    assert read.organization is not None
    assert service_app_key(read.organization) == KEY
