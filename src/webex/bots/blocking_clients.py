"""Clients of blocking style for plain handlers, one for each token; the ones used longest ago are closed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from webex.client import AsyncWebex, Webex

_MOST: Final = 100  # clients that are kept; those that a running handler has stay beyond


class BlockingClients:
    """The clients of a bot and of its users, in blocking style."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, Webex] = OrderedDict()
        self._users: dict[str, set[int]] = {}  # by token: the events whose handlers have the client
        self._closing: set[asyncio.Task[None]] = set()

    async def of(self, client: AsyncWebex, context: Any) -> Webex:
        """Return a `Webex` of the same account, which stays open until the event of this context is handled."""
        from webex import Webex

        token = await client.get_user_token()
        made = self._clients.get(token)
        if made is None:
            made = self._clients[token] = Webex(token, config=client.config)
        self._clients.move_to_end(token)
        self._users.setdefault(token, set()).add(id(context))
        self._close_oldest()
        return made

    def release(self, context: Any) -> None:
        """Note that the handler of an event has ended."""
        if not self._users:
            return
        for token, contexts in [*self._users.items()]:
            contexts.discard(id(context))
            if not contexts:
                del self._users[token]

    async def aclose(self) -> None:
        """Close them all."""
        clients = [*self._clients.values()]
        self._clients.clear()
        self._users.clear()
        await asyncio.gather(*self._closing, *(asyncio.to_thread(each.close) for each in clients))

    def _close_oldest(self) -> None:
        unused = [token for token in self._clients if token not in self._users]
        for token in unused[: max(0, len(self._clients) - _MOST)]:
            task = asyncio.ensure_future(asyncio.to_thread(self._clients.pop(token).close))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
