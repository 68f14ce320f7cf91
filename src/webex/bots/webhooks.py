"""Receive the webhooks of a bot: which its handlers need, and the receiver that registers them and keeps them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from typing import TYPE_CHECKING, Any, Final

from webex.bots.buttons import secrets_of
from webex.bots.happening import from_received
from webex.errors import WebexError
from webex.http.timing import Backoff
from webex.webhooks import WebhookReceiver

if TYPE_CHECKING:
    from webex.bots.bot import Bot
    from webex.bots.buttons import Secret
    from webex.bots.consumer import Consumer
    from webex.bots.router import Router
    from webex.client import AsyncWebex
    from webex.webhooks import ReceivedEvent
    from webex.webhooks.core import Mode

_logger = logging.getLogger("webex.bots")

_PURPOSE: Final = b"webex.bots webhooks 1"
_WITHOUT: Final = (("memberships", "seen"), ("reactions", "created"), ("reactions", "deleted"))
_LONGEST_PAUSE: Final = 60.0  # seconds until it is tried again to register


def webhook_events(router: Router) -> tuple[str, ...]:
    """Return the events that the handlers of a bot need webhooks for."""
    handlers = router.handlers
    needed = {("messages", "created"), *handlers.events}  # a bot answers `help`, whatever else it has
    if handlers.forms or handlers.buttons or not router.dialogs.is_empty:
        needed.add(("attachmentActions", "created"))
    if _lists_members(router):
        needed |= {("memberships", "created"), ("memberships", "deleted")}
    return tuple(sorted(f"{resource}:{event}" for resource, event in needed.difference(_WITHOUT)))


def _lists_members(router: Router) -> bool:
    """Whether a rule reads the members of rooms, which it reads again when a membership changes."""
    handlers = router.handlers
    groups = (handlers.commands.values(), handlers.messages, handlers.forms.values(), handlers.buttons.values())
    entries = [entry for group in (*groups, *handlers.events.values()) for entry in group]
    rules = [router.allow, *(each.allow for each in router.dialogs.routers)]
    rules += [rule for entry in entries for rule in entry.rules]
    return any(rule is not None and rule.lists_members for rule in rules)


def webhook_secrets(given: Secret | None, token: str) -> list[str]:
    """Return secrets for webhooks that are derived from those of the bot, or from its token."""
    return [hmac.digest(each, _PURPOSE, hashlib.sha256).hex() for each in secrets_of(given, token)]


def receiver(
    bot: Bot,
    consumer: Consumer,
    concurrency: int,
    *,
    url: str | None,
    secret: Secret,
    mode: Mode,
    name: str | None,
) -> WebhookReceiver[AsyncWebex]:
    """Return the receiver whose deliveries the bot handles; with a URL, it registers the webhooks when it starts."""
    hooks = WebhookReceiver(
        bot.client,
        secret=secret,
        mode=mode,
        url=url,
        name=name or f"webex-bot-{bot.key}",
        concurrency=concurrency,
        lease=max(bot.lease, 1.0) if bot.lease else 60.0,
    )

    @hooks.on("*")
    async def receive(event: ReceivedEvent[Any, AsyncWebex]) -> None:
        await bot.ready()
        outcome, after = await consumer.handle(from_received(event))
        if outcome == "retry":
            event.nack(after)

    hooks.alongside.append(consumer.time_outs.run)
    if url is not None:
        hooks.at_start.append(lambda: _register(bot, hooks))
    return hooks


async def _register(bot: Bot, hooks: WebhookReceiver[AsyncWebex]) -> None:
    """Register what the handlers need now; what fails is tried again."""
    bot.warn_of_settings()
    for resource, event in _WITHOUT:
        if (resource, event) in bot.handlers.events:
            _logger.warning("there are no webhooks for %s:%s: its handlers are not called", resource, event)
    backoff = Backoff(1.0, _LONGEST_PAUSE)
    while True:
        try:
            await hooks.reconcile(wanted=bot.webhook_events)
            return
        except WebexError as error:
            pause = backoff.next()
            _logger.warning(
                "the webhooks of the bot could not be registered (%s: %s); once more in %.0f s",
                type(error).__name__,
                error,
                pause,
            )
        await asyncio.sleep(pause)
