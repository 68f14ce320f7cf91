"""A bot under test: people say things, and the bot has answered when the call returns. No socket, no sleeping.

    def test_deploy(webex_bot):
        t = webex_bot(bot)
        t.alice.says("deploy web")
        t.bot.replied("Deploying **web** latest")

`BotTest(bot, door="socket")` runs the same script over a real socket, against an emulator of its own; "webhook" and
"fleet" are the other doors.
"""

from __future__ import annotations

import asyncio
import re
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
from webex.testing.bot_people import CardFailure, Exchange, Speaker, card_of, elements_of, texts_on
from webex.testing.bot_reactions import by_client, in_process
from webex.testing.bot_sign_in import sign_in

if TYPE_CHECKING:
    from webex.bots.bot import Bot
    from webex.client import AsyncWebex
    from webex.emulator import Cloud
    from webex.emulator.wire import Change
    from webex.integration import AsyncIntegration

__all__ = ["BotTest", "CardFailure", "Exchange", "Speaker"]

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


class Replies:
    """What the bot answered last: `t.bot.replied("…")`."""

    def __init__(self, test: BotTest) -> None:
        self._test = test

    @property
    def texts(self) -> list[str]:
        """The answers to what was done last."""
        return self._test.last.texts

    def replied(self, text: str | None = None, *, match: str | None = None) -> Message:
        """Check that one of the answers is `text`, or matches a pattern; return it."""
        for message in self._test.last.messages:
            said = message.markdown or message.text or ""
            if (text is not None and text in (said, message.text)) or (match is not None and re.search(match, said)):
                return message
        wanted = repr(text) if text is not None else f"something like {match!r}"
        raise AssertionError(f"The bot did not say {wanted}. It said: {self.texts!r}")

    def replied_card(self, *, title: str | None = None, error: str | None = None) -> Message:
        """Check that a card was sent: with this text on it, or an error below this field; return the message."""
        card = self._test.last.card
        elements = elements_of(card_of(card))
        if title is not None and not any(title in str(each.get("text", "")) for each in elements):
            raise CardFailure(f"The card does not say {title!r}. It says: {texts_on(elements)!r}")
        if error is not None:
            names = [each.get("id") for each in elements]
            after = elements[names.index(error) + 1] if error in names and names.index(error) + 1 < len(names) else {}
            if after.get("color") != "Attention":
                raise CardFailure(f"The card says nothing below {error!r}. It says: {texts_on(elements)!r}")
        return card

    def silent(self) -> None:
        """Check that the bot said nothing."""
        if self._test.last.messages:
            raise AssertionError(f"The bot was to say nothing. It said: {self.texts!r}")


