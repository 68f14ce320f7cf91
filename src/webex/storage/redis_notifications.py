"""Notifications of a `RedisStorage`: PUBLISH by who has changed something, SUBSCRIBE on a connection of its own.

Redis can tell of every change of a key by itself, but only where its operator has switched that on
(`notify-keyspace-events`), and then of each refresh of a token too. So those who change something tell it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

from webex.runtime.cancellation import heeding

__all__ = ["subscribed"]

_QUIET: Final = 30.0  # seconds without a message, after which the connection is tried


async def subscribed(client: Any, channel: str, timeout: float, quiet: float = _QUIET) -> AsyncGenerator[Any, None]:
    """Yield what is published on a channel, and None at each subscription, also one that redis-py has made anew.

    A connection that does not answer within `timeout` seconds raises `TimeoutError`.
    """
    pubsub = client.pubsub()
    try:
        await heeding(pubsub.subscribe(channel))
        asked = True
        while True:
            message = await heeding(pubsub.get_message(timeout=timeout if asked else quiet))
            if message is not None:
                asked = False
                if message["type"] == "subscribe":
                    yield None
                elif message["type"] == "message":
                    yield message["data"]
            elif asked:
                raise TimeoutError
            else:
                await heeding(pubsub.ping())
                asked = True
    finally:
        await pubsub.aclose()
