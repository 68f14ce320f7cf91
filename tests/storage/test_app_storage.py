"""An app's own state: what is kept for all users is listed, page by page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from webex import AsyncWebex, Webex, app_storage
from webex.storage import MemoryStorage, SQLiteStorage


@pytest.mark.parametrize("shared", ["memory", "sqlite"])
@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_what_is_kept_for_all_users_is_listed(
    shared: str, page: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_storage, "_PAGE", page)
    storage: Any = MemoryStorage() if shared == "memory" else SQLiteStorage(tmp_path / "app.db")
    with Webex("token", storage=storage) as client:
        for user in ("ann/a", "bob%", "cy"):
            client.storage.for_user(user).put("notes", f"n/{user}", {"of": user})
            client.storage.for_user(user).put("notes", "other", 1)
            client.storage.for_user(user).put("others", f"n/{user}", 1)
        client.storage.put("notes", "n/of no user", 1)
        found = sorted(client.storage.of_every_user("notes", prefix="n/"))
        assert found == [(user, f"n/{user}", {"of": user}) for user in ("ann/a", "bob%", "cy")]
        assert len(list(client.storage.of_every_user("notes"))) == 6
        assert not list(client.storage.of_every_user("nothing"))

        async def read() -> list[tuple[str, str, Any]]:
            async with AsyncWebex("token", storage=storage) as other:
                return sorted([each async for each in other.storage.of_every_user("notes", prefix="n/")])

        if shared == "sqlite":
            assert asyncio.run(read()) == found
