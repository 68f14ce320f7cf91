"""A bot ends when it is asked to, also while it begins."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from webex import Webex
from webex.bots import Bot, Context
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_TOKEN, BOT_ID, BOT_TOKEN
from webex.errors import ConfigurationError
from webex.ids import to_hydra_id
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


def test_bot_runs_in_a_thread_and_not_within_an_event_loop(webex_cloud: Cloud) -> None:
    bot = Bot(BOT_TOKEN, storage=MemoryStorage(), settings={"emulator_url": webex_cloud.url})
    asked = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    @bot.command("end")
    async def end(ctx: Context) -> None:
        loops.append(asyncio.get_running_loop())
        asked.set()

    async def misused() -> None:
        bot.run()

    with pytest.raises(ConfigurationError, match=r"await bot\.listen\(\)"):
        asyncio.run(misused())
    thread = threading.Thread(target=bot.run)
    thread.start()
    give_up = time.monotonic() + 60
    try:
        while not bot.health.is_connected:  # what is written before is not heard
            assert time.monotonic() < give_up
            time.sleep(0.01)
        with Webex(ALICE_TOKEN, emulator_url=webex_cloud.url) as alice:
            alice.messages.create(to_person_id=to_hydra_id("PEOPLE", BOT_ID), text="end")
            assert asked.wait(60)
    finally:
        for loop in loops:
            asyncio.run_coroutine_threadsafe(bot.stop(), loop).result(60)
        thread.join(60)
    assert not thread.is_alive()


def test_cancelled_bot_leaves_no_exception_unread(webex_cloud: Cloud) -> None:
    problems: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        bot = Bot(BOT_TOKEN, storage=MemoryStorage(), settings={"emulator_url": webex_cloud.url})
        listening = asyncio.create_task(bot.listen())
        while not bot.health.is_connected:
            await asyncio.sleep(0.01)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await bot.aclose()
        gc.collect()

    asyncio.run(asyncio.wait_for(main(), 60))
    assert problems == []
