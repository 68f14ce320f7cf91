"""A bot under test in an event loop: `async with AsyncBotTest(bot) as t: await t.alice.says("ping")`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from webex.bots.happening import Happening, from_data
from webex.errors import ConfigurationError
from webex.ids import person_uuid, public_id
from webex.models import AttachmentAction, Membership, Message, Room
from webex.models.base import from_data as model_of
from webex.realtime.event import Actor, Reaction
from webex.storage import MemoryStorage
from webex.testing.bot_doors import (
    FleetWorker,
    InProcess,
    OpenDoor,
    SharedStorage,
    Socket,
    Webhooks,
    integration_of,
)
from webex.testing.bot_people import AsyncSpeaker, CardFailure, Exchange
from webex.testing.bot_reactions import by_client, in_process
from webex.testing.bot_replies import Replies
from webex.testing.bot_sign_in import sign_in

if TYPE_CHECKING:
    from webex.bots.bot import Bot
    from webex.client import AsyncWebex
    from webex.emulator import Cloud
    from webex.emulator.wire import Change
    from webex.integration import AsyncIntegration

__all__ = ["AsyncBotTest", "Door"]

T = TypeVar("T")
Door = Literal["test", "socket", "webhook", "fleet"]

_MODELS: Final[dict[str, Any]] = {
    "messages": Message,
    "attachmentActions": AttachmentAction,
    "memberships": Membership,
    "rooms": Room,
    "reactions": Reaction,
}
_GONE: Final = ("text", "markdown", "html", "files", "attachments")  # of a message that was deleted
_WEBHOOKS: Final = ("messages", "attachmentActions", "memberships", "rooms")
_PATIENCE: Final = 20.0  # real seconds until a bot behind a socket must have handled something
_URL: Final = "http://127.0.0.1:9"  # nothing is sent there: requests go to the cloud of this process


class AsyncBotTest:
    """Runs a bot in the event loop of the test: `async with AsyncBotTest(bot) as t: await t.alice.says("ping")`.

    Handlers run in that loop, so they may use what the test has opened there. Arguments and names are those of
    `BotTest`; whatever the bot has to handle is awaited.
    """

    def __init__(self, bot: Bot, *, door: Door = "test", storage: Any = None) -> None:
        from webex.emulator import Emulator
        from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN, BOT_ID, BOT_TOKEN
        from webex.emulator.cloud import Cloud

        self._bot, self._door = bot, door
        self._shared = SharedStorage() if door == "fleet" and storage is None else None
        self._storage = storage or (MemoryStorage() if self._shared is None else self._shared.storage)
        self._integration_given = bot.integration
        self._integration: AsyncIntegration | None = None  # the emulator's, in place of the one that was given
        self._emulator = Emulator() if door != "test" else None
        self.cloud: Cloud = self._emulator.start() if self._emulator is not None else Cloud()
        if self._emulator is None:
            self.cloud.url = _URL
        self._turn = asyncio.Lock()  # one act at a time
        self._progress = asyncio.Event()  # something was handled
        self._is_closed = False
        self._changes: list[Change] = []
        self._delivered: list[Change] = []  # what was done last
        self._handled: dict[str, int] = {}  # by key: changes of one room share theirs
        self._awaited: dict[str, int] = {}
        self._lock = threading.Lock()
        self._offset = 0.0
        self._open_door: OpenDoor | None = None
        self._opened: list[AsyncWebex] = []
        self._bot_uuid, self._bot_token = BOT_ID, BOT_TOKEN
        self.bot_id: str = public_id("PEOPLE", BOT_ID)
        self.last: Exchange = Exchange([])
        self._end_subscription = self.cloud.subscribe(self._changed)
        self.alice: AsyncSpeaker = AsyncSpeaker(self, ALICE_ID, ALICE_TOKEN)
        self.bob: AsyncSpeaker = AsyncSpeaker(self, BOB_ID, BOB_TOKEN)
        self.bot: Replies = Replies(self)

    # What a test does

    @property
    def mention(self) -> str:
        """The markdown that mentions the bot."""
        return f"<@personId:{self.bot_id}>"

    async def room(self, title: str, *people: AsyncSpeaker) -> str:
        """Make a room with the bot and these people (default: Alice); return its id."""
        first, *others = people or (self.alice,)

        async def make() -> str:
            room = await first.client.rooms.create(title=title)
            for each in others:
                await first.client.memberships.create(room_id=room.id, person_id=each.id)
            await first.client.memberships.create(room_id=room.id, person_id=self.bot_id)
            return room.id

        return await self._act(make())

    async def does(self, act: Coroutine[Any, Any, Any]) -> Exchange:
        """Do something in the cloud, let the bot handle what follows, and return what it answered."""
        made = await self._act(act)
        self.last.said = made if isinstance(made, Message) else None
        return self.last

    async def react(self, speaker: AsyncSpeaker, message: Message, name: str, *, event: str = "created") -> Exchange:
        """Let a person react to a message, or take that back; see `Speaker.reacts`."""

        async def act() -> None:
            if self._emulator is None:
                change = await in_process(self.cloud, speaker.uuid, message, name, event)
            else:
                change = await by_client(speaker.client, speaker.uuid, message, name, event)
            self._changed(change)

        return await self.does(act())

    async def sign_in(self, speaker: AsyncSpeaker) -> Exchange:
        """Let a person sign in to the bot's integration; see `Speaker.signs_in`."""
        integration = self._integration
        if integration is None:
            raise ConfigurationError("The bot has no integration that people sign in to: Bot(…, integration=…).")
        return await self.does(
            sign_in(self._bot, integration, speaker, self.cloud.token_for(speaker.email), self._sent())
        )

    async def restart(self) -> None:
        """Begin again with what is stored, as after a restart of the process."""
        await self._end()
        await self._begin()

    async def redeliver(self) -> Exchange:
        """Deliver what the bot handled last once more, marked as redelivered."""
        with self._lock:
            changes = list(self._delivered)
            self._changes.clear()
        before = {message.id for message in self._sent()}
        await self._hand(changes, redelivered=True)
        self.last = Exchange([message for message in self._sent() if message.id not in before])
        return self.last

    async def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> Exchange:
        """Move the clock of the bot and of the cloud; return what was said of dialogs whose time ran out."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        self._offset += step
        self.cloud.clock.advance(step)
        return await self.does(self._bot.end_overdue_dialogs())

    async def say(self, room_id_or_email: str, what: Any) -> Exchange:
        """Let the bot say something unasked for."""
        return await self.does(self._bot.say(room_id_or_email, what))

    def last_card(self) -> Message:
        """Return the last message with a card that the bot sent."""
        for message in reversed(self._sent()):
            if message.attachments:
                return message
        raise CardFailure("The bot has sent no card yet.")

    def client_of(self, token: str, storage: Any = None) -> AsyncWebex:
        """Return a client of the cloud."""
        from webex import AsyncWebex

        client = AsyncWebex(token, emulator_url=self.cloud.url, transport=self._transport(), storage=storage)
        self._opened.append(client)
        return client

    async def start(self) -> None:
        """Let the bot receive; `async with` does it."""
        try:
            await self._begin()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the bot and the cloud."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._end()
        self._end_subscription()
        for client in self._opened:
            await client.aclose()
        self._bot.integration = self._integration_given
        if self._shared is not None:
            self._shared.close()
        if self._emulator is not None:
            self._emulator.stop()
        else:
            self.cloud.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # Inside

    def _transport(self) -> Any:
        return self.cloud.transport() if self._emulator is None else "auto"

    async def _begin(self) -> None:
        bot = self._bot
        bot.now = self._now
        bot.observers[:] = [self._observed]
        self._open_door = await self._open(bot)

    async def _open(self, bot: Bot) -> OpenDoor:
        if self._integration_given is None and self._door != "fleet":
            bot.use(self.client_of(self._bot_token, self._storage))
        else:
            self._integration = integration = integration_of(self.cloud.url, self._storage, self._transport())
            bot.integration = integration
            bot.use(integration.bot(self._bot_token, key=bot.key))
            if self._door == "fleet":
                return await FleetWorker.open(bot, integration)
        if self._door == "socket":
            return await Socket.open(bot)
        if self._door == "webhook":
            return await Webhooks.open(bot, _WEBHOOKS)
        return InProcess(bot)

    async def _end(self) -> None:
        door, self._open_door = self._open_door, None
        if door is not None:
            await door.close()
        if self._integration is not None:
            await self._integration.aclose()
        await self._bot.blocking_clients.aclose()
        self._bot.caller.close()

    def _now(self) -> float:
        return self.cloud.now()

    def _observed(self, happening: Happening, outcome: str) -> None:
        if outcome != "retry":
            self._handled[happening.key] = self._handled.get(happening.key, 0) + 1
            self._progress.set()

    def _changed(self, change: Change) -> None:
        if self._reaches_bot(change):
            with self._lock:
                self._changes.append(change)

    async def _act(self, act: Coroutine[Any, Any, T]) -> T:
        async with self._turn:
            return await self._acted(act)

    async def _acted(self, act: Coroutine[Any, Any, T]) -> T:
        if self._open_door is None:
            act.close()
            raise ConfigurationError("The bot under test does not run: async with AsyncBotTest(bot) as t.")
        before = {message.id for message in self._sent()}
        with self._lock:
            self._changes.clear()
        result = await act
        self._delivered = []
        while True:
            with self._lock:
                wanted, self._changes = self._changes, []
            if not wanted:
                break
            self._delivered += wanted
            await self._hand(wanted)
        self.last = Exchange([message for message in self._sent() if message.id not in before])
        return result

    def _reaches_bot(self, change: Change) -> bool:
        """Whether the cloud tells a bot of this: rooms that it is in, and of group rooms what mentions it.

        Of its own acts a bot notes changes of members, and ignores the others.
        """
        if change.resource not in (_WEBHOOKS if self._door == "webhook" else self._bot.resources):
            return False
        if change.actor_id == self._bot_uuid:
            return self._door == "test" and change.resource == "memberships"
        data = change.data
        if change.resource == "memberships" and person_uuid(str(data.get("personId"))) == self._bot_uuid:
            return True
        with self.cloud.lock:
            members = self.cloud.state.memberships.values()
            if not any(each.room_id == change.room_id and each.person_id == self._bot_uuid for each in members):
                return False
        if change.resource == "messages" and data.get("roomType") == "group":
            return self.bot_id in (data.get("mentionedPeople") or ()) or bool(data.get("mentionedGroups"))
        if change.resource == "attachmentActions":
            return any(message.id == data.get("messageId") for message in self._sent())
        return True

    async def _hand(self, changes: Iterable[Change], *, redelivered: bool = False) -> None:
        for change in changes:
            happening = self._happening(change, redelivered=redelivered)
            if self._door != "test" and not redelivered:
                self._awaited[happening.key] = self._awaited.get(happening.key, 0) + 1
                await self._until_handled(happening.key)
                continue
            while await self._bot.handle(happening) == "retry":
                happening.redelivered = True

    async def _until_handled(self, key: str) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                while self._handled.get(key, 0) < self._awaited[key]:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            raise TimeoutError(f"The bot did not handle {key} within {_PATIENCE:g} s.") from None

    def _happening(self, change: Change, *, redelivered: bool) -> Happening:
        person = self.cloud.state.people[change.actor_id]
        actor = Actor(
            public_id("PEOPLE", person.id),
            person.email,
            person.display_name,
            public_id("ORGANIZATION", person.org_id),
            "bot" if person.kind == "bot" else "person",
        )
        known = dict(change.data)
        if change.resource == "messages" and change.event == "deleted":
            known = {name: value for name, value in known.items() if name not in _GONE}
        data = model_of(_MODELS[change.resource], known)
        return from_data(
            change.resource,
            change.event,
            data,
            client=self._bot.client,
            actor=actor,
            door="test",
            redelivered=redelivered,
        )

    def _sent(self) -> list[Message]:
        """Return what the bot has sent so far, oldest first, and not what it has deleted since."""
        from webex.emulator.rest.render import message_json

        with self.cloud.lock:
            state = self.cloud.state
            own = [each for each in state.messages.values() if each.person_id == self._bot_uuid]
            ordered = sorted(own, key=lambda each: each.sequence)
            records = [message_json(each, state, self.cloud.url) for each in ordered]
        return [model_of(Message, record) for record in records]
