"""Presence: who is there, who says so, and who is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import connected, key_client, register
from webex.emulator import Cloud, EmulatorClient
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN


def presence(cloud: Cloud, method: str, path: str, token: str = ALICE_TOKEN, **body: Any) -> Any:
    answer = fetch(f"{cloud.url}/apheleia/api/v1/{path}", method, json_body=body or None, token=token)
    return answer.json() if answer.status < 300 else answer.status


def test_person_with_a_socket_is_active(webex_cloud: Cloud) -> None:
    device = register(webex_cloud, BOB_TOKEN)
    webex_cloud.clock.freeze()

    def bob() -> dict[str, str]:
        found: dict[str, str] = presence(webex_cloud, "GET", f"compositions?userId={BOB_ID}")
        return found

    assert bob() == {"subject": BOB_ID, "status": "inactive"}

    async def main() -> str:
        async with connected(device, BOB_TOKEN):
            assert (await asyncio.to_thread(bob))["status"] == "active"
            return webex_cloud.iso(webex_cloud.now())

    left = asyncio.run(main())
    webex_cloud.mercury.wait(0)
    webex_cloud.clock.advance(60)
    assert bob() == {"subject": BOB_ID, "status": "inactive", "lastActive": left}


def test_a_status_lasts_for_its_ttl(webex_cloud: Cloud) -> None:
    webex_cloud.clock.freeze()
    said = presence(webex_cloud, "POST", "events", BOB_TOKEN, subject=BOB_ID, eventType="dnd", ttl=60)
    assert (said["status"], said["expiresTTL"]) == ("dnd", 60)
    both = presence(webex_cloud, "POST", "compositions", subjects=[ALICE_ID, BOB_ID])["statusList"]
    assert [each["status"] for each in both] == ["inactive", "dnd"]
    webex_cloud.clock.advance(61)
    assert presence(webex_cloud, "GET", f"compositions?userId={BOB_ID}")["status"] == "inactive"


def test_subscribers_receive_status_changes(webex_cloud: Cloud) -> None:
    device = register(webex_cloud, BOB_TOKEN)

    async def main() -> None:
        async with key_client(webex_cloud) as alice:
            ask = {"subjects": [BOB_ID], "subscriptionTtl": 600, "includeStatus": True}
            (told,) = (await asyncio.to_thread(lambda: presence(webex_cloud, "POST", "subscriptions", **ask)))[
                "responses"
            ]
            assert (told["responseCode"], told["status"]["status"]) == (200, "inactive")

            async def next_status() -> str:
                data = (await alice.client.receive())["data"]
                assert (data["eventType"], data["subject"]) == ("apheleia.subscription_update", BOB_ID)
                return str(data["status"])

            async with connected(device, BOB_TOKEN):
                assert await next_status() == "active"
                webex_cloud.set_presence("bob", "meeting")
                assert await next_status() == "meeting"
                await asyncio.to_thread(EmulatorClient(webex_cloud.url).set_presence, "bob", None)
                assert await next_status() == "active"
            assert await next_status() == "inactive"
            ask["subscriptionTtl"] = 0
            await asyncio.to_thread(lambda: presence(webex_cloud, "POST", "subscriptions", **ask))
            webex_cloud.set_presence("bob", "dnd")
            assert (await alice.client.ping())["type"] == "pong"

    asyncio.run(main())


def test_status_of_another_person_or_unknown_status_is_refused(webex_cloud: Cloud) -> None:
    assert presence(webex_cloud, "POST", "events", subject=BOB_ID, eventType="dnd") == 403
    assert presence(webex_cloud, "POST", "events", subject=ALICE_ID, eventType="asleep") == 400
    assert presence(webex_cloud, "GET", "compositions?userId=nobody") == 404
    assert presence(webex_cloud, "POST", "compositions", subjects="bob") == 400
    with pytest.raises(ValueError, match="asleep"):
        webex_cloud.set_presence("bob", "asleep")
