"""Commands that are called as functions leave the signal handlers of their process as they were."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from webex.bots import Bot
from webex.cli import bot as bot_command
from webex.cli import emulator, fleet
from webex.emulator import Cloud
from webex.integration import AsyncIntegration
from webex.runtime.signals import handled, handled_by_loop
from webex.storage import SQLiteStorage

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGTERM to this process")


def own(*_: Any) -> None:
    """Handle a signal as an app of its own would."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Set handlers, and check that they are there again after the test."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, own) for number in numbers}
    try:
        yield
        assert all(signal.getsignal(number) is own for number in numbers)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def terminate_once_handled() -> None:
    """Send SIGTERM to this process as soon as it handles that otherwise than before."""

    def send() -> None:
        waited = threading.Event()
        while signal.getsignal(signal.SIGTERM) is own:
            waited.wait(0.05)
        waited.wait(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=send, daemon=True).start()


def test_emulator_command_restores_handlers() -> None:
    terminate_once_handled()
    result = CliRunner().invoke(emulator.command, ["--port", "0"])
    assert result.exit_code == 0, result.output


def test_emulator_command_around_another_restores_handlers() -> None:
    result = CliRunner().invoke(emulator.command, ["--", sys.executable, "-c", "pass"])
    assert result.exit_code == 0, result.output


def test_supervised_fleet_restores_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Child:
        def __init__(self, *_: Any) -> None:
            self.start: Callable[[], None] = lambda: None
            self.look_after = self.terminate = self.start

        def wait(self, _: float) -> int:
            return 0

    monkeypatch.setattr(fleet, "_Child", Child)
    terminate_once_handled()
    assert fleet.supervise("app:fleet", 2, probes=("", None), log_level="INFO", grace=1.0) == 0


def test_reloaded_bot_restores_handlers(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bot.py").write_text("import time; time.sleep(60)", "utf-8")
    terminate_once_handled()
    with pytest.raises(SystemExit):
        bot_command._reload(["bot:bot"], {})


def test_bot_restores_handlers(webex_cloud: Cloud) -> None:
    bot = Bot(webex_cloud.token_for("bot"), settings={"emulator_url": webex_cloud.url})
    terminate_once_handled()
    bot.run()


def test_fleet_worker_restores_handlers(webex_cloud: Cloud, tmp_path: Any) -> None:
    from webex.fleet import Fleet

    async def main() -> None:
        async with AsyncIntegration(
            client_id="c",
            client_secret="s",
            redirect_uri="https://app.example.com/callback",
            storage=SQLiteStorage(tmp_path / "s.db"),
            emulator_url=webex_cloud.url,
        ) as integration:
            worker = Fleet(integration)
            worker.on("messages", "created")(lambda event: None)
            await worker.run()

    terminate_once_handled()
    asyncio.run(main())


def test_signals_are_left_alone_in_another_thread() -> None:
    async def main() -> None:
        with handled(lambda *_: None), handled_by_loop(lambda: None):
            assert signal.getsignal(signal.SIGTERM) is own

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()


def test_a_handler_of_a_loop_is_not_left_without_its_loop() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: None)
        with handled_by_loop(lambda: None):
            pass
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL  # it would have ignored the signal

    asyncio.run(main())
    signal.signal(signal.SIGTERM, own)
