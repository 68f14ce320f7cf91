"""How a bot under test receives what happens: by a socket, by webhooks, or as a fleet's bot."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from webex.bots.bot import Bot
    from webex.integration import AsyncIntegration

_PATIENCE: Final = 20.0  # real seconds until a bot is connected, or has ended
_LEASE: Final = 2.0  # seconds, of the only worker of a fleet


class OpenDoor(Protocol):
    """A way to receive events that is open until `close`."""

    async def close(self) -> None:
        """Receive no more."""
        ...


class InProcess:
    """Nothing is received: the test hands over what happens."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def close(self) -> None:
        """Stop the bot."""
        await self._bot.stop(0.0)


class Socket:
    """The bot listens by a socket of its own."""

    def __init__(self, bot: Bot, listening: asyncio.Task[None]) -> None:
        self._bot, self._listening = bot, listening

    @classmethod
    async def open(cls, bot: Bot) -> Socket:
        """Let the bot listen; return when it is connected."""
        listening = asyncio.ensure_future(bot.listen())
        await _until(lambda: bot.health.is_connected, listening)
        return cls(bot, listening)

    async def close(self) -> None:
        """Stop the bot, and wait until it has ended."""
        await self._bot.stop(0.0)
        await asyncio.wait({self._listening}, timeout=_PATIENCE)


class Webhooks:
    """A web server has the bot's receiver, and webhooks lead to it."""

    def __init__(self, bot: Bot, server: Any, serving: asyncio.Task[None]) -> None:
        self._bot, self._server, self._serving = bot, server, serving

    @classmethod
    async def open(cls, bot: Bot, resources: Iterable[str]) -> Webhooks:
        """Serve the receiver, and register webhooks of these resources."""
        import uvicorn

        secret = "the secret of the webhooks of a test"  # of a cloud that ends with the test
        app: Any = bot.webhooks(secret=secret).asgi
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
        serving = asyncio.ensure_future(server.serve())
        await _until(lambda: server.started, serving)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        for resource in resources:
            await bot.client.webhooks.create(
                name=f"test {resource}", target_url=url, resource=resource, event="all", secret=secret
            )
        return cls(bot, server, serving)

    async def close(self) -> None:
        """Stop the server and the bot, and delete the webhooks."""
        self._server.should_exit = True
        await asyncio.wait({self._serving}, timeout=_PATIENCE)
        async for webhook in self._bot.client.webhooks.list():
            await self._bot.client.webhooks.delete(webhook.id)
        await self._bot.stop(0.0)


class FleetWorker:
    """A worker of a fleet listens for the bot, which is an account of an integration."""

    def __init__(self, fleet: Any) -> None:
        self._fleet = fleet

    @classmethod
    async def open(cls, bot: Bot, integration: AsyncIntegration) -> FleetWorker:
        """Start a fleet of one worker that has this bot; return when it listens for it."""
        from webex.fleet import Fleet

        fleet = Fleet(integration, bots=[bot], shards=4, lease=_LEASE, poll=0.05)
        await fleet.start()
        await _until(lambda: bool(fleet.users) and not fleet.health.connecting)
        return cls(fleet)

    async def close(self) -> None:
        """Hand over to no one."""
        await self._fleet.stop(_PATIENCE)


def integration_of(url: str, storage: Any, transport: Any) -> AsyncIntegration:
    """Return the emulator's integration, whose users and bots a test has."""
    from webex import AsyncIntegration
    from webex.emulator.accounts import CLIENT_ID, CLIENT_SECRET, REDIRECT_URIS

    return AsyncIntegration(
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uri=REDIRECT_URIS[0],
        emulator_url=url,
        storage=storage,
        transport=transport,
    )


class SharedStorage:
    """A storage that the workers of a fleet can share, in a folder that ends with the test."""

    def __init__(self) -> None:
        from webex.storage import SQLiteStorage

        self._folder = tempfile.TemporaryDirectory()
        self.storage: Any = SQLiteStorage(Path(self._folder.name) / "bot.db")

    def close(self) -> None:
        """Remove it."""
        self._folder.cleanup()


async def _until(condition: Callable[[], bool], running: asyncio.Task[None] | None = None) -> None:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + _PATIENCE
    while not condition():
        if running is not None and running.done():
            await running  # it failed, and says why
        if loop.time() > give_up:
            raise TimeoutError(f"The bot did not connect within {_PATIENCE:g} s.")
        await asyncio.sleep(0.01)
