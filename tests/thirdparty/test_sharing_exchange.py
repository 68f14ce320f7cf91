"""npm `webex` 3.12.0, unchanged, and ours: files with previews, keys, tags and pictures, both ways."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.helpers import take
from tests.realtime.pictures import png
from tests.support.tiers import environment, program
from tests.thirdparty.clients import Client
from webex import AsyncWebex
from webex.emulator import Cloud, accounts
from webex.ids import to_hydra_id, to_uuid
from webex.realtime import OutgoingFile
from webex.realtime.conversations.previews import picture_size

pytestmark = [pytest.mark.thirdparty, pytest.mark.node]
HERE = Path(__file__).parent / "node"
ADMIN = to_hydra_id("PEOPLE", accounts.ADMIN_ID)


@pytest.fixture
def node(cloud: Cloud, tmp_path: Path) -> Iterator[Client]:
    """npm webex, signed in as Bob; the program `gm` that it runs for previews is one of ours."""
    folder = tmp_path / "bin"
    folder.mkdir()
    gm = folder / "gm"
    gm.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "graphics_magick.py"}" "$@"\n')
    gm.chmod(0o755)
    variables = {
        "BASE": cloud.url,
        "WEBEX_NODE_MODULES": str(environment("node-webex") / "node_modules"),
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
    }
    client = Client([program("node"), str(HERE / "sharing.js")], variables)
    try:
        client("with_token", token=cloud.token_for("bob"))
        yield client
    finally:
        client.close()


def ours(cloud: Cloud) -> AsyncWebex:
    return AsyncWebex(accounts.ALICE_TOKEN, emulator_url=cloud.url)


async def asked(node: Client, do: str, **parameters: Any) -> dict[str, Any]:
    return await asyncio.wait_for(asyncio.to_thread(lambda: node(do, **parameters)), 60)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_node_decrypts_files_and_previews_of_ours(cloud: Cloud, node: Client) -> None:
    small, large = png(8, 6), png(80, 60)

    async def main() -> None:
        async with ours(cloud) as alice:
            room = await alice.conversations.create([accounts.BOB_ID, ADMIN], "Both")
            first = await alice.conversations.post(room, "first")
            files = [OutgoingFile(large, name="a.png", thumbnail=small), OutgoingFile(b"a note", name="a.txt")]
            await alice.conversations.share(room, files, "two files", parent_id=first)
            shared = await asked(node, "shared")
            assert (shared["text"], shared["parent"]) == ("two files", to_uuid(first))
            picture, note = shared["files"]
            assert (picture["name"], picture["data"]) == ("a.png", text(large))
            assert picture["preview"] == [8, 6, text(small)]
            assert note == {"name": "a.txt", "data": text(b"a note"), "preview": None}

    asyncio.run(main())


def test_ours_decrypts_files_and_previews_of_node(cloud: Cloud, node: Client) -> None:
    large = png(1280, 640)

    async def main() -> None:
        async with ours(cloud) as alice:
            room = await alice.conversations.create([accounts.BOB_ID, ADMIN], "Both")
            async with alice.messages.listen() as events:
                files = [
                    {"name": "a.png", "type": "image/png", "data": text(large)},
                    {"name": "a.txt", "type": "text/plain", "data": text(b"a note")},
                ]
                await asked(node, "share", id=to_uuid(room), text="two files", files=files)
                (event,) = await take(events)
            assert event.data.text == "two files"
            picture, note = event.files
            download = alice.conversations.download
            assert [picture["displayName"], note["displayName"]] == ["a.png", "a.txt"]
            assert [await download(picture), await download(note)] == [large, b"a note"]
            assert picture_size(await download(picture["image"])) == ("image/png", 640, 320)
            assert (picture["image"]["width"], picture["image"]["height"]) == (640, 320)
            assert [await download(url) for url in event.data.files or ()] == [large, b"a note"]

    asyncio.run(main())


def test_either_creates_a_conversation_with_a_message_and_tags(cloud: Cloud, node: Client) -> None:
    async def main() -> None:
        async with ours(cloud) as alice:
            room = await alice.conversations.create(
                [accounts.BOB_ID, ADMIN], "By ours", text="Welcome", tags=["WELCOME"], favorite=True
            )
            shown = await asked(node, "show", id=to_uuid(room))
            assert (shown["title"], shown["tags"]) == ("By ours", ["WELCOME"])
            assert ["post", "Welcome"] in shown["said"]
            made = await asked(
                node,
                "create",
                participants=[accounts.ALICE_ID, accounts.ADMIN_ID],
                displayName="By Node",
                comment="Hello",
                tags=["WELCOME"],
                favorite=True,
            )
            other = to_hydra_id("ROOM", made["id"])
            assert await alice.conversations.tags(other) == ["WELCOME"]
            assert "FAVORITE" in (await asked(node, "show", id=made["id"]))["tags"]
            assert (await alice.rooms.get(other)).title == "By Node"
            assert [each.text for each in await alice.messages.list(room_id=other).to_list()] == ["Hello"]

    asyncio.run(main())


def test_a_key_that_either_has_rotated_serves_both(cloud: Cloud, node: Client) -> None:
    async def main() -> None:
        async with ours(cloud) as alice:
            room = await alice.conversations.create([accounts.BOB_ID, ADMIN], "Both")
            id = to_uuid(room)
            async with alice.messages.listen() as events:
                await alice.conversations.post(room, "one")
                await asked(node, "post", id=id, text="two")
                key = await alice.conversations.rotate_key(room)
                assert (await asked(node, "show", id=id))["key"] == key
                await asked(node, "post", id=id, text="three")
                await asked(node, "update_key", id=id)
                assert (await asked(node, "show", id=id))["key"] not in (None, key)
                await alice.conversations.post(room, "four")
                await asked(node, "post", id=id, text="five")
                found = await take(events, 5)
                assert [event.data.text for event in found] == ["one", "two", "three", "four", "five"]
                assert [event.decryption_error for event in found] == [None] * 5
            said = (await asked(node, "show", id=id))["said"]
            assert [each for verb, each in said if verb == "post"] == ["three", "four", "five"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("verb", "flag", "tag"),
    [
        ("favorite", "favorite", "FAVORITE"),
        ("mute", "muted", "MUTED"),
        ("hide", "hidden", "HIDDEN"),
        ("lock", "locked", "LOCKED"),
    ],
)
def test_flags_set_by_one_client_are_read_by_the_other(
    cloud: Cloud, node: Client, verb: str, flag: str, tag: str
) -> None:
    async def main() -> None:
        async with AsyncWebex(cloud.token_for("bob"), emulator_url=cloud.url) as bob:
            room = await bob.conversations.create([accounts.ALICE_ID, ADMIN], "Both")
            id = to_uuid(room)
            for by_ours in (True, False):
                for is_set in (True, False):
                    if by_ours:
                        await bob.conversations.update(room, **{flag: is_set})  # type: ignore[arg-type]  # a flag
                        assert (tag in (await asked(node, "show", id=id))["tags"]) == is_set
                    else:
                        await asked(node, "verb", id=id, verb=verb if is_set else f"un{verb}")
                        assert (tag in await bob.conversations.tags(room)) == is_set

    asyncio.run(main())


def test_notifications_and_titles_are_read_by_the_other_client(cloud: Cloud, node: Client) -> None:
    async def main() -> None:
        async with AsyncWebex(cloud.token_for("bob"), emulator_url=cloud.url) as bob:
            room = await bob.conversations.create([accounts.ALICE_ID, ADMIN], "Both")
            id = to_uuid(room)
            await bob.conversations.update(room, title="Another title", mention_notifications=False)
            shown = await asked(node, "show", id=id)
            assert (shown["title"], shown["tags"]) == ("Another title", ["MENTION_NOTIFICATIONS_OFF"])
            await asked(node, "verb", id=id, verb="muteMessages")
            await asked(node, "verb", id=id, verb="unmuteMentions")
            assert sorted(await bob.conversations.tags(room)) == [
                "MENTION_NOTIFICATIONS_ON",
                "MESSAGE_NOTIFICATIONS_OFF",
            ]
            await bob.conversations.update(room, mention_notifications="default", message_notifications="default")
            assert (await asked(node, "show", id=id))["tags"] == []

    asyncio.run(main())


def test_a_picture_is_assigned_by_either(cloud: Cloud, node: Client) -> None:
    async def main() -> None:
        async with ours(cloud) as alice:
            room = await alice.conversations.create([accounts.BOB_ID, ADMIN], "Both")
            id = to_uuid(room)
            await alice.conversations.set_picture(room, png(3, 3), name="ours.png")
            assert (await asked(node, "show", id=id))["picture"] == "ours.png"
            await asked(
                node, "assign", id=id, file={"name": "theirs.png", "type": "image/png", "data": text(png(4, 4))}
            )
            assert (await asked(node, "show", id=id))["picture"] == "theirs.png"
            await alice.conversations.remove_picture(room)
            assert (await asked(node, "show", id=id))["picture"] is None

    asyncio.run(main())
