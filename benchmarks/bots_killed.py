"""A bot that is killed again and again while people write to it: nothing stays unanswered.

    python -m benchmarks.bots_killed --messages 200 --kills 20 --seed 1 --door fleet

Alice and Bob write numbers in several rooms, and hold dialogs; the bot, a process of its own, gets SIGKILL at random
moments and is started again. It listens by a socket of its own, or is the bot of a fleet's worker. At the end every
message has its answer; a second answer only says that it was delivered again; and what is done once was done at most
once.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from webex import AsyncIntegration, Webex
from webex.emulator import Emulator
from webex.emulator.accounts import ALICE_TOKEN, BOB_TOKEN, BOT_TOKEN, CLIENT_ID, CLIENT_SECRET, REDIRECT_URIS

ROOMS = 4
PATIENCE = 120.0  # seconds until the last answer
BOT = """
import asyncio, os, sys
from benchmarks.bots_killed import integration_of, storage_of
from webex.bots import Bot, Context, Dialog
from webex.fleet import Fleet

url, storage, done, door = sys.argv[1], storage_of(sys.argv[2]), sys.argv[3], sys.argv[4]
integration = integration_of(url, storage) if door == "fleet" else None
bot = Bot(
    os.environ["BOT_TOKEN"], integration=integration, storage=storage if integration is None else None,
    secret="a secret of the run, long enough", settings={"emulator_url": url}, first_pause=0.1, lease=1.0,
)


@bot.dialog
class Talk(Dialog):
    first: str = ""

    async def start(self, ctx: Context) -> None:
        await ctx.ask("first?", then=self.one)

    async def one(self, ctx: Context, text: str) -> None:
        self.first = text
        await ctx.ask(f"second after {text}?", then=self.two)

    async def two(self, ctx: Context, text: str) -> str:
        return f"talked {self.first} {text}"


@bot.command("talk")
async def talk(ctx: Context) -> Dialog:
    return Talk()


@bot.command("say")
async def say(ctx: Context, number: int) -> str:
    async with ctx.once("count") as first:
        if first:
            with open(done, "a") as file:
                file.write(f"{number}\\n")
    return f"said {number}{' again' if ctx.redelivered else ''}"


async def main() -> None:
    if integration is not None:
        fleet = Fleet(integration, bots=[bot], shards=4, lease=1.0, poll=0.05, first_pause=0.1)
        await fleet.start()
        while not fleet.users or fleet.health.connecting:
            await asyncio.sleep(0.01)
        print("connected", flush=True)
        await asyncio.Event().wait()
    listening = asyncio.ensure_future(bot.listen())
    while not bot.health.is_connected:
        if listening.done():
            await listening
        await asyncio.sleep(0.01)
    print("connected", flush=True)
    await listening


asyncio.run(main())
"""


def integration_of(url: str, storage: Any) -> AsyncIntegration:
    """Return the emulator's integration."""
    return AsyncIntegration(
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uri=REDIRECT_URIS[0],
        emulator_url=url,
        storage=storage,
    )


def storage_of(name: str) -> Any:
    """Return the storage of a name: `sqlite:PATH`, or the URL of a server."""
    from webex.storage import PostgresStorage, RedisStorage, SQLiteStorage

    if name.startswith("sqlite:"):
        return SQLiteStorage(name.removeprefix("sqlite:"))
    return RedisStorage(name) if name.startswith("redis") else PostgresStorage(name)


