"""A bot: a router with an identity, and the ways to receive events."""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack

from webex.bots.breaker import Breaker
from webex.bots.router import Router
from webex.errors import ConfigurationError
from webex.ids import comparable_id, person_uuid

if TYPE_CHECKING:  # what is needed once an event comes is loaded then
    from webex.app_storage import AsyncAppStorage
    from webex.auth.login import SignedIn
    from webex.bots.allow import Rule
    from webex.bots.blocking_clients import BlockingClients
    from webex.bots.buttons import Secret, Signer
    from webex.bots.consumer import Consumer
    from webex.bots.context import Context
    from webex.bots.dispatch import Dispatch, Handled, Outcome
    from webex.bots.happening import Happening
    from webex.client import AsyncWebex
    from webex.integration import AsyncIntegration
    from webex.models import Message, Person
    from webex.realtime.event import Event
    from webex.realtime.options import ListenOptions
    from webex.web import WebResponse
    from webex.webhooks import WebhookReceiver
    from webex.webhooks.core import Mode
    from webex.webhooks.handlers import HandlerCaller

_logger = logging.getLogger("webex.bots")

Threads = Literal["keep", "always", "never"]

_LONGEST_MARKDOWN: Final = 7000  # bytes; a longer answer is sent in parts
_MOST_TRIED: Final = 10_000  # events whose tries are counted: some never come again


@dataclass(slots=True)
class BotHealth:
    """How a bot does: whether it listens, what runs, and what failed last."""

    is_connected: bool = False
    running: int = 0
    waiting_rooms: int = 0
    handled: int = 0
    failed: int = 0
    last_error: str | None = None


