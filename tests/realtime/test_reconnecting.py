"""Being there again: after refusals, closes, switch-overs; and no message lost or heard twice meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, shared_room, take, until
from tests.realtime.wiretap import tapped
from webex import AsyncWebex
from webex.emulator.accounts import BOB_ID
from webex.emulator.cloud import Cloud
from webex.errors import RealtimeError
from webex.realtime.mercury import brief
from webex.realtime.mercury import pauses as reconnect_pauses
from webex.realtime.mercury.close_codes import CloseAction
from webex.realtime.mercury.socket import MercurySocket
from webex.storage import SQLiteStorage

WDM = "/wdm/api/v1/devices"


class Tokens:
    """Gives Bob's tokens, and counts how many."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.given = 0

    def __call__(self) -> str:
        self.given += 1
        return self._cloud.token_for("bob")


def put_count(cloud: Cloud) -> int:
    return cloud.requests.count(method="PUT", path=f"{WDM}/*")


# Refused before it was ready


@pytest.mark.parametrize("code", [4400, 4403])
def test_a_refused_account_is_an_error_and_not_retried(webex_cloud: Cloud, code: int) -> None:
    async def main() -> None:
        webex_cloud.mercury.set_faults(refuse_upgrade=code - 4000, refuse_count=10)
        async with client_of(webex_cloud, "bob") as bob:
            with pytest.raises(RealtimeError) as told:
                await bob.messages.listen(first_pause=0.001)
            assert told.value.code == code
            await asyncio.sleep(0.1)
            assert webex_cloud.mercury.faults.refuse_count == 9

    run(main())


def test_a_refused_token_is_replaced_before_each_retry(webex_cloud: Cloud) -> None:
    async def main() -> None:
        webex_cloud.mercury.set_faults(refuse_upgrade=401, refuse_count=2)
        tokens = Tokens(webex_cloud)
        async with AsyncWebex(refresh_callback=tokens, emulator_url=webex_cloud.url) as bob:
            async with bob.messages.listen(**QUICK):
                assert webex_cloud.mercury.faults.refuse_count == 0
                assert tokens.given == 1 + 2
                assert put_count(webex_cloud) == 0

    run(main())


def test_an_unknown_registration_is_refreshed_before_the_retry(webex_cloud: Cloud) -> None:
    async def main() -> None:
        webex_cloud.mercury.set_faults(refuse_upgrade=404, refuse_count=2)
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen(**QUICK):
            assert put_count(webex_cloud) == 2
            assert webex_cloud.requests.count(method="POST", path=WDM) == 1

    run(main())


def test_a_close_without_a_code_before_the_state_refreshes_the_device(webex_cloud: Cloud) -> None:
    async def main() -> None:
        webex_cloud.mercury.set_faults(close_before_state=1005, close_count=2)
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen(**QUICK):
            assert put_count(webex_cloud) == 2
            assert webex_cloud.requests.count(method="POST", path=WDM) == 1

    run(main())


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failed_upgrade_is_retried(webex_cloud: Cloud, status: int) -> None:
    async def main() -> None:
        webex_cloud.mercury.set_faults(refuse_upgrade=status, refuse_count=3)
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen(first_pause=0.01):
            assert webex_cloud.mercury.faults.refuse_count == 0
            assert put_count(webex_cloud) == 0

    run(main())


