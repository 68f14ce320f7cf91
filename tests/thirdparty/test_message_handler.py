"""`webex-message-handler` 0.6.17 from PyPI, unchanged and over TLS, hears what ours encrypts."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.tiers import environment
from webex import AsyncWebex
from webex.emulator import Emulator, accounts

HERE = Path(__file__).parent


@pytest.mark.thirdparty
def test_message_handler_decrypts_messages_of_ours() -> None:
    with Emulator(tls=True) as cloud:
        variables = {
            "TOKEN": cloud.token_for("bob"),
            "EMULATOR_TLS_PORT": str(urlsplit(cloud.tls_url or "").port),
            "SSL_CERT_FILE": str(cloud.ca_file),
        }
        process = subprocess.Popen(
            [str(environment("webex-message-handler")), str(HERE / "message_handler_client.py")],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            assert json.loads(process.stdout.readline()) == {"connected": True}

            async def send() -> None:
                async with AsyncWebex(accounts.ALICE_TOKEN, emulator_url=cloud.url) as alice:
                    room = str((await alice.rooms.create(title="Both")).id)
                    await alice.memberships.create(room_id=room, person_email="bob@example.com")
                    await alice.conversations.post(room, "encrypted by ours", html="<b>encrypted by ours</b>")
                    await alice.messages.create(room_id=room, markdown="by **REST**")

            asyncio.run(send())
            heard = [json.loads(process.stdout.readline()) for _ in range(2)]
        finally:
            process.communicate(timeout=60)
    assert [each["text"] for each in heard] == ["encrypted by ours", "by REST"]
    assert heard[0]["html"] == "<b>encrypted by ours</b>"
    assert heard[0]["email"] == "alice@example.com"
