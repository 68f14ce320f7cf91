"""The client's own limit: never exceeded, never idle, interactive before batch, users in turn; over a virtual clock."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.virtual_loop import VirtualLoop
from webex import AsyncWebex, ConfigurationError, Webex
from webex.emulator import Cloud
from webex.errors import DeadlineError
from webex.http import Hooks
from webex.http.own_limit import OwnLimit
from webex.http.turns import BATCH_SHARE, Bucket, Turns
from webex.runtime.event_loop import EventLoopRuntime
from webex.telemetry import RateLimited, Telemetry, TelemetryEvent

EPS = 1e-6


@dataclass
class Call:
    """One call of a simulation: when it comes, whose it is, and how long it is waited for."""

    at: float
    owner: int
    priority: str = "interactive"
    patience: float = 1e9
    granted: float | None = None
    place: int = -1
    error: BaseException | None = field(default=None, repr=False)


class LoopClock:
    def time(self) -> float:
        return asyncio.get_running_loop().time()

    monotonic = time


def simulate(calls: list[Call], rate: float | None, owner_rate: float | None) -> list[Call]:
    """Let calls come at their times; return those that were granted, in their order."""
    order: list[Call] = []

    async def one(limit: OwnLimit, call: Call, zero: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(call.at)
        give_up = loop.time() + call.patience
        exchange: Any = SimpleNamespace(
            tokens=SimpleNamespace(owner=call.owner),
            request=SimpleNamespace(priority=call.priority),
            remaining=lambda: give_up - loop.time(),
            telemetry=Telemetry(),
            timeout=call.patience,
            info=SimpleNamespace(tracking_id=None),
            method="GET",
            path="/",
        )
        try:
            await limit.take_turn(exchange)
        except DeadlineError as error:
            call.error = error
            return
        call.granted = loop.time() - zero
        call.place = len(order)
        order.append(call)

    async def main() -> None:
        limit = OwnLimit(EventLoopRuntime(clock=LoopClock()), rate, owner_rate)
        zero = asyncio.get_running_loop().time()
        async with asyncio.timeout(1e6):
            await asyncio.gather(*(one(limit, call, zero) for call in calls))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
    return order


def moments(order: list[Call]) -> list[float]:
    return [call.granted for call in order if call.granted is not None]


def stays_below(times: list[float], rate: float) -> bool:
    burst = max(rate, 1.0)
    times = sorted(times)
    return all(
        last - first + 1 <= burst + rate * (times[last] - times[first]) + 1e-3
        for first in range(len(times))
        for last in range(first, len(times))
    )


RATES = st.sampled_from([0.5, 1.0, 2.5, 10.0, 40.0])
TIMES = st.integers(0, 400).map(lambda ticks: ticks / 20)


def calls_of(*priorities: str, patience: Any = None) -> Any:
    return st.lists(
        st.builds(
            Call,
            at=TIMES,
            owner=st.integers(0, 4),
            priority=st.sampled_from(priorities),
            patience=st.just(1e9) if patience is None else patience,
        ),
        max_size=60,
    )


@settings(max_examples=60, deadline=None)
@given(calls=calls_of("interactive", "batch"), rate=st.none() | RATES, owner_rate=st.none() | RATES)
def test_limits_hold_and_every_call_is_sent(calls: list[Call], rate: float | None, owner_rate: float | None) -> None:
    order = simulate(calls, rate, owner_rate)
    assert len(order) == len(calls)
    if rate is not None:
        assert stays_below(moments(order), rate)
    for owner in range(5):
        own = [call for call in order if call.owner == owner]
        if owner_rate is not None:
            assert stays_below(moments(own), owner_rate)
        for priority in ("interactive", "batch"):  # first come, first served
            arrivals = [call.at for call in own if call.priority == priority]
            assert arrivals == sorted(arrivals)
    if rate is None and owner_rate is None:
        assert all(call.granted == pytest.approx(call.at) for call in calls)


@settings(max_examples=60, deadline=None)
@given(calls=calls_of("interactive"), rate=RATES)
def test_no_turn_is_lost(calls: list[Call], rate: float) -> None:
    """The moments are those of the textbook's bucket."""
    order = simulate(calls, rate, None)
    bucket = Bucket(rate, 0.0)
    expected: list[float] = []
    now = 0.0
    for at in sorted(call.at for call in calls):
        now = max(now, at)
        bucket.refill(now)
        now += bucket.missing(1.0)
        bucket.refill(now)
        bucket.level -= 1.0
        expected.append(now)
    assert moments(order) == pytest.approx(expected, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(calls=calls_of("interactive", "batch"), rate=RATES)
def test_interactive_calls_go_first_and_batch_work_goes_on(calls: list[Call], rate: float) -> None:
    order = simulate(calls, rate, None)
    interactive_since = 0  # interactive calls granted since a batch call, while one waited
    for call in order:
        assert call.granted is not None
        waiting = [each for each in order if each.at < call.granted - EPS and each.place > call.place]
        if call.priority == "batch":
            if any(each.priority == "interactive" for each in waiting):
                assert interactive_since >= BATCH_SHARE - 1
            interactive_since = 0
        elif any(each.priority == "batch" for each in waiting):
            interactive_since += 1
            assert interactive_since <= BATCH_SHARE


@settings(max_examples=60, deadline=None)
@given(calls=calls_of("interactive"), rate=RATES)
def test_users_take_turns(calls: list[Call], rate: float) -> None:
    order = simulate(calls, rate, None)
    for first in order:
        second = next((each for each in order[first.place + 1 :] if each.owner == first.owner), None)
        if second is None or first.granted is None:
            continue
        between = {each.owner for each in order[first.place + 1 : second.place]}
        for other in order[second.place + 1 :]:
            if other.at < first.granted - EPS:  # it waited all the time
                assert other.owner in between | {first.owner}


@settings(max_examples=60, deadline=None)
@given(
    calls=calls_of("interactive", "batch", patience=st.sampled_from([0.01, 0.3, 2.0, 1e9])),
    rate=RATES,
    owner_rate=st.none() | RATES,
)
def test_calls_that_give_up_hold_up_no_other(calls: list[Call], rate: float, owner_rate: float | None) -> None:
    order = simulate(calls, rate, owner_rate)
    for call in calls:
        assert (call.granted is None) == (call.error is not None)
        if call.granted is not None:
            assert call.granted <= call.at + call.patience + EPS
        elif call.patience == 1e9:
            raise AssertionError("a patient call was not sent")
    assert stays_below(moments(order), rate)


def test_a_crowd_costs_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    real = Turns.step

    def counted(self: Turns, *args: Any) -> Any:
        nonlocal steps
        steps += 1
        return real(self, *args)

    monkeypatch.setattr(Turns, "step", counted)
    calls = [Call(0.0, number % 50) for number in range(500)]
    assert len(simulate(calls, 25.0, 5.0)) == 500
    assert steps < 4 * len(calls)


def test_a_user_with_much_to_do_delays_another_by_one_turn() -> None:
    crowd = [Call(0.0, 0) for _ in range(100)]
    lone = Call(1.0, 1)
    order = simulate([*crowd, lone], 2.0, None)
    assert lone.granted is not None
    assert lone.granted <= 2.0
    assert order[-1].owner == 0


def test_batch_work_goes_on_beside_a_stream_of_interactive_calls() -> None:
    stream = [Call(number / 20, number % 3) for number in range(400)]  # twice as many as may go
    batch = [Call(1.0, 9, "batch") for _ in range(5)]
    order = simulate([*stream, *batch], 10.0, None)
    places = sorted(call.place for call in batch)
    assert max(later - earlier for earlier, later in pairwise(places)) <= BATCH_SHARE + 1
    assert places[-1] < 100
    assert len(order) == 405


def test_an_interactive_call_does_not_wait_for_what_a_batch_call_waits_for() -> None:
    first = [Call(0.0, 0) for _ in range(10)]
    batch, interactive = Call(0.01, 1, "batch"), Call(0.02, 2)
    simulate([*first, batch, interactive], 10.0, None)
    assert interactive.granted == pytest.approx(0.1)
    assert batch.granted == pytest.approx(0.65)  # half of the burst, less a call, stays for interactive ones


def test_a_leader_that_gives_up_is_followed_by_another() -> None:
    crowd = [Call(0.0, number) for number in range(5)]
    leader = Call(0.1, 9, patience=3.0)
    simulate([*crowd, leader], 0.5, None)
    assert leader.granted is None
    assert sorted(moments(crowd)) == pytest.approx([0.0, 2.0, 4.0, 6.0, 8.0])


def test_buckets_of_users_are_few() -> None:
    turns = Turns(None, 1.0)
    for number in range(20_000):
        assert turns.at_once(number, "interactive", number / 100)
    assert len(turns._buckets) <= 101


class Waits(Hooks):
    def __init__(self) -> None:
        self.seen: list[RateLimited] = []

    def on_event(self, event: TelemetryEvent) -> None:
        if isinstance(event, RateLimited):
            self.seen.append(event)


def test_threads_share_a_limit(webex_cloud: Cloud) -> None:
    waits = Waits()
    with Webex(
        webex_cloud.token_for("alice"), emulator_url=webex_cloud.url, calls_per_second=2, hooks=[waits]
    ) as client:
        began = time.monotonic()
        threads = [
            threading.Thread(target=lambda: [client.rooms.list(limit=1).to_list() for _ in range(2)]) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
    assert sum(each.path == "/v1/rooms" for each in webex_cloud.requests) == 6
    assert took >= 2.0  # four more than the two of the first moment; a slow machine only takes longer
    assert {each.by for each in waits.seen} == {"client"}


def test_batch_calls_of_a_view_wait_for_interactive_ones(webex_cloud: Cloud) -> None:
    async def main() -> None:
        async with AsyncWebex(
            webex_cloud.token_for("alice"), emulator_url=webex_cloud.url, user_calls_per_second=4
        ) as client:
            batch = client.with_options(priority="batch")
            for _ in range(4):
                await client.people.me()
            # Twice as many as a machine that stands still lets through at once: some wait in any case.
            work = [asyncio.create_task(batch.rooms.list(limit=1).to_list()) for _ in range(8)]
            await asyncio.sleep(0)
            await client.request("GET", "/teams", priority="interactive")
            await asyncio.gather(*work)

    asyncio.run(main())
    paths = [each.path for each in webex_cloud.requests if each.path != "/v1/people/me"]
    assert paths.count("/v1/rooms") == 8
    assert "/v1/teams" in paths[:-1]


def test_a_call_without_a_turn_in_its_time_is_not_sent(webex_cloud: Cloud) -> None:
    with Webex(webex_cloud.token_for("alice"), emulator_url=webex_cloud.url, calls_per_second=0.01) as client:
        client.people.me()
        with pytest.raises(DeadlineError, match=r"limits itself to calls_per_second=0\.01"):
            client.people.me(timeout=0.1)
    assert sum(each.path == "/v1/people/me" for each in webex_cloud.requests) == 1


def test_settings_and_priorities_are_checked() -> None:
    wrong: list[Any] = [0, -1, "fast", True, float("inf")]
    for value in wrong:
        with pytest.raises(ConfigurationError, match="calls_per_second"):
            Webex("token", calls_per_second=value)
    urgent: Any = "urgent"
    with Webex("token") as client:
        with pytest.raises(ConfigurationError, match="priority is one of 'interactive', 'batch', not 'urgent'"):
            client.with_options(priority=urgent)
