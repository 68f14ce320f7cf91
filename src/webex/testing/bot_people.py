"""What people do with a bot under test, and the cards that they find in its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from webex.ids import public_id

if TYPE_CHECKING:
    from webex.api.messages import FileLike
    from webex.client import AsyncWebex
    from webex.models import Message
    from webex.testing.async_bots import AsyncBotTest
    from webex.testing.bots import BotTest


class CardFailure(AssertionError):  # an assertion of a test
    """The bot sent no such card, or the card has no such input or button."""


class Exchange:
    """What a person did, and what the bot answered to it."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages: list[Message] = messages
        self.said: Message | None = None  # the message of the person, where it was one

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


class AsyncSpeaker:
    """A person of the emulator who speaks with a bot that runs in the event loop of the test."""

    def __init__(self, test: AsyncBotTest, person_id: str, token: str) -> None:
        self._test, self._token = test, token
        self.id: str = public_id("PEOPLE", person_id)
        self.uuid: str = person_id
        self.client: AsyncWebex = test.client_of(token)

    @property
    def email(self) -> str:
        """Their e-mail address."""
        return self._test.cloud.state.people[self.uuid].email

    async def says(
        self,
        text: str,
        *,
        room: str | None = None,
        thread: Message | str | None = None,
        mention: bool | None = None,
        files: FileLike | None = None,
    ) -> Exchange:
        """Say something: to the bot directly, or in a room, with a mention of the bot (unless `mention=False`)."""
        parent = thread if isinstance(thread, str) or thread is None else thread.id
        fields: dict[str, Any] = {"files": files} | ({} if parent is None else {"parent_id": parent})
        if room is None:
            fields |= {"to_person_id": self._test.bot_id, "markdown": text}
        else:
            fields |= {"room_id": room, "markdown": text if mention is False else f"{self._test.mention} {text}"}
        return await self._test.does(self.client.messages.create(**fields))

    async def signs_in(self) -> Exchange:
        """Sign in to the bot's integration, by the link that the bot sent last, if it did.

        `ctx.user_client` is theirs from then on. With `Bot(resume=True)` the answer to what they had asked for follows.
        """
        return await self._test.sign_in(self)

    async def edits(self, message: Message, text: str) -> Exchange:
        """Edit a message of theirs."""
        room_id = message.room_id
        return await self._test.does(self.client.messages.update(message.id, room_id=room_id, markdown=text))

    async def reacts(self, message: Message, name: str = "thumbsup") -> Exchange:
        """React to a message. The bot receives it with every door but webhooks: Webex has none for reactions."""
        return await self._test.react(self, message, name)

    async def unreacts(self, message: Message, name: str = "thumbsup") -> Exchange:
        """Take a reaction of theirs back."""
        return await self._test.react(self, message, name, event="deleted")

    async def fills(self, card: Message, **values: Any) -> Exchange:
        """Fill in the form on a card and submit it; what is not named stays as it is on the card."""
        content = card_of(card)
        inputs = {
            each["id"]: each.get("value", "") for each in elements_of(content) if each["type"].startswith("Input.")
        }
        unknown = sorted(values.keys() - inputs.keys())
        if unknown:
            raise CardFailure(f"The card has no input {unknown[0]!r}. It has {', '.join(inputs)}.")
        filled = {name: input_text(value) for name, value in {**inputs, **values}.items()}
        return await self.submits(card, {**submits_of(content)[0].get("data", {}), **filled})

    async def presses(self, title: str, card: Message | None = None) -> Exchange:
        """Press a button of a card: of the last one that the bot sent, if none is named."""
        chosen = card or self._test.last_card()
        for action in submits_of(card_of(chosen)):
            if action.get("title") == title:
                return await self.submits(chosen, action.get("data", {}))
        titles = [action.get("title") for action in submits_of(card_of(chosen))]
        raise CardFailure(f"The card has no button {title!r}. It has {titles!r}.")

    async def submits(self, card: Message, inputs: Mapping[str, Any]) -> Exchange:
        """Submit these very inputs to a card, as a program could."""
        return await self._test.does(
            self.client.attachment_actions.create(message_id=card.id, type="submit", inputs=dict(inputs))
        )

    def __repr__(self) -> str:
        return f"<AsyncSpeaker {self.email}>"


