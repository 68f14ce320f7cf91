"""Fifty people talk, edit, react and read while the cloud misbehaves; at the end everybody was told of everything once.

`python -m benchmarks.chaos --seconds 120 --seed 1` prints the figures and fails when anything was lost, repeated or out
of order. What goes wrong, and when, follows from the seed.

No list of the cloud has read receipts: those that were lost on their way are counted (`receipts_missed`), and their
order is not looked at; they may not come twice. What only REST could list after a gap (it has messages alone) was told
as a gap, and is counted apart (`missed_and_told`), only within the moments that the gap names.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
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
    kinds: dict[str, int] = field(default_factory=dict)
    receipts_missed: int = 0
    missed_and_told: int = 0
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
        self.heard: list[tuple[str, str, str]] = []  # activity, room, text
        self.gaps: list[
            tuple[float, float]
        ] = []  # the moments between which the SDK said that something may be missing
        self.undecryptable = 0
        self.listening: Any = None
        self._task: asyncio.Task[None] | None = None

    def _token(self) -> str:
        return self.cloud.token_for(self.email)

    async def start(self) -> None:
        """Listen."""
        self.listening = await self.client.listen(first_pause=0.2, ping_interval=1.0, pong_timeout=3.0)
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self.listening:
            if event.resource == "gap":
                self.gaps.append((_moment(event.data.since, 0.0), _moment(event.data.until, math.inf)))
            if event.resource in ("messages", "reactions") or event.event == "seen":
                self.undecryptable += event.decryption_error is not None
                data = event.raw
                said = data.get("text") or data.get("name") or ""
                self.heard.append((event.activity_id, parse_id(data["roomId"]).id, said))

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


async def run(
    cloud: Cloud, *, seed: int = 1, seconds: float = 20.0, users: int = 50, posts: int = 0, patience: float = 90.0
) -> Report:
    """Let people talk for so long, and until there are so many posts; wait until everybody has heard everything."""
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

    def goes_on() -> bool:
        left = end - time.monotonic()
        return left > 0 or (left > -patience and len(cloud.state.messages) < posts)

    talking = [asyncio.create_task(_talk(rooms, random.Random(seed * 100 + each), goes_on)) for each in range(4)]
    while goes_on():
        await asyncio.sleep(0.25)
        chaos.strike()
    await asyncio.gather(*talking)
    chaos.end()
    began = time.monotonic()
    expected = _expected(cloud, people)
    while time.monotonic() - began < patience:
        if all(missing == told for missing, told in (_missing(person, expected[person.id]) for person in people)):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)  # a repeat would come about now
    report.settle_seconds = time.monotonic() - began
    report.posted = len(cloud.state.messages)
    report.misdeeds = dict(chaos.done)
    with cloud.lock:
        activities = [cloud.state.activities[each] for ids in cloud.state.room_activities.values() for each in ids]
    report.kinds = dict(Counter(kind for each in activities if (kind := _kind(each)) is not None))
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


async def _talk(rooms: list[tuple[str, list[Person]]], dice: random.Random, goes_on: Callable[[], bool]) -> None:
    number = 0
    said: list[tuple[str, str, Person]] = []
    while goes_on():
        room, members = dice.choice(rooms)
        writer = dice.choice(members)
        number += 1
        if said and dice.random() < 0.3:
            await _respond(writer, room, said, dice)
            await asyncio.sleep(0.01)
            continue
        text = f"message {number}"
        if dice.random() < 0.3:
            text += f" <@personEmail:{dice.choice(members).email}>"
        try:
            if dice.random() < 0.2 and writer.client is not None:
                message = await asyncio.wait_for(writer.client.conversations.post(room, text), 5)
            else:
                sent = await asyncio.wait_for(writer.client.messages.create(room_id=room, markdown=text), 5)
                message = str(sent.id)
            said.append((room, message, writer))
        except (WebexError, TimeoutError):
            pass  # whether it was posted is read from the cloud
        await asyncio.sleep(0.01)


async def _respond(who: Person, room: str, said: list[tuple[str, str, Person]], dice: random.Random) -> None:
    """Edit, react to, take a reaction back from, or read one of the last messages of a room."""
    near = [each for each in said[-20:] if each[0] == room]
    if not near:
        return
    _, message, author = dice.choice(near)
    calls = {
        "edit": lambda: author.client.conversations.edit(room, message, f"edited {dice.random():.6f}"),
        "react": lambda: who.client.messages.react(message, dice.choice(("heart", "haha", "celebrate"))),
        "react and take it back": lambda: _waver(who, message),
        "read": lambda: who.client.conversations.acknowledge(room, message),
    }
    with suppress(WebexError, TimeoutError):  # whether it was done is read from the cloud
        await asyncio.wait_for(calls[dice.choice(tuple(calls))](), 5)


async def _waver(who: Person, message: str) -> None:
    reaction = await who.client.messages.react(message, "sad")
    await who.client.messages.unreact(message, reaction)


def _kind(activity: Any) -> str | None:
    """What an activity is to those who listen; None for what is not counted here."""
    parent = (activity.parent or {}).get("type")
    if activity.verb in ("post", "share"):
        return "edit" if parent == "edit" else "message"
    if activity.content.get("objectType") == "reaction2":
        return "reaction"
    if activity.verb == "tombstone" and parent == "reaction":
        return "reaction that was taken back"  # who hears of it only afterwards hears that it is gone
    if activity.verb == "delete":
        return "deletion"
    return "receipt" if activity.verb == "acknowledge" else None


def _moment(text: str | None, otherwise: float) -> float:
    return datetime.fromisoformat(text).timestamp() if text else otherwise


Expected = dict[str, tuple[str, str, str, float]]  # activity → kind, room, text, published; in the order of the cloud
_SLACK = 1.0  # seconds between the cloud's clock as it publishes and as the SDK reads it


def _expected(cloud: Cloud, people: list[Person]) -> dict[str, Expected]:
    """Who should have been told of what, by the cloud's own books."""
    found: dict[str, Expected] = {person.id: {} for person in people}
    with cloud.lock:
        for activity in sorted(cloud.state.activities.values(), key=lambda each: each.sequence):
            kind = _kind(activity)
            if kind is None:
                continue
            said = activity.content.get("displayName") if kind in ("message", "edit", "reaction") else None
            for hearer in cloud.conversations.recipients(activity):
                if hearer in found:
                    found[hearer][activity.id] = (kind, activity.room_id, str(said or ""), activity.published)
    return found


