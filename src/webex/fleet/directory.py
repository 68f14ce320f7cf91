"""Which users there are, by shard; kept up to date by what one worker finds and all workers are told.

Each worker lists the keys of the stored users once. Afterwards one of them, by a lease, lists them again every few
seconds and tells the others who is new and who is gone. Where the storage has notifications, that one is also told of
each sign-in and sign-out, looks at this user alone, and tells the others at once; so is it for a process of the fleet,
or one that called `announce_sign_ins`. So the storage is not asked by every worker, and few records are read.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from webex.errors import StorageError
from webex.fleet.news import NAMESPACE, Kind, NewsBoard
from webex.fleet.shards import shard_of
from webex.fleet.wakeups import be_woken
from webex.ids import person_uuid
from webex.realtime.tasks import Tasks

if TYPE_CHECKING:
    from webex.app_storage import Held
    from webex.auth.events import AuthEvent
    from webex.integration import AsyncIntegration

__all__ = ["Directory", "announce_sign_ins"]

_logger = logging.getLogger("webex.fleet")

_LEASE: Final = 30.0  # seconds, of the worker that lists
_PART: Final = 20.0  # of this worker's time, one in so many parts may go into listing
_AGAIN: Final = 3.0  # seconds until the users are listed again after that failed, at the latest
_TOLD_AT_ONCE: Final = 100


class Directory:
    """The users of a fleet. `wanted(key)` says whether the fleet listens for a user."""

    def __init__(
        self,
        integration: AsyncIntegration,
        board: NewsBoard,
        *,
        fleet: str,
        shards: int,
        every: float,
        wanted: Callable[[str], bool] | None = None,
    ) -> None:
        self._integration, self._board = integration, board
        self._lease_name = f"{fleet}/directory"
        self._shards, self._every, self._wanted = shards, every, wanted
        self._users: dict[int, set[str]] = defaultdict(set)
        self._changed: set[str] = set()  # users who signed in or out, and were not looked at yet
        self._missed = False  # whether others may have
        self._woken = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._users.values()))

    def of(self, shard: int) -> frozenset[str]:
        """Return the users of a shard."""
        return frozenset(self._users.get(shard, ()))

    def shard(self, user_key: str) -> int:
        """Return the shard of a user."""
        return shard_of(user_key, self._shards)

    def __contains__(self, user_key: str) -> bool:
        return user_key in self._users.get(self.shard(user_key), ())

    def add(self, user_key: str) -> bool:
        """Add a user; False when it is none of the fleet's."""
        if self._wanted is not None and not self._wanted(user_key):
            return False
        self._users[self.shard(user_key)].add(user_key)
        return True

    def remove(self, user_key: str) -> None:
        """Remove a user."""
        self._users[self.shard(user_key)].discard(user_key)

    def reshard(self, shards: int) -> None:
        """Spread the users over another number of shards."""
        users = [key for keys in self._users.values() for key in keys]
        self._shards = shards
        self._users.clear()
        for key in users:
            self._users[self.shard(key)].add(key)

    async def list_all(self) -> tuple[list[str], list[str]]:
        """List the stored users; return those who are new here, and those who are gone."""
        before = {key for keys in self._users.values() for key in keys}
        joined = []
        async for found in self._integration.users(kind="person"):
            key = person_uuid(found)
            if key in before:
                before.discard(key)
            elif self._wanted is None or self._wanted(key):
                joined.append(key)
        return joined, sorted(before)

    async def watch(self) -> None:
        """Be the one that lists, whenever no other worker is, and tell the others."""
        lease: Held | None = None
        listening: asyncio.Task[None] | None = None
        loop, tasks = asyncio.get_running_loop(), Tasks()
        try:
            while True:
                took, every = 0.0, self._every
                try:
                    if lease is None:
                        lease = await self._integration.storage.hold(NAMESPACE, self._lease_name, _LEASE)
                    if lease is not None:
                        listening = listening or tasks.start(be_woken(self._integration.user_changes, self._told))
                        self._missed = False
                        began = loop.time()
                        joined, left = await self.list_all()
                        await self._tell([*(("joined", key) for key in joined), *(("left", key) for key in left)])
                        took = loop.time() - began
                        if not await lease.renew(max(every, took * _PART) + _LEASE):
                            lease = None
                except StorageError as error:
                    _logger.warning("the users could not be listed: %s", type(error).__name__)
                    every = min(every, _AGAIN)  # the lease may still be held: the next renewal tells
                if lease is None and listening is not None:
                    listening.cancel()
                    listening = None
                now = loop.time()
                await self._look_at_changed(now + took * _PART, now + max(every, took * _PART))
        finally:
            await tasks.close()
            if lease is not None:
                with suppress(StorageError):
                    await lease.release()

    def _told(self, key: str | None) -> None:
        if key is None:
            self._missed = True
        elif not key.startswith("org:"):  # service apps
            self._changed.add(key)
        self._woken.set()

    async def _look_at_changed(self, soonest: float, latest: float) -> None:
        """Tell of users who sign in or out until the users are to be listed again, at the `latest` by the loop's clock.

        When others may have been missed, that is as soon as it may be: at `soonest`.
        """
        loop = asyncio.get_running_loop()
        while (left := (soonest if self._missed else latest) - loop.time()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._woken.wait()
            self._woken.clear()
            keys, self._changed = self._changed, set()
            news: list[tuple[Kind, str]] = []
            try:
                for key in keys:
                    user = person_uuid(key)
                    if self._wanted is None or self._wanted(user):
                        news.append(("joined" if await self._integration.is_signed_in(key) else "left", user))
                await self._tell(news)
            except StorageError as error:
                _logger.warning("users could not be looked at: %s", type(error).__name__)
                self._missed = True

    async def _tell(self, news: list[tuple[Kind, str]]) -> None:
        for start in range(0, len(news), _TOLD_AT_ONCE):
            await self._board.tell(news[start : start + _TOLD_AT_ONCE])


def announce_sign_ins(integration: AsyncIntegration, fleet: str = "fleet") -> None:
    """Tell a fleet of every sign-in and sign-out of this process at once: call it once in a web app.

    Without it the fleet finds them when it lists the users, every few seconds. Where the storage has notifications
    (`RedisStorage`, `PostgresStorage`) it is not needed.
    """
    board = NewsBoard(integration.storage, fleet)

    async def tell(event: AuthEvent) -> None:
        await board.tell([("joined" if event.kind == "signed_in" else "left", person_uuid(event.user_key))])

    integration.events.signed_in(tell)
    integration.events.signed_out(tell)
