"""What a receiver does beside its events, every few seconds: keep its lease, take over from workers that ended."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from webex.errors import DecodeError, StorageError
from webex.webhooks.core import Job
from webex.webhooks.events import read_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from webex.webhooks.catching_up import Heartbeat
    from webex.webhooks.core import Core
    from webex.webhooks.inbox import Entry
    from webex.webhooks.keeping import Keeper

_logger = logging.getLogger("webex.webhooks")

_LONGEST: Final = 20.0
_SOON: Final = 1.0


def rhythm(lease: float) -> float:
    """Return after how many seconds a worker renews its lease and looks after the inbox.

    A third of the lease, and at most 20 s: how long a lease lasts says nothing about how soon a worker's end, a webhook
    that Webex has deactivated, or the beginning of a pause is to be noticed.
    """
    return min(lease / 3.0, _LONGEST)


class Upkeep:
    """The work of one worker that comes again and again; `every` so many seconds."""

    def __init__(self, core: Core, keeper: Keeper, heartbeat: Heartbeat, lease: float) -> None:
        self._core, self._keeper, self._heartbeat = core, keeper, heartbeat
        self.every: float = rhythm(lease)

    async def once(self, submit: Callable[[Job], bool]) -> float:
        """Do it, submit the events that were taken over, and return the seconds until the next time.

        What fails is logged and done the next time.
        """
        core = self._core
        if core.mode != "inbox":
            return self.every
        inbox = core.inbox
        try:
            await self._heartbeat.beat()
            await inbox.join()
            async with aclosing(inbox.take_over(lambda: core.room)) as pages:
                async for entries in pages:
                    for entry in entries:
                        await self._submit(entry, submit)
                    await inbox.join()  # a large inbox takes longer than a lease
        except StorageError as error:
            _logger.warning(
                "the inbox could not be maintained (%s); once more in %g s", type(error).__name__, self.every
            )
            return self.every
        return self.every if core.room > 0 else min(self.every, _SOON)  # more may wait

    async def _submit(self, entry: Entry, submit: Callable[[Job], bool]) -> None:
        try:
            job = Job(entry, read_event(entry.body.encode()))
        except DecodeError:
            _logger.error("an entry of the inbox holds no event and is dropped: %s", entry.key)
            await self._core.inbox.finish(entry)
            return
        if not submit(job):
            self._core.inbox.leave_for_later(entry)

    async def check(self) -> None:
        """Look at the webhooks, when it is time. It may take longer than a lease, so it is not a part of `once`."""
        await self._keeper.check_if_due()

    async def end(self) -> None:
        """Let others take what is left."""
        try:
            await self._core.inbox.leave()
        except StorageError as error:
            _logger.warning("the lease of this worker could not be given back (%s)", type(error).__name__)
