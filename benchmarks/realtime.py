"""Events through one socket, and many sockets in one process; writes benchmarks/REALTIME.md.

`python -m benchmarks.realtime`. The cloud runs here, each listener in a process of its own. Messages are held back,
then let go all at once; what counts is the time from the first event to the last, and the processor time of the
listener.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from webex import AsyncIntegration, AsyncWebex, RealtimeHub
from webex.emulator import Emulator, accounts
from webex.emulator.cloud import Cloud
from webex.emulator.state import Message

ROOT = Path(__file__).resolve().parent.parent
APP = {
    "client_id": accounts.CLIENT_ID,
    "client_secret": accounts.CLIENT_SECRET,
    "redirect_uri": accounts.REDIRECT_URIS[0],
}


def say(**what: Any) -> None:
    """One line to whoever started this process."""
    print(json.dumps(what), flush=True)


async def listen(url: str, token: str, count: int, database: str) -> None:
    """Child: hear so many messages."""
    from webex.storage import SQLiteStorage

    storage = SQLiteStorage(database) if database else None
    client = AsyncWebex(token, emulator_url=url, storage=storage)
    async with client, client.messages.listen(max_queue=100_000) as events:
        say(ready=True)
        await anext(events)  # the key is there now
        say(warm=True)
        await anext(events)
        began, used = time.perf_counter(), time.process_time()
        for _ in range(count - 1):
            event = await anext(events)
            assert event.data.text
        say(seconds=time.perf_counter() - began, cpu=time.process_time() - used, events=count - 1)


async def crowd(url: str, users: list[tuple[str, str]]) -> None:
    """Child: listen for many users, idle; then come back after all sockets were cut."""
    async with AsyncIntegration(**APP, emulator_url=url) as integration:
        for key, token in users:
            await integration.adopt(key, token)
        first = RealtimeHub(integration, starting=100)
        await first.add(users[0][0])  # what is shared is there now
        gc.collect()
        before = _resident()
        began = time.perf_counter()
        failed = await first.add_all([key for key, _ in users[1:]])
        seconds = time.perf_counter() - began
        gc.collect()
        await asyncio.sleep(1)
        say(
            connected=len(first.users),
            failed=len(failed),
            seconds=seconds,
            bytes=(_resident() - before) / (len(users) - 1),
        )
        known = {key: first.health(key) for key, _ in users}
        connections = {key: health.connections for key, health in known.items() if health is not None}
        sys.stdin.readline()
        began = time.perf_counter()
        while True:
            again = 0
            for key, _ in users:
                health = first.health(key)
                again += health is not None and health.connected and health.connections > connections[key]
            if again == len(users):
                break
            await asyncio.sleep(0.02)
        say(reconnected=time.perf_counter() - began)
        await first.aclose()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Child:
    """A listener in a process of its own, by default one of ours."""

    def __init__(self, *arguments: str, command: list[str] | None = None, **variables: str) -> None:
        ours = [sys.executable, "-m", "benchmarks.realtime", *arguments]
        self._process = subprocess.Popen(
            command or ours,
            cwd=ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> dict[str, Any]:
        """What it says next."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return dict(json.loads(line))

    def go(self) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def post(cloud: Cloud, room_id: str, count: int) -> None:
    """So many messages of Alice's, let go at once."""
    alice = next(person for person in cloud.state.people.values() if person.email == "alice@example.com")
    room = cloud.state.rooms[room_id]
    cloud.mercury.pause()
    with cloud.lock:
        for number in range(count):
            message = Message(
                id=cloud.new_uuid(),
                room_id=room_id,
                person_id=alice.id,
                created=cloud.now(),
                sequence=cloud.next_sequence(),
                text=f"Message {number}: the quick brown fox jumps over the lazy dog.",
            )
            cloud.state.messages[message.id] = message
            cloud.conversations._message("post", message, room, message.id, None, message.created)
    cloud.mercury.resume()


def a_room(cloud: Cloud) -> str:
    """A room of Alice and Bob."""

    async def make() -> str:
        async with AsyncWebex(accounts.ALICE_TOKEN, emulator_url=cloud.url) as alice:
            room = await alice.rooms.create(title="Both")
            await alice.memberships.create(room_id=str(room.id), person_email="bob@example.com")
            return str(room.id)

    from webex.ids import to_uuid

    return to_uuid(asyncio.run(make()))


def bare(cloud: Cloud, count: int) -> float:
    """Seconds an event for JSON, base64 and AES-GCM alone, over frames like those that were sent."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from webex.emulator.conversation.render import activity_json

    activities = list(cloud.state.activities.values())[-200:]
    frames = [
        msgspec.json.encode(
            {"id": cloud.new_uuid(), "data": {"eventType": "x", "activity": activity_json(cloud, each, cloud.url)}}
        )
        for each in activities
    ]
    key = cloud.kms.room_key(cloud.state.rooms[activities[-1].room_id]).secret
    decrypt, decode = AESGCM(key).decrypt, msgspec.json.decode
    began = time.process_time()
    for number in range(count):
        token = decode(frames[number % len(frames)])["data"]["activity"]["object"]["displayName"]
        head, _, nonce, encrypted, tag = token.split(".")
        decrypt(plain(nonce), plain(encrypted) + plain(tag), head.encode())
    return (time.process_time() - began) / count


def plain(text: str) -> bytes:
    """The bytes of base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def one_socket(count: int, *, durable: bool = False, tls: bool = False) -> dict[str, float]:
    """Ours."""
    with Emulator(redelivery_limit=100_000, tls=tls) as cloud, tempfile.TemporaryDirectory() as folder:
        room = a_room(cloud)
        database = str(Path(folder) / "s.db") if durable else ""
        url = (cloud.tls_url if tls else None) or cloud.url
        trust = {"WEBEX_CA_BUNDLE": str(cloud.ca_file)} if tls else {}
        child = Child("--listen", url, cloud.token_for("bob"), str(count), database, **trust)
        try:
            child.read()
            post(cloud, room, 1)
            child.read()
            post(cloud, room, count)
            result = child.read()
        finally:
            child.close()
        result["bare"] = bare(cloud, 20_000)
        return result


