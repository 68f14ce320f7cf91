"""What the record of handled events writes when listening ends."""

from __future__ import annotations

import pytest

from tests.realtime.test_checkpoint import Disk, at, deliver, story
from webex.errors import StorageError


def test_end_of_a_connection_writes_nothing_that_is_stored_already() -> None:
    async def work(disk: Disk) -> None:
        quiet = await disk.process()
        await quiet.start(at(0))
        written = len(disk.options)
        await quiet.flush()
        assert len(disk.options) == written
        await deliver(quiet, 1)
        quiet.mark_handled("e1", at(1))
        await quiet.save()
        written = len(disk.options)
        await quiet.flush()
        assert len(disk.options) == written
        quiet.mark_received("e2", at(2))
        quiet.mark_handled("e2", at(2))  # no subscription wanted it
        await quiet.flush()
        assert len(disk.options) > written
        assert (await disk.process()).watermark == at(2)

    story(work)


def test_end_of_a_connection_writes_again_what_could_not_be_stored() -> None:
    async def work(disk: Disk) -> None:
        first = await disk.process()
        await deliver(first, 1)
        first.mark_handled("e1", at(1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(disk.access, "put", _away)
            with pytest.raises(StorageError):
                await first.save()
        assert (await disk.process()).was_delivered("e1")
        await first.flush()
        second = await disk.process()
        assert second.is_handled("e1")
        assert not second.was_delivered("e1")

    story(work)


async def _away(*_: object, **__: object) -> None:
    raise StorageError("away")
