"""Approvals: a person asks, another one decides with a button, and both are told.

`webex bot run examples.approvals:bot`
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from webex.bots import Bot, Button, Card, Context, Dialog, Form, Input, Meta, Retry
from webex.cards import Fact, FactSet, TextBlock
from webex.errors import ConnectError, RateLimitError
from webex.storage import SQLiteStorage

bot = Bot(storage=SQLiteStorage("approvals.db"))


class Decision(Form, title="Why not?", submit="Refuse"):
    reason: Annotated[str, Meta(min_length=3), Input(multiline=True, placeholder="A sentence for the person")]


@bot.dialog
class Refusal(Dialog, version=1, timeout=timedelta(days=2)):
    """Asks for the reason of a refusal, and passes it on."""

    number: int
    amount: int
    asked_by: str

    async def start(self, ctx: Context) -> None:
        await ctx.ask(Decision, then=self.decided)

    async def decided(self, ctx: Context, form: Decision) -> str:
        await ctx.bot.say(self.asked_by, f"Request {self.number} ({self.amount} €) was refused: {form.reason}")
        return f"Request {self.number} is refused."


@bot.command("request")
async def request(ctx: Context, amount: int, approver: str) -> str:
    """Asks a person to approve an amount: request 120 bob@example.com."""
    me = await ctx.email() or ""
    async with ctx.once("ask") as first:  # two cards could both be approved
        if not first:
            return f"I was interrupted. If {approver} has no card from me, please ask again."
        number = await ctx.state.bot.update("requests", lambda count: (count or 0) + 1)
        card = Card(
            TextBlock(f"{ctx.person.display_name} asks for your approval", weight="Bolder"),
            FactSet([Fact("Request", str(number)), Fact("Amount", f"{amount} €")]),
            actions=[
                Button("Approve", approve, number=number, amount=amount, asked_by=me, once=True, style="positive"),
                Button("Refuse", refuse, number=number, amount=amount, asked_by=me, expires=timedelta(days=30)),
            ],
        )
        try:
            await ctx.bot.say(approver, card, fallback=f"Request {number}: {amount} €")
        except (ConnectError, RateLimitError) as error:  # certainly not sent
            raise Retry(after=5) from error
    return f"Request {number} is with {approver}."


@bot.button
async def approve(ctx: Context, number: int, amount: int, asked_by: str) -> str:
    await ctx.bot.say(asked_by, f"Request {number} ({amount} €) was approved by {ctx.person.display_name}.")
    return f"Request {number} is approved."


@bot.button
async def refuse(ctx: Context, number: int, amount: int, asked_by: str) -> Dialog:
    return Refusal(number=number, amount=amount, asked_by=asked_by)
