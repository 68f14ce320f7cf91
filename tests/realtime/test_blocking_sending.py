"""Sending end-to-end encrypted from blocking code."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.realtime.pictures import png
from webex import Webex
from webex.emulator import accounts
from webex.emulator.cloud import Cloud
from webex.errors import EncryptionError
from webex.ids import to_uuid
from webex.realtime import OutgoingFile


def test_blocking_code_sends_and_decrypts_messages(webex_cloud: Cloud, tmp_path: Path) -> None:
    with (
        Webex(accounts.ALICE_TOKEN, emulator_url=webex_cloud.url) as alice,
        Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob,
    ):
        room = alice.conversations.create([accounts.BOB_ID], "Both")
        with bob.messages.listen() as events:
            sent = alice.conversations.post(room, "for bob alone", html="<b>for bob alone</b>")
            event = events.get(timeout=20)
            assert (event.data.id, event.data.text, event.decryption_error) == (sent, "for bob alone", None)
            alice.conversations.edit(room, sent, "changed")
            event = events.get(timeout=20)
            assert (event.event, event.data.id, event.data.text) == ("updated", sent, "changed")
            alice.conversations.share(room, b"bytes" * 1000, name="bytes.bin")
            path = bob.conversations.download(events.get(timeout=20).files[0], tmp_path / "bytes.bin")
            assert path.read_bytes() == b"bytes" * 1000
            alice.conversations.delete(room, sent)
            assert events.get(timeout=20).event == "deleted"
        alice.conversations.typing(room)
        alice.conversations.acknowledge(room, sent)
        assert bob.presence.get(accounts.ALICE_ID).status == "active"


def test_blocking_code_sends_nothing_without_a_key(webex_cloud: Cloud) -> None:
    with Webex(accounts.ALICE_TOKEN, emulator_url=webex_cloud.url) as alice:
        room = str(alice.rooms.create(title="A room").id)
        with webex_cloud.lock:
            webex_cloud.kms.room_key(webex_cloud.state.rooms[to_uuid(room)])
        webex_cloud.kms.set_faults(by_key={"*": {"status": 403, "reason": "no"}})
        with pytest.raises(EncryptionError):
            alice.conversations.post(room, "never sent")
        assert not webex_cloud.state.messages


def test_blocking_code_shares_updates_and_rotates(webex_cloud: Cloud, tmp_path: Path) -> None:
    with (
        Webex(accounts.ALICE_TOKEN, emulator_url=webex_cloud.url) as alice,
        Webex(webex_cloud.token_for("bob"), emulator_url=webex_cloud.url) as bob,
    ):
        room = alice.conversations.create([accounts.BOB_ID], "Both", text="Welcome", tags=["WELCOME"], favorite=True)
        with bob.messages.listen() as events:
            first = alice.conversations.rotate_key(room)
            files = [OutgoingFile(b"one", name="1.txt"), OutgoingFile(b"two", name="2.txt")]
            alice.conversations.share(room, files, "two files")
            one, two = events.get(timeout=20).files
            to = io.BytesIO()
            assert (bob.conversations.download(one), bob.conversations.download(two, to)) == (b"one", 3)
            assert (to.getvalue(), bob.conversations.download(one, tmp_path)) == (b"two", tmp_path / "1.txt")
        alice.conversations.update(room, title="Another title", muted=True)
        assert sorted(alice.conversations.tags(room)) == ["FAVORITE", "MUTED", "WELCOME"]
        assert alice.rooms.get(room).title == "Another title"
        alice.conversations.set_picture(room, png(3, 3), name="face.png")
        assert webex_cloud.state.rooms[to_uuid(room)].avatar is not None
        alice.conversations.remove_picture(room)
        assert webex_cloud.state.rooms[to_uuid(room)].avatar is None
        assert webex_cloud.state.rooms[to_uuid(room)].key_uri == first
