"""A receiver that is installed in an app handles events only while what the app opens at its start is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from starlette.applications import Starlette

from tests.webhooks.conftest import SECRET, posted
from webex import AsyncWebex
from webex.errors import ConfigurationError
from webex.storage import SQLiteStorage
from webex.webhooks import ReceivedEvent, WebhookReceiver
from webex.webhooks import aiohttp as for_aiohttp
from webex.webhooks import starlette as for_starlette

Steps = list[str]


def receiver(storage: SQLiteStorage, steps: Steps) -> tuple[WebhookReceiver[AsyncWebex], asyncio.Event]:
    """A receiver whose handler works until it is cancelled, and what says that it has begun."""
    hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
    begun = asyncio.Event()

    @hooks.on("messages")
    async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
        steps.append("handler begins")
        begun.set()
        try:
            await asyncio.sleep(0)
        finally:
            steps.append("handler ends")

    return hooks, begun


async def left(storage: SQLiteStorage) -> None:
    """Leave an event in the inbox, as a worker that was stopped does."""
    hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage, concurrency=1)
    begun = asyncio.Event()

    @hooks.on("messages")
    async def handle(event: ReceivedEvent[Any, AsyncWebex]) -> None:
        begun.set()
        await asyncio.Event().wait()

    await hooks.receive(*posted(id="left"))
    await begun.wait()
    await hooks.aclose(grace=0)


async def in_starlette(hooks: WebhookReceiver[AsyncWebex], steps: Steps, serve: Callable[[], Any]) -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await asyncio.sleep(0)
        steps.append("app opens")
        yield
        steps.append("app closes")

    app = Starlette(lifespan=lifespan)
    for_starlette.install(app, hooks)
    async with app.router.lifespan_context(app):
        await serve()


async def in_aiohttp(hooks: WebhookReceiver[AsyncWebex], steps: Steps, serve: Callable[[], Any]) -> None:
    async def context(app: web.Application) -> AsyncIterator[None]:
        await asyncio.sleep(0)
        steps.append("app opens")
        yield
        steps.append("app closes")

    async def shutdown(app: web.Application) -> None:
        steps.append("app closes")

    app = web.Application()
    app.cleanup_ctx.append(context)
    app.on_shutdown.append(shutdown)
    for_aiohttp.install(app, hooks)
    runner = web.AppRunner(app)
    await runner.setup()
    await serve()
    await runner.cleanup()


@pytest.mark.parametrize("mount", [in_starlette, in_aiohttp])
def test_it_starts_after_the_app_and_stops_before_it(tmp_path: Path, mount: Any) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    steps: Steps = []

    async def main() -> None:
        await left(storage)
        hooks, begun = receiver(storage, steps)
        real = hooks.aclose

        async def aclose() -> None:
            await real()
            steps.append("receiver is stopped")

        hooks.aclose = aclose  # type: ignore[method-assign, assignment]  # only to see when
        await mount(hooks, steps, begun.wait)

    asyncio.run(main())
    storage.close()
    first_end = steps.index("app closes")
    assert steps[:3] == ["app opens", "handler begins", "handler ends"]
    assert steps.index("receiver is stopped") < first_end


def test_aiohttp_functions_of_startup_that_were_added_later_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")

    async def later(app: web.Application) -> None: ...

    async def main(*, last: bool) -> None:
        app = web.Application()
        hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
        if last:
            app.on_startup.append(later)
        for_aiohttp.install(app, hooks)
        if not last:
            app.on_startup.append(later)
        runner = web.AppRunner(app)
        await runner.setup()
        await runner.cleanup()

    asyncio.run(main(last=True))
    assert "install it last" not in caplog.text
    asyncio.run(main(last=False))
    storage.close()
    assert "install it last" in caplog.text


def test_a_lifespan_that_can_not_begin_is_told_to_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = SQLiteStorage(tmp_path / "inbox.db")
    hooks = WebhookReceiver(AsyncWebex("a token"), secret=SECRET, storage=storage)
    sent: list[dict[str, Any]] = []

    async def fails() -> None:
        raise ConfigurationError("It runs elsewhere.")

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    monkeypatch.setattr(hooks, "start_anywhere", fails)
    asyncio.run(hooks.asgi({"type": "lifespan"}, receive, send))
    storage.close()
    assert sent == [{"type": "lifespan.startup.failed", "message": "It runs elsewhere."}]
