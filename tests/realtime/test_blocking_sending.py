"""Sending end-to-end encrypted from blocking code."""

from __future__ import annotations

from pathlib import Path

import pytest

from webex import Webex
from webex.emulator import accounts
from webex.emulator.cloud import Cloud
from webex.errors import EncryptionError
from webex.ids import to_uuid


def test_blocking_code_sends_and_opens_what_nobody_else_can_read(webex_cloud: Cloud, tmp_path: Path) -> None:
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
        assert bob.conversations.presence(accounts.ALICE_ID)


def test_blocking_code_sends_nothing_without_a_key(webex_cloud: Cloud) -> None:
    with Webex(accounts.ALICE_TOKEN, emulator_url=webex_cloud.url) as alice:
        room = str(alice.rooms.create(title="A room").id)
        with webex_cloud.lock:
            webex_cloud.kms.room_key(webex_cloud.state.rooms[to_uuid(room)])
        webex_cloud.kms.set_faults(by_key={"*": {"status": 403, "reason": "no"}})
        with pytest.raises(EncryptionError):
            alice.conversations.post(room, "never sent")
        assert not webex_cloud.state.messages
