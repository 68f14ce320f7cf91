"""The socket of the `websockets` library, as the SDK uses it, against aiohttp's: events, acknowledgements, idle memory.

`python -m benchmarks.sockets`. A server of its own sends prepared frames as fast as they are taken, in a process of its
own; each client runs in another. An event is a JSON envelope of about 1.2 kB, decoded and acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import hashlib
import json
import os
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
EVENTS = 30_000
IDLE = 1_000
_GATHER = 0.01  # seconds in which acknowledgements are gathered
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def say(**what: Any) -> None:
    """One line to the process that started this one."""
    print(json.dumps(what), flush=True)


def frames() -> bytes:
    """A thousand events, as frames of the protocol."""
    pieces = []
    for number in range(1000):
        envelope = {"id": f"message-{number}", "sequenceNumber": number, "type": "event", "data": {"text": "x" * 1100}}
        data = json.dumps(envelope).encode()
        pieces.append(b"\x81\x7e" + len(data).to_bytes(2) + data)
    return b"".join(pieces)


async def serve(folder: Path) -> None:
    """Child: answer the handshake; `/events/N` sends N thousand events, `/idle` nothing."""
    from webex.emulator.tls import Authority

    authority, block = Authority.open(folder), frames()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
        digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        path = head.split(" ")[1]
        if path.startswith("/events/"):
            for _ in range(int(path.rpartition("/")[2])):
                writer.write(block)
                await writer.drain()
        while await reader.read(1 << 16):
            pass
        writer.close()

    plain = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=IDLE)
    secure = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=authority.context(), backlog=IDLE)
    ports = [server.sockets[0].getsockname()[1] for server in (plain, secure)]
    say(plain=f"ws://127.0.0.1:{ports[0]}", secure=f"wss://127.0.0.1:{ports[1]}", ca=str(authority.file))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class Counter:
    """Takes events, and says when the last has come."""

    def __init__(self, count: int) -> None:
        self.left, self.done = count, asyncio.get_running_loop().create_future()

    def take(self, data: Any) -> str:
        """Decode one; its id."""
        envelope = _decode(data)
        self.left -= 1
        if self.left == 0:
            self.done.set_result(None)
        return str(envelope["id"])


async def websockets_events(url: str, tls: ssl.SSLContext | None) -> None:
    """As `webex.realtime` does it: each message by a callback, acknowledgements gathered in one write."""
    from webex.realtime.mercury.connection import Connecting, Connection

    counter, outbox = Counter(EVENTS), []
    connection: Any = None

    def flush() -> None:
        connection.send_all(outbox)
        outbox.clear()

    def arrived(data: Any) -> None:
        if not outbox:
            asyncio.get_running_loop().call_later(_GATHER, flush)
        outbox.append(b'{"messageId":"%b","type":"ack"}' % counter.take(data).encode())

    connection = await Connecting(
        f"{url}/events/{EVENTS // 1000}",
        ssl=tls,
        proxy=None,
        compression=None,
        ping_interval=None,
        create_connection=partial(Connection, arrived),  # type: ignore[arg-type]  # a factory
    )
    await counter.done


async def aiohttp_events(url: str, tls: ssl.SSLContext | None, *, gathered: bool) -> None:
    """aiohttp's public calls; `gathered` sends the acknowledgements of a moment from one task."""
    import aiohttp

    counter, outbox = Counter(EVENTS), []
    sending: asyncio.Task[None] | None = None
    session = aiohttp.ClientSession()
    socket = await session.ws_connect(f"{url}/events/{EVENTS // 1000}", ssl=tls or True, compress=0)

    async def flush() -> None:
        await asyncio.sleep(_GATHER)
        taken, outbox[:] = outbox[:], []
        for each in taken:
            await socket.send_str(each)

    while not counter.done.done():
        message = await socket.receive()
        ack = f'{{"messageId":"{counter.take(message.data)}","type":"ack"}}'
        if not gathered:
            await socket.send_str(ack)
            continue
        outbox.append(ack)
        if sending is None or sending.done():
            sending = asyncio.create_task(flush())
    if sending is not None:
        await sending


async def idle(kind: str, url: str, tls: ssl.SSLContext) -> int:
    """Bytes of memory that one idle socket takes."""
    held: list[Any] = []
    session: Any = None
    if kind == "websockets":
        from webex.realtime.mercury.connection import Connecting, Connection

        async def opened() -> Any:
            return await Connecting(
                f"{url}/idle",
                ssl=tls,
                proxy=None,
                compression=None,
                ping_interval=None,
                create_connection=partial(Connection, lambda data: None),  # type: ignore[arg-type]  # a factory
            )
    else:
        import aiohttp

        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

        async def opened() -> Any:
            return await session.ws_connect(f"{url}/idle", ssl=tls, compress=0)

    held += [await opened() for _ in range(20)]
    gc.collect()
    before = _resident()
    for _ in range(IDLE // 20):
        held += await asyncio.gather(*(opened() for _ in range(20)))
    gc.collect()
    return (_resident() - before) // IDLE


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def client(what: str, kind: str, url: str, ca: str) -> None:
    """Child: measure one thing."""
    tls = ssl.create_default_context(cafile=ca)
    if what == "idle":
        say(bytes=await idle(kind, url, tls))
        os._exit(0)
    used_tls = tls if url.startswith("wss") else None
    began, used = time.perf_counter(), time.process_time()
    if kind == "websockets":
        await websockets_events(url, used_tls)
    else:
        await aiohttp_events(url, used_tls, gathered=kind == "aiohttp, gathered")
    say(seconds=time.perf_counter() - began, cpu=time.process_time() - used)
    sys.stdout.flush()
    os._exit(0)  # closing a thousand sockets is not what is measured


def child(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """This module in another process."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sockets", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, **options
    )


def main() -> None:
    """Measure each client three times, in turn; print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("child", nargs="*")
    given = parser.parse_args().child
    if given:
        asyncio.run(serve(Path(given[1])) if given[0] == "serve" else client(*given))
        return
    with tempfile.TemporaryDirectory() as folder:
        server = child("serve", folder, stdin=subprocess.PIPE)
        assert server.stdout is not None
        where = json.loads(server.stdout.readline())
        best: dict[tuple[str, str], float] = {}
        rates: dict[tuple[str, str], float] = {}
        for _ in range(3):
            for kind in ("websockets", "aiohttp", "aiohttp, gathered"):
                for scheme in ("plain", "secure"):
                    ran = json.loads(child("events", kind, where[scheme], where["ca"]).communicate()[0])
                    best[kind, scheme] = min(ran["cpu"] / EVENTS * 1e6, best.get((kind, scheme), 1e9))
                    rates[kind, scheme] = max(EVENTS / ran["seconds"], rates.get((kind, scheme), 0.0))
        for key, cpu in best.items():
            print(f"{key[0]:20} {key[1]:7} {rates[key]:9,.0f} events/s {cpu:7.1f} us of processor each")
        for kind in ("websockets", "aiohttp"):
            ran = json.loads(child("idle", kind, where["secure"], where["ca"]).communicate()[0])
            print(f"{kind:20} idle over TLS {ran['bytes'] / 1024:6.1f} KiB a socket")
        assert server.stdin is not None
        server.stdin.close()
        server.wait()


if __name__ == "__main__":
    main()
