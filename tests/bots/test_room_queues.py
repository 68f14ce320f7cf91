"""Handlers of different rooms run side by side, those of one room in order."""

from __future__ import annotations

import asyncio

import pytest

from webex.bots.room_queues import RoomQueues


def test_slow_room_delays_no_other() -> None:
    async def main() -> None:
        queues, finished, slow = RoomQueues(100, 1), [], asyncio.Event()

        async def handle(room: str, number: int) -> None:
            async with queues.turn(room):
                if room == "slow" and number == 0:
                    await slow.wait()
                finished.append((room, number))

        tasks = [
            asyncio.create_task(handle(room, number))
            for number in range(5)
            for room in ["slow", *(f"room {index}" for index in range(500))]
        ]
        while len(finished) < 2500:
            await asyncio.sleep(0)
        assert not any(room == "slow" for room, _ in finished)
        assert queues.waiting_rooms == 1
        slow.set()
        await asyncio.gather(*tasks)
        for room in ("slow", "room 7"):
            assert [number for name, number in finished if name == room] == [0, 1, 2, 3, 4]
        assert (queues.running, queues.waiting_rooms) == (0, 0)
        assert not queues._rooms

    asyncio.run(main())


@pytest.mark.parametrize("per_room", [1, 3])
def test_bounds_are_kept_and_cancelled_turns_leave_nothing(per_room: int) -> None:
    async def main() -> None:
        queues, most, most_of_room = RoomQueues(4, per_room), 0, 0
        here: dict[str, int] = {}

        async def handle(room: str) -> None:
            nonlocal most, most_of_room
            async with queues.turn(room):
                here[room] = here.get(room, 0) + 1
                most, most_of_room = max(most, queues.running), max(most_of_room, here[room])
                try:
                    await asyncio.sleep(0.001)
                finally:
                    here[room] -= 1

        tasks = [asyncio.create_task(handle(f"room {index % 3}")) for index in range(60)]
        await asyncio.sleep(0.003)
        for task in tasks[::7]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= 4
        assert most_of_room <= per_room
        assert not queues._rooms

    asyncio.run(main())
