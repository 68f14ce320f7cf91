"""What conversations and their files can be made to do wrong on their way, while the history stays whole."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from tests.emulator.helpers import fetch
from tests.emulator.realtime.helpers import Talker, call, new_room, talker
from webex.emulator import Cloud, EmulatorClient
from webex.emulator.accounts import ALICE_TOKEN
from webex.encryption import jose
from webex.ids import base64url_decode, base64url_encode


@pytest.mark.parametrize("fault", ["changed_text", "cut_text"])
def test_a_text_can_be_damaged_in_transit(webex_cloud: Cloud, fault: str) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            webex_cloud.conversations.set_faults(**{fault: 1})
            posted = (await alice.post("hello", content={"content": alice.cipher.encrypt(b"<b>hello</b>")})).json()
            activity = await alice.activity()
            for name in ("displayName", "content"):
                with pytest.raises(jose.BadTokenError):
                    alice.cipher.decrypt(activity["object"][name])
            kept = (await alice.get(f"/activities/{posted['id']}")).json()
            assert alice.cipher.decrypt(kept["object"]["displayName"]) == b"hello"
            await alice.post("again")
            assert alice.cipher.decrypt((await alice.activity())["object"]["displayName"]) == b"again"

    asyncio.run(main())


def test_an_activity_can_have_a_missing_or_unknown_key_url(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            webex_cloud.conversations.set_faults(unknown_key=1)
            await alice.post("one")
            unknown = (await alice.activity())["encryptionKeyUrl"]
            assert (await alice.kms.ask("retrieve", unknown))["status"] == 404
            webex_cloud.conversations.set_faults(no_key=1)
            await alice.post("two")
            bare = await alice.activity()
            assert "encryptionKeyUrl" not in bare
            assert "defaultActivityEncryptionKeyUrl" not in bare["target"]
            await alice.post("three")
            assert (await alice.activity())["encryptionKeyUrl"] == alice.key_url

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "status", "code"), [("rotate", 400, 1400087), ("rotated", 409, 1409004), ("stale_key", 400, 1400049)]
)
def test_a_post_can_be_refused_because_of_its_key(webex_cloud: Cloud, fault: str, status: int, code: int) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            webex_cloud.conversations.set_faults(**{fault: 1})
            refused = await alice.post("hello")
            assert (refused.status, refused.json()["errorCode"]) == (status, code)
            # A rotation stays due until it is done; the others were said once.
            assert (await alice.post("again")).status == (400 if fault == "rotate" else 200)

    asyncio.run(main())


async def upload(alice: Talker, data: bytes) -> dict[str, Any]:
    """An encrypted file, as an item of a share; the ciphertext is as long as the file."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, iv, aad = bytes(range(32)), bytes(12), "2026-01-31T12:00:00.000Z"
    encrypted = AESGCM(key).encrypt(iv, data, aad.encode())
    space = (await call(f"{alice.url}/space", "PUT", json_body={}, token=alice.token)).json()["spaceUrl"]
    session = (
        await call(f"{space}/upload_sessions", "POST", json_body={"fileSize": len(data)}, token=alice.token)
    ).json()
    assert (await put(session["uploadUrl"], encrypted[:-16])) == 200
    finish = {"fileSize": len(data), "fileHash": hashlib.sha256(encrypted[:-16]).hexdigest()}
    done = (await call(session["finishUploadUrl"], "POST", json_body=finish, token=alice.token)).json()
    scr = {
        "enc": "A256GCM",
        "key": base64url_encode(key),
        "iv": base64url_encode(iv),
        "aad": aad,
        "loc": done["downloadUrl"],
        "tag": base64url_encode(encrypted[-16:]),
    }
    return {
        "objectType": "file",
        "displayName": alice.cipher.encrypt(b"a.txt"),
        "mimeType": "text/plain",
        "scr": alice.cipher.encrypt(json.dumps(scr).encode()),
    }


async def put(url: str, data: bytes) -> int:
    import urllib.request

    request = urllib.request.Request(url, data, method="PUT")
    return await asyncio.to_thread(lambda: int(urllib.request.urlopen(request).status))


