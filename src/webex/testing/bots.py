"""A bot under test: people say things, and the bot has answered when the call returns. No socket, no sleeping.

    def test_deploy(webex_bot):
        t = webex_bot(bot)
        t.alice.says("deploy web")
        t.bot.replied("Deploying **web** latest")

`BotTest(bot, door="socket")` runs the same script over a real socket, against an emulator of its own; "webhook" and
"fleet" are the other doors. `AsyncBotTest` is the same for `async def` tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from webex.errors import ConfigurationError
from webex.testing.async_bots import AsyncBotTest, Door
from webex.testing.bot_people import AsyncSpeaker, CardFailure, Exchange, Speaker
from webex.testing.bot_replies import Replies

if TYPE_CHECKING:
    from webex.bots.bot import Bot
    from webex.client import AsyncWebex
    from webex.emulator import Cloud
    from webex.models import Message

__all__ = ["AsyncBotTest", "AsyncSpeaker", "BotTest", "CardFailure", "Door", "Exchange", "Speaker"]

T = TypeVar("T")


class BotTest:
    """Runs a bot against an emulated cloud: `with BotTest(bot) as t: t.alice.says("ping")`.

    `door="test"` hands events to the bot in process, `door="socket"` lets it listen by a real socket, `door="webhook"`
    receives real webhooks, and with `door="fleet"` a worker of a fleet listens for it. `storage` is that of the bot; by
    default one that ends with the test.
    `t.alice` and `t.bob` are people, `t.bot` is what the bot said last, `t.cloud` the cloud. It has an event loop of
    its own; in a test that is `async def`, use `AsyncBotTest`.
    """

    def __init__(self, bot: Bot, *, door: Door = "test", storage: Any = None) -> None:
        from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise ConfigurationError(
                "An event loop is running, and BotTest has one of its own: async with AsyncBotTest(bot) as t."
            )
        self.asynchronous: AsyncBotTest = AsyncBotTest(bot, door=door, storage=storage)  # the same, in the loop
        self._loop = asyncio.new_event_loop()
        self.run(self.asynchronous.start())
        self.cloud: Cloud = self.asynchronous.cloud
        self.bot_id: str = self.asynchronous.bot_id
        self.alice: Speaker = Speaker(self, ALICE_ID, ALICE_TOKEN)
        self.bob: Speaker = Speaker(self, BOB_ID, BOB_TOKEN)
        self.bot: Replies = self.asynchronous.bot

    # What a test does

    @property
    def mention(self) -> str:
        """The markdown that mentions the bot."""
        return self.asynchronous.mention

    @property
    def last(self) -> Exchange:
        """What was done last, and what the bot answered."""
        return self.asynchronous.last

    def room(self, title: str, *people: Speaker) -> str:
        """Make a room with the bot and these people (default: Alice); return its id."""
        return self.run(self.asynchronous.room(title, *(each.asynchronous for each in people)))

    def does(self, act: Coroutine[Any, Any, Any]) -> Exchange:
        """Do something in the cloud, let the bot handle what follows, and return what it answered."""
        return self.run(self.asynchronous.does(act))

    def restart(self) -> None:
        """Begin again with what is stored, as after a restart of the process."""
        self.run(self.asynchronous.restart())

    def redeliver(self) -> Exchange:
        """Deliver what the bot handled last once more, marked as redelivered."""
        return self.run(self.asynchronous.redeliver())

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> Exchange:
        """Move the clock of the bot and of the cloud; return what was said of dialogs whose time ran out."""
        return self.run(self.asynchronous.advance(days=days, hours=hours, minutes=minutes, seconds=seconds))

    def say(self, room_id_or_email: str, what: Any) -> Exchange:
        """Let the bot say something unasked for."""
        return self.run(self.asynchronous.say(room_id_or_email, what))

    def last_card(self) -> Message:
        """Return the last message with a card that the bot sent."""
        return self.asynchronous.last_card()

    def client_of(self, token: str, storage: Any = None) -> AsyncWebex:
        """Return a client of the cloud."""
        return self.asynchronous.client_of(token, storage)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the event loop of the bot."""
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        """End the bot and the cloud."""
        if self._loop.is_closed():
            return
        self.run(self.asynchronous.aclose())
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
