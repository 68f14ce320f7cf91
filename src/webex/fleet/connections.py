"""Connect the users that this worker listens for, and again where listening has ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from webex.errors import ConnectionReplacedError, NotSignedInError, ReauthorizationRequiredError, WebexError
from webex.fleet.gathered import GatheredWarnings
from webex.http.timing import Backoff
from webex.realtime.tasks import Tasks, end

if TYPE_CHECKING:
    from webex.fleet.delivery import Delivery
    from webex.integration import AsyncIntegration
    from webex.realtime.hub import RealtimeHub

__all__ = ["Connections"]

_logger = logging.getLogger("webex.fleet")

_AGAIN: Final = 15.0  # seconds until a user who could not be listened for is looked at again
_LONGEST_PAUSE: Final = 30.0
_FIRST_AFTER_REPLACED: Final = 0.5
_LEAVING_PATIENCE: Final = 5.0  # seconds that a user who joins again waits for the end of the leaving


class Connections:
    """The connections of one worker. `may(user)` tells whether it listens for a user at this moment."""

    def __init__(
        self,
        integration: AsyncIntegration,
        hub: RealtimeHub,
        delivery: Delivery,
        may: Callable[[str], bool],
    ) -> None:
        self._integration, self._hub, self._delivery, self._may = integration, hub, delivery, may
        self._joining: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._replaced: dict[str, int] = {}
        self.refused: dict[str, str] = {}  # users who can't be listened for now, and the name of the error
        self._warnings = GatheredWarnings(_logger, "users")
        self._tasks = Tasks()
        self._closed = False
        hub.on_failure = self._on_failure

    @property
    def connecting(self) -> int:
        """How many users are being connected, or wait for their turn."""
        return len(self._joining)

    def is_joining(self, user: str) -> bool:
        """Return whether a user is being connected, or waits for that."""
        return user in self._joining

    def join(self, user: str) -> None:
        """Begin to listen for a user; a user who is connected stays as is."""
        if self._closed or user in self._joining:
            return
        self.refused.pop(user, None)
        task = self._joining[user] = self._tasks.start(self._connect(user))
        task.add_done_callback(lambda done: self._on_joined(user, done))

    async def leave(self, user: str) -> None:
        """Stop at once. A `join` that comes meanwhile begins when this has ended."""
        joining = self._joining.pop(user, None)
        if joining is not None:
            joining.cancel()
        leaving = self._leaving.get(user)
        if leaving is None:
            leaving = self._leaving[user] = self._tasks.start(self._leave(user, joining))
            leaving.add_done_callback(lambda done: self._left(user, done))
        await asyncio.wait({leaving})

    async def _leave(self, user: str, joining: asyncio.Task[None] | None) -> None:
        if joining is not None:
            await end((joining,))
            if self._leaving.get(user) is not asyncio.current_task():
                return  # the user was joined again meanwhile
        self.refused.pop(user, None)
        self._replaced.pop(user, None)
        self._delivery.drop(user)
        await self._hub.remove(user)

    def _left(self, user: str, task: asyncio.Task[None]) -> None:
        if self._leaving.get(user) is task:
            del self._leaving[user]

    async def drain(self, users: Collection[str]) -> None:
        """Stop when the events in hand are finished."""
        for user in users:
            joining = self._joining.get(user)
            if joining is not None:
                joining.cancel()
        await self._delivery.drain(users)
        await asyncio.gather(*(self.leave(user) for user in users))

    async def settled(self) -> None:
        """Return when no user waits to be connected."""
        while self._joining:
            await asyncio.wait(set(self._joining.values()))

    async def close(self) -> None:
        """Connect no one any more."""
        self._closed = True
        await self._tasks.close()
        self._warnings.write()

    async def look_after_refused(self) -> None:
        """Listen again for users who have signed in again."""
        while True:
            await asyncio.sleep(_AGAIN)
            self._replaced.clear()
            for user in tuple(self.refused):
                if user in self._joining or not self._may(user):
                    continue
                with contextlib.suppress(WebexError):
                    if await self._integration.is_signed_in(user):
                        self.join(user)

    async def _connect(self, user: str) -> None:
        if leaving := self._leaving.get(user):
            await asyncio.wait({leaving}, timeout=_LEAVING_PATIENCE)
            self._left(user, leaving)  # one that hangs goes on by itself: the new connection replaces what it closes
        backoff = Backoff(1.0, _LONGEST_PAUSE)
        if replaced := self._replaced.get(user, 0):  # another worker may have it by right: it is asked less and less
            await asyncio.sleep(min(_FIRST_AFTER_REPLACED * 2.0**replaced, _LONGEST_PAUSE))
        while True:
            if not self._may(user):
                return
            self._delivery.resume(user)  # only now: an earlier connection may have failed while this one waited
            try:
                await self._hub.add(user)
                return
            except (NotSignedInError, ReauthorizationRequiredError) as error:
                self.refused[user] = type(error).__name__
                return
            except WebexError as error:
                self._warnings.add(f"listening for a user did not begin: {type(error).__name__}")
            await asyncio.sleep(backoff.next())

    def _on_joined(self, user: str, task: asyncio.Task[None]) -> None:
        if self._joining.get(user) is task:
            del self._joining[user]

    def _on_failure(self, user: str, error: BaseException) -> None:
        """Go on after listening for a user has ended: replaced by another worker, signed out, or refused."""
        self._delivery.drop(user)
        if isinstance(error, NotSignedInError | ReauthorizationRequiredError):
            self.refused[user] = type(error).__name__
            return
        if isinstance(error, ConnectionReplacedError):
            _logger.info("another worker has taken over a user of this one")
            self._replaced[user] = self._replaced.get(user, 0) + 1
        else:
            self._warnings.add(f"listening for a user ended: {type(error).__name__}")
        if self._may(user):
            self.join(user)
