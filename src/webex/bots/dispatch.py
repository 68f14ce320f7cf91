"""Choose the one handler that takes an event, the first in this order.

own and other bots' acts are dropped → `allow` → a dialog that waits for this person here → commands → patterns →
`@bot.event("messages", "created")` → `unknown`. A submitted form or button goes to the handler that it names, once its
signature holds for this room, person and card.
"""

from __future__ import annotations

import inspect
import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from webex.bots import help as help_texts
from webex.bots.buttons import InvalidButtonError, Pressed
from webex.bots.commands import Command, UsageError
from webex.bots.context import Context
from webex.bots.converters import DoesNotFitError, from_text
from webex.bots.dialogs import Dialog
from webex.bots.forms import TOKEN, Prefilled, parse, values_of
from webex.bots.middlewares import around, within_middlewares
from webex.bots.rendering import form_card
from webex.bots.router import Entry
from webex.bots.signals import Say
from webex.bots.state import first_time, replaced_by, time_left
from webex.bots.time_outs import is_overdue, key_of
from webex.errors import NotFoundError, PermissionDeniedError
from webex.ids import person_uuid
from webex.realtime.event import BOT_DOMAINS, Actor
from webex.webhooks.handlers import TRIES, is_failure, seconds_until_retry

if TYPE_CHECKING:
    from webex.bots.allow import Rule
    from webex.bots.bot import Bot
    from webex.bots.breaker import Breaker
    from webex.bots.forms import Form
    from webex.bots.happening import Happening
    from webex.bots.router import Router

_logger = logging.getLogger("webex.bots")

Outcome = Literal["handled", "ignored", "refused", "failed", "retry"]
_REFUSED_AGAIN: Final = 60.0  # seconds until a person is told once more that they may not
_PROFILES: Final = 3600.0  # seconds for which it is believed whether an account is a bot


class Handled(NamedTuple):
    """How an event was handled; with "retry", the seconds after which it is to be handled again."""

    outcome: Outcome
    after: float = 0.0