def message_handler(count: int) -> dict[str, float]:
    """webex-message-handler from PyPI, which speaks TLS only."""
    from tools.environments import make

    python, client = str(make("webex-message-handler")), "tests/thirdparty/message_handler_client.py"
    with Emulator(redelivery_limit=100_000, tls=True) as cloud:
        room = a_room(cloud)
        child = Child(
            command=[python, client],
            TOKEN=cloud.token_for("bob"),
            EMULATOR_TLS_PORT=str(urlsplit(cloud.tls_url or "").port),
            SSL_CERT_FILE=str(cloud.ca_file),
            TIMED=str(count),
        )
        try:
            child.read()
            post(cloud, room, 1)
            child.read()
            post(cloud, room, count)
            return child.read()
        finally:
            child.close()


def node(count: int) -> dict[str, float]:
    """npm webex."""
    from tests.thirdparty.clients import Client
    from tools.environments import make

    with Emulator(redelivery_limit=100_000) as cloud:
        room = a_room(cloud)
        modules = str(make("node-webex") / "node_modules")
        client = Client(["node", "tests/thirdparty/node/client.js"], {"BASE": cloud.url, "WEBEX_NODE_MODULES": modules})
        try:
            client("with_token", token=cloud.token_for("bob"))
            client("listen", names={"messages": ["created"]})
            post(cloud, room, 1)
            client("heard", count=1)
            post(cloud, room, count)
            return client("timed", count=count)
        finally:
            client.close()


def many(count: int, *, tls: bool) -> dict[str, float]:
    """Many users."""
    with Emulator(tls=tls) as cloud, tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        people = [cloud.add_person(f"user{number}@example.com") for number in range(count)]
        users = [(person.id, cloud.token_for(person.email)) for person in people]
        json.dump(users, file)
        file.flush()
        url = (cloud.tls_url if tls else None) or cloud.url
        child = Child("--crowd", url, file.name, **({"WEBEX_CA_BUNDLE": str(cloud.ca_file)} if tls else {}))
        try:
            result = child.read()
            child.go()
            time.sleep(0.2)
            cloud.mercury.drop(None, 1001)
            return result | child.read()
        finally:
            child.close()


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", nargs=4)
    parser.add_argument("--crowd", nargs=2)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    if given.listen:
        url, token, count, database = given.listen
        asyncio.run(listen(url, token, int(count), database))
        return 0
    if given.crowd:
        url, path = given.crowd
        asyncio.run(crowd(url, [tuple(each) for each in json.loads(Path(path).read_text())]))
        return 0
    events, users = (500, 50) if given.quick else (10_000, 1_000)
    ours = min((one_socket(events) for _ in range(1 if given.quick else 3)), key=lambda run: run["cpu"])
    kept, secure_one = one_socket(events, durable=True), one_socket(events, tls=True)
    peers = {"npm webex": node(events // 10), "webex-message-handler, TLS": message_handler(events // 10)}
    plain_ones, secure = many(users, tls=False), many(users, tls=True)
    columns = {"ours, memory": ours, "ours, SQLite": kept, "ours, TLS": secure_one, **peers}
    rates = {name: run["events"] / run["seconds"] for name, run in columns.items()}
    costs = {name: run["cpu"] / run["events"] * 1e6 for name, run in columns.items()}
    rows = [("", *columns), ("---",) * (len(columns) + 1)]
    rows.append(("events a second, by the clock", *(f"{rate:,.0f}" for rate in rates.values())))
    rows.append(("processor time an event", *(f"{cost:,.0f} µs" for cost in costs.values())))
    cost = ours["bare"] * 1e6
    text = "# Real time, measured\n\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows)
    text += f"\n\nJSON and AES-GCM alone cost {cost:.0f} µs an event: ours runs at {cost / costs['ours, memory']:.0%} "
    text += "of that rate (aim: 50 %)."
    for peer in peers:
        like = "ours, TLS" if peer.endswith("TLS") else "ours, memory"
        text += (
            f" Ours is {rates[like] / rates[peer]:.1f} times {peer} by the clock, "
            f"{costs[peer] / costs[like]:.1f} times by processor time (aim: 5 times)."
        )
    text += (
        "\n\n"
        f"{users:,} users in one process: {plain_ones['bytes'] / 1024:.0f} KB each over plain sockets (aim: 60), "
        f"{secure['bytes'] / 1024:.0f} KB over TLS (aim: 130); "
        f"all connected in {plain_ones['seconds']:.1f} s, and again in "
        f"{plain_ones['reconnected']:.1f} s after every socket was closed.\n"
    )
    print(text)
    if not given.quick:
        (Path(__file__).resolve().parent / "REALTIME.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