@dataclass
class Outcome:
    """What was seen."""

    messages: int = 0
    answers: int = 0
    kills: int = 0
    unanswered: list[int] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)  # second answers that do not say so
    twice: list[str] = field(default_factory=list)  # done more than once
    dialogs: int = 0
    dialogs_lost: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, and nothing done twice."""
        return not (self.unanswered or self.unmarked or self.twice or self.dialogs_lost)

    def __str__(self) -> str:
        return (
            f"{self.messages} messages, {self.kills} kills, {self.answers} answers; unanswered {len(self.unanswered)}, "
            f"second answers unmarked {len(self.unmarked)}, done twice {len(self.twice)}, "
            f"dialogs {self.dialogs}, lost {self.dialogs_lost}"
        )


class Process:
    """The bot, in a process of its own."""

    def __init__(self, url: str, storage: str, done: Path, door: str) -> None:
        self._arguments = [sys.executable, "-c", BOT, url, storage, str(done), door]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        variables = {**os.environ, "BOT_TOKEN": BOT_TOKEN}
        self._process = subprocess.Popen(
            self._arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=variables
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "connected":
            raise RuntimeError(f"the bot ended with {self._process.wait()}")

    def kill(self) -> None:
        """Kill it, as a machine that fails would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def run(messages: int, kills: int, storage: str | None, seed: int, door: str = "socket") -> Outcome:
    """Play the run; `storage` is a URL, or None for SQLite in a folder of its own, `door` "socket" or "fleet"."""
    chance = random.Random(seed)  # repeatable on purpose
    outcome = Outcome(messages=messages)
    with tempfile.TemporaryDirectory() as name, Emulator() as cloud:
        folder = Path(name)
        done = folder / "done"
        done.touch()
        bot = Process(cloud.url, storage or f"sqlite:{folder / 'bot.db'}", done, door)
        with Webex(ALICE_TOKEN, emulator_url=cloud.url) as alice, Webex(BOB_TOKEN, emulator_url=cloud.url) as bob:
            with Webex(BOT_TOKEN, emulator_url=cloud.url) as account:
                me = account.people.me().id
            bot.start()
            rooms = [_room(alice, bob, me) for _ in range(ROOMS)]
            moments = sorted(chance.sample(range(messages), kills))
            mention = f"<@personId:{me}>"
            for number in range(messages):
                speaker = chance.choice((alice, bob))
                speaker.messages.create(room_id=chance.choice(rooms), markdown=f"{mention} say {number}")
                if moments and number == moments[0]:
                    moments.pop(0)
                    time.sleep(chance.uniform(0.0, 0.05))
                    bot.kill()
                    outcome.kills += 1
                    if number % 3 == 0:
                        outcome.dialogs += 1
                        outcome.dialogs_lost += not _talk(alice, bot, me, number)
                    else:
                        bot.start()
            _wait(alice, rooms, messages)
            bot.kill()
            _judge(outcome, alice, rooms, me, done)
    return outcome


def _room(alice: Webex, bob: Webex, bot_id: str) -> str:
    room = alice.rooms.create(title="A room of the run")
    alice.memberships.create(room_id=room.id, person_id=bob.people.me().id)
    alice.memberships.create(room_id=room.id, person_id=bot_id)
    return room.id


def _talk(alice: Webex, bot: Process, bot_id: str, number: int) -> bool:
    """Hold a dialog with a bot that is killed between its steps; return whether it came to its end."""
    for text, answer in (("talk", "first?"), (f"a{number}", "second"), (f"b{number}", f"talked a{number} b{number}")):
        alice.messages.create(to_person_id=bot_id, text=text)
        bot.start()
        if not _until(partial(_has_answered, alice, bot_id, answer)):
            return False
        bot.kill()
    bot.start()
    return True


def _has_answered(alice: Webex, bot_id: str, answer: str) -> bool:
    return any(answer in text for text in _direct(alice, bot_id)[:3])


def _direct(alice: Webex, bot_id: str) -> list[str]:
    return [message.text or "" for message in alice.messages.list_direct(person_id=bot_id)]


def _until(condition: Any, patience: float = 30.0) -> bool:
    give_up = time.monotonic() + patience
    while not condition():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def _said(alice: Webex, rooms: list[str], bot_id: str | None = None) -> list[str]:
    found = []
    for room_id in rooms:
        found += [message.text or "" for message in alice.messages.list(room_id=room_id, page_size=1000)]
    return [text for text in found if text.startswith("said ")]


def _wait(alice: Webex, rooms: list[str], messages: int) -> None:
    _until(lambda: len({text.split()[1] for text in _said(alice, rooms)}) >= messages, PATIENCE)


def _judge(outcome: Outcome, alice: Webex, rooms: list[str], bot_id: str, done: Path) -> None:
    answers = _said(alice, rooms, bot_id)
    outcome.answers = len(answers)
    plain = Counter(text.split()[1] for text in answers if not text.endswith("again"))
    known = {int(text.split()[1]) for text in answers}
    outcome.unanswered = sorted(set(range(outcome.messages)) - known)
    outcome.unmarked = [number for number, count in plain.items() if count > 1]
    outcome.twice = [number for number, count in Counter(done.read_text().split()).items() if count > 1]


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bots_killed")
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--storage", help="the URL of a server; default: SQLite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--door", choices=["socket", "fleet"], default="socket")
    options = parser.parse_args(arguments)
    outcome = run(options.messages, options.kills, options.storage, options.seed, options.door)
    print(outcome)
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
