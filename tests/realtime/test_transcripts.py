"""Recorded Mercury sessions, played to ours by a server, and to the emulator by a client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.emulator.realtime.helpers import opened, push, register
from tests.realtime.helpers import run
from tests.support.quiet import QUIET
from webex.emulator.accounts import ALICE_TOKEN
from webex.emulator.cloud import Cloud
from webex.realtime.mercury import pauses, socket
from webex.realtime.mercury.socket import Closed, MercurySocket
from webex.realtime.mercury.timers import Timer, TimerWheel
from webex.realtime.options import ConnectionOptions

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mercury-socket.json").read_text())
TRANSCRIPTS = VECTORS["transcripts"]
PONG_TIMEOUT = 60.0


class Notes:
    """Acknowledges everything, as the JS SDK does, and notes what it was told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.gaps: list[tuple[int, int]] = []

    def on_event(self, socket: MercurySocket, envelope: dict[str, Any]) -> None:
        self.events.append(envelope["data"]["eventType"])
        if "id" in envelope:
            socket.ack(envelope["id"])

    def on_gap(self, socket: MercurySocket, actual: int, expected: int) -> None:
        self.gaps.append((actual, expected))

    def on_shutdown(self, socket: MercurySocket) -> None:
        self.events.append("shutdown")


class Player:
    """Plays the server's part of a transcript, and notes the client's. A pong waits for its ping."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.lines = lines
        self.path = ""
        self.heard: list[dict[str, Any]] = []
        self.names: dict[str, str] = {}  # the recorded id of a ping → the real one
        self.pings: asyncio.Queue[str] = asyncio.Queue()
        self.over = asyncio.Event()  # all lines were said
        self.ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    async def serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.path = connection.request.path
        playing = asyncio.ensure_future(self.play(connection))
        try:
            async for text in connection:
                frame = json.loads(text)
                self.heard.append(frame)
                if frame["type"] == "ping":
                    self.pings.put_nowait(frame["id"])
        except ConnectionClosed:
            pass
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        close = connection.protocol.close_rcvd
        self.ended.set_result((close.code, close.reason) if close is not None else (1006, ""))

    async def play(self, connection: ServerConnection) -> None:
        for line in self.lines:
            frame = line.get("frame", {})
            if line["dir"] == "client>server" and frame["type"] == "ping":
                self.names[frame["id"]] = await self.pings.get()
            elif line["dir"] == "server>client":
                if "id" in frame:
                    frame = {**frame, "id": self.names.get(frame["id"], frame["id"])}
                await connection.send(json.dumps(frame) if frame else line["raw"])
        self.over.set()

    def count(self, kind: str) -> int:
        return sum(line.get("frame", {}).get("type") == kind for line in self.lines)


@asynccontextmanager
async def playing(name: str) -> AsyncIterator[tuple[Player, str]]:
    recorded = TRANSCRIPTS[name]
    player = Player(recorded if isinstance(recorded, list) else recorded["frames"])
    async with serve(player.serve, "127.0.0.1", 0, logger=QUIET, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield player, f"ws://127.0.0.1:{port}/v1/apps/wx2/registrations/DEV/messages"


class Wheel(TimerWheel):
    """Pongs are waited for until the test says that their time is over."""

    def __init__(self) -> None:
        super().__init__(0.05)
        self.pongs: list[Timer] = []

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = super().after(seconds, call)
        if seconds == PONG_TIMEOUT:
            self.pongs.append(timer)
        return timer

    def time_out(self) -> None:
        (call,) = [timer.call for timer in self.pongs if timer.call is not None]
        call()


async def played(name: str) -> tuple[Player, Notes, Closed]:
    """Let ours talk with the recorded server, until it has closed."""
    notes, wheel = Notes(), Wheel()
    async with playing(name) as (player, url):
        ours = MercurySocket(notes, wheel, ping_interval=0.2, pong_timeout=PONG_TIMEOUT)
        await ours.open(url, "VECTOR-ACCESS-TOKEN")
        running = asyncio.ensure_future(ours.run())
        if player.count("pong") < player.count("ping"):
            await player.over.wait()
            wheel.time_out()
        with pytest.raises(Closed) as closed:
            await running
        await player.ended
    wheel.close()
    return player, notes, closed.value


def recorded_client(name: str) -> list[dict[str, Any]]:
    return [line["frame"] for line in TRANSCRIPTS[name] if line["dir"] == "client>server"]


def shape(frame: dict[str, Any], names: dict[str, str]) -> Any:
    """What does not change from one session to the next."""
    if frame["type"] == "ack":
        return {**frame, "messageId": names.get(frame["messageId"], frame["messageId"])}
    if frame["type"] == "ping":
        return sorted(frame)
    return [sorted(frame), frame["data"]]


@pytest.mark.parametrize("name", ["normal_session_then_missed_pong", "pong_with_wrong_id"])
def test_frames_sent_equal_those_of_the_js_sdk(name: str) -> None:
    async def main() -> None:
        player, notes, closed = await played(name)
        wanted = [shape(frame, player.names) for frame in recorded_client(name)]
        said = [shape(frame, {}) for frame in player.heard]
        # A frame may wait a moment for one that it overtook: then its acknowledgement comes later.
        assert sorted(map(repr, said)) == sorted(map(repr, wanted))
        assert said[:3] == wanted[:3]
        (end,) = [line for line in TRANSCRIPTS[name] if line["dir"] == "client closed"]
        assert await player.ended == (end["code"], end["reason"]) == (closed.code, closed.reason)
        if name == "normal_session_then_missed_pong":
            assert notes.events == ["conversation.activity", "conversation.activity", "status.start_typing"]
            assert notes.gaps == [(4, 3)]  # the JS SDK is confused by pongs without a number

    run(main())


def test_the_socket_url_equals_that_of_the_js_sdk() -> None:
    async def main() -> None:
        player, _, _ = await played("pong_with_wrong_id")
        recorded = urlsplit(VECTORS["connect_url_path"])
        assert urlsplit(player.path).path == recorded.path
        assert dict(parse_qsl(urlsplit(player.path).query)).keys() == dict(parse_qsl(recorded.query)).keys()
        assert "outboundWireFormat=text&bufferStates=true&aliasHttpStatus=true" in player.path

    run(main())


@pytest.mark.parametrize("name", ["first_message_is_not_the_buffer_state", "registration_status_accepted"])
def test_the_socket_is_ready_when_the_state_frame_arrives(name: str) -> None:
    async def main() -> None:
        notes, wheel = Notes(), TimerWheel(0.05)
        async with playing(name) as (player, url):
            player.lines = [line for line in player.lines if line["dir"] == "server>client"]
            ours = MercurySocket(notes, wheel)
            await ours.open(url, "VECTOR-ACCESS-TOKEN")
            assert ours.ready
            running = asyncio.ensure_future(ours.run())
            sent = [line["frame"]["id"] for line in player.lines]

            def acknowledged() -> list[str]:
                return [frame["messageId"] for frame in player.heard if frame["type"] == "ack"]

            async with asyncio.timeout(10):
                while sorted(acknowledged()) != sorted(sent):
                    await asyncio.sleep(0.005)
            await ours.close()
            await asyncio.gather(running, return_exceptions=True)
        wheel.close()
        lost = ["conversation.activity"] if name.startswith("first") else []
        assert notes.events == lost

    run(main())


def test_timing_constants_equal_those_of_the_js_sdk() -> None:
    assert VECTORS["defaults_ms"] == {
        "pingInterval": socket.PING_INTERVAL * 1000,
        "pongTimeout": socket.PONG_TIMEOUT * 1000,
        "backoffTimeReset": ConnectionOptions().first_pause * 1000,
        "backoffTimeMax": pauses.LONGEST_PAUSE * 1000,
        "forceCloseDelay": 2000,
    }


def test_the_emulator_accepts_recorded_frames_of_the_js_sdk(webex_cloud: Cloud) -> None:
    device = register(webex_cloud)
    query = urlsplit(VECTORS["connect_url_path"]).query.replace("{epoch ms}", "1729657642000")

    async def main() -> None:
        async with opened(device["webSocketUrl"], query) as client:
            acknowledged = 0
            for frame in recorded_client("normal_session_then_missed_pong"):
                if frame["type"] == "authorization":
                    await client.send({**frame, "data": {"token": f"Bearer {ALICE_TOKEN}"}})
                    state = await client.receive()
                    recorded = TRANSCRIPTS["normal_session_then_missed_pong"][2]["frame"]
                    assert state.keys() == recorded.keys()
                    assert state["data"].keys() == recorded["data"].keys()
                elif frame["type"] == "ping":
                    await client.send(frame)
                    pong = await client.receive()
                    assert (pong["id"], pong["type"]) == (frame["id"], "pong")
                else:
                    push(webex_cloud)
                    event = await client.receive()
                    await client.send({**frame, "messageId": event["id"]})
                    acknowledged += 1
            assert acknowledged >= 5
            await client.ping()
            assert webex_cloud.mercury.unacknowledged() == 0

    run(main())


def test_the_emulator_waits_half_a_minute_for_an_authorization(webex_cloud: Cloud) -> None:
    assert webex_cloud.settings.mercury_auth_timeout == 30
