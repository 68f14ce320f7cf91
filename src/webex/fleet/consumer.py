"""Take events back from a broker: `async for event in nats_events(…)`, typed as those of `client.listen()`."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, cast

from webex.errors import ConfigurationError, DecodeError
from webex.fleet.envelope import decode
from webex.realtime.tasks import Tasks
from webex.runtime.unpicklable import Unpicklable

if TYPE_CHECKING:
    from webex.realtime.event import Event
    from webex.realtime.kinds import RealtimeEvent

__all__ = ["BrokerEvents"]

_logger = logging.getLogger("webex.fleet")

M = TypeVar("M")


class BrokerEvents(ABC, Unpicklable, Generic[M]):
    """Events out of a broker. `async with nats_events(…) as events: async for event in events: …`.

    An event is acknowledged to the broker when the next one is asked for; leaving the loop otherwise leaves it, and it
    comes again. With `ack="manual"` only `event.ack()` acknowledges, and `event.nack(seconds)` asks for it again.
    One that the broker sends again has `event.redelivered`, too.
    A message that is no event of a fleet is acknowledged, and logged.
    """

    _instead = "Make one in each process; they share the work."

    def __init__(self, ack: Literal["auto", "manual"]) -> None:
        if ack not in ("auto", "manual"):
            raise ConfigurationError(f"ack is {ack!r}; it is 'auto' or 'manual'.")
        self.is_manual: bool = ack == "manual"
        self._messages: dict[Event[Any], M] = {}
        self._tasks = Tasks()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @abstractmethod
    async def _open(self) -> None:
        """Connect."""

    @abstractmethod
    async def _take(self) -> tuple[M, bytes]:
        """Wait for the next message; return it with its body."""

    @abstractmethod
    def _is_redelivered(self, message: M) -> bool:
        """Return whether the broker has sent a message before."""

    @abstractmethod
    async def _acknowledge(self, message: M) -> None:
        """Tell the broker that a message is done."""

    @abstractmethod
    async def _give_back(self, message: M, after: float) -> None:
        """Ask the broker to send a message again after so many seconds, as exactly as it can."""

    @abstractmethod
    async def _close(self) -> None:
        """Disconnect."""

    async def __anext__(self) -> RealtimeEvent:
        if self._closed:
            raise StopAsyncIteration
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            await self._open()
        if not self.is_manual:
            for event, handled in tuple(self._messages.items()):
                del self._messages[event]
                event.receipt = None
                await self._acknowledge(handled)
        while True:
            message, body = await self._take()
            try:
                event = decode(body)
            except DecodeError as error:
                _logger.warning("a message was left out: %s", error)
                await self._acknowledge(message)
                continue
            event.redelivered = event.redelivered or self._is_redelivered(message)
            self._messages[event] = message
            event.receipt = cast("Any", (None, self))
            return event

    def __aiter__(self) -> AsyncIterator[RealtimeEvent]:
        return self

    async def aclose(self) -> None:
        """Wait for acknowledgements under way, and disconnect; what is in hand comes again."""
        if self._closed:
            return
        self._closed = True
        await self._tasks.finish()
        if self._loop is not None:
            await self._close()

    async def __aenter__(self) -> Self:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def settle(self, event: Event[Any], after: float | None = None) -> None:
        """Acknowledge an event, or give it back; what `event.ack()` and `event.nack()` call, from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._settle, event, after)

    def _settle(self, event: Event[Any], after: float | None) -> None:
        event.receipt = None
        message = self._messages.pop(event, None)
        if message is None or self._closed:
            return
        self._tasks.start(self._acknowledge(message) if after is None else self._give_back(message, after))
