"""A receiver as an ASGI app, which `mount` and `route` of ASGI frameworks take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from webex.errors import WebexError

if TYPE_CHECKING:
    from webex.webhooks.core import Reply
    from webex.webhooks.receiver import WebhookReceiver

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
METHOD: Final = "Webhooks are delivered with POST."


class ASGIReceiver:
    """What `hooks.asgi` is. A source of blocking style is called in threads."""

    def __init__(self, hooks: WebhookReceiver[Any]) -> None:
        self._hooks = hooks

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan (ASGI)."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await _answer(await self._reply(scope, receive), send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _reply(self, scope: MutableMapping[str, Any], receive: Receive) -> Reply:
        if scope["method"] != "POST":
            return self._hooks.refuse(405, METHOD, allow="POST")
        body, most = bytearray(), self._hooks.max_size
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return self._hooks.refuse(400, "The body ended early.")
            body += message.get("body", b"")
            if len(body) > most or not message.get("more_body", False):
                break
        return await self._hooks.receive_anywhere(bytes(body), scope["headers"])

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._hooks.start_anywhere()
                except WebexError as error:  # an exception would only say that there is no lifespan here
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._hooks.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _answer(reply: Reply, send: Send) -> None:
    body = f"{reply.text}\n".encode()
    headers = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), **reply.headers}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
    await asyncio.sleep(0)  # the answer goes out before the handlers take the loop
