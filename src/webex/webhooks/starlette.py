"""A receiver in a Starlette or FastAPI app: `install(app, hooks, "/hooks/webex")`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from webex.extras import needed_by

with needed_by("webex.webhooks.starlette"):
    from starlette.applications import Starlette
    from starlette.routing import Route

if TYPE_CHECKING:
    from webex.webhooks.receiver import WebhookReceiver

__all__ = ["install"]


def install(app: Starlette, hooks: WebhookReceiver[Any], path: str = "/hooks/webex") -> None:
    """Serve a receiver at a path; call it before the app starts.

    The receiver starts after the app's lifespan has begun, and is stopped before that ends: handlers find what the app
    has opened there.
    """
    app.router.routes.append(Route(path, hooks.asgi, methods=["POST"], include_in_schema=False))
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with inner(app) as state:
            await hooks.start_anywhere()
            try:
                yield state
            finally:
                await hooks.aclose()

    app.router.lifespan_context = lifespan
