"""A bot ends when it is asked to, also while it begins."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest

from webex.bots import Bot
from webex.storage import MemoryStorage

BOT = """
import sys
from webex.bots import Bot
from webex.storage import MemoryStorage

Bot("token", storage=MemoryStorage(), settings={"emulator_url": sys.argv[1]}).run()
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGTERM")
def test_signal_ends_a_bot_that_waits_for_a_cloud_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen([sys.executable, "-c", BOT, url], stderr=subprocess.PIPE, text=True)
        try:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)  # the request is on its way
                process.send_signal(signal.SIGTERM)
                _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0, errors


def test_bot_that_was_stopped_while_it_began_can_listen_again() -> None:
    async def main() -> None:
        called = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            called.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        bot = Bot("token", storage=MemoryStorage(), settings={"emulator_url": url})
        for _ in range(2):
            called.clear()
            listening = asyncio.create_task(bot.listen())
            await called.wait()
            await bot.stop()
            await bot.stop()
            await listening
        await bot.aclose()
        server.close()

    asyncio.run(asyncio.wait_for(main(), 60))