class BotTest:
    """Runs a bot against an emulated cloud: `with BotTest(bot) as t: t.alice.says("ping")`.

    `door="test"` hands events to the bot in process, `door="socket"` lets it listen by a real socket, `door="webhook"`
    receives real webhooks, and with `door="fleet"` a worker of a fleet listens for it. `storage` is that of the bot; by
    default one that ends with the test.
    `t.alice` and `t.bob` are people, `t.bot` is what the bot said last, `t.cloud` the cloud.
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
        self._loop = asyncio.new_event_loop()
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
        self._begin()
        self.alice: Speaker = Speaker(self, ALICE_ID, ALICE_TOKEN)
        self.bob: Speaker = Speaker(self, BOB_ID, BOB_TOKEN)
        self.bot: Replies = Replies(self)

    # What a test does

    @property
    def mention(self) -> str:
        """The markdown that mentions the bot."""
        return f"<@personId:{self.bot_id}>"

    def room(self, title: str, *people: Speaker) -> str:
        """Make a room with the bot and these people (default: Alice); return its id."""
        first, *others = people or (self.alice,)

        async def make() -> str:
            room = await first.client.rooms.create(title=title)
            for each in others:
                await first.client.memberships.create(room_id=room.id, person_id=each.id)
            await first.client.memberships.create(room_id=room.id, person_id=self.bot_id)
            return room.id

        return self._act(make())

    def does(self, act: Coroutine[Any, Any, Any]) -> Exchange:
        """Do something in the cloud, let the bot handle what follows, and return what it answered."""
        made = self._act(act)
        self.last.said = made if isinstance(made, Message) else None
        return self.last

    def react(self, speaker: Speaker, message: Message, name: str, *, event: str = "created") -> Exchange:
        """Let a person react to a message, or take that back; see `Speaker.reacts`."""

        async def act() -> None:
            if self._emulator is None:
                change = await in_process(self.cloud, speaker.uuid, message, name, event)
            else:
                change = await by_client(speaker.client, speaker.uuid, message, name, event)
            self._changed(change)

        return self.does(act())

    def sign_in(self, speaker: Speaker) -> Exchange:
        """Let a person sign in to the bot's integration; see `Speaker.signs_in`."""
        integration = self._integration
        if integration is None:
            raise ConfigurationError("The bot has no integration that people sign in to: Bot(…, integration=…).")
        return self.does(sign_in(self._bot, integration, speaker, self.cloud.token_for(speaker.email), self._sent()))

    def restart(self) -> None:
        """Begin again with what is stored, as after a restart of the process."""
        self._end()
        self._begin()

    def redeliver(self) -> Exchange:
        """Deliver what the bot handled last once more, marked as redelivered."""
        with self._lock:
            changes = list(self._delivered)
            self._changes.clear()
        before = {message.id for message in self._sent()}
        self._run(self._hand(changes, redelivered=True))
        self.last = Exchange([message for message in self._sent() if message.id not in before])
        return self.last

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> Exchange:
        """Move the clock of the bot and of the cloud; return what was said of dialogs whose time ran out."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        self._offset += step
        self.cloud.clock.advance(step)
        return self.does(self._bot.end_overdue_dialogs())

    def say(self, room_id_or_email: str, what: Any) -> Exchange:
        """Let the bot say something unasked for."""
        return self.does(self._bot.say(room_id_or_email, what))

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

    def close(self) -> None:
        """End the bot and the cloud."""
        if self._loop.is_closed():
            return
        self._end()
        self._end_subscription()
        for client in self._opened:
            self._loop.run_until_complete(client.aclose())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self._bot.integration = self._integration_given
        if self._shared is not None:
            self._shared.close()
        if self._emulator is not None:
            self._emulator.stop()
        else:
            self.cloud.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Inside

    def _transport(self) -> Any:
        return self.cloud.transport() if self._emulator is None else "auto"

    def _begin(self) -> None:
        bot = self._bot
        bot.now = self._now
        bot.observers[:] = [self._observed]
        self._open_door = self._run(self._open(bot))

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

    def _end(self) -> None:
        door, self._open_door = self._open_door, None
        if door is not None:
            self._run(door.close())
        if self._integration is not None:
            self._run(self._integration.aclose())
        self._run(self._bot.blocking_clients.aclose())
        self._bot.caller.close()

    def _now(self) -> float:
        return self.cloud.now()

    def _observed(self, happening: Happening, outcome: str) -> None:
        if outcome != "retry":
            self._handled[happening.key] = self._handled.get(happening.key, 0) + 1

    def _changed(self, change: Change) -> None:
        if self._reaches_bot(change):
            with self._lock:
                self._changes.append(change)

    def _act(self, act: Coroutine[Any, Any, T]) -> T:
        before = {message.id for message in self._sent()}
        with self._lock:
            self._changes.clear()
        result = self._run(act)
        self._delivered = []
        while True:
            with self._lock:
                wanted, self._changes = self._changes, []
            if not wanted:
                break
            self._delivered += wanted
            self._run(self._hand(wanted))
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
        give_up = self._loop.time() + _PATIENCE
        while self._handled.get(key, 0) < self._awaited[key]:
            if self._loop.time() > give_up:
                raise TimeoutError(f"The bot did not handle {key} within {_PATIENCE:g} s.")
            await asyncio.sleep(0.005)

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

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)
