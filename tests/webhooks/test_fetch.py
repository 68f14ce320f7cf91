"""`event.fetch()` gives what the type of the event says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.conftest import SECRET, posted
from webex import AsyncWebex, Webex
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN
from webex.storage import SQLiteStorage
from webex.webhooks import Call, Meeting, ReceivedEvent, Recording, WebhookReceiver


@pytest.mark.parametrize("asynchronous", [False, True], ids=["blocking", "event-loop"])
@pytest.mark.parametrize(
    ("resource", "data", "path", "kind", "field"),
    [
        ("recordings", {"id": "R1"}, "/v1/recordings/R1", Recording, "download_url"),
        ("meetings", {"id": "M1"}, "/v1/meetings/M1", Meeting, "web_link"),
        ("telephony_calls", {"callId": "C1"}, "/v1/telephony/calls/C1", Call, "state"),
    ],
)
def test_fetch_gives_the_type_of_the_events_data(
    webex_cloud: Cloud,
    tmp_path: Path,
    resource: str,
    data: dict[str, Any],
    path: str,
    kind: type[Any],
    field: str,
    asynchronous: bool,
) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    answer = {**data, "downloadUrl": "a link", "webLink": "a link", "state": "a link", "unknown": [1]}
    webex_cloud.faults.add(path, status=200, body=answer)
    fetched: list[Any] = []
    delivery = posted(resource, "created", **data)

    async def main() -> None:
        async with AsyncWebex(ALICE_TOKEN, emulator_url=webex_cloud.url, storage=storage) as alice:
            hooks = WebhookReceiver(alice, secret=SECRET, mode="inline")

            @hooks.on(resource)
            async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
                fetched.append(await event.fetch())

            assert (await hooks.receive(*delivery)).status == 200

    if asynchronous:
        asyncio.run(main())
    else:
        with Webex(ALICE_TOKEN, emulator_url=webex_cloud.url, storage=storage) as alice:
            hooks = WebhookReceiver(alice, secret=SECRET, mode="inline")
            hooks.on(resource)(lambda event: fetched.append(event.fetch()))
            assert hooks.receive(*delivery).status == 200
    storage.close()
    assert type(fetched[0]) is kind
    assert getattr(fetched[0], field) == "a link"
    assert fetched[0]["unknown"] == [1]