async def download(alice: Talker, activity: dict[str, Any]) -> bytes:
    """The file of an activity, opened with its SCR; `InvalidTag` when it does not fit."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    scr = json.loads(alice.cipher.decrypt(activity["object"]["files"]["items"][0]["scr"]))
    body = (await call(scr["loc"], token=alice.token)).body
    key, iv, tag = (base64url_decode(scr[name]) for name in ("key", "iv", "tag"))
    return AESGCM(key).decrypt(iv, body + tag, scr["aad"].encode())


def test_a_file_is_encrypted_over_conversations_and_clear_over_rest(webex_cloud: Cloud) -> None:
    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            share = {"objectType": "content", "files": {"items": [await upload(alice, b"in the file")]}}
            assert (await alice.submit("share", share, "/content")).status == 200
            activity = await alice.activity()
            assert activity["verb"] == "share"
            assert await download(alice, activity) == b"in the file"

    asyncio.run(main())
    listed = fetch(f"{webex_cloud.url}/v1/messages?roomId={room_id}", token=ALICE_TOKEN).json()["items"]
    assert fetch(listed[0]["files"][0], token=ALICE_TOKEN).body == b"in the file"


def test_a_file_can_be_damaged_in_transit(webex_cloud: Cloud) -> None:
    from cryptography.exceptions import InvalidTag

    room_id = new_room(webex_cloud)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            for _ in range(2):
                webex_cloud.conversations.set_faults(changed_scr=1)
                share = {"objectType": "content", "files": {"items": [await upload(alice, b"in the file")]}}
                posted = (await alice.submit("share", share, "/content")).json()
            broken = await alice.activity()
            with pytest.raises(jose.BadTokenError):
                alice.cipher.decrypt(broken["object"]["files"]["items"][0]["scr"])
            whole = (await alice.get(f"/activities/{posted['id']}")).json()
            for fault in ("changed_file", "cut_file"):
                webex_cloud.conversations.set_faults(**{fault: 1})
                with pytest.raises(InvalidTag):
                    await download(alice, whole)
                assert await download(alice, whole) == b"in the file"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("result", "state", "status"),
    [("clean", "safe", 200), ("infected", "infected", 410), ("unscannable", "unchecked", 428)],
)
@pytest.mark.webex_cloud(file_scan_seconds=60)
def test_a_malware_scan_ends_with_an_update_activity(webex_cloud: Cloud, result: str, state: str, status: int) -> None:
    room_id = new_room(webex_cloud)
    remote = EmulatorClient(webex_cloud.url)

    async def main() -> None:
        async with talker(webex_cloud, room_id) as alice:
            share = {"objectType": "content", "files": {"items": [await upload(alice, b"in the file")]}}
            posted = (await alice.submit("share", share, "/content")).json()
            (file,) = (await alice.activity())["object"]["files"]["items"]
            assert file["malwareQuarantineState"] == "evaluating"
            assert (await call(file["url"], token=ALICE_TOKEN)).status == 423
            told = await asyncio.to_thread(remote.conversations.end_scan, posted["id"], result)
            update = await alice.activity()
            assert (update["verb"], update["id"]) == ("update", told)
            assert (update["object"]["objectType"], update["object"]["id"]) == ("content", posted["id"])
            assert update["object"]["files"]["items"][0]["malwareQuarantineState"] == state
            assert (await call(file["url"], token=ALICE_TOKEN)).status == status

    asyncio.run(main())


def test_conversation_faults_are_set_remotely_and_end_with_a_reset(webex_cloud: Cloud) -> None:
    remote = EmulatorClient(webex_cloud.url)
    assert remote.conversations.set_faults(cut_text=2, rotated=1)["cut_text"] == 2
    assert webex_cloud.conversations.faults.rotated == 1
    with pytest.raises(ValueError, match="colour"):
        webex_cloud.conversations.set_faults(colour=1)
    webex_cloud.reset()
    assert webex_cloud.conversations.faults == type(webex_cloud.conversations.faults)()
