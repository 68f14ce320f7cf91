"""Work for a long time, and see that memory, descriptors, threads and tasks stay flat.

`python -m benchmarks.soak --minutes 20` prints a line every ten seconds, and fails when one of them grew. The cloud
runs in a process of its own and misbehaves a little: 429, 503, dropped connections and sockets. The work is done in
both styles: calls of many users in an event loop and from threads, lists, uploads and downloads, refreshes, sign-ins
and sign-outs, and a listener whose socket is cut again and again.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webex import AsyncIntegration, AsyncWebex, Integration, Webex
from webex.emulator import Emulator, accounts
from webex.errors import WebexError
from webex.storage import SQLiteStorage

APP = {
    "client_id": accounts.CLIENT_ID,
    "client_secret": accounts.CLIENT_SECRET,
    "redirect_uri": accounts.REDIRECT_URIS[0],
    "scope": "openid email spark:all spark:kms",
}
_WARM = {"blocking": 5, "asynchronous": 25, "listening": 5, "signing": 3, "views": 20}  # rounds before the first sample
_GROWTH = {"rss": (1.10, 8.0), "descriptors": (1.0, 8), "threads": (1.0, 4), "tasks": (1.0, 8)}  # factor, and on top


@dataclass(frozen=True)
class Sample:
    """How things stand: resident megabytes, open descriptors, threads, asyncio tasks, and calls made so far."""

    rss: float
    descriptors: int
    threads: int
    tasks: int
    calls: int
    errors: int


class Work:
    """What is done, and counted."""

    def __init__(self, url: str, folder: str) -> None:
        self.url = url
        self.calls = 0
        self.errors = 0
        self.rounds: Counter[str] = Counter()  # of each kind of work
        self.ended = threading.Event()
        self.turns = {"asynchronous": asyncio.Lock(), "signing": asyncio.Lock()}  # held during each round
        self.storage = SQLiteStorage(str(Path(folder) / "soak.db"))

    async def sample(self) -> Sample:
        """Measure between two rounds of what runs in the event loop, so that its own bursts do not count."""
        async with self.turns["asynchronous"], self.turns["signing"]:
            return self._measure(len(asyncio.all_tasks()))

    def _measure(self, tasks: int) -> Sample:
        gc.collect()
        rss = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
        descriptors = len(os.listdir("/proc/self/fd"))
        return Sample(rss, descriptors, threading.active_count(), tasks, self.calls, self.errors)

    def blocking(self) -> None:
        """Call from a thread, with a client that is made anew now and then."""
        while not self.ended.is_set():
            with Webex(accounts.BOB_TOKEN, emulator_url=self.url, timeout=10) as bob:
                for _ in range(200):
                    if self.ended.is_set():
                        return
                    try:
                        bob.people.me()
                        for room in bob.rooms.list(limit=5):
                            bob.messages.list(room_id=room.id, limit=2).to_list()
                        self.calls += 3
                        self.rounds["blocking"] += 1
                    except WebexError:
                        self.errors += 1

    async def asynchronous(self) -> None:
        """Call in the event loop: messages, files, and what is refused."""
        async with AsyncWebex(accounts.ALICE_TOKEN, emulator_url=self.url, timeout=10) as alice:
            room = await alice.rooms.create(title="Soak")
            await alice.memberships.create(room_id=room.id, person_email="bob@example.com")
            number = 0
            while not self.ended.is_set():
                number += 1
                async with self.turns["asynchronous"]:
                    try:
                        await asyncio.gather(*(alice.people.me() for _ in range(10)))
                        await self._message(alice, room.id, number)
                        self.calls += 12
                        self.rounds["asynchronous"] += 1
                    except WebexError:
                        self.errors += 1
                await asyncio.sleep(0.01)

    async def _message(self, alice: AsyncWebex, room_id: str, number: int) -> None:
        message = await alice.messages.create(room_id=room_id, text=f"Message {number}")
        if number % 20 == 0:
            sent = await alice.messages.create(room_id=room_id, files=[("a.bin", os.urandom(50_000))])
            with tempfile.TemporaryDirectory() as folder:
                await alice.files.download((sent.files or [""])[0], to=folder)
        await alice.messages.delete(message.id)

    async def listening(self) -> None:
        """Receive events; the cloud cuts the socket every few seconds."""
        bob = AsyncWebex(accounts.BOB_TOKEN, emulator_url=self.url)
        async with bob, bob.messages.listen(first_pause=0.1) as events:
            reading = asyncio.create_task(self._count(events))
            await asyncio.to_thread(self.ended.wait)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _count(self, events: Any) -> None:
        async for _ in events:
            self.rounds["listening"] += 1

    async def signing(self) -> None:
        """Sign in, call, refresh, sign out."""
        async with AsyncIntegration(**APP, emulator_url=self.url, storage=self.storage) as integration:
            while not self.ended.is_set():
                async with self.turns["signing"]:
                    try:
                        key = await self._sign_in(integration)
                        client = integration.user(key)
                        await client.people.me()
                        await client.refresh()
                        await client.people.me()
                        await integration.sign_out(key)
                        self.calls += 8
                        self.rounds["signing"] += 1
                    except (WebexError, OSError):
                        self.errors += 1
                await asyncio.sleep(0.05)

    async def _sign_in(self, integration: AsyncIntegration) -> str:
        login = await integration.begin_login()
        code = await asyncio.to_thread(_consent, self.url, login.url)
        signed_in = await integration.finish_login(code, browser=login.browser)
        return str(signed_in.user.key)

    def views(self) -> None:
        """Make an integration's views from threads that end."""
        with Integration(**APP, emulator_url=self.url) as integration:
            integration.adopt("bot", accounts.BOT_TOKEN)

            def once() -> None:
                try:
                    integration.user("bot").people.me()
                    self.calls += 1
                    self.rounds["views"] += 1
                except WebexError:
                    self.errors += 1

            while not self.ended.is_set():
                thread = threading.Thread(target=once)
                thread.start()
                thread.join()
                time.sleep(0.01)


