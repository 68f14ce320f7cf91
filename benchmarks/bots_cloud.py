"""The emulator of the bots' benchmark, in a process of its own, with the people who write to a bot.

`python -m benchmarks.bots_cloud FILE ROOMS MESSAGES`; FILE keeps the rooms for the next process. It prints one line of
JSON once its rooms are there, then answers one line on standard input with one line: {"do": "warm", "patience":
seconds}, {"do": "run", "messages": n, "window": n}. People post in process, so that no third program competes for the
processor.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from webex.emulator import Emulator, accounts
from webex.emulator.cloud import Cloud
from webex.emulator.inprocess import call
from webex.emulator.wire import Change
from webex.ids import public_id

EACH = 15  # messages of one person in one room at most: bots are careful with people who write too much
BOT = public_id("PEOPLE", accounts.BOT_ID)
SPARE = 2.0  # seconds between two messages that only see whether the bot answers
QUIET = 20.0  # seconds without an answer after which what is unanswered counts as lost


class World(msgspec.Struct):
    """The ids of the rooms with the bot, and the tokens of the people who are in all of them."""

    rooms: list[str]
    tokens: list[str]


class Load:
    """People who write `echo WORD` to the bot in their rooms, and the count of the answers."""

    def __init__(self, cloud: Cloud, world: World) -> None:
        self._cloud, self._world = cloud, world
        self._changed = threading.Condition()
        self._wanted: set[str] = set()
        self._last, self._answers = 0.0, 0
        self._silences: list[tuple[int, float]] = []  # after how many answers, and for how many seconds
        self._mention = f"<@personId:{BOT}>"
        cloud.subscribe(self._on_change)

    def warm(self, patience: float) -> dict[str, Any]:
        """Write to the bot until it answers; `seconds` is how long that took, -1 when it never did."""
        began = time.perf_counter()
        while time.perf_counter() - began < patience:
            word = f"warm{time.perf_counter_ns()}"
            self._post(len(self._world.rooms) - 1, word)
            if self._wait(partial(self._is_answered, word), SPARE):
                return {"seconds": time.perf_counter() - began}
        return {"seconds": -1.0}

    def run(self, messages: int, window: int) -> dict[str, Any]:
        """Write so many messages, at most `window` of them unanswered at a time; until the last answer.

        After QUIET seconds without an answer, what is unanswered counts as lost, and that time does not count; after
        two such silences without an answer between them the rest is not written.
        """
        self._wanted.clear()
        self._answers, self._silences = 0, []
        used, began = time.process_time(), time.perf_counter()
        if all(self._can_write(window) and self._post(number, f"n{number}") for number in range(messages)):
            self._can_write(1)
        silent = sum(seconds for answers, seconds in self._silences if answers < self._answers)
        seconds = self._last - began - silent
        return {"answers": self._answers, "seconds": seconds, "cpu": time.process_time() - used}

    def _can_write(self, window: int) -> bool:
        """Wait until fewer messages are unanswered; False when the bot answers no more."""
        while True:
            known, before = self._answers, time.perf_counter()
            if self._wait(lambda: len(self._wanted) < window, QUIET):
                return True
            if self._answers > known:
                continue
            self._wanted.clear()
            self._silences.append((known, time.perf_counter() - before))
            return len(self._silences) < 2 or self._silences[-2][0] < known

    def _is_answered(self, word: str) -> bool:
        return word not in self._wanted

    def _wait(self, fits: Callable[[], bool], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(fits, seconds)

    def _post(self, number: int, word: str) -> bool:
        rooms, tokens = self._world.rooms, self._world.tokens
        with self._changed:
            self._wanted.add(word)
        token, room = tokens[number // len(rooms) % len(tokens)], rooms[number % len(rooms)]
        ask(self._cloud, token, "POST", "/v1/messages", roomId=room, markdown=f"{self._mention} echo {word}")
        return True

    def _on_change(self, change: Change) -> None:
        if (change.resource, change.event, change.actor_id) != ("messages", "created", accounts.BOT_ID):
            return
        word = str(change.data.get("text") or "-").split()[-1]
        with self._changed:
            if word in self._wanted:
                self._wanted.discard(word)
                self._last, self._answers = time.perf_counter(), self._answers + 1
                self._changed.notify()


def ask(cloud: Cloud, token: str, method: str, path: str, **body: Any) -> Any:
    """Make a call in process, and return what it answers."""
    answer = call(cloud, method, path, token=token, json=body or None)
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path}: the cloud answered {answer.status}: {answer.json()}")
    return answer.json()


def make(cloud: Cloud, rooms: int, messages: int) -> World:
    """Make the rooms, with as many people as it takes for so many messages."""
    world = World([], [accounts.ALICE_TOKEN])
    for number in range(1, -(-messages // rooms // EACH)):
        person = cloud.add_person(f"person{number}@example.com", f"Person {number}")
        world.tokens.append(cloud.token_for(person.email))
    people = [ask(cloud, token, "GET", "/v1/people/me")["id"] for token in world.tokens[1:]]
    for number in range(rooms):
        room = ask(cloud, accounts.ALICE_TOKEN, "POST", "/v1/rooms", title=f"Room {number}")["id"]
        for person_id in [*people, BOT]:
            ask(cloud, accounts.ALICE_TOKEN, "POST", "/v1/memberships", roomId=room, personId=person_id)
        world.rooms.append(room)
    return world


def main() -> None:
    """Serve until standard input ends."""
    file, rooms, messages = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    beside = file.with_suffix(".world")
    with Emulator(tls=True, redelivery_limit=1_000_000) as cloud:
        if beside.exists():
            cloud.load(file)
            world = msgspec.json.decode(beside.read_bytes(), type=World)
        else:
            world = make(cloud, rooms, messages)
            cloud.save(file)
            beside.write_bytes(msgspec.json.encode(world))
        load = Load(cloud, world)
        print(json.dumps({"url": cloud.tls_url, "ca": str(cloud.ca_file), "bot": accounts.BOT_TOKEN}), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            told = load.warm(**asked) if asked.pop("do") == "warm" else load.run(**asked)
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