# How long it waits


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a listener would have paused; it does not."""
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)
        await asyncio.sleep(0.001)

    here = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})
    monkeypatch.setattr("webex.realtime.user_connection.asyncio", here)
    return paused


def test_backoff_doubles_to_32_seconds_with_jitter(webex_cloud: Cloud, pauses: list[float]) -> None:
    async def main() -> None:
        webex_cloud.mercury.set_faults(refuse_upgrade=503, refuse_count=20)
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen():
            pass

    run(main())
    longest = [1, 2, 4, 8, 16, *[32] * 15]
    assert len(pauses) == len(longest)
    for pause, most in zip(pauses, longest, strict=True):
        assert most / 2 <= pause <= most
    assert len(set(pauses)) == len(pauses)


@pytest.mark.parametrize("close", ["drop", "shutdown"])
def test_pauses_grow_while_the_server_ends_each_socket_at_once(
    webex_cloud: Cloud, pauses: list[float], close: str
) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen():
            for number in range(1, 9):
                await until(lambda opened=number: webex_cloud.mercury.opened_count == opened)
                getattr(webex_cloud.mercury, close)("bob")
            await until(lambda: len(pauses) >= 8)

    run(main())
    for pause, most in zip(pauses, [1, 2, 4, 8, 16, 32, 32, 32], strict=False):
        assert most / 2 <= pause <= most


def test_pauses_begin_anew_after_a_socket_that_stayed_open(
    webex_cloud: Cloud, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        webex_cloud.mercury.set_faults(refuse_upgrade=503, refuse_count=5)
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen(first_pause=2):
            monkeypatch.setattr(reconnect_pauses, "PROVEN", 0.0)
            webex_cloud.mercury.drop("bob")
            await until(lambda: webex_cloud.mercury.opened_count == 2)

    run(main())
    assert pauses[4] >= 16
    assert pauses[5] <= 2


def test_the_cloud_may_ask_for_a_longer_pause(webex_cloud: Cloud, pauses: list[float]) -> None:
    async def main() -> None:
        webex_cloud.faults.add("/v1/apps/*", status=429, retry_after="90", count=1)
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen():
            assert pauses == [90]

    run(main())


def test_stopping_during_a_pause_does_not_reconnect(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            listening = await bob.messages.listen(first_pause=0.05)
            webex_cloud.mercury.set_faults(refuse_upgrade=503, refuse_count=1000)
            webex_cloud.mercury.drop("bob")
            await until(lambda: (webex_cloud.mercury.faults.refuse_count or 0) <= 998)
            await listening.stop_listening()
            tried = webex_cloud.mercury.faults.refuse_count
            webex_cloud.mercury.set_faults(refuse_upgrade=0)
            await asyncio.sleep(0.3)
            assert webex_cloud.mercury.faults.refuse_count == tried
            assert webex_cloud.mercury.connections("bob") == 0
            assert webex_cloud.mercury.opened_count == 1

    run(main())


# Ready, and closed


@pytest.mark.parametrize(
    ("code", "reason", "device_refreshes"),
    [(1000, "Idle", 0), (1000, "Done", 0), (1003, "", 0), (1005, "", 0), (1008, "", 0)],
)
def test_a_socket_closed_by_the_server_is_reopened(
    webex_cloud: Cloud, code: int, reason: str, device_refreshes: int
) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                webex_cloud.mercury.drop("bob", code, reason)
                await alice.messages.create(room_id=room, text="after")
                assert (await anext(events)).data.text == "after"
                assert put_count(webex_cloud) == device_refreshes

    run(main())


def test_sockets_closed_soon_after_opening_refresh_the_device(
    webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brief, "_BRIEF", 3600.0)  # also on a slow machine

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob, bob.messages.listen(**QUICK):
            for number in range(1, 4):
                assert put_count(webex_cloud) == 0
                webex_cloud.mercury.drop("bob", 1011)
                await until(lambda opened=number + 1: webex_cloud.mercury.opened_count == opened)
            assert put_count(webex_cloud) == 1

    run(main())


def test_long_connections_and_those_that_were_cut_leave_the_device() -> None:
    connections = brief.BriefConnections()
    for _ in range(9):
        assert connections.judge(CloseAction.RECONNECT, 1.0, closed=False) is CloseAction.RECONNECT
        assert connections.judge(CloseAction.RECONNECT, 1.0, closed=True) is CloseAction.RECONNECT
        assert connections.judge(CloseAction.RECONNECT, 60.0, closed=True) is CloseAction.RECONNECT
    for _ in range(9):
        assert connections.judge(CloseAction.REFRESH_TOKEN, 1.0, closed=True) is CloseAction.REFRESH_TOKEN


def test_an_expired_token_on_an_open_socket_is_replaced(webex_cloud: Cloud) -> None:
    async def main() -> None:
        tokens = Tokens(webex_cloud)
        async with client_of(webex_cloud) as alice:
            async with AsyncWebex(refresh_callback=tokens, emulator_url=webex_cloud.url) as bob:
                room = await shared_room(alice)
                async with bob.messages.listen(**QUICK) as events:
                    webex_cloud.mercury.drop("bob", 4401)
                    await alice.messages.create(room_id=room, text="after")
                    assert (await anext(events)).data.text == "after"
                    assert tokens.given == 2

    run(main())


def test_a_message_resent_after_a_reconnection_is_delivered_once(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await alice.messages.create(room_id=room, text="one")
                assert (await anext(events)).data.text == "one"  # in hand: not acknowledged
                assert webex_cloud.mercury.unacknowledged("bob") >= 1
                webex_cloud.mercury.drop("bob")
                await until(lambda: webex_cloud.mercury.opened_count == 2)
                await until(lambda: events.health.repeats_dropped == 1)
                await alice.messages.create(room_id=room, text="two")
                assert (await anext(events)).data.text == "two"
                await until(lambda: webex_cloud.mercury.unacknowledged("bob") == 1)

    run(main())


# Switching over


def test_a_new_socket_opens_before_the_draining_one_closes(webex_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with tapped(monkeypatch) as wire, client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                heard: list[Any] = []
                for number in range(9):
                    if number == 3:
                        webex_cloud.mercury.shutdown("bob")
                    if number == 6:
                        await wire.until(lambda: "close 1" in wire.log)
                    await alice.messages.create(room_id=room, text=str(number))
                    heard += await take(events)
                assert [event.data.text for event in heard] == [str(number) for number in range(9)]
                assert wire.log == ["open 1", "open 2", "close 1"]
                assert len(wire.lines[1].of("mercury.buffer_state")) == 1
                assert events.health.gaps_found == events.health.gaps_filled == 0

    run(main())


def test_closing_of_the_replaced_socket_has_no_effect(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(first_pause=0.001) as events:
                webex_cloud.mercury.shutdown("bob")
                await until(lambda: webex_cloud.mercury.opened_count == 2)
                await until(lambda: webex_cloud.mercury.connections(BOB_ID) == 1)  # the old one ended, with 4001
                await alice.messages.create(room_id=room, text="one")
                assert (await anext(events)).data.text == "one"
                await asyncio.sleep(0.2)
                await alice.messages.create(room_id=room, text="two")
                assert (await anext(events)).data.text == "two"
                assert webex_cloud.mercury.opened_count == 2
                assert events.health.connected

    run(main())


def test_stopping_during_a_socket_handover_leaves_none_open(
    webex_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = MercurySocket.close

    async def slowly(socket: MercurySocket, code: int = 1000, reason: str = "Done") -> None:
        await asyncio.sleep(0.3)
        await close(socket, code, reason)

    async def main() -> None:
        async with client_of(webex_cloud, "bob", storage=SQLiteStorage(tmp_path / "s.db")) as bob:
            async with bob.messages.listen(**QUICK):
                webex_cloud.mercury.set_faults(state_delay=0.15)
                webex_cloud.mercury.shutdown("bob")
                await until(lambda: len(webex_cloud.mercury._sockets) == 2)  # one of them is not ready yet
                monkeypatch.setattr(MercurySocket, "close", slowly)
            await until(lambda: not webex_cloud.mercury._sockets)

    run(main())
