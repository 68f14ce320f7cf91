"""The timer wheel, in an event loop whose time passes only while it waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.virtual_loop import VirtualLoop
from webex.realtime.mercury.timers import TimerWheel


def run(main: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    async def within() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        await main(loop)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(within())


def test_timers_fire_within_a_tick_after_their_time() -> None:
    async def main(loop: VirtualLoop) -> None:
        wheel = TimerWheel(0.5)
        rang: dict[float, float] = {}
        due = [0.0, 0.1, 0.5, 0.7, 3.0, 14.0, 15.0]
        started = loop.time()
        for seconds in due:
            wheel.after(seconds, lambda seconds=seconds: rang.setdefault(seconds, loop.time() - started))
        await asyncio.sleep(20)
        assert sorted(rang) == due
        for seconds, at in rang.items():
            assert seconds - 1e-6 <= at <= seconds + 0.5 + 1e-6

    run(main)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5), st.booleans()), max_size=20))
def test_no_timer_is_lost_early_or_fired_twice(timers: list[tuple[float, float, bool]]) -> None:
    async def main(loop: VirtualLoop) -> None:
        wheel = TimerWheel(0.5)
        rang: list[int] = []
        due: dict[int, float] = {}

        def ring(number: int) -> None:
            rang.append(number)
            assert loop.time() >= due[number] - 1e-6

        expected = []
        for number, (seconds, pause, cancelled) in enumerate(timers):
            due[number] = loop.time() + seconds
            timer = wheel.after(seconds, lambda number=number: ring(number))
            if cancelled:
                timer.cancel()
            else:
                expected.append(number)
            await asyncio.sleep(pause)
        await asyncio.sleep(20)
        assert sorted(rang) == expected

    run(main)


def test_an_earlier_timer_is_not_delayed_by_a_later_one() -> None:
    async def main(loop: VirtualLoop) -> None:
        wheel = TimerWheel(0.5)
        rang: list[str] = []
        wheel.after(100, lambda: rang.append("far"))
        wheel.after(1, lambda: rang.append("near"))
        await asyncio.sleep(2)
        assert rang == ["near"]
        await asyncio.sleep(100)
        assert rang == ["near", "far"]

    run(main)


def test_a_timer_may_be_cancelled_at_any_time() -> None:
    async def main(loop: VirtualLoop) -> None:
        wheel = TimerWheel(0.5)
        rang: list[str] = []
        first = wheel.after(1, lambda: (rang.append("first"), second.cancel()))
        second = wheel.after(1, lambda: rang.append("second"))
        await asyncio.sleep(3)
        first.cancel()
        second.cancel()
        assert rang == ["first"]

    run(main)


def test_a_timer_may_set_the_next_one() -> None:
    async def main(loop: VirtualLoop) -> None:
        wheel = TimerWheel(0.5)
        rang: list[float] = []

        def again() -> None:
            rang.append(loop.time())
            if len(rang) < 5:
                wheel.after(15, again)

        wheel.after(15, again)
        await asyncio.sleep(100)
        assert len(rang) == 5
        assert all(later - earlier >= 15 - 1e-6 for earlier, later in pairwise(rang))

    run(main)


def test_a_failing_timer_does_not_affect_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def main(loop: VirtualLoop) -> None:
        wheel = TimerWheel(0.5)
        rang: list[str] = []
        wheel.after(1, lambda: int("no number"))
        wheel.after(1, lambda: rang.append("same tick"))
        wheel.after(5, lambda: rang.append("later"))
        await asyncio.sleep(10)
        assert rang == ["same tick", "later"]

    run(main)
    assert "a timer failed" in caplog.text


def test_no_timer_fires_after_close() -> None:
    async def main(loop: VirtualLoop) -> None:
        wheel = TimerWheel(0.5)
        rang: list[str] = []
        wheel.after(1, lambda: rang.append("late"))
        wheel.close()
        wheel.close()
        await asyncio.sleep(5)
        assert rang == []
        wheel.after(1, lambda: rang.append("anew"))
        await asyncio.sleep(5)
        assert rang == ["anew"]

    run(main)


def test_a_thousand_watches_wake_the_loop_once_a_tick() -> None:
    async def main(loop: VirtualLoop) -> None:
        wheel = TimerWheel(0.5)
        chance = random.Random(7)
        rang: list[int] = []
        for number in range(1000):
            wheel.after(chance.uniform(0, 10), lambda number=number: rang.append(number))
        await asyncio.sleep(11)
        assert len(rang) == 1000
        assert loop.waits <= 11 / 0.5 + 2

    run(main)