class Dispatch:
    """Handles one event after another for a bot."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._actors: dict[str, tuple[float, Actor]] = {}

    async def run(self, happening: Happening, breaker: Breaker, *, tries: int) -> Handled:
        """Handle an event, for the `tries`-th time; "retry" when it failed for a reason that may pass."""
        ctx: Context | None = None
        if happening.resource == "memberships" and happening.room_id:
            self._bot.membership_changed(happening.room_id)
        try:
            actor = await self._actor(happening)
            if actor is None or self._is_ignored(actor, happening, breaker):
                return Handled("ignored")
            happening.actor = actor
            if not await happening.fetch():
                _logger.debug("what %s is about is gone", happening.key)
                return Handled("ignored")
            ctx = Context(self._bot, happening, actor)
            ctx.begin_typing()
            return Handled(await self._answered(ctx))
        except BaseException as error:
            if not is_failure(error):
                raise
            after = seconds_until_retry(error, tries)
            if after is not None and tries < TRIES:
                _note(self._bot, error)
                _logger.warning("%s is handled again in %g s (%s)", happening.key, after, type(error).__name__)
                return Handled("retry", after)
            return Handled(await self._failed(happening, ctx, error))
        finally:
            if ctx is not None:
                await ctx.end()
                if ctx.answers:
                    breaker.count(ctx.person.id, happening.room_id or "", ctx.answers, self._bot.now())

    def _is_ignored(self, actor: Actor, happening: Happening, breaker: Breaker) -> bool:
        bot = self._bot
        if bot.is_own(actor.id) or (actor.kind == "bot" and not bot.bots):
            return True
        return breaker.is_open(actor.id, happening.room_id or "", bot.now())

    async def _answered(self, ctx: Context) -> Outcome:
        try:
            return await self._route(ctx)
        except Say as answer:
            await self._bot.answer(ctx, answer.what)
            return "handled"

    # Routing

    async def _route(self, ctx: Context) -> Outcome:
        happening = ctx.happening
        if happening.resource == "attachmentActions" and happening.event == "created":
            return await self._submitted(ctx)
        if happening.resource == "messages" and happening.event == "created":
            return await self._said(ctx)
        if happening.door == "timer":
            return await self._timed_out(ctx)
        return await self._event(ctx, quietly=True) or "ignored"

    async def _event(self, ctx: Context, *, quietly: bool = False) -> Outcome | None:
        """Call the first handler of `@bot.event` for this event; None when there is none."""
        for entry in self._bot.handlers.events.get((ctx.happening.resource, ctx.happening.event), ()):
            if await self._counts(entry, ctx):
                if not await self._may(entry, ctx, quietly=quietly):
                    return "refused"
                await self._answer(ctx, entry, entry.handler, ctx.facade)
                return "handled"
        return None

    async def _said(self, ctx: Context) -> Outcome:
        bot = self._bot
        if bot.allow is not None and not await bot.allow.allows(ctx):
            return await self._refuse(ctx)
        if not bot.dialogs.is_empty:
            record = await ctx.running.load()
            if record is not None and record.last_key == ctx.key:
                return "handled"  # it was, before the bot was stopped
            if record is not None and not record.done:
                outcome = await self._step(ctx)
                if outcome is not None:
                    return outcome
        words = ctx.said.words()
        found = bot.find_command(words)
        if found is not None and await self._counts(found[0], ctx):
            entry, count = found
            assert entry.command is not None
            if not await self._may(entry, ctx):
                return "refused"
            try:
                arguments, options = await entry.command.arguments(ctx, ctx.said, words[count:])
            except UsageError as error:
                await ctx.reply(f"{error}\n\nUsage: `{entry.command.usage}`")
                return "handled"
            if not await self._has_cooled_down(ctx, entry.command):
                return "refused"
            await self._answer(ctx, entry, entry.handler, ctx.facade, *arguments, **options)
            return "handled"
        if found is None and words and words[0].text.casefold() in ("help", "/help"):
            return await self._help(ctx, " ".join(word.text for word in words[1:]))
        for entry in bot.handlers.messages:
            matched = _matches(entry, ctx.text)
            if matched is None or not await self._counts(entry, ctx):
                continue
            if not await self._may(entry, ctx):
                return "refused"
            await self._answer(ctx, entry, entry.handler, ctx.facade, **_groups(entry, matched))
            return "handled"
        return await self._event(ctx) or await self._unknown(ctx)

    async def _has_cooled_down(self, ctx: Context, command: Command) -> bool:
        """Whether a person may use a command again; they are told how long to wait."""
        if not command.cooldown:
            return True
        bot, mark = self._bot, f"cooldown:{command.name.casefold()}:{person_uuid(ctx.person.id)}"
        left = await time_left(bot.storage, bot.key, mark, ctx.key, command.cooldown, bot.now())
        if left:
            await ctx.reply(f"Please wait {math.ceil(left)} s before you use **{command.name}** again.")
        return not left

    async def _step(self, ctx: Context, form: Form | None = None, form_name: str = "") -> Outcome | None:
        """Run the step that waits for what was said or submitted; None when none waits any more."""
        dialogs = self._bot.dialogs
        async with ctx.running.turn():
            record = await ctx.running.load()
            if record is None or record.done:
                return None
            if record.last_key == ctx.key or (form is not None and record.form != form_name):
                return "handled"
            ctx.routers = dialogs.routers_of(record.kind)
            if not await self._passes(_rules(ctx.routers), ctx):
                return "refused"
            await self._bot.answer(ctx, await dialogs.answered(ctx, record, ctx.said, form, form_name))
        return "handled"

    async def _timed_out(self, ctx: Context) -> Outcome:
        """End the dialog whose time ran out, unless it was answered or ended meanwhile."""
        dialogs = self._bot.dialogs
        async with ctx.running.turn():
            record = await ctx.running.load()
            if record is None or not is_overdue(record, self._bot.now()) or key_of(record) != ctx.key:
                return "ignored"
            ctx.routers = dialogs.routers_of(record.kind)
            return "handled" if await dialogs.timed_out(ctx, record) else "ignored"

    async def _help(self, ctx: Context, name: str) -> Outcome:
        entry = self._bot.handlers.commands.get(name.casefold()) if name else None
        if entry is not None and entry.command is not None and await help_texts.is_shown(entry, ctx):
            await ctx.reply(help_texts.of_command(entry.command))
        else:
            await ctx.reply(await help_texts.overview(self._bot, ctx))
        return "handled"

    async def _unknown(self, ctx: Context) -> Outcome:
        unknown = self._bot.unknown
        if not (ctx.room_type == "direct" or ctx.said.addressed) or unknown == "ignore":
            return "ignored"
        if callable(unknown):
            await self._answer(ctx, Entry(unknown), unknown, ctx.facade)
        else:
            await ctx.reply(await help_texts.unknown(self._bot, ctx))
        return "handled"

    async def _submitted(self, ctx: Context) -> Outcome:
        bot, action = self._bot, ctx.happening.data
        inputs = action.inputs if isinstance(action.inputs, dict) else {}
        if TOKEN not in inputs:  # a card that the bot sent as plain data: for @bot.event
            return await self._event(ctx) or "ignored"
        if bot.allow is not None and not await bot.allow.allows(ctx):
            return await self._refuse(ctx)
        try:
            pressed = bot.signer.read(inputs[TOKEN], person=ctx.person.id, room_id=ctx.room_id, now=bot.now())
            await self._stands_in_card(ctx, action, inputs[TOKEN])
        except InvalidButtonError as error:
            _logger.info("a button or form was refused: %s", error)
            await ctx.reply("That can't be used here any more.")
            return "refused"
        if pressed.kind == "form":
            return await self._form(ctx, pressed, inputs)
        return await self._button(ctx, pressed)

    async def _stands_in_card(self, ctx: Context, action: Any, token: str) -> None:
        """Check that what was submitted stands in the card that it was submitted to, and that the bot sent that."""
        try:
            card = await ctx.client.messages.get(action.message_id)
        except NotFoundError:
            new = await replaced_by(self._bot.storage, self._bot.key, ctx.key, token)
            if new is None:
                raise InvalidButtonError("its card was deleted") from None
            ctx.note_card(*new)  # by this very submission, whose handling is repeated
            return
        if not self._bot.is_own(card.person_id):
            raise InvalidButtonError("its card is not the bot's")
        ctx.note_card(card.id, card.parent_id)
        contents = [attachment.to_dict() for attachment in card.attachments or ()]
        if not any(token == found for found in _tokens(contents)):
            raise InvalidButtonError("it was copied from another card")

    async def _button(self, ctx: Context, pressed: Pressed) -> Outcome:
        entry = self._bot.handlers.buttons.get(pressed.name)
        if entry is None:
            _logger.info("there is no button function %s any more", pressed.name)
            await ctx.reply("That button belongs to an older version of me.")
            return "refused"
        if not await self._may(entry, ctx):
            return "refused"
        try:
            arguments = _arguments(entry, pressed.arguments)
        except (msgspec.ValidationError, TypeError):
            await ctx.reply("That button belongs to an older version of me.")
            return "refused"
        if pressed.once and not await self._first(pressed.once, ctx):
            await ctx.reply("That was done already.")
            return "refused"
        await self._answer(ctx, entry, entry.handler, ctx.facade, **arguments)
        return "handled"

    async def _first(self, mark: str, ctx: Context) -> bool:
        """Whether a button is pressed for the first time; the delivery that was killed midway counts as the same."""
        storage, key = self._bot.storage, f"{self._bot.key}:button:{mark}"
        if await storage.add("bot-once", key, {"key": ctx.key}, expires_in=30 * 86_400.0):
            return True
        known = await storage.get("bot-once", key)
        return ctx.redelivered and isinstance(known, dict) and known.get("key") == ctx.key

    async def _form(self, ctx: Context, pressed: Pressed, inputs: dict[str, Any]) -> Outcome:
        bot = self._bot
        record = await ctx.running.load() if not bot.dialogs.is_empty else None
        if record is not None and record.last_key == ctx.key:
            return "handled"
        in_dialog = record is not None and not record.done and record.form == pressed.name
        entry = bot.handlers.forms.get(pressed.name)
        form = bot.dialogs.form_of(record) if in_dialog and record is not None else None
        form = form or (entry.form if entry is not None else None)
        if form is None:
            await ctx.reply(
                "That form is over." if bot.dialogs.asks_for(pressed.name) else "I no longer have that form."
            )
            return "refused"
        if not in_dialog and entry is not None and not await self._may(entry, ctx):
            return "refused"
        filled, errors = parse(form, inputs)
        if filled is not None:
            errors = dict(await filled.check(ctx) or {})
        if filled is None or errors:
            card = form_card(bot, Prefilled(form, values_of(form, inputs)), errors, ctx.room_id or None, ctx.person.id)
            await ctx.replace(card, fallback="Please look at the form again.")
            return "handled"
        if in_dialog:
            return await self._step(ctx, filled, pressed.name) or "handled"
        assert entry is not None
        await self._answer(ctx, entry, entry.handler, ctx.facade, filled)
        return "handled"

    # Calling

    async def _answer(
        self, ctx: Context, entry: Entry, handler: Callable[..., Any], *args: Any, **options: Any
    ) -> None:
        """Call a handler within the middlewares, and send what it returns."""
        ctx.routers = entry.routers

        async def call() -> Any:
            result = await ctx.call(handler, *args, **options)
            return await self._bot.dialogs.begin(ctx, result) if isinstance(result, Dialog) else result

        await self._bot.answer(ctx, await within_middlewares(ctx, entry.routers, call))

    async def _failed(self, happening: Happening, ctx: Context | None, error: BaseException) -> Outcome:
        """Tell of a failure: the person who has to sign in, error handlers, else the person that it failed."""
        _note(self._bot, error)
        try:
            if ctx is not None and await self._sign_in(ctx, error):
                return "handled"
            _logger.error("the handler of %s failed", happening.key, exc_info=error)
            if ctx is None:
                return "failed"
            handlers = [handle for router in around(ctx, ctx.routers) for handle in router.error_handlers]
            if handlers:
                try:
                    answer = await ctx.call(handlers[0], ctx.facade, error)
                except Say as said:
                    answer = said.what
                await self._bot.answer(ctx, answer)
            else:
                await ctx.reply("Something went wrong here. It was logged.")
        except BaseException as second:
            if not is_failure(second):
                raise
            _logger.error("and that could not be said: %s", type(second).__name__)
        return "failed"

    async def _sign_in(self, ctx: Context, error: BaseException) -> bool:
        """Send the person who has to sign in where that is done; False when the bot has no such place."""
        from webex.bots.signing_in import send_invitation

        return await send_invitation(self._bot, ctx, error)

    # Rules

    async def _counts(self, entry: Entry, ctx: Context) -> bool:
        for condition in entry.conditions:
            result = condition(ctx)
            if inspect.isawaitable(result):
                result = await result
            if not result:
                return False
        return True

    async def _may(self, entry: Entry, ctx: Context, *, quietly: bool = False) -> bool:
        return await self._passes(entry.rules, ctx, quietly=quietly)

    async def _passes(self, rules: Sequence[Rule], ctx: Context, *, quietly: bool = False) -> bool:
        for rule in rules:
            if not await rule.allows(ctx):
                if not quietly:
                    await self._refuse(ctx)
                return False
        return True

    async def _refuse(self, ctx: Context) -> Outcome:
        _logger.info("%s was refused: %s may not", ctx.key, ctx.person.id)
        if ctx.room_type == "direct" or ctx.said.addressed or ctx.message is None:
            mark = f"refused:{ctx.person.id}"
            if await first_time(self._bot.storage, self._bot.key, mark, _REFUSED_AGAIN):
                await ctx.reply("You may not use me for that.")
        return "refused"

    async def _actor(self, happening: Happening) -> Actor | None:
        """Return who did it, as far as that is known; None when what it is about is gone."""
        actor = happening.actor
        if actor is None:
            if happening.author is None and not await happening.fetch():
                return None
            if happening.author is None:
                _logger.warning("%s is ignored: it does not say who did it (actor=…)", happening.key)
                return None
            actor = Actor(happening.author)
        if actor.display_name is not None or happening.door in ("socket", "fleet"):
            return actor
        known = self._actors.get(actor.id)
        if known is not None and 0 <= self._bot.now() - known[0] < _PROFILES:
            return known[1]
        try:
            person = await happening.client.people.get(actor.id)
        except (NotFoundError, PermissionDeniedError):
            return actor
        email = next(iter(person.emails or ()), None)
        is_bot = person.type == "bot" or (email or "").endswith(BOT_DOMAINS)
        found = Actor(actor.id, email, person.display_name, person.org_id, "bot" if is_bot else "person")
        if len(self._actors) > 10_000:
            self._actors.clear()
        self._actors[actor.id] = (self._bot.now(), found)
        return found


def _rules(routers: Sequence[Router]) -> list[Rule]:
    return [router.allow for router in routers if router.allow is not None]


def _matches(entry: Entry, text: str) -> Any:
    pattern = entry.pattern
    if pattern is None:
        return True
    if isinstance(pattern, re.Pattern):
        return pattern.search(text)
    return True if pattern(text) else None


def _groups(entry: Entry, matched: Any) -> dict[str, Any]:
    if not isinstance(matched, re.Match):
        return {}
    found = {}
    for parameter in entry.parameters:
        value = matched.groupdict().get(parameter.name)
        if value is None:
            continue
        try:
            found[parameter.name] = from_text(value, parameter.annotation)
        except DoesNotFitError as error:
            raise Say(f'{parameter.name}: "{value}" does not fit. {error}') from None
    return found


def _arguments(entry: Entry, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a button, in the types of its function; `TypeError` when they are of another version."""
    known = {parameter.name: parameter for parameter in entry.parameters}
    if given.keys() - known.keys() or any(p.is_required and p.name not in given for p in entry.parameters):
        raise TypeError("the function takes other arguments now")
    return {name: msgspec.convert(value, known[name].annotation, strict=False) for name, value in given.items()}


def _tokens(value: Any) -> list[Any]:
    """Return every signed value in a card."""
    if isinstance(value, dict):
        found = [value[TOKEN]] if TOKEN in value else []
        return found + [each for inner in value.values() for each in _tokens(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in _tokens(inner)]
    return []


def _note(bot: Bot, error: BaseException) -> None:
    bot.health.last_error = type(error).__name__
