"""Bots: one set of handlers for messages, commands, forms, buttons and dialogs, by socket and webhook.

from webex.bots import Bot, Context

bot = Bot()  # WEBEX_BOT_TOKEN


@bot.command("ping")
async def ping(ctx: Context) -> str:
    "Answers."
    return "pong"


bot.run()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.bots import allow
    from webex.bots.blocking import BlockingContext
    from webex.bots.bot import Bot, BotHealth
    from webex.bots.buttons import Button
    from webex.bots.context import Context
    from webex.bots.converters import DoesNotFitError, Person, Rest, Room
    from webex.bots.dialogs import Dialog
    from webex.bots.forms import Form, Input, Meta, Prefilled
    from webex.bots.happening import Happening, from_data
    from webex.bots.router import Router
    from webex.bots.signals import Retry, Say
    from webex.bots.words import escape_markdown
    from webex.cards import Card

__all__ = [
    "BlockingContext",
    "Bot",
    "BotHealth",
    "Button",
    "Card",
    "Context",
    "Dialog",
    "DoesNotFitError",
    "Form",
    "Happening",
    "Input",
    "Meta",
    "Person",
    "Prefilled",
    "Rest",
    "Retry",
    "Room",
    "Router",
    "Say",
    "allow",
    "escape_markdown",
    "from_data",
]

_LAZY_EXPORTS = {
    "BlockingContext": "webex.bots.blocking",
    "Bot": "webex.bots.bot",
    "BotHealth": "webex.bots.bot",
    "Button": "webex.bots.buttons",
    "Card": "webex.cards",
    "Context": "webex.bots.context",
    "Dialog": "webex.bots.dialogs",
    "DoesNotFitError": "webex.bots.converters",
    "Form": "webex.bots.forms",
    "Happening": "webex.bots.happening",
    "Input": "webex.bots.forms",
    "Meta": "webex.bots.forms",
    "Person": "webex.bots.converters",
    "Prefilled": "webex.bots.forms",
    "Rest": "webex.bots.converters",
    "Retry": "webex.bots.signals",
    "Room": "webex.bots.converters",
    "Router": "webex.bots.router",
    "Say": "webex.bots.signals",
    "allow": "webex.bots.allow",
    "escape_markdown": "webex.bots.words",
    "from_data": "webex.bots.happening",
}


def __getattr__(name: str) -> Any:
    home = _LAZY_EXPORTS.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(home)
    value = module if name == "allow" else getattr(module, name)
    globals()[name] = value
    return value
