"""What a user leaves in a storage, and what is left of it."""

from __future__ import annotations

from typing import Any

from webex import Integration
from webex.auth.login import User
from webex.auth.sessions import Sessions
from webex.emulator import Cloud
from webex.realtime.records import device_path
from webex.runtime import drive
from webex.storage.access import path
from webex.storage.encrypted import EncryptedStorage as Encrypted

KEY = Encrypted.generate_key()
SDK = ("credentials", "sessions", "realtime", "keys")


def all_keys(storage: Any) -> set[tuple[str, str]]:
    """Everything that is stored, except for what belongs to sign-ins in general."""
    found = {
        (namespace, key)
        for namespace in storage.namespaces()
        for page in storage.bind(namespace).keys("")
        for key in page
    }
    return {pair for pair in found if pair[0] != "logins"}


def live_tokens(cloud: Cloud) -> list[Any]:
    return [token for token in (*cloud.state.tokens.values(), *cloud.state.refresh_tokens.values()) if token.family]


def begin_session(integration: Any, key: str) -> str:
    app = integration._app
    sessions = Sessions(app.access, app.runtime.clock, app.config.client_id, 3600.0)
    return drive(sessions.begin(User(key, key, "Alice", "alice@example.com")))


def furnish(integration: Integration, storage: Any, key: str, person: str) -> None:
    """Leave whatever a user can leave."""
    begin_session(integration, key)
    begin_session(integration, key)
    client_id = str(integration.config.client_id)
    realtime, keys = storage.bind("realtime"), storage.bind("keys")
    for name in ("webex-python-sdk", "of/another name"):
        realtime.put(device_path(client_id, key, name), {"record": {"userId": person}})
        for part in ("head", "slot-0", "slot-1"):
            realtime.put(path(client_id, key, person, name, part), {"n": 0})
    keys.put(path(client_id, person, "a2V5"), {"jwk": {}})
    keys.put(f"{person}/a2V5", {"jwk": {}})  # as an earlier version did
    storage.bind("app/notes").put(path(client_id, key, "colour"), "blue")
