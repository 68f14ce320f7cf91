"""No configuration of an app's logging makes a socket's library write frames: the first one holds the token."""

from __future__ import annotations

import subprocess
import sys

from webex.emulator.accounts import ALICE_TOKEN

SCRIPT = """
import asyncio, logging, logging.config
import webex.emulator.realtime.websocket, webex.realtime.mercury.socket
from webex import AsyncWebex
from webex.emulator import Emulator
from webex.emulator.accounts import ALICE_TOKEN

logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"all": {"class": "logging.StreamHandler"}},
    "root": {"level": "DEBUG", "handlers": ["all"]},
})
for name in list(logging.root.manager.loggerDict):
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.propagate = True

async def main():
    with Emulator() as cloud:
        async with AsyncWebex(ALICE_TOKEN, emulator_url=cloud.url) as client:
            async with client.messages.listen() as events:
                room = await client.rooms.create(title="Quiet")
                await client.messages.create(room_id=room.id, text="hello")
                async for event in events:
                    break

asyncio.run(main())
"""


def test_no_logging_configuration_enables_websocket_frame_logs() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "webex" in ended.stderr, "the configuration writes nothing"
    assert ALICE_TOKEN not in ended.stderr
    assert "TEXT '" not in ended.stderr, "the library writes frames"
