"""Connections of asynchronous redis-py clients whose time limit does not punish a process for having been stopped."""

from __future__ import annotations

import asyncio
import math
from typing import Any, cast

from webex.runtime.deadlines import Limit

__all__ = ["read_answers_late"]


class _Patient:
    """Reads an answer that came while the process stood still, where redis-py drops it for being late."""

    socket_timeout: float | None

    async def read_response(self, *arguments: Any, timeout: float | None = None, **options: Any) -> Any:
        read = cast(Any, super()).read_response
        if timeout is not None or self.socket_timeout is None:
            return await read(*arguments, timeout=timeout, **options)
        from redis.exceptions import TimeoutError as NoAnswer

        try:
            async with Limit(asyncio.get_running_loop().time() + self.socket_timeout):
                return await read(*arguments, timeout=math.inf, **options)  # for ever, but for the limit
        except TimeoutError:
            raise NoAnswer("Timeout reading from the server") from None


def read_answers_late(client: Any) -> None:
    """Let the connections of a client that has none yet read such answers."""
    pool = client.connection_pool
    pool.connection_class = type("PatientConnection", (_Patient, pool.connection_class), {})
