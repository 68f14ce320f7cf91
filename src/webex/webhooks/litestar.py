"""A receiver in a Litestar app: `Litestar([index], plugins=[WebhookPlugin(hooks, "/hooks/webex")])`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from webex.extras import needed_by

with needed_by("webex.webhooks.litestar"):
    import litestar
    from litestar.plugins import InitPlugin
    from litestar.types import Receive, Scope, Send

if TYPE_CHECKING:
    from litestar.config.app import AppConfig

    from webex.webhooks.receiver import WebhookReceiver

__all__ = ["WebhookPlugin"]


class WebhookPlugin(InitPlugin):
    """Serves a receiver at a path of a Litestar app, without CSRF protection: a signature proves each delivery.

    The receiver starts after the app's own `lifespan` functions have begun, and is stopped before those end: handlers
    find what the app has opened there.
    """

    def __init__(self, hooks: WebhookReceiver[Any], path: str = "/hooks/webex") -> None:
        self._hooks, self._path = hooks, path

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Extend the app's configuration."""
        hooks = self._hooks
        serve: Any = hooks.asgi

        async def webex_webhooks(scope: Scope, receive: Receive, send: Send) -> None:
            await serve(scope, receive, send)

        @asynccontextmanager
        async def running(_: litestar.Litestar) -> AsyncIterator[None]:
            await hooks.start_anywhere()
            try:
                yield
            finally:
                await hooks.aclose()

        handler = litestar.asgi(self._path, copy_scope=False, opt={"exclude_from_csrf": True})
        app_config.route_handlers.append(handler(webex_webhooks))
        app_config.lifespan = [*app_config.lifespan, running]
        return app_config
