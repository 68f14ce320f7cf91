"""A registration over time: refreshed, replaced together with its socket, and gone when nobody listens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.realtime.helpers import QUICK, client_of, run, say, shared_room, take, texts, until
from webex.emulator.cloud import Cloud
from webex.realtime.mercury.timers import Timer, TimerWheel

WDM = "/wdm/api/v1/devices"
IN_TIME, AGAIN = 960, 60  # seconds until a refresh, and after one that failed


class Due:
    """The timers that were set for so many seconds."""

    def __init__(self) -> None:
        self.timers: dict[float, list[Timer]] = {IN_TIME: [], AGAIN: []}

    def alive(self, seconds: float) -> list[Timer]:
        return [timer for timer in self.timers[seconds] if timer.call is not None]

    def fire(self, seconds: float) -> None:
        """As if the time had come."""
        (timer,) = self.alive(seconds)
        call, timer.call = timer.call, None
        assert call is not None
        call()


@pytest.fixture
def due(monkeypatch: pytest.MonkeyPatch) -> Due:
    """The refreshes of devices that are due."""
    noted, after = Due(), TimerWheel.after

    def remembered(wheel: TimerWheel, seconds: float, call: Callable[[], None]) -> Timer:
        timer = after(wheel, seconds, call)
        if seconds in noted.timers:
            noted.timers[seconds].append(timer)
        return timer

    monkeypatch.setattr(TimerWheel, "after", remembered)
    return noted


def registrations(cloud: Cloud) -> int:
    return cloud.requests.count(method="POST", path=WDM, status=200)


def refreshes(cloud: Cloud) -> int:
    return cloud.requests.count(method="PUT", path=f"{WDM}/*")


# Refreshing


def test_a_device_deleted_during_a_session_reconnects_without_loss(webex_cloud: Cloud, due: Due) -> None:
    async def main() -> None:
        async with client_of(webex_cloud) as alice, client_of(webex_cloud, "bob") as bob:
            room = await shared_room(alice)
            async with bob.messages.listen(**QUICK) as events:
                await say(alice, room, "one")
                (await anext(events)).ack()
                webex_cloud.mercury.set_faults(lost=1.0, only="conversation.")  # the dead registration brings nothing
                await say(alice, room, "meanwhile")
                webex_cloud.faults.add(f"{WDM}/*", method="PUT", status=404, count=1)
                due.fire(IN_TIME)
                await until(lambda: webex_cloud.mercury.opened_count == 2)
                webex_cloud.mercury.set_faults(lost=0.0)
                await say(alice, room, "after")
                assert texts(await take(events, 2)) == ["meanwhile", "after"]
            assert registrations(webex_cloud) == 2

    run(main())


def test_a_failed_refresh_is_retried_in_a_minute(webex_cloud: Cloud, due: Due) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob", max_retries=0) as bob, bob.messages.listen(**QUICK) as events:
            webex_cloud.faults.add(f"{WDM}/*", method="PUT", status=503, count=1)
            due.fire(IN_TIME)
            await until(lambda: due.alive(AGAIN))
            assert due.alive(IN_TIME) == []
            due.fire(AGAIN)
            await until(lambda: due.alive(IN_TIME))
            assert due.alive(AGAIN) == []
            assert refreshes(webex_cloud) == 2
            assert events.health.connections == registrations(webex_cloud) == 1

    run(main())


def test_refresh_timers_do_not_accumulate_and_end_with_listening(webex_cloud: Cloud, due: Due) -> None:
    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            async with bob.messages.listen(first_pause=0.001) as events:
                for count in range(2, 5):
                    webex_cloud.mercury.drop("bob")
                    await until(lambda count=count: events.health.connections == count)
                    await until(lambda count=count: len(due.timers[IN_TIME]) == count)
                    assert len(due.alive(IN_TIME)) == 1
            assert due.alive(IN_TIME) == due.alive(AGAIN) == []

    run(main())


def test_no_device_is_registered_after_stopping(webex_cloud: Cloud, due: Due, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, answered = threading.Event(), threading.Event()

    async def until_stopped(scope: Any, seconds: float) -> None:
        await asyncio.to_thread(stopped.wait, 60)
        answered.set()

    monkeypatch.setattr("webex.emulator.app._sleep", until_stopped)

    async def main() -> None:
        async with client_of(webex_cloud, "bob") as bob:
            async with bob.messages.listen(**QUICK):
                slow = webex_cloud.faults.add(f"{WDM}/*", method="PUT", status=404, latency=1)
                due.fire(IN_TIME)
                await until(lambda: slow.hits)  # the cloud is about to say that it forgot the device
            stopped.set()
            await until(answered.is_set)
            await asyncio.sleep(0.1)  # for what must not come
            assert registrations(webex_cloud) == 1
            assert due.alive(IN_TIME) == due.alive(AGAIN) == []
            assert webex_cloud.mercury.connections("bob") == 0

    run(main())
