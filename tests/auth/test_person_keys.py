"""A person id that the app gives as a user's key: one user, however it is spelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from webex import Integration
from webex.emulator import accounts
from webex.ids import to_hydra_id
from webex.storage import MemoryStorage

if TYPE_CHECKING:
    from webex.emulator import Cloud


@pytest.mark.parametrize("spelling", [str, str.upper, lambda uuid: to_hydra_id("PEOPLE", uuid)])
@pytest.mark.parametrize("where", ["begin", "finish"])
def test_person_id_as_the_key_of_the_app_is_found_in_every_spelling(cloud: Cloud, spelling: Any, where: str) -> None:
    uuid = accounts.ALICE_ID
    own = {"user_key": spelling(uuid)}
    with Integration(storage=MemoryStorage()) as integration:
        login = integration.begin_login(**(own if where == "begin" else {}))
        params = cloud.sign_in(login.url, as_="alice")
        signed_in = integration.finish_login(params, browser=login.browser, **(own if where == "finish" else {}))
        assert signed_in.user.key == uuid
        assert integration.user(own["user_key"]).people.me().display_name == "Alice Example"
        integration.storage.for_user(own["user_key"]).put("notes", "a", 1)
        assert "app/notes" in {each.namespace for each in integration.stored(own["user_key"])}