def _missing(person: Person, expected: Expected) -> tuple[int, int]:
    """How much a person was not told of: in all, and what of it fell into a gap that the SDK reported."""
    heard = {each[0] for each in person.heard}
    left = [each for activity, each in expected.items() if activity not in heard]
    left = [each for each in left if each[0] in ("message", "edit", "reaction", "deletion")]
    told = [
        each
        for each in left
        if each[0] != "message"
        and any(since - _SLACK <= each[3] <= until + _SLACK for since, until in person.gaps)
    ]  # fmt: skip
    return len(left), len(told)


def _compare(report: Report, person: Person, expected: Expected) -> None:
    heard = person.heard
    ids = [each[0] for each in heard]
    counted = {activity: each for activity, each in expected.items() if each[0] != "reaction that was taken back"}
    report.expected += len(counted)
    report.delivered += len(heard)
    missing, told = _missing(person, expected)
    report.missed_and_told += told
    report.lost += missing - told
    report.receipts_missed += sum(
        each[0] == "receipt" and activity not in set(ids) for activity, each in counted.items()
    )
    report.repeated += len(ids) - len(set(ids))
    report.unexpected += len(set(ids) - set(expected))
    report.unexpected += sum(
        expected[activity][2] != said
        for activity, _, said in heard
        if activity in expected and expected[activity][0] in ("message", "edit", "reaction")
    )
    report.undecryptable += person.undecryptable
    listed = {activity: each for activity, each in expected.items() if each[0] != "receipt"}
    for room in {each[1] for each in listed.values()}:
        ours = list(dict.fromkeys(each[0] for each in heard if each[0] in listed and each[1] == room))
        theirs = [activity for activity, each in listed.items() if each[1] == room and activity in set(ours)]
        report.out_of_order += ours != theirs
    health = person.listening._connection.health
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
