"""A receiver in an app of aiohttp's server: `install(app, hooks, "/hooks/webex")`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from webex.webhooks.receiver import WebhookReceiver

__all__ = ["install"]

_logger = logging.getLogger("webex.webhooks")


def install(app: web.Application, hooks: WebhookReceiver[Any], path: str = "/hooks/webex") -> None:
    """Serve a receiver at a path; call it when the app's own functions of `on_startup` are added.

    The receiver starts after those and after what is in `cleanup_ctx`, and is stopped before `on_shutdown`, so that
    handlers find what the app has opened.
    """

    async def receive(request: web.Request) -> web.Response:
        body = bytearray()
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > hooks.max_size:
                break
        reply = await hooks.receive_anywhere(bytes(body), request.headers)
        return web.Response(text=f"{reply.text}\n", status=reply.status, headers=reply.headers)

    async def start(app: web.Application) -> None:
        if app.on_startup[-1] is not start:
            _logger.warning(
                "the webhook receiver starts before functions of on_startup that were added after it: install it last"
            )
        await hooks.start_anywhere()

    async def stop(_: web.Application) -> None:
        await hooks.aclose()

    app.router.add_post(path, receive)
    app.on_startup.append(start)
    app.on_shutdown.insert(0, stop)
    app.on_cleanup.insert(0, stop)  # where a later function of on_startup has failed, on_shutdown is not called
