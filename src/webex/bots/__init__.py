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
    "from_data",
]