class Bot(Router):
    """A bot, or an app that acts for the users of an integration.

        bot = Bot()  # WEBEX_BOT_TOKEN, else WEBEX_ACCESS_TOKEN


        @bot.command("ping")
        async def ping(ctx: Context) -> str:
            "Answers."
            return "pong"


        bot.run()

    token: the bot's access token. integration: the app whose users the bot also acts for (`ctx.user_client`).
    storage: where the bot remembers what it handled, its dialogs and its state; in memory without one, which forgets at
        every restart. With an integration that of the integration is taken.
    key: the name under which the bot's own records are stored; two bots with one storage need two.
    name: the name that it has in texts; default: its display name.
    secret: what buttons and forms are signed with, the newest first; `WEBEX_BOT_SECRET`, else derived from the token.
    allow: who may use it (`webex.bots.allow`); default: everyone who can reach it.
    bots: whether messages of other bots are handled. threads: whether answers go to the thread of the message ("keep"),
        always to one, or never. max_concurrent, per_room: handlers that run at once, in all and in one room.
    lease: seconds after which another worker with the same storage takes over from one that was killed; 0 for a bot
        that is certain to be the only one, and begins at once.
    grace: seconds that running handlers have when the bot stops.
    unknown: what happens to a message that nothing handles: "help", "ignore", or a handler.
    sign_in_url: where people sign in to the integration; a handler that needs it sends them there. resume: whether what
        they asked for is done after that, for which the sign-in has `on_success=bot.signed_in`.
    settings: settings of the client (`emulator_url`, `proxy`, …); `listen` options are those of `client.listen`.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        integration: AsyncIntegration | None = None,
        storage: Any = None,
        key: str = "bot",
        name: str | None = None,
        secret: Secret | None = None,
        allow: Rule | None = None,
        bots: bool = False,
        threads: Threads = "keep",
        max_concurrent: int = 100,
        per_room: int = 1,
        lease: float = 15.0,
        grace: float = 25.0,
        unknown: Callable[..., Any] | Literal["help", "ignore"] = "help",
        sign_in_url: str | None = None,
        resume: bool = False,
        settings: dict[str, Any] | None = None,
        **listen: Unpack[ListenOptions],
    ) -> None:
        super().__init__(allow=allow)
        if integration is not None and not hasattr(integration, "aclose"):
            raise ConfigurationError("Bot takes an AsyncIntegration: the asynchronous one.")
        if integration is not None and storage is not None:
            raise ConfigurationError("Give the storage to the integration: the bot shares it.")
        if threads not in ("keep", "always", "never"):
            raise ConfigurationError(f"threads is {threads!r}; it is 'keep', 'always' or 'never'.")
        if max_concurrent < 1 or per_room < 1:
            raise ConfigurationError("max_concurrent and per_room are at least 1.")
        if listen:
            _check_names(listen)
        self.integration: AsyncIntegration | None = integration
        self.key: str = key
        self.bots: bool = bots
        self.threads: Threads = threads
        self.lease: float = lease
        self.grace: float = grace
        self.unknown: Callable[..., Any] | Literal["help", "ignore"] = unknown
        self.sign_in_url: str | None = sign_in_url
        self.resume: bool = resume
        self.me: Person | None = None
        self.now: Callable[[], float] = time.time  # seconds since the epoch; a test has its own
        self.observers: list[
            Callable[[Happening, Outcome], None]
        ] = []  # called with what was handled, and how it ended
        self._health = BotHealth()
        self._membership_changes: dict[str, int] = {}  # by the UUID of a room
        self._token, self._storage_given, self._secret, self._name = token, storage, secret, name
        self._derived = ""  # the token, which the secret is derived from where none was given
        self._settings, self._options = dict(settings or {}), dict(listen)
        self._client: AsyncWebex | None = None
        self._storage: AsyncAppStorage | None = None
        self._signer: Signer | None = None
        self._max_concurrent, self._per_room = max_concurrent, per_room
        self._breaker = Breaker()
        self._tries: OrderedDict[str, int] = OrderedDict()  # by the key of an event that is to come again

    # Parts

    @cached_property
    def caller(self) -> HandlerCaller:
        """What calls handlers: `async def` on the loop, plain functions in worker threads."""
        from webex.webhooks.handlers import HandlerCaller

        return HandlerCaller("async", self._max_concurrent)

    @cached_property
    def blocking_clients(self) -> BlockingClients:
        """The clients of plain functions."""
        from webex.bots.blocking_clients import BlockingClients

        return BlockingClients()

    @cached_property
    def _consumer(self) -> Consumer:
        from webex.bots.consumer import Consumer

        return Consumer(self, self._handle, self._max_concurrent, self._per_room)

    @cached_property
    def _dispatch(self) -> Dispatch:
        from webex.bots.dispatch import Dispatch

        return Dispatch(self)

    # Identity

    @property
    def client(self) -> AsyncWebex:
        """The client of the bot's own account."""
        if self._client is None:
            self._client = self._make_client()
        return self._client

    @property
    def has_token(self) -> bool:
        """Whether the bot was given a token, in the code or by a variable."""
        variables = ("WEBEX_BOT_TOKEN", "WEBEX_ACCESS_TOKEN")
        return bool(self._token or "access_token" in self._settings or any(map(os.environ.get, variables)))

    @property
    def storage(self) -> AsyncAppStorage:
        """Where the bot keeps its state."""
        if self._storage is None:
            self._storage = self.client.storage
        return self._storage

    @property
    def signer(self) -> Signer:
        """What signs buttons and forms."""
        if self._signer is None:
            from webex.bots.buttons import Signer, secrets_of

            self._signer = Signer(secrets_of(self._secret, self._derived))
        return self._signer

    @property
    def name(self) -> str:
        """The name of the bot."""
        return self._name or (self.me.display_name if self.me is not None else None) or "bot"

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources that it has to listen to: those that webhooks have, and others that a handler asks for."""
        from webex.realtime.resources import WEBHOOK_RESOURCES

        asked = {resource for resource, _ in self.handlers.events} - {*WEBHOOK_RESOURCES}
        return (*WEBHOOK_RESOURCES, *sorted(asked))

    @property
    def health(self) -> BotHealth:
        """How the bot does, now."""
        queues = self._consumer.queues
        self._health.running, self._health.waiting_rooms = queues.running, queues.waiting_rooms
        return self._health

    def membership_changed(self, room_id: str) -> None:
        """Note that the list of a room's members is to be read again."""
        room = comparable_id(room_id)
        self._membership_changes[room] = self._membership_changes.get(room, 0) + 1

    def membership_changes(self, room_id: str) -> int:
        """Return how many changes of a room's members were noted."""
        return self._membership_changes.get(comparable_id(room_id), 0)

    def is_own(self, person_id: str | None) -> bool:
        """Whether this is the bot's own account."""
        return person_id is not None and self.me is not None and person_uuid(person_id) == person_uuid(self.me.id or "")

    async def ready(self) -> None:
        """Ask who the bot is; `listen`, `handle` and `webhooks` do it."""
        if self.me is None:
            self._derived = await self.client.get_user_token()
            self.me = await self.client.people.me()

    def use(self, client: AsyncWebex) -> None:
        """Act with this client, and its storage, from now on: for tests, which bring an emulator."""
        self._client, self._storage, self._signer, self.me = client, None, None, None
        self.__dict__.pop("blocking_clients", None)
        self._breaker = Breaker()

    # Receiving

    async def handle(self, what: Happening | Event[Any], *, once: bool = False) -> Outcome:
        """Handle one event that came by a way of your own: a queue, a broker, a function service, a test.

        "retry": it failed for a reason that may pass, and is to be handled again; after the third time it is "failed".
        An event of a broker's consumer, or of another subscription, is acknowledged when it was handled, and given back
        for "retry"; one that another account received is ignored. With `once` an event that was handled before, here or
        at another worker with the same storage, is "ignored" for a day: for queues that deliver more than once.
        """
        from webex.bots.happening import Happening

        await self.ready()
        if isinstance(what, Happening):
            return (await self._consumer.handle(what, once=once)).outcome
        return await self._consumer.take(what, "handle", once=once)

    async def consume(self, events: AsyncIterator[Event[Any]], *, max_in_hand: int = 100, once: bool = False) -> None:
        """Handle the events of a broker, until there are no more or `stop()`: rooms side by side, each in order.

            async with nats_events("nats://127.0.0.1:4222", durable="bot", ack="manual") as events:
                await bot.consume(events)

        Each is acknowledged when its handler has returned; `max_in_hand` may be unacknowledged. `once` is that of
        `handle`: the broker delivers again what it was not told of in time. `ConfigurationError`
        for a consumer with `ack="auto"`, which would acknowledge an event when the next one is taken.
        """
        if not getattr(events, "is_manual", True):
            raise ConfigurationError('bot.consume takes a consumer with ack="manual": a kill would lose events.')
        await self._consumer.consume(events, max_in_hand, once)

    async def listen(self) -> None:
        """Receive events by a socket and handle them, until `stop()`.

        Of several workers with one storage, one listens, and another one takes over within the lease when it ends.
        """
        await self._consumer.listen(dict(self._options))

    async def join(self, integration: AsyncIntegration) -> None:
        """Act over this integration, and store the token there: what `Fleet(integration, bots=[bot])` calls.

        `ConfigurationError` for a bot of another integration, or with a storage of its own.
        """
        if self.integration is None and self._storage_given is None:
            self.integration, self._client, self._storage = integration, None, None
        if self.integration is not integration:
            raise ConfigurationError(f"The bot {self.key!r} is of another integration, or has a storage of its own.")
        self.warn_of_settings()
        self._derived = await self.client.get_user_token()  # no call, so that a bot that fails stops no one else
        self._consumer.end_overdue_dialogs_until_stopped()

    async def take(self, event: Event[Any]) -> None:
        """Handle an event that a fleet received for the bot, and acknowledge it; a fleet calls it."""
        await self.ready()
        await self._consumer.take(event, "fleet")

    @property
    def webhook_events(self) -> tuple[str, ...]:
        """The events that its handlers need webhooks for: `("attachmentActions:created", "messages:created")`."""
        from webex.bots.webhooks import webhook_events

        return webhook_events(self)

    def webhooks(
        self, url: str | None = None, *, secret: Secret, mode: Mode = "inbox", name: str | None = None
    ) -> WebhookReceiver[AsyncWebex]:
        """Return the receiver of the bot's webhooks, to be installed in a web app, or mounted: `bot.webhooks(…).asgi`.

        `url` is where Webex posts. With it the receiver registers the webhooks of `webhook_events` when it starts, and
        keeps them: it activates again what Webex has deactivated. Without it, and with `mode="inline"`, which runs
        nothing between deliveries, they are registered by `client.webhooks.ensure(…)` or `await hooks.reconcile(…)`.
        `secret` is that of the webhooks, the newest first; `mode` and `name` are those of `WebhookReceiver`, the name
        that of the bot's records by default. `ConfigurationError` for what is no http or https URL.
        """
        from webex.bots.webhooks import receiver

        return receiver(self, self._consumer, self._max_concurrent, url=url, secret=secret, mode=mode, name=name)

    async def webhook_secrets(self) -> list[str]:
        """Return secrets for `webhooks`, made from the bot's `secret`, or its token: the same in each process."""
        from webex.bots.webhooks import webhook_secrets

        await self.ready()
        return webhook_secrets(self._secret, self._derived)

    async def end_overdue_dialogs(self) -> int:
        """End the dialogs whose time ran out now, by their `on_timeout`; return how many.

        A bot that listens, consumes, has webhooks or is in a fleet does it every minute. Call it at times where the bot
        only has `handle`, or webhooks with `mode="inline"`. Several workers may do it at once: each dialog ends once.
        """
        return await self._consumer.time_outs.end_overdue()

    async def signed_in(self, signed_in: SignedIn, request: Any = None) -> WebResponse | None:
        """Go on with what a person asked for before they signed in: `on_success` of the sign-in, with `resume=True`.

        Return a page that sends them back to Webex; 403 when another person signed in; None for a sign-in that no
        handler asked for.
        """
        from webex.bots.signing_in import resume

        return await resume(self, signed_in)

    def run(self) -> None:
        """Listen until the process is asked to end (SIGINT, SIGTERM), then finish what is in hand."""
        self._consumer.run()

    async def stop(self, grace: float | None = None) -> None:
        """Take no more events, give running handlers `grace` seconds; what is not finished comes again."""
        await self._consumer.stop(self.grace if grace is None else grace)

    def warn_of_settings(self) -> None:
        """Log what a bot that begins to receive events should not be without."""
        if self._storage_given is None and self.integration is None:
            _logger.warning("the bot has no storage: after a restart it has forgotten what it was doing (storage=…)")
        if self.allow is None:
            _logger.warning("everyone who can reach the bot may use it (allow=…)")

    async def aclose(self) -> None:
        """Stop, and close what the bot opened itself."""
        await self.stop()
        if self._client is not None and self.integration is None:
            await self._client.aclose()
        await self.blocking_clients.aclose()
        self.caller.close()

    async def wait_until_idle(self) -> None:
        """Return when no event is in hand; for scripts and tests."""
        await self._consumer.wait_until_idle()

    # Sending

    async def say(
        self, room_id_or_email: str, what: Any, *, files: Iterable[Any] | None = None, fallback: str | None = None
    ) -> Message:
        """Send unasked: to a room by its id, or to a person by e-mail address; text, `Card`, or a form."""
        await self.ready()
        if "@" in room_id_or_email:
            target = {"to_person_email": room_id_or_email}
        else:
            target = {"room_id": room_id_or_email}
        return await self.send(self.client, target, what, files=files, fallback=fallback)

    async def send(
        self,
        client: AsyncWebex,
        target: dict[str, Any],
        what: Any,
        *,
        files: Iterable[Any] | None = None,
        fallback: str | None = None,
        context: Context | None = None,
    ) -> Message:
        """Send what a handler answered with; buttons and forms are signed for the room or the person."""
        from webex.bots.rendering import render

        person = context.person.id if context is not None and "to_person_id" in target else None
        room_id = target.get("room_id")
        fields = render(what, self, room_id, person, fallback)
        attached = list(files or ())
        if "card" not in fields and len(fields["markdown"].encode()) > _LONGEST_MARKDOWN:
            first = await client.messages.create_long(**target, **fields, files=attached.pop(0) if attached else None)
            sent = first[0]
        else:
            one = attached.pop(0) if attached and "card" not in fields else None
            sent = await client.messages.create(**target, **fields, files=one)
        for file in attached:
            await client.messages.create(**target, files=file)
        return sent

    async def answer(self, ctx: Context, result: Any) -> None:
        """Send what a handler returned: text, a card, a form; a dialog is begun; None is no answer."""
        from webex.bots.dialogs import Dialog

        if result is None:
            return
        if isinstance(result, Dialog):
            await ctx.begin(result)
        elif isinstance(result, list | tuple):
            for each in result:
                await self.answer(ctx, each)
        else:
            await ctx.reply(result)

    async def show_typing(self, ctx: Context) -> None:
        """Show in a room that the bot is typing; by socket and fleet only."""
        if ctx.happening.door in ("socket", "fleet") and ctx.room_id:
            await ctx.client.conversations.typing(ctx.room_id)

    # Inside

    def resume_later(self, happening: Happening) -> None:
        """Handle an event apart from the caller; `stop` waits for it."""
        self._consumer.handle_later(happening)

    async def _handle(self, happening: Happening) -> Handled:
        tries = self._tries.pop(happening.key, 0) + 1
        happening.redelivered = happening.redelivered or tries > 1
        if happening.received_by is None and self.me is not None:
            happening.received_by = self.me.id
        handled = await self._dispatch.run(happening, self._breaker, tries=tries)
        if handled.outcome == "retry":
            self._tries[happening.key] = tries
            if len(self._tries) > _MOST_TRIED:
                self._tries.popitem(last=False)
        self._health.handled += handled.outcome == "handled"
        self._health.failed += handled.outcome == "failed"
        for observe in self.observers:
            observe(happening, handled.outcome)
        return handled

    def _make_client(self) -> AsyncWebex:
        from webex import AsyncWebex

        token = self._token or os.environ.get("WEBEX_BOT_TOKEN") or None
        if self.integration is not None:
            if token is None:
                raise ConfigurationError("Bot(integration=…) needs the bot's token too: Bot(token, integration=…).")
            return self.integration.bot(token, key=self.key)
        if not self.has_token:
            raise ConfigurationError(
                "The bot has no token: Bot(token), or the variable WEBEX_BOT_TOKEN. Bots are made at "
                "https://developer.webex.com/my-apps; `webex emulator` has one for trying."
            )
        return AsyncWebex(token, storage=self._storage_given, **self._settings)


def _check_names(listen: Iterable[str]) -> None:
    """Refuse at once what is no option of `client.listen`: a setting in the wrong place would be lost."""
    from webex.config.model import NAMES
    from webex.config.spelling import did_you_mean
    from webex.realtime.options import ListenOptions

    known = ListenOptions.__annotations__
    for name in listen:
        if name in NAMES:
            raise ConfigurationError(f"{name} is a setting of the client: Bot(…, settings={{{name!r}: …}}).")
        if name not in known:
            options = [*known, *(each for each in Bot.__init__.__annotations__ if each not in ("listen", "return"))]
            raise ConfigurationError(f"Bot has no option {name!r}.{did_you_mean(name, options)}")
