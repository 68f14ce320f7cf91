"""One worker process of an app: it does what it is told in lines of JSON, and says in lines of JSON how it went.

Run as `python -m benchmarks.hosts.worker STORAGE KEY STYLE SETTINGS`; STORAGE is JSON, as `storages.py` makes it. It
says "ready" first, and "refreshing" whenever it begins to refresh a token.

    {"calls": 50}                  make so many calls at once
    {"seconds": 10, "pause": 0.1}  make a call again and again
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from typing import Any

from benchmarks.hosts.storages import opened
from webex import AsyncIntegration, Integration
from webex.telemetry import TelemetryEvent, TokenRefreshStarted

_output = threading.Lock()


def say(value: object) -> None:
    """Write one line."""
    with _output:
        print(json.dumps(value), flush=True)


class Tells:
    """A hook that tells of each refresh."""

    def on_event(self, event: TelemetryEvent) -> None:
        """Say that this worker refreshes."""
        if isinstance(event, TokenRefreshStarted):
            say({"refreshing": True})


class Outcomes:
    """How calls ended."""

    def __init__(self) -> None:
        self.ok = 0
        self.failed: Counter[str] = Counter()
        self.longest = 0.0

    def note(self, began: float, error: BaseException | None = None) -> None:
        """Count a call that began at a moment of the monotonic clock."""
        self.longest = max(self.longest, time.monotonic() - began)
        if error is None:
            self.ok += 1
            return
        reason = getattr(error, "reason", None)
        status = getattr(error, "status", None)
        self.failed[":".join(str(each) for each in (type(error).__name__, status, reason) if each)] += 1
        if not self.failed.total() > 3:
            print(f"{error!r} {error.__cause__!r} after {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)

    def say(self) -> None:
        """Tell."""
        say({"ok": self.ok, "failed": dict(self.failed), "longest": round(self.longest, 3)})


def blocking(storage: Any, key: str, settings: dict[str, Any]) -> None:
    """Work in blocking style, a thread for each call."""
    with Integration(storage=storage, hooks=[Tells()], **settings) as integration:
        say("ready")
        for line in sys.stdin:
            order, outcomes = json.loads(line), Outcomes()

            def call(outcomes: Outcomes = outcomes) -> None:
                began = time.monotonic()
                try:
                    integration.user(key).people.me()
                except Exception as error:
                    outcomes.note(began, error)
                else:
                    outcomes.note(began)

            if "calls" in order:
                threads = [threading.Thread(target=call) for _ in range(order["calls"])]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            else:
                end = time.monotonic() + order["seconds"]
                while time.monotonic() < end:
                    call()
                    time.sleep(order["pause"])
            outcomes.say()


async def event_loop(storage: Any, key: str, settings: dict[str, Any]) -> None:
    """Work in event-loop style, a task for each call."""
    async with AsyncIntegration(storage=storage, hooks=[Tells()], **settings) as integration:
        say("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            order, outcomes = json.loads(line), Outcomes()

            async def call(outcomes: Outcomes = outcomes) -> None:
                began = time.monotonic()
                try:
                    await integration.user(key).people.me()
                except Exception as error:
                    outcomes.note(began, error)
                else:
                    outcomes.note(began)

            if "calls" in order:
                await asyncio.gather(*(call() for _ in range(order["calls"])))
            else:
                end = time.monotonic() + order["seconds"]
                while time.monotonic() < end:
                    await call()
                    await asyncio.sleep(order["pause"])
            outcomes.say()
    close = getattr(storage, "aclose", None)
    if close is not None:
        await close()


if __name__ == "__main__":
    described, user_key, style, given = sys.argv[1:]
    made = opened(json.loads(described), style)
    if style == "blocking":
        blocking(made, user_key, json.loads(given))
    else:
        asyncio.run(event_loop(made, user_key, json.loads(given)))
