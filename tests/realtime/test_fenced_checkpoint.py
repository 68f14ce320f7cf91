"""Two processes with one checkpoint, of which one was stopped, was replaced and goes on without knowing it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.realtime.test_checkpoint import OWNER, Disk, at, deliver, story
from webex.errors import ConnectionReplacedError
from webex.realtime.checkpoint import Checkpoint

WINDOW = 8


async def begin(disk: Disk, *, fenced: bool = True) -> Checkpoint:
    made = Checkpoint(disk.access, durable=True, window=WINDOW, fenced=fenced)
    await made.load(OWNER)
    return made


def test_process_that_was_replaced_can_store_nothing() -> None:
    async def work(disk: Disk) -> None:
        stopped = await begin(disk)
        await stopped.start(at(0))
        await deliver(stopped, 1)
        successor = await begin(disk)
        assert successor.was_delivered("e1")
        await deliver(successor, 1, 2)
        before = {key: disk.storage.bind("realtime").get(key) for key in disk.stored()}
        stopped.mark_handled("e1", at(1))
        for write in (stopped.mark_delivered("e9", at(9)), stopped.save(), stopped.flush(), stopped.rewrite()):
            with pytest.raises(ConnectionReplacedError):
                await write
        assert {key: disk.storage.bind("realtime").get(key) for key in disk.stored()} == before
        third = await begin(disk)
        assert (third.was_delivered("e1"), third.was_delivered("e2")) == (True, True)
        assert not third.is_handled("e9")

    story(work)


def test_what_a_replaced_process_wrote_before_its_successor_did_not_count_as_handled() -> None:
    async def work(disk: Disk) -> None:
        stopped = await begin(disk)
        await stopped.start(at(0))
        await deliver(stopped, 1)
        stopped.mark_handled("e1", at(1))
        await stopped.save()
        successor = await begin(disk)
        await deliver(stopped, 2, 3, 4)  # it is in hand there, and the successor has written nothing yet
        await deliver(successor, 2)
        successor.mark_handled("e2", at(2))
        await successor.save()
        third = await begin(disk)
        assert [third.is_handled(f"e{number}") for number in (1, 2, 3, 4)] == [True, True, False, False]
        assert third.watermark == at(2)

    story(work)


def test_unfenced_process_continues_a_fenced_checkpoint() -> None:
    async def work(disk: Disk) -> None:
        first = await begin(disk)
        await first.start(at(0))
        await deliver(first, 1)
        first.mark_handled("e1", at(1))
        await first.flush()
        second = await begin(disk, fenced=False)
        assert second.is_handled("e1")
        await deliver(second, 2)
        second.mark_handled("e2", at(2))
        await second.flush()
        third = await begin(disk)
        assert (third.is_handled("e1"), third.is_handled("e2")) == (True, True)
        with pytest.raises(ConnectionReplacedError):
            await first.rewrite()

    story(work)


@pytest.mark.parametrize("seed", range(30))
def test_no_event_is_taken_as_handled_that_no_process_has_handled(seed: int) -> None:
    """Any order of deliveries, acknowledgements, take-overs and late writes of the processes that were replaced."""

    async def work(disk: Disk) -> None:
        chance = random.Random(seed)
        processes = [await begin(disk)]
        await processes[0].start(at(0))
        handled: set[int] = set()
        open_by: list[tuple[Checkpoint, int]] = []
        number = 0
        for _ in range(60):
            step = chance.random()
            who = processes[-1] if chance.random() < 0.7 else chance.choice(processes)
            try:
                if step < 0.15:
                    processes.append(await begin(disk))
                elif step < 0.6:
                    number += 1
                    who.mark_received(f"e{number}", at(number % 60))
                    await who.mark_delivered(f"e{number}", at(number % 60))
                    open_by.append((who, number))
                elif open_by:
                    whose, one = open_by.pop(chance.randrange(len(open_by)))
                    handled.add(one)
                    whose.mark_handled(f"e{one}", at(one % 60))
                    await whose.save()
            except ConnectionReplacedError:
                pass
        last = await begin(disk)
        for one in range(1, number + 1):
            assert not last.is_handled(f"e{one}") or one in handled, one

    story(work)


def test_ring_goes_round_under_a_fence() -> None:
    async def work(disk: Disk) -> None:
        first = await begin(disk)
        await first.start(at(0))
        for number in range(1, 21):
            await deliver(first, number)
            first.mark_handled(f"e{number}", at(number))
        await first.save()
        second = await begin(disk)
        assert [second.is_handled(f"e{number}") for number in range(12, 21)] == [False] + [True] * 8

    story(work)


def test_processes_that_claim_at_the_same_time_get_different_numbers() -> None:
    async def work(disk: Disk) -> None:
        made = await asyncio.gather(*(begin(disk) for _ in range(5)))
        await made[0].start(at(0)) if made[0]._by == 5 else None
        numbers: list[Any] = sorted(each._by for each in made)
        assert numbers == [1, 2, 3, 4, 5]

    story(work)
