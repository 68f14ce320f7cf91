"""The record of handled events: what a process that comes after a crash knows, and what is removed of a user."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from webex.realtime import records
from webex.realtime.checkpoint import Checkpoint
from webex.runtime import EventLoopRuntime
from webex.storage import Capabilities, MemoryStorage, StorageAccess
from webex.storage.formats import NewerRecordError

OWNER = ("app", "alice", "phone")


def at(second: int) -> str:
    return f"2024-01-01T00:00:{second:02}.000Z"


class Disk:
    """A storage in memory, and the processes that use it one after the other."""

    def __init__(self, storage: Any = None) -> None:
        self.storage = storage or MemoryStorage()
        self.access = StorageAccess(self.storage, EventLoopRuntime())
        self.options: list[dict[str, Any]] = []
        put = self.access.put

        async def noting(*arguments: Any, **options: Any) -> None:
            self.options.append(options)
            await put(*arguments, **options)

        self.access.put = noting  # type: ignore[method-assign]  # notes what is asked of the storage

    async def process(self, *, window: int = 8, durable: bool = True, owner: tuple[str, ...] = OWNER) -> Checkpoint:
        made = Checkpoint(self.access, durable=durable, window=window)
        await made.load(owner)
        return made

    def stored(self) -> list[str]:
        pages = self.storage.bind("realtime").keys()
        return sorted(key for page in pages for key in page)


def story(work: Callable[[Disk], Coroutine[Any, Any, None]], storage: Any = None) -> None:
    async def main() -> None:
        await work(Disk(storage))

    asyncio.run(main())


async def deliver(checkpoint: Checkpoint, *numbers: int) -> None:
    for number in numbers:
        checkpoint.mark_received(f"e{number}", at(number))
        await checkpoint.mark_delivered(f"e{number}", at(number))


def test_nothing_is_known_at_first() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        assert (first.watermark, first.floor) == ("", "")
        assert not first.is_handled("e1")
        assert not first.was_delivered("e1")
        await first.start(at(1))
        await first.start(at(5))
        assert (first.watermark, first.floor) == (at(5), at(1))
        await first.start(at(3))
        assert first.watermark == at(5)
        second = await disk.process()
        assert (second.watermark, second.floor) == (at(5), at(1))

    story(work)


def test_watermark_waits_for_the_oldest_unhandled_event() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await first.start(at(0))
        first.mark_received("e1", at(1))
        assert first.watermark == at(0)
        await deliver(first, 1, 2, 3)
        first.mark_handled("e3", at(3))
        assert first.watermark == at(1)
        first.mark_handled("e1", at(1))
        assert first.watermark == at(2)
        first.mark_handled("e2", at(2))
        assert first.watermark == at(3)
        first.mark_handled("e0", at(0))  # late, and already behind it
        assert first.watermark == at(3)
        assert [first.is_handled(f"e{number}") for number in range(5)] == [True, True, True, True, False]

    story(work)


def test_event_without_a_time_counts_as_the_latest() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await first.start(at(5))
        first.mark_received("e1", "")
        await first.mark_delivered("e1", "")
        first.mark_delivered_in_memory("e2", "")
        assert first.watermark == at(5)
        assert first.was_delivered("e2")
        assert disk.storage.bind("realtime").get("app/alice/phone/slot-0")["hand"] == {"e1": at(5)}

    story(work)


@pytest.mark.parametrize("handled", [(), (1,), (1, 2), (2,), (3,), (1, 2, 3)], ids=str)
def test_process_after_a_crash_knows_the_unhandled_events(handled: tuple[int, ...]) -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await first.start(at(0))
        await deliver(first, 1, 2, 3)
        for number in handled:
            first.mark_handled(f"e{number}", at(number))
        await first.save()
        second = await disk.process()
        for number in (1, 2, 3):
            assert second.is_handled(f"e{number}") is (number in handled), number
            assert second.was_delivered(f"e{number}") is (number not in handled), number
        open_ones = [number for number in (1, 2, 3) if number not in handled]
        assert second.watermark == at(min(open_ones, default=3))
        assert second.floor == at(0)
        assert second._in_hand == {f"e{number}": at(number) for number in open_ones}
        await deliver(second, 4)
        assert "e4" in {slot["id"] for slot in map(disk.storage.bind("realtime").get, disk.stored()) if "id" in slot}
        third = await disk.process()
        assert third.was_delivered("e4")
        assert [third.is_handled(f"e{number}") for number in (1, 2, 3)] == [number in handled for number in (1, 2, 3)]

    story(work)


def test_each_delivery_marks_the_earlier_ones_handled() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        for number in (1, 2, 3):
            await deliver(first, number)
            first.mark_handled(f"e{number}", at(number))
        second = await disk.process()  # nothing was saved since the last delivery
        assert [second.is_handled(f"e{number}") for number in (1, 2, 3)] == [True, True, False]
        assert second.was_delivered("e3")
        assert second.watermark == at(3)

    story(work)


def test_received_but_undelivered_event_holds_the_watermark() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await first.start(at(0))
        first.mark_received("e1", at(1))  # its key is missing
        await deliver(first, 2)
        first.mark_handled("e2", at(2))
        await first.save()
        second = await disk.process()
        assert second.watermark == at(1)
        assert second.is_handled("e2")
        assert not second.was_delivered("e1")

    story(work)


def test_ring_holds_the_last_events_of_its_window() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process(window=4)
        for number in range(1, 11):
            await deliver(first, number)
            first.mark_handled(f"e{number}", at(number))
        await first.save()
        assert [key.rpartition("/")[2] for key in disk.stored()] == ["head", "slot-0", "slot-1", "slot-2", "slot-3"]
        second = await disk.process(window=4)
        assert [second.is_handled(f"e{number}") for number in range(6, 11)] == [False, True, True, True, True]
        await deliver(second, 11)
        assert disk.storage.bind("realtime").get("app/alice/phone/slot-2")["id"] == "e11"

    story(work)


def test_slots_have_number_position_and_format() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await first.start(at(1))
        await deliver(first, 2)
        binding = disk.storage.bind("realtime")
        head, slot = binding.get("app/alice/phone/head"), binding.get("app/alice/phone/slot-0")
        assert head.pop("format")
        assert slot.pop("format")
        assert head == {"at": at(1), "floor": at(1)}
        assert slot == {"n": 0, "id": "e2", "at": at(2), "hand": {"e2": at(2)}, "from": at(2)}
        assert {option["durable"] for option in disk.options} == {False}  # a repeat after a power failure is allowed

    story(work)


def test_non_durable_checkpoint_is_written_once_at_the_end() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process(durable=False, window=4)
        await first.start(at(0))
        for number in range(1, 7):
            first.mark_received(f"e{number}", at(number))
            await first.mark_delivered(f"e{number}", at(number))
            first.mark_handled(f"e{number}", at(number))
        await first.save()
        await first.rewrite()
        assert disk.stored() == []
        await first.flush()
        second = await disk.process(durable=False, window=4)
        assert second.watermark == at(6)
        assert second.floor == at(0)
        assert [second.is_handled(f"e{number}") for number in range(1, 7)] == [False, False, True, True, True, True]

    story(work)


def test_unchanged_checkpoint_is_not_written() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process(durable=False)
        await first.flush()
        durable = await disk.process()
        await durable.save()
        await durable.rewrite()
        assert disk.stored() == []

    story(work)


def test_end_of_a_durable_connection_writes_its_state() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await deliver(first, 1, 2, 3)
        for number in (1, 2, 3):
            first.mark_handled(f"e{number}", at(number))
        await first.flush()
        assert len(disk.stored()) == 1 + 3 + 1  # the head, a slot for each delivery, and one for the end
        second = await disk.process()
        assert [second.is_handled(f"e{number}") for number in (1, 2, 3)] == [True] * 3
        assert second.watermark == at(3)
        disk.storage.bind("realtime").clear()
        await first.rewrite()
        assert disk.stored() == ["app/alice/phone/head"]

    story(work)


def test_closed_checkpoint_writes_nothing_more() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await first.start(at(1))
        before = list(disk.options)
        await first.close()
        await deliver(first, 2)
        await first.flush()
        await first.rewrite()
        await first.load(OWNER)
        assert disk.options == before

    story(work)


def test_failed_event_is_redelivered_up_to_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await first.start(at(0))
        first.mark_failed("never delivered")
        for number in range(257):
            await first.mark_delivered(f"f{number}", at(1))
            first.mark_failed(f"f{number}")
            first.mark_failed(f"f{number}")
        assert first.is_handled("f0")
        assert not first.was_delivered("f0")
        assert not any(first.is_handled(f"f{number}") for number in range(1, 257))
        assert not first.is_handled("never delivered")
        first.mark_handled("f1", at(1))
        await first.mark_delivered("f300", at(1))
        first.mark_failed("f300")
        assert not first.is_handled("f2")
        await first.save()
        second = await disk.process()
        await second.mark_delivered("f400", at(2))
        second.mark_failed("f400")  # those of the earlier process count
        assert second.is_handled("f2")

    story(work)
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 2


def test_process_remembers_a_bounded_number_of_events() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        for number in range(4097):
            first.mark_handled(f"e{number}", at(0))
        assert not first.is_handled("e0")
        assert first.is_handled("e1")
        assert first.is_handled("e4096")

    story(work)


def test_checkpoint_is_loaded_once_and_retried_after_a_failure() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await first.start(at(1))
        second = Checkpoint(disk.access, durable=True)
        get_many, failing = disk.access.get_many, [OSError("no answer")]

        async def once(*arguments: Any) -> Any:
            if failing:
                raise failing.pop()
            return await get_many(*arguments)

        disk.access.get_many = once  # type: ignore[method-assign]  # a storage that fails once
        with pytest.raises(OSError, match="no answer"):
            await second.load(OWNER)
        await second.load(OWNER)
        assert second.watermark == at(1)
        await first.start(at(9))
        await second.load(OWNER)
        assert second.watermark == at(1)

    story(work)


def test_checkpoint_of_an_earlier_version_is_continued() -> None:
    async def work(disk: Disk) -> None:
        old = ("app", "uuid", "phone")
        first = await disk.process(owner=old)
        await first.start(at(1))
        second = Checkpoint(disk.access, durable=True)
        await second.load(OWNER, old)
        assert second.watermark == at(1)
        await second.load(OWNER, old)
        await second.start(at(2))
        assert disk.stored() == ["app/uuid/phone/head"]
        other = await disk.process(owner=("app", "bob", "phone"))
        assert other.watermark == ""
        fresh = Checkpoint(disk.access, durable=True)
        await fresh.load(("app", "bob", "phone"), ("app", "uuid-bob", "phone"))
        await fresh.start(at(3))
        assert "app/bob/phone/head" in disk.stored()

    story(work)


@pytest.mark.parametrize("name", ["head", "slot-0"])
def test_checkpoint_of_a_later_version_is_refused(name: str) -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await deliver(first, 1)
        key = f"app/alice/phone/{name}"
        binding = disk.storage.bind("realtime")
        binding.put(key, {**binding.get(key), "format": 1000})
        with pytest.raises(NewerRecordError, match="checkpoints of a listener"):
            await disk.process()

    story(work)


@pytest.mark.parametrize(
    "damaged",
    [None, "text", {}, {"n": "0", "id": "e1", "at": at(1)}, {"n": 0, "id": 5, "at": at(1)}, {"n": 0, "id": "e1"}],
    ids=repr,
)
def test_damaged_slot_is_skipped(damaged: Any) -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await first.start(at(0))
        for number in (1, 2):
            await deliver(first, number)
            first.mark_handled(f"e{number}", at(number))
        await first.save()
        disk.storage.bind("realtime").put("app/alice/phone/slot-0", damaged)
        second = await disk.process()
        assert (second.is_handled("e1"), second.is_handled("e2")) == (False, True)
        assert second.watermark == at(2)

    story(work)


def test_concurrent_deliveries_are_written_without_gaps() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        put = disk.access.put

        async def slowly(*arguments: Any, **options: Any) -> None:
            await asyncio.sleep(0)
            await put(*arguments, **options)

        disk.access.put = slowly  # type: ignore[method-assign]  # a storage that takes its time
        await asyncio.gather(*(deliver(first, number) for number in range(1, 6)))
        binding = disk.storage.bind("realtime")
        assert [binding.get(f"app/alice/phone/slot-{number}")["n"] for number in range(5)] == [0, 1, 2, 3, 4]

    story(work)


# Where records are, and how they are removed

UUID, OTHER = "842e2d82-7e71-4040-8eb9-d977fe888807", "11111111-7e71-4040-8eb9-d977fe888807"


def test_checkpoint_names_the_person_if_the_app_chose_the_key() -> None:
    assert records.checkpoint_owner("app", UUID, UUID, "phone") == ("app", UUID, "phone")
    assert records.checkpoint_owner("app", "alice", UUID, "phone") == ("app", "alice", UUID, "phone")
    assert records.device_path("app", "alice", "my/phone") == "app/alice/my%2Fphone/device"


class NoListing:
    """A storage that cannot list its keys."""

    asynchronous = False
    capabilities = Capabilities(ttl=True, compare_and_swap=True, lease=True)

    def __init__(self) -> None:
        self.memory = MemoryStorage()

    def bind(self, namespace: str) -> Any:
        return self.memory.bind(namespace)


def filled(disk: Disk) -> None:
    binding = disk.storage.bind("realtime")
    device = {"record": {"url": "https://wdm.example.com/1", "userId": UUID.upper()}}
    for key, value in {
        "app/alice/webex-python-sdk/device": device,
        "app/alice/phone/device": {"record": {"url": "https://wdm.example.com/2", "userId": "nobody"}},
        "app/alice/broken/device": {"record": "text"},
        f"app/alice/{OTHER}/phone/head": {},
        "app/bob/webex-python-sdk/device": device,
        "other/alice/webex-python-sdk/device": device,
        "app/alice2/phone/device": device,
    }.items():
        binding.put(key, value)


def test_devices_and_people_of_a_user_are_found() -> None:
    async def work(disk: Disk) -> None:
        filled(disk)
        found = await records.stored_devices(disk.access, "app", "alice")
        assert {each["url"][-1] for each in found} == {"1", "2"}
        assert set(await records.person_ids(disk.access, "app", "alice")) == {UUID, OTHER}
        listed = [key async for key in records.find(disk.access, "app", "alice", ["bob", "bob"])]
        assert len(listed) == len(set(listed)) == 5
        await records.remove(disk.access, "app", "alice", ["uuid"])
        assert disk.stored() == [
            "app/alice2/phone/device",
            "app/bob/webex-python-sdk/device",
            "other/alice/webex-python-sdk/device",
        ]

    story(work)


def test_without_a_listing_the_default_device_is_found_and_removed() -> None:
    async def work(disk: Disk) -> None:
        binding = disk.storage.bind("realtime")
        assert await records.stored_devices(disk.access, "app", "alice") == []
        device = {"record": {"url": "https://wdm.example.com/1", "userId": UUID}}
        binding.put("app/alice/webex-python-sdk/device", device)
        binding.put("app/alice/phone/device", device)
        assert await records.stored_devices(disk.access, "app", "alice") == [device["record"]]
        assert await records.person_ids(disk.access, "app", "alice") == [UUID]
        owners = [
            ("app", "alice", "webex-python-sdk"),
            ("app", "alice", UUID, "webex-python-sdk"),
            ("app", UUID, "webex-python-sdk"),
        ]
        for owner in owners:
            made = await disk.process(owner=owner)
            await deliver(made, 1, 2, 3)
        binding.put("app/alice/webex-python-sdk/slot-9", {})  # behind a gap: not of this ring
        await records.remove(disk.access, "app", "alice", [UUID])
        assert disk.stored() == ["app/alice/phone/device", "app/alice/webex-python-sdk/slot-9"]

    story(work, NoListing())


def test_checkpoint_without_a_head_is_none() -> None:
    async def work(disk: Disk) -> None:
        disk.storage.bind("realtime").put("app/alice/phone/slot-0", {})
        await records.remove_checkpoint(disk.access, OWNER)
        assert disk.stored() == ["app/alice/phone/slot-0"]

    story(work)
