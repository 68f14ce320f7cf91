"""Bots that a fleet listens for beside the people: each is given what its own account receives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from webex.errors import ConfigurationError
from webex.ids import checked_key

if TYPE_CHECKING:
    from webex.integration import AsyncIntegration
    from webex.realtime.event import Event

__all__ = ["FleetBot", "FleetBots"]


class FleetBot(Protocol):
    """What a fleet needs of a bot; `webex.bots.Bot` is one."""

    key: str

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources that it has to listen to."""
        ...

    async def join(self, integration: AsyncIntegration) -> None:
        """Act over this integration, and store the bot's token there, under its key."""
        ...

    async def take(self, event: Event[Any]) -> None:
        """Handle an event and acknowledge it, or give it back."""
        ...

    async def aclose(self) -> None:
        """Stop, and close what the bot has opened."""
        ...


class FleetBots:
    """The bots of a fleet, by their keys."""

    def __init__(self, bots: Sequence[FleetBot]) -> None:
        self._bots: dict[str, FleetBot] = {}
        for bot in bots:
            key = checked_key(bot.key)
            if key in self._bots:
                raise ConfigurationError(f"Two bots of the fleet have the key {key!r}: Bot(…, key=…).")
            self._bots[key] = bot

    def __len__(self) -> int:
        return len(self._bots)

    def of(self, user_key: str | None) -> FleetBot | None:
        """Return the bot of this key, if it is one."""
        return self._bots.get(user_key or "")

    async def join(self, integration: AsyncIntegration, resources: Sequence[str]) -> None:
        """Let them store their tokens; `ConfigurationError` when one needs a resource that is not listened to."""
        for key, bot in self._bots.items():
            missing = [name for name in bot.resources if name not in resources]
            if missing:
                raise ConfigurationError(f"The bot {key!r} needs {', '.join(missing)}: Fleet(…, resources=…).")
            try:
                await bot.join(integration)
            except BaseException:
                await self.aclose()  # those that joined before it
                raise

    async def aclose(self) -> None:
        """Close them."""
        for bot in self._bots.values():
            await bot.aclose()
