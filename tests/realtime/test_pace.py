"""Starts are spread over time."""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webex.realtime.pace import Pace, Turns


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0, 2), max_size=60), st.sampled_from([1.0, 10.0, 50.0]))
def test_no_second_has_more_starts_than_allowed(pauses: list[float], per_second: float) -> None:
    pace, now, starts = Pace(per_second), 100.0, list[float]()
    for pause in pauses:
        now += pause
        while wait := pace.wait(now):
            assert wait <= 1 / per_second + 1e-6
            now += wait
        starts.append(now)
    for index, start in enumerate(starts):
        later = [each for each in starts[index:] if each < start + 1.0 - 1e-6]
        assert len(later) <= per_second + 1


def test_waiters_get_their_turn_in_order_and_cancelled_ones_take_none() -> None:
    async def main() -> None:
        turns, done = Turns(1000.0), list[int]()

        async def wait(number: int) -> None:
            await turns.next()
            done.append(number)

        tasks = [asyncio.ensure_future(wait(number)) for number in range(20)]
        await asyncio.sleep(0)
        for task in tasks[5:15]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert done == [*range(5), *range(15, 20)]

    asyncio.run(main())