class Speaker:
    """A person of the emulator who speaks with the bot."""

    def __init__(self, test: BotTest, person_id: str, token: str) -> None:
        self._test = test
        # The same person, for the event loop of the bot.
        self.asynchronous: AsyncSpeaker = AsyncSpeaker(test.asynchronous, person_id, token)
        self.id: str = self.asynchronous.id
        self.uuid: str = self.asynchronous.uuid
        self.client: AsyncWebex = self.asynchronous.client

    @property
    def email(self) -> str:
        """Their e-mail address."""
        return self.asynchronous.email

    def says(
        self,
        text: str,
        *,
        room: str | None = None,
        thread: Message | str | None = None,
        mention: bool | None = None,
        files: FileLike | None = None,
    ) -> Exchange:
        """Say something: to the bot directly, or in a room, with a mention of the bot (unless `mention=False`)."""
        said = self.asynchronous.says(text, room=room, thread=thread, mention=mention, files=files)
        return self._test.run(said)

    def signs_in(self) -> Exchange:
        """Sign in to the bot's integration, by the link that the bot sent last, if it did.

        `ctx.user_client` is theirs from then on. With `Bot(resume=True)` the answer to what they had asked for follows.
        """
        return self._test.run(self.asynchronous.signs_in())

    def edits(self, message: Message, text: str) -> Exchange:
        """Edit a message of theirs."""
        return self._test.run(self.asynchronous.edits(message, text))

    def reacts(self, message: Message, name: str = "thumbsup") -> Exchange:
        """React to a message. The bot receives it with every door but webhooks: Webex has none for reactions."""
        return self._test.run(self.asynchronous.reacts(message, name))

    def unreacts(self, message: Message, name: str = "thumbsup") -> Exchange:
        """Take a reaction of theirs back."""
        return self._test.run(self.asynchronous.unreacts(message, name))

    def fills(self, card: Message, **values: Any) -> Exchange:
        """Fill in the form on a card and submit it; what is not named stays as it is on the card."""
        return self._test.run(self.asynchronous.fills(card, **values))

    def presses(self, title: str, card: Message | None = None) -> Exchange:
        """Press a button of a card: of the last one that the bot sent, if none is named."""
        return self._test.run(self.asynchronous.presses(title, card))

    def submits(self, card: Message, inputs: Mapping[str, Any]) -> Exchange:
        """Submit these very inputs to a card, as a program could."""
        return self._test.run(self.asynchronous.submits(card, inputs))

    def __repr__(self) -> str:
        return f"<Speaker {self.email}>"


def card_of(message: Message) -> dict[str, Any]:
    """Return the card of a message."""
    for attachment in message.attachments or ():
        content = attachment.to_dict().get("content")
        if isinstance(content, dict):
            return content
    raise CardFailure("The message has no card.")


def elements_of(content: Any) -> list[dict[str, Any]]:
    """Return every element of a card, in order, however deep."""
    if isinstance(content, list):
        return [each for inner in content for each in elements_of(inner)]
    if not isinstance(content, dict):
        return []
    own = [content] if "type" in content and content["type"] != "AdaptiveCard" else []
    inner = [each for name, value in content.items() if name != "data" for each in elements_of(value)]
    return own + inner


def submits_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the buttons that submit a card."""
    found = [each for each in elements_of(content) if each["type"] == "Action.Submit"]
    if not found:
        raise CardFailure("The card has no button that submits it.")
    return found


def texts_on(elements: list[dict[str, Any]]) -> list[str]:
    """Return the texts of elements."""
    return [str(each["text"]) for each in elements if "text" in each]


def input_text(value: Any) -> str:
    """Return what an input of a card sends for a value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | set):
        return ",".join(input_text(each) for each in value)
    return str(value)
