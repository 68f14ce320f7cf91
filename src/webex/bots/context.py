"""What a handler is given: who did what, where, and how to answer. Made for each event, never stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from webex.bots import state
from webex.bots.dialogs import Asked, Dialog, Running, check_form, step_name
from webex.bots.forms import TOKEN, as_prefilled, is_form
from webex.errors import ApiError, ConfigurationError, NotFoundError, PermissionDeniedError
from webex.runtime.functions import is_asynchronous

if TYPE_CHECKING:
    from webex.bots.blocking import BlockingContext
    from webex.bots.bot import Bot
    from webex.bots.happening import Happening
    from webex.bots.router import Router
    from webex.bots.text import Said
    from webex.bots.typing_indicator import TypingIndicator
    from webex.client import AsyncWebex
    from webex.models import Message
    from webex.realtime.event import Actor

T = TypeVar("T")

_logger = logging.getLogger("webex.bots")


class Context:
    """One event, and the ways to answer it."""

    def __init__(self, bot: Bot, happening: Happening, person: Actor, said: Said | None = None) -> None:
        from webex.bots.text import read_text

        self.bot: Bot = bot
        self.happening: Happening = happening
        self.person: Actor = person
        self.log: logging.LoggerAdapter[logging.Logger] = logging.LoggerAdapter(
            _logger, {"key": happening.key, "room": happening.room_id}
        )
        data = happening.data
        self.message: Message | None = data if happening.resource == "messages" else None
        self.said: Said = said or read_text(
            getattr(data, "text", None), getattr(data, "html", None), getattr(data, "mentioned_people", None), bot.me
        )
        self.data: dict[str, Any] = {}  # what middlewares and rules put here for handlers, until the event is handled
        self.routers: tuple[Router, ...] = ()  # of the handler, the innermost first
        self.dialog: Dialog | None = None
        self.asked: Asked | None = None
        self.facade: Any = self  # what handlers are given: this, or its blocking form
        self.message_id: str | None = getattr(data, "message_id", None)  # of the card that was submitted
        self.answers: int = 0
        self.thread: str | None = getattr(data, "parent_id", None)
        self._is_thread_known = self.message is not None
        self._running: tuple[tuple[str, str | None], Running] | None = None
        self._profile: Any = None
        self._typing: TypingIndicator | None = None

    # What happened

    @property
    def client(self) -> AsyncWebex:
        """The client of the account that received the event: that of the bot."""
        return self.happening.client

    async_client = client

    @property
    def user_client(self) -> AsyncWebex:
        """The person's own view, by the bot's integration; its calls raise `NotSignedInError` before they signed in."""
        if self.bot.integration is None:
            raise ConfigurationError("ctx.user_client needs Bot(…, integration=…): the app that people sign in to.")
        return self.bot.integration.user(self.person.id)

    @property
    def room_id(self) -> str:
        """The room in which it happened."""
        return self.happening.room_id or ""

    @property
    def room_type(self) -> str:
        """`direct` or `group`."""
        return str(getattr(self.happening.data, "room_type", None) or "group")

    @property
    def text(self) -> str:
        """What was said, without the mention of the bot."""
        return self.said.text

    @property
    def mentions(self) -> list[str]:
        """The ids of others that were mentioned."""
        return [mention.id for mention in self.said.mentions if mention.id]

    @property
    def files(self) -> list[Any]:
        """The files of the message: for `client.conversations.download` by socket, URLs otherwise."""
        return self.happening.files or list(getattr(self.message, "files", None) or ())

    @property
    def key(self) -> str:
        """What all deliveries of this event have in common."""
        return self.happening.key

    @property
    def redelivered(self) -> bool:
        """Whether it may have been handled before."""
        return self.happening.redelivered

    @property
    def resumed(self) -> bool:
        """Whether it is handled again because the person has signed in, which the handler needed."""
        return self.happening.resumed

    @property
    def state(self) -> state.State:
        """What the bot remembers: `.room`, `.person`, `.bot`."""
        return state.State(self.bot.storage, self.bot.key, self.person.id, self.room_id)

    @property
    def running(self) -> Running:
        """The dialog of this person in this room and thread."""
        place = (self.room_id, self.thread)
        if self._running is None or self._running[0] != place:
            self._running = (place, self.running_at(*place))
        return self._running[1]

    def running_at(self, room_id: str, thread: str | None) -> Running:
        """Return the dialog of this person in another room or thread."""
        return Running(self.bot.storage, self.bot.key, self.person.id, room_id, thread)

    async def email(self) -> str | None:
        """Return the person's e-mail address, asked for where the event does not say it."""
        return self.person.email or next(iter((await self._described()).emails or ()), None)

    async def org_id(self) -> str | None:
        """Return the id of the person's organization."""
        return self.person.org_id or (await self._described()).org_id

    async def _described(self) -> Any:
        if self._profile is None:
            self._profile = await self.client.people.get(self.person.id)
        return self._profile

    # Answering

    async def reply(
        self,
        what: Any,
        *,
        thread: bool | None = None,
        private: bool = False,
        files: Iterable[Any] | None = None,
        fallback: str | None = None,
    ) -> Message:
        """Answer with markdown text, a `Card`, a form (class, instance, `Form.new(…)`) or a card of another library.

        `thread` says whether the answer goes to the thread (default: as the bot's `threads=`), `private` sends it to
        the person alone, `fallback` is the text that stands where cards are not shown.
        """
        if private:
            return await self._send({"to_person_id": self.person.id}, what, files, fallback)
        return await self._send(self._here(await self._parent(thread)), what, files, fallback)

    async def _send(
        self, target: dict[str, Any], what: Any, files: Iterable[Any] | None, fallback: str | None
    ) -> Message:
        message = await self.bot.send(self.client, target, what, files=files, fallback=fallback, context=self)
        self.answers += 1
        await self._stop_typing()
        return message

    async def replace(self, what: Any, *, fallback: str | None = None) -> Message:
        """Replace the card that was submitted: the new one is sent, then the old one is deleted."""
        is_of_card = self.message_id is not None and self.bot.threads != "never"
        parent = await self._own_thread() if is_of_card else await self._parent(None)
        message = await self._send(self._here(parent), what, None, fallback)
        old, self.message_id = self.message_id, message.id
        if old is not None:
            token = (getattr(self.happening.data, "inputs", None) or {}).get(TOKEN)
            if isinstance(token, str):  # with the old card, what it proved is gone: a repetition has this
                new = (message.id, message.parent_id)
                await state.note_replaced(self.bot.storage, self.bot.key, self.key, token, new)
            with suppress(ApiError):  # it was deleted meanwhile, or belongs to another
                await self.client.messages.delete(old)
        return message

    async def ask(
        self,
        what: Any,
        *,
        then: Callable[..., Any],
        timeout: timedelta | None = None,
        private: bool = False,
    ) -> None:
        """Ask within a dialog: the answer goes to the step `then`, which may come days later, after any restart.

        `what` is a text, a card, or a form that the step takes. `timeout` replaces that of the dialog.
        """
        name = step_name(self.dialog, then)
        form = ""
        if is_form(what):
            prefilled = as_prefilled(what)
            check_form(then, prefilled.form)
            form = prefilled.form.__qualname__
        sent = await self.reply(what, private=private)
        expires = self.bot.now() + timeout.total_seconds() if timeout is not None else 0.0
        room_type = sent.room_type or self.room_type
        self.asked = Asked(name, (sent.room_id or self.room_id, sent.parent_id), room_type, form, expires)

    async def begin(self, dialog: Dialog) -> None:
        """Begin a dialog here, in place of one that runs; returning it from a handler does the same."""
        await self.bot.answer(self, await self.bot.dialogs.begin(self, dialog))

    async def typing(self) -> None:
        """Show that the bot is typing, until it answers; that happens by itself after two seconds."""
        await self.bot.show_typing(self)

    def once(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Tell whether this event is here for the first time: `async with ctx.once("ticket") as first: …`.

        Holds over all workers, deliveries and restarts, for a day. The mark is set before the body runs: a body that is
        killed midway, or that fails, does not run again. One that raises `Retry` gives the mark back, and runs again.
        """
        return state.once(self.bot.storage, self.bot.key, self.key, name)

    # For the bot

    async def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a handler: `async def` on the loop, a plain function in a worker thread with a blocking context."""
        if not is_asynchronous(function):
            arguments = tuple(self.in_thread() if argument is self else argument for argument in arguments)
        return await self.bot.caller.call(partial(function, **options) if options else function, *arguments)

    def in_thread(self) -> BlockingContext:
        """Return this context for a plain function in a worker thread."""
        from webex.bots.blocking import BlockingContext

        return BlockingContext(self)

    def note_card(self, message_id: str, thread: str | None) -> None:
        """Note which card was submitted, and in which thread it stands."""
        self.message_id, self.thread, self._is_thread_known = message_id, thread, True

    def begin_typing(self) -> None:
        """Show that the bot types, once handling takes two seconds."""
        from webex.bots.typing_indicator import TypingIndicator

        self._typing = TypingIndicator(self.typing)

    async def end(self) -> None:
        """Stop what runs beside the handler."""
        await self._stop_typing()
        self.bot.blocking_clients.release(self)

    def _here(self, parent_id: str | None) -> dict[str, Any]:
        return {"room_id": self.room_id} | ({} if parent_id is None else {"parent_id": parent_id})

    async def _parent(self, thread: bool | None) -> str | None:
        """Return the message to whose thread an answer goes; None for none."""
        wanted = self.bot.threads if thread is None else ("always" if thread else "never")
        if wanted == "never":
            return None
        there = await self._own_thread()
        if there is not None or wanted == "keep" or self.happening.event == "deleted":
            return there
        return self.message.id if self.message is not None else self.message_id

    async def _own_thread(self) -> str | None:
        """Return the thread that it happened in; that of a card or of what was reacted to is asked for once."""
        if not self._is_thread_known and self.message_id is not None:
            try:
                self.thread = (await self.client.messages.get(self.message_id)).parent_id
            except (NotFoundError, PermissionDeniedError):  # it was deleted, or is not for the bot
                self.message_id = None
        self._is_thread_known = True
        return self.thread

    async def _stop_typing(self) -> None:
        indicator, self._typing = self._typing, None
        if indicator is not None:
            await indicator.stop()

    def __repr__(self) -> str:
        return f"<Context {self.key}>"
