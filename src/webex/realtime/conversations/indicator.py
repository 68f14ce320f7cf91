"""Show that the user is typing, for as long as a block of code runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from webex.errors import ApiError, ConfigurationError
from webex.realtime.given_ids import uuid_of
from webex.realtime.lookup import room_url

if TYPE_CHECKING:
    from webex.realtime.conversations.service import ConversationService
    from webex.realtime.user_connection import UserConnection

_logger = logging.getLogger("webex.realtime")

PRESENCE_MOVED: Final = "conversations.presence(id) is now presence.get(id).status; the old name goes with 0.3."
_STARTED: Final = "status.start_typing"
_STOPPED: Final = "status.stop_typing"
_STOP_WITHIN: Final = 5.0  # seconds that leaving the block waits for the sign that typing has stopped


class TypingIndicator(Coroutine[Any, Any, None]):
    """The typing indicator of a room: `async with client.conversations.typing(room): …`.

    Entering the block shows the others that the user is typing, leaving it in any way (its end, an error, a
    cancellation) shows that this has stopped. Awaited instead, it sends one sign.
    """

    def __init__(self, service: ConversationService, room_id: str, *, stopped: bool = False) -> None:
        self._service, self._room = service, uuid_of(room_id)
        self._stopped = stopped
        self._connection: UserConnection | None = None  # by which typing was shown
        self._once: Coroutine[Any, Any, None] | None = None

    async def __aenter__(self) -> Self:
        """Show that the user is typing; raises `ApiError` when the service refuses."""
        if self._stopped:
            raise ConfigurationError("typing(…, stopped=True) sends one sign: await it, or leave stopped= out.")
        connection = self._connection = await self._service.connected()
        try:
            await self._send(connection, _STARTED)
        except ApiError:
            raise
        except BaseException:  # it may have arrived
            connection.start(self._send(connection, _STOPPED))
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show that typing has stopped. A failure is logged: it must not hide what ended the block."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        stopping = connection.start(self._send_once(_STOPPED))
        try:
            async with asyncio.timeout(_STOP_WITHIN):
                await asyncio.shield(stopping)  # sent also when the task is cancelled once more
        except Exception as failure:
            _logger.warning("that typing has stopped could not be shown: %s", type(failure).__name__)

    async def _send(self, connection: UserConnection, kind: str) -> None:
        url = await room_url(connection, self._room)
        body = {"conversationId": self._room, "eventType": kind}
        await connection.services.send("POST", f"{url}/status/typing", json=body)

    # One sign: what `await` and a task need

    async def _send_once(self, kind: str) -> None:
        await self._send(await self._service.connected(), kind)

    def _make(self) -> Coroutine[Any, Any, None]:
        return self._send_once(_STOPPED if self._stopped else _STARTED)

    def _running(self) -> Coroutine[Any, Any, None]:
        if self._once is None:
            self._once = self._make()
        return self._once

    def __await__(self) -> Generator[Any, Any, None]:
        return self._make().__await__()

    def send(self, value: Any, /) -> Any:
        """Run the coroutine that sends one sign on to its next suspension."""
        return self._running().send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an error in the coroutine that sends one sign."""
        return self._running().throw(*error)

    def close(self) -> None:
        """End the coroutine that sends one sign."""
        if self._once is not None:
            self._once.close()
