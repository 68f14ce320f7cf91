"""Fifty people talk while the cloud misbehaves; at the end everybody has heard everything once, in order.

`python -m benchmarks.chaos --seconds 120 --seed 1` prints the figures and fails when anything was lost, repeated or out
of order. What goes wrong, and when, follows from the seed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from webex import AsyncWebex
from webex.emulator import Emulator
from webex.emulator.cloud import Cloud
from webex.errors import WebexError
from webex.ids import parse_id, to_hydra_id

CODES = (1001, 1005, 1006, 1011, 1012, 1013, 1000, 4401, 4404)


@dataclass
class Report:
    """What happened."""

    seed: int
    seconds: float
    users: int
    posted: int = 0
    expected: int = 0
    delivered: int = 0
    lost: int = 0
    repeated: int = 0
    out_of_order: int = 0
    undecryptable: int = 0
    unexpected: int = 0
    settle_seconds: float = 0.0
    misdeeds: dict[str, int] = field(default_factory=dict)
    connections: int = 0
    gaps_found: int = 0
    gaps_filled: int = 0
    repeats_dropped: int = 0

    @property
    def flawless(self) -> bool:
        """Whether everybody heard everything once, in order and in the clear."""
        return not (self.lost or self.repeated or self.out_of_order or self.undecryptable or self.unexpected)


class Person:
    """One listener and what it heard."""

    def __init__(self, cloud: Cloud, person_id: str, email: str) -> None:
        self.cloud, self.id, self.email = cloud, person_id, email
        self.client = AsyncWebex(refresh_callback=self._token, emulator_url=cloud.url)
        self.heard: list[tuple[str, str, str]] = []  # message, room, text
        self.undecryptable = 0
        self.listening: Any = None
        self._task: asyncio.Task[None] | None = None

    def _token(self) -> str:
        return self.cloud.token_for(self.email)

    async def start(self) -> None:
        """Listen."""
        self.listening = await self.client.messages.listen(first_pause=0.2, ping_interval=1.0, pong_timeout=3.0)
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self.listening:
            if event.resource == "messages" and event.event == "created":
                self.undecryptable += event.decryption_error is not None
                data = event.raw
                self.heard.append((parse_id(data["id"]).id, parse_id(data["roomId"]).id, data.get("text", "")))

    async def stop(self) -> None:
        """Listen no more."""
        await self.listening.stop_listening()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self.client.aclose()


class Chaos:
    """The misdeeds of a cloud, by the seed."""

    def __init__(self, cloud: Cloud, people: list[Person], seed: int) -> None:
        self._cloud, self._people = cloud, people
        self._random = random.Random(seed)
        self.done: dict[str, int] = defaultdict(int)

    def begin(self) -> None:
        """What goes wrong all the time."""
        cloud = self._cloud
        cloud.mercury.set_faults(
            duplicate=0.05, reorder=0.05, delay=0.001, drop_after=0.002, number_gap=0.005, pong_without_number=0.1
        )
        seed = self._random.randrange(1000)
        for path, status in (("/encryption/*", 500), ("/conversation/*", 503), ("/wdm/*", 502), ("/v1/messages", 503)):
            cloud.faults.add(path, status=status, rate=0.05, seed=seed)
        cloud.faults.add("/conversation/*", status=429, retry_after="1", rate=0.02, seed=seed + 1)

    def strike(self) -> None:
        """One more misdeed."""
        cloud, who = self._cloud, self._random.choice(self._people)
        deed = self._random.choice(("drop", "drop", "drop_all", "shutdown", "device", "token", "kms", "kms_drop"))
        self.done[deed] += 1
        with cloud.lock:
            if deed == "drop":
                cloud.mercury.drop(who.email, self._random.choice(CODES))
            elif deed == "drop_all" and self.done[deed] % 3 == 1:
                cloud.mercury.drop(None, 1001)
            elif deed == "shutdown":
                cloud.mercury.shutdown(who.email)
            elif deed == "device":
                cloud.mercury.expire_devices(who.email)
            elif deed == "token":
                for token in cloud.state.tokens.values():
                    if token.person_id == who.id:
                        token.expires = 0.0
                cloud.mercury.check(who.email)
            elif deed == "kms":
                cloud.kms.expire()
            elif deed == "kms_drop":
                cloud.kms.set_faults(drop=1, reorder=1, replay=1)

    def end(self) -> None:
        """Behave from now on."""
        self._cloud.faults.clear()
        quiet = dict.fromkeys(("duplicate", "reorder", "delay", "drop_after", "number_gap", "pong_without_number"), 0.0)
        self._cloud.mercury.set_faults(**quiet)
        self._cloud.kms.reset()


async def run(cloud: Cloud, *, seed: int = 1, seconds: float = 20.0, users: int = 50, patience: float = 90.0) -> Report:
    """Let people talk for so long, then wait until everybody has heard everything."""
    report = Report(seed, seconds, users)
    dice = random.Random(seed)
    people = []
    for index in range(users):
        kind = "bot" if index % 10 == 9 else "person"
        person = cloud.add_person(f"user{index}@example.com", f"User {index}", kind=kind)
        people.append(Person(cloud, person.id, person.email))
    rooms = await _rooms(people, dice)
    await asyncio.gather(*(person.start() for person in people))
    chaos = Chaos(cloud, people, seed)
    chaos.begin()
    end = time.monotonic() + seconds
    talking = [asyncio.create_task(_talk(rooms, random.Random(seed * 100 + each), end)) for each in range(4)]
    while time.monotonic() < end:
        await asyncio.sleep(0.25)
        chaos.strike()
    await asyncio.gather(*talking)
    chaos.end()
    began = time.monotonic()
    expected = _expected(cloud, people)
    while time.monotonic() - began < patience:
        if all(len({each[0] for each in person.heard}) >= len(expected[person.id]) for person in people):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)  # a repeat would come about now
    report.settle_seconds = time.monotonic() - began
    report.posted = len(cloud.state.messages)
    report.misdeeds = dict(chaos.done)
    for person in people:
        _compare(report, person, expected[person.id])
    await asyncio.gather(*(person.stop() for person in people))
    return report


async def _rooms(people: list[Person], dice: random.Random) -> list[tuple[str, list[Person]]]:
    rooms = []
    for number in range(8):
        members = dice.sample(people, min(len(people), 15))
        owner = next(each for each in members if not each.email.startswith("bot"))
        room = await owner.client.rooms.create(title=f"Room {number}")
        for member in members:
            if member is not owner:
                await owner.client.memberships.create(room_id=str(room.id), person_id=to_hydra_id("PEOPLE", member.id))
        rooms.append((str(room.id), members))
    return rooms


async def _talk(rooms: list[tuple[str, list[Person]]], dice: random.Random, end: float) -> None:
    number = 0
    while time.monotonic() < end:
        room, members = dice.choice(rooms)
        writer = dice.choice(members)
        number += 1
        text = f"message {number}"
        if dice.random() < 0.3:
            text += f" <@personEmail:{dice.choice(members).email}>"
        try:
            if dice.random() < 0.2 and writer.client is not None:
                await asyncio.wait_for(writer.client.conversations.post(room, text), 5)
            else:
                await asyncio.wait_for(writer.client.messages.create(room_id=room, markdown=text), 5)
        except (WebexError, TimeoutError):
            pass  # whether it was posted is read from the cloud
        await asyncio.sleep(0.01)


def _expected(cloud: Cloud, people: list[Person]) -> dict[str, list[tuple[str, str, str]]]:
    """Who should have heard what, by the cloud's own books."""
    from webex.emulator.rest.rules import hears

    with cloud.lock:
        messages = sorted(cloud.state.messages.values(), key=lambda message: message.sequence)
        return {
            person.id: [
                (message.id, message.room_id, message.text or "")
                for message in messages
                if hears(cloud.state, cloud.state.people[person.id], message)
            ]
            for person in people
        }