def _consent(url: str, login_url: str) -> str:
    from webex.emulator.client import EmulatorClient

    return str(EmulatorClient(url).sign_in(login_url, as_="admin"))


async def run(url: str, seconds: float, every: float) -> list[Sample]:
    """Work for so long, after every kind of work is under way; the samples."""
    samples = []
    with tempfile.TemporaryDirectory() as folder:
        work = Work(url, folder)
        threads = [threading.Thread(target=target) for target in (work.blocking, work.views)]
        for thread in threads:
            thread.start()
        tasks = [asyncio.create_task(each()) for each in (work.asynchronous, work.listening, work.signing)]
        while any(work.rounds[name] < rounds for name, rounds in _WARM.items()):
            await _worked(0.05, tasks)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await _worked(every, tasks)
            samples.append(await work.sample())
            print(json.dumps({**samples[-1].__dict__, "heard": work.rounds["listening"]}), flush=True)
        work.ended.set()
        await asyncio.gather(*tasks)
        for thread in threads:
            await asyncio.to_thread(thread.join)
        work.storage.close()
    return samples


async def _worked(seconds: float, tasks: list[asyncio.Task[None]]) -> None:
    """Let the work go on for so long; raise what ended one kind of it."""
    await asyncio.sleep(seconds)
    for task in tasks:
        if task.done():
            task.result()


def growth(samples: list[Sample]) -> list[str]:
    """What grew: the least of the last third against that of the second, as a burst ends and a leak does not."""
    third = max(len(samples) // 3, 1)
    before, after = samples[third : 2 * third] or samples[:1], samples[-third:]
    grown = []
    for name, (factor, more) in _GROWTH.items():
        first, last = (min(getattr(each, name) for each in some) for some in (before, after))
        if last > first * factor + more:
            grown.append(f"{name} grew from {first:g} to {last:g}")
    return grown


def serve() -> None:
    """Child: a cloud that misbehaves a little, until its standard input ends."""
    with Emulator() as cloud:
        cloud.faults.add("/v1/*", status=429, retry_after="0.05", rate=0.01, seed=1)
        cloud.faults.add("/v1/*", status=503, rate=0.01, seed=2)
        cloud.faults.add("/v1/rooms*", drop=True, rate=0.005, seed=3)
        cloud.mercury.set_faults(drop_after=0.02)
        print(cloud.url, flush=True)
        sys.stdin.read()


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--every", type=float, default=10.0, metavar="SECONDS", help="between two samples")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve()
        return 0
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak", "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        try:
            samples = asyncio.run(run(child.stdout.readline().strip(), options.minutes * 60, options.every))
        finally:
            child.communicate()
    grown = growth(samples)
    print("; ".join(grown) if grown else f"flat over {len(samples)} samples, {samples[-1].calls} calls")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
