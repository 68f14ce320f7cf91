"""A bot under test: people say things, and the bot has answered when the call returns. No socket, no sleeping.

    def test_deploy(webex_bot):
        t = webex_bot(bot)
        t.alice.says("deploy web")
        t.bot.replied("Deploying **web** latest")

`BotTest(bot, door="socket")` runs the same script over a real socket, against an emulator of its own.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from webex.bots.happening import Happening, from_data
from webex.ids import person_uuid, public_id
from webex.models import AttachmentAction, Membership, Message, Room
from webex.realtime.event import Actor
from webex.storage import MemoryStorage

if TYPE_CHECKING:
    from webex.bots.bot import Bot
    from webex.client import AsyncWebex
    from webex.emulator import Cloud
    from webex.emulator.wire import Change

__all__ = ["BotTest", "CardFailure", "Exchange", "Speaker"]

T = TypeVar("T")
Door = Literal["test", "socket", "webhook"]

_MODELS: Final[dict[str, Any]] = {
    "messages": Message,
    "attachmentActions": AttachmentAction,
    "memberships": Membership,
    "rooms": Room,
}
_PATIENCE: Final = 20.0  # real seconds until a bot behind a socket must have handled something
_URL: Final = "http://127.0.0.1:9"  # nothing is sent there: requests go to the cloud of this process


class CardFailure(AssertionError):  # an assertion of a test
    """The bot sent no such card, or the card has no such input or button."""


class Exchange:
    """What a person did, and what the bot answered to it."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages: list[Message] = messages

    @property
    def texts(self) -> list[str]:
        """The texts of the answers, in markdown where that was sent."""
        return [message.markdown or message.text or "" for message in self.messages]

    @property
    def card(self) -> Message:
        """The last answer with a card."""
        for message in reversed(self.messages):
            if message.attachments:
                return message
        raise CardFailure(f"The bot sent no card. It answered: {self.texts!r}")


class Speaker:
    """A person of the emulator who speaks with the bot."""

    def __init__(self, test: BotTest, person_id: str, token: str) -> None:
        self._test, self._token = test, token
        self.id: str = public_id("PEOPLE", person_id)
        self.uuid: str = person_id
        self.client: AsyncWebex = test.client_of(token)

    @property
    def email(self) -> str:
        """Their e-mail address."""
        return self._test.cloud.state.people[self.uuid].email

    def says(
        self, text: str, *, room: str | None = None, thread: Message | str | None = None, mention: bool | None = None
    ) -> Exchange:
        """Say something: to the bot directly, or in a room, with a mention of the bot (unless `mention=False`)."""
        parent = thread if isinstance(thread, str) or thread is None else thread.id
        fields: dict[str, Any] = {} if parent is None else {"parent_id": parent}
        if room is None:
            fields |= {"to_person_id": self._test.bot_id, "markdown": text}
        else:
            fields |= {"room_id": room, "markdown": text if mention is False else f"{self._test.mention} {text}"}
        return self._test.does(self.client.messages.create(**fields))

    def edits(self, message: Message, text: str) -> Exchange:
        """Edit a message of theirs."""
        room_id = message.room_id
        return self._test.does(self.client.messages.update(message.id, room_id=room_id, markdown=text))

    def fills(self, card: Message, **values: Any) -> Exchange:
        """Fill in the form on a card and submit it; what is not named stays as it is on the card."""
        content = _content(card)
        inputs = {each["id"]: each.get("value", "") for each in _elements(content) if each["type"].startswith("Input.")}
        unknown = sorted(values.keys() - inputs.keys())
        if unknown:
            raise CardFailure(f"The card has no input {unknown[0]!r}. It has {', '.join(inputs)}.")
        filled = {name: _text(value) for name, value in {**inputs, **values}.items()}
        return self.submits(card, {**_submits(content)[0].get("data", {}), **filled})

    def presses(self, title: str, card: Message | None = None) -> Exchange:
        """Press a button of a card: of the last one that the bot sent, if none is named."""
        chosen = card or self._test.last_card()
        for action in _submits(_content(chosen)):
            if action.get("title") == title:
                return self.submits(chosen, action.get("data", {}))
        titles = [action.get("title") for action in _submits(_content(chosen))]
        raise CardFailure(f"The card has no button {title!r}. It has {titles!r}.")

    def submits(self, card: Message, inputs: Mapping[str, Any]) -> Exchange:
        """Submit these very inputs to a card, as a program could."""
        return self._test.does(
            self.client.attachment_actions.create(message_id=card.id, type="submit", inputs=dict(inputs))
        )

    def __repr__(self) -> str:
        return f"<Speaker {self.email}>"


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
        elements = _elements(_content(card))
        if title is not None and not any(title in str(each.get("text", "")) for each in elements):
            raise CardFailure(f"The card does not say {title!r}. It says: {_texts(elements)!r}")
        if error is not None:
            names = [each.get("id") for each in elements]
            after = elements[names.index(error) + 1] if error in names and names.index(error) + 1 < len(names) else {}
            if after.get("color") != "Attention":
                raise CardFailure(f"The card says nothing below {error!r}. It says: {_texts(elements)!r}")
        return card

    def silent(self) -> None:
        """Check that the bot said nothing."""
        if self._test.last.messages:
            raise AssertionError(f"The bot was to say nothing. It said: {self.texts!r}")


