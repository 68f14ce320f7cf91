"""What is stored of a user, given to them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.auth.conftest import sign_in
from webex import AsyncIntegration, Integration
from webex.emulator import Cloud
from webex.storage import EncryptedStorage, SQLiteStorage, path


def test_export_has_all_records_without_secrets(cloud: Cloud, tmp_path: Path) -> None:
    storage = EncryptedStorage(SQLiteStorage(tmp_path / "webex.db"), keys=[EncryptedStorage.generate_key()])
    with Integration(storage=storage) as integration:
        key, other = sign_in(integration, cloud), sign_in(integration, cloud, "bob")
        client_id = cloud.env["WEBEX_CLIENT_ID"]
        storage.bind("app/notes").put(path(client_id, key), {"text": "a note", "tags": ["x", {"k": "hidden"}]})
        storage.bind("app/notes").put(path(client_id, other), "of another user")
        exported = integration.export(key)
        assert sorted({each.namespace for each in exported}) == ["app/notes", "credentials"]
        assert [each[:2] for each in exported] == [tuple(each) for each in integration.stored(key)]
        (credentials,) = [each.value for each in exported if each.namespace == "credentials"]
        assert credentials["tokens"]["access_token"] == credentials["tokens"]["refresh_token"] == "(secret)"
        assert credentials["person"]["id"] == key
        assert [each.value for each in exported if each.namespace == "app/notes"] == [
            {"text": "a note", "tags": ["x", {"k": "(secret)"}]}
        ]
        json.dumps(exported)
        token = integration.user(key).get_user_token()
        text = json.dumps(integration.export(key, secrets=True))
        assert token.split()[-1] in text

        async def exported_async() -> list[object]:
            async with AsyncIntegration(storage=storage) as same:
                return list(await same.export(key))

        assert asyncio.run(exported_async()) == exported
        assert integration.erase(key) == []
        assert integration.export(key) == []
        assert len(integration.export(other)) == 2


def test_export_lists_unreadable_records(cloud: Cloud, tmp_path: Path) -> None:
    inner = SQLiteStorage(tmp_path / "webex.db")
    storage = EncryptedStorage(inner, keys=[EncryptedStorage.generate_key()])
    with Integration(storage=storage) as integration:
        key = sign_in(integration, cloud)
        name = path(cloud.env["WEBEX_CLIENT_ID"], key)
        inner.bind("app/notes").put(name, "in the clear")
        exported = integration.export(key)
        assert ("app/notes", name, None) in exported
