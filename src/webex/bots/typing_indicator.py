"""Show that a bot is typing, once handling an event takes a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

_AFTER: Final = 2.0  # seconds of handling


class TypingIndicator:
    """Calls `show` after two seconds, unless it is stopped before."""

    def __init__(self, show: Callable[[], Awaitable[None]]) -> None:
        self._task: asyncio.Task[None] = asyncio.create_task(self._show_later(show))

    async def stop(self) -> None:
        """Show nothing any more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _show_later(self, show: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(_AFTER)
        with suppress(Exception):  # its failure must not fail the handler
            await show()