def _compare(report: Report, person: Person, expected: list[tuple[str, str, str]]) -> None:
    heard = person.heard
    ids = [each[0] for each in heard]
    known = {each[0]: each[2] for each in expected}
    report.expected += len(expected)
    report.delivered += len(heard)
    report.lost += len(set(known) - set(ids))
    report.repeated += len(ids) - len(set(ids))
    report.unexpected += len(set(ids) - set(known)) + sum(known.get(each[0]) != each[2] for each in heard)
    report.undecryptable += person.undecryptable
    for room in {each[1] for each in expected}:
        ours = [each[0] for each in heard if each[1] == room]
        theirs = [each[0] for each in expected if each[1] == room and each[0] in set(ours)]
        report.out_of_order += list(dict.fromkeys(ours)) != theirs
    health = person.listening._listener.health
    report.connections += health.connections
    report.gaps_found += health.gaps_found
    report.gaps_filled += health.gaps_filled
    report.repeats_dropped += health.repeats_dropped


def main() -> None:
    """The long form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with Emulator(random_seed=given.seed) as cloud:
        report = asyncio.run(run(cloud, seed=given.seed, seconds=given.seconds, users=given.users))
    for name, value in asdict(report).items():
        print(f"{name:>16}: {value}")
    sys.exit(0 if report.flawless else 1)


if __name__ == "__main__":
    main()
