"""What published clients ask of the conversation service, and others do not: with plain requests."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import call, connected, new_room, register
from tests.emulator.realtime.test_conversation_features import Door
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN, BOB_TOKEN


@pytest.fixture
def alice(webex_cloud: Cloud) -> Door:
    return Door(webex_cloud, new_room(webex_cloud))


def test_event_urls_have_the_host_of_the_client(alice: Door) -> None:
    headers = {"host": "wdm-a.wbx2.com"}
    url = f"{alice.cloud.url}/wdm/api/v1/devices"
    named = fetch(url, json_body={"name": "named"}, token=ALICE_TOKEN, headers=headers).json()
    named["webSocketUrl"] = named["webSocketUrl"].replace("ws://wdm-a.wbx2.com", alice.cloud.url.replace("http", "ws"))
    plain = register(alice.cloud)

    async def main() -> None:
        async with connected(named) as one, connected(plain) as two:
            item = await asyncio.to_thread(alice.item)
            await asyncio.to_thread(alice.share, item)
            for client, base in ((one, "http://wdm-a.wbx2.com"), (two, alice.cloud.url)):
                activity = (await client.receive())["data"]["activity"]
                assert activity["target"]["url"] == f"{base}/conversation/api/v1/conversations/{alice.room_id}"
                _, cipher = alice.key()
                encrypted = activity["object"]["files"]["items"][0]["scr"]
                assert json.loads(cipher.decrypt(encrypted))["loc"].startswith(f"{base}/files/")
            # A refresh by another host counts from then on.
            await call(named["url"].replace("http://wdm-a.wbx2.com", alice.cloud.url), "PUT", token=ALICE_TOKEN)
            await asyncio.to_thread(alice.post, "again")
            activity = (await one.receive())["data"]["activity"]
            assert activity["url"].startswith(alice.cloud.url)

    asyncio.run(main())


def test_damaged_activity_is_the_same_for_every_host(alice: Door) -> None:
    url = f"{alice.cloud.url}/wdm/api/v1/devices"
    named = fetch(url, json_body={"name": "n"}, token=ALICE_TOKEN, headers={"host": "wdm-a.wbx2.com"}).json()
    named["webSocketUrl"] = named["webSocketUrl"].replace("ws://wdm-a.wbx2.com", alice.cloud.url.replace("http", "ws"))
    plain = register(alice.cloud)
    alice.cloud.conversations.set_faults(no_key=1)

    async def main() -> None:
        async with connected(named) as one, connected(plain) as two:
            for expected in (False, True):
                await asyncio.to_thread(alice.post, "text")
                found = [(await client.receive())["data"]["activity"] for client in (one, two)]
                assert ["encryptionKeyUrl" in each for each in found] == [expected, expected]

    asyncio.run(main())


def test_activities_are_listed_by_conversation_url(alice: Door) -> None:
    posted = alice.post("text")
    for url in (alice.room, f"{alice.room}/"):
        answer = alice.fetch(f"{alice.base}/activities?conversationUrl={url}")
        assert [each["id"] for each in answer.json()["items"]][-1] == posted["id"]
    assert (
        Door(alice.cloud, alice.room_id, BOB_TOKEN)
        .fetch(f"{alice.base}/activities?conversationUrl={alice.room}")
        .status
        == 404
    )


def test_upload_size_may_be_given_at_the_end(alice: Door) -> None:
    data = b"encrypted bytes"
    space = alice.fetch(f"{alice.room}/space", "PUT").json()["spaceUrl"]
    session = fetch(f"{space}/upload_sessions", "POST", token=ALICE_TOKEN).json()
    assert fetch(session["uploadUrl"], "PUT", data=data).status == 200
    finish = session["finishUploadUrl"]
    assert alice.fetch(finish, "POST", {"fileSize": len(data) + 1}).status == 400
    assert alice.fetch(finish, "POST", {"fileSize": len(data), "fileHash": "short"}).status == 400
    hashed = {"fileSize": len(data), "fileHash": hashlib.sha256(data).hexdigest()}
    for body in ({"fileSize": len(data)}, hashed):
        url = alice.fetch(finish, "POST", body).json()["downloadUrl"]
        assert alice.fetch(url).body == data
    assert alice.fetch(f"{space}/upload_sessions", "POST", {"fileSize": -1}).status == 400
    known = alice.fetch(f"{space}/upload_sessions", "POST", {"fileSize": 5}).json()
    assert fetch(known["uploadUrl"], "PUT", data=data).status == 400


@pytest.mark.webex_cloud(max_file_size=4)
def test_upload_without_a_size_has_the_same_limit(alice: Door) -> None:
    space = alice.fetch(f"{alice.room}/space", "PUT").json()["spaceUrl"]
    session = fetch(f"{space}/upload_sessions", "POST", token=ALICE_TOKEN).json()
    assert fetch(session["uploadUrl"], "PUT", data=b"12345").status == 413
    assert fetch(session["uploadUrl"], "PUT", data=b"1234").status == 200