class BotTest:
    """Runs a bot against an emulated cloud: `with BotTest(bot) as t: t.alice.says("ping")`.

    `door="test"` hands events to the bot in process, `door="socket"` lets it listen by a real socket, and
    `door="webhook"` receives real webhooks.
    `t.alice` and `t.bob` are people, `t.bot` is what the bot said last, `t.cloud` the cloud.
    """

    def __init__(self, bot: Bot, *, door: Door = "test", storage: Any = None) -> None:
        from webex.emulator import Emulator
        from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN, BOB_ID, BOB_TOKEN, BOT_ID, BOT_TOKEN
        from webex.emulator.cloud import Cloud

        self._bot, self._door, self._storage = bot, door, storage or MemoryStorage()
        self._emulator = Emulator() if door != "test" else None
        self.cloud: Cloud = self._emulator.start() if self._emulator is not None else Cloud()
        if self._emulator is None:
            self.cloud.url = _URL
        self._loop = asyncio.new_event_loop()
        self._changes: list[Change] = []
        self._delivered: list[Change] = []  # what was done last
        self._handled: dict[str, int] = {}
        self._lock = threading.Lock()
        self._offset = 0.0
        self._listening: asyncio.Task[None] | None = None
        self._served: tuple[Any, asyncio.Task[None], str] | None = None
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
        self._act(act)
        return self.last

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

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Move the clock of the bot and of the cloud."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
        self._offset += step
        self.cloud.clock.advance(step)

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

        transport = self.cloud.transport() if self._emulator is None else "auto"
        client = AsyncWebex(token, emulator_url=self.cloud.url, transport=transport, storage=storage)
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

    def _begin(self) -> None:
        bot = self._bot
        bot.use(self.client_of(self._bot_token, self._storage))
        bot.now = self._now
        bot.observers[:] = [self._observed]
        if self._door == "socket":
            self._listening = self._loop.create_task(bot.listen())
            self._run(self._connected())
        elif self._door == "webhook":
            self._served = self._run(self._serve(bot))

    async def _serve(self, bot: Bot) -> tuple[Any, asyncio.Task[None], str]:
        """Serve the bot's receiver, and register the webhooks that lead to it."""
        import uvicorn

        secret = "the secret of the webhooks of a test"  # of a cloud that ends with the test
        app: Any = bot.webhooks(secret=secret).asgi
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
        serving = self._loop.create_task(server.serve())
        while not server.started:
            if serving.done():
                await serving
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        for resource in _MODELS:
            await bot.client.webhooks.create(
                name=f"test {resource}", target_url=url, resource=resource, event="all", secret=secret
            )
        return server, serving, url

    def _end(self) -> None:
        if self._listening is not None:
            self._run(self._bot.stop(0.0))
            task, self._listening = self._listening, None
            self._run(asyncio.wait({task}, timeout=_PATIENCE))
        elif self._served is not None:
            (server, serving, _), self._served = self._served, None
            server.should_exit = True
            self._run(asyncio.wait({serving}, timeout=_PATIENCE))
            self._run(self._forget_webhooks())
            self._run(self._bot.stop(0.0))
        else:
            self._run(self._bot.stop(0.0))
        self._run(self._bot.blocking_clients.aclose())
        self._bot.caller.close()

    async def _forget_webhooks(self) -> None:
        async for webhook in self._bot.client.webhooks.list():
            await self._bot.client.webhooks.delete(webhook.id)

    async def _connected(self) -> None:
        give_up = self._loop.time() + _PATIENCE
        while not self._bot.health.is_connected:
            if self._listening is not None and self._listening.done():
                await self._listening  # it failed, and says why
            if self._loop.time() > give_up:
                raise TimeoutError("The bot did not connect.")
            await asyncio.sleep(0.01)

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
        """Whether the cloud tells a bot of this: rooms that it is in, and of group rooms what mentions it."""
        if change.actor_id == self._bot_uuid or change.resource not in _MODELS or change.resource == "rooms":
            return False
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
                await self._until_handled(happening.key)
                continue
            while await self._bot.handle(happening) == "retry":
                happening.redelivered = True

    async def _until_handled(self, key: str) -> None:
        give_up = self._loop.time() + _PATIENCE
        while not self._handled.get(key):
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
        from webex.models.base import from_data as model_of

        data = model_of(_MODELS[change.resource], dict(change.data))
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
        from webex.models.base import from_data as model_of

        with self.cloud.lock:
            state = self.cloud.state
            own = [each for each in state.messages.values() if each.person_id == self._bot_uuid]
            ordered = sorted(own, key=lambda each: each.sequence)
            records = [message_json(each, state, self.cloud.url) for each in ordered]
        return [model_of(Message, record) for record in records]

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)


def _content(message: Message) -> dict[str, Any]:
    for attachment in message.attachments or ():
        content = attachment.to_dict().get("content")
        if isinstance(content, dict):
            return content
    raise CardFailure("The message has no card.")


def _elements(content: Any) -> list[dict[str, Any]]:
    """Return every element of a card, in order, however deep."""
    if isinstance(content, list):
        return [each for inner in content for each in _elements(inner)]
    if not isinstance(content, dict):
        return []
    own = [content] if "type" in content and content["type"] != "AdaptiveCard" else []
    inner = [each for name, value in content.items() if name != "data" for each in _elements(value)]
    return own + inner


def _submits(content: dict[str, Any]) -> list[dict[str, Any]]:
    found = [each for each in _elements(content) if each["type"] == "Action.Submit"]
    if not found:
        raise CardFailure("The card has no button that submits it.")
    return found


def _texts(elements: list[dict[str, Any]]) -> list[str]:
    return [str(each["text"]) for each in elements if "text" in each]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | set):
        return ",".join(_text(each) for each in value)
    return str(value)
