"""A bot with all that bots have, and a script that has the same answers however events are received."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from webex.bots import Bot, Button, Card, Context, Dialog, Form, Input, Meta, Person, Rest, Router, Say
from webex.cards import TextBlock


class DeployForm(Form, title="Deploy", submit="Go"):
    service: Literal["web", "api"]
    version: Annotated[str, Meta(pattern=r"^\d+\.\d+$"), Input(error="Like 1.2", placeholder="1.2")]
    replicas: Annotated[int, Meta(ge=1, le=9)] = 2
    notify: bool = False


class TeamForm(Form, title="Your team"):
    team: Literal["red", "blue"]


class Onboard(Dialog, version=1, timeout=timedelta(days=2)):
    name: str = ""
    age: int = 0

    async def start(self, ctx: Context) -> None:
        await ctx.ask("What is your name?", then=self.named)

    async def named(self, ctx: Context, text: str) -> None:
        self.name = text
        await ctx.ask("How old are you?", then=self.aged)

    async def aged(self, ctx: Context, age: int) -> None:
        self.age = age
        await ctx.ask(TeamForm, then=self.chosen)

    async def chosen(self, ctx: Context, form: TeamForm) -> str:
        return f"Welcome {self.name}, {self.age}, of {form.team}"


def make_bot(**options: Any) -> Bot:
    """Return a new bot with its handlers."""
    bot = Bot(**options)
    admin = Router()

    @bot.command("deploy", aliases=["ship"])
    async def deploy(
        ctx: Context, service: Literal["web", "api"], version: str = "latest", *, force: bool = False
    ) -> str:
        """Deploys a service."""
        return f"Deploying **{service}** {version}{' by force' if force else ''}"

    @bot.command("deploy status")
    async def status(ctx: Context) -> str:
        """Shows what is being deployed."""
        return "nothing"

    @bot.command("add")
    def add(ctx: Any, *numbers: int) -> str:
        """Adds numbers."""
        return str(sum(numbers))

    @bot.command("greet")
    async def greet(ctx: Context, who: Person, text: Rest | None = None) -> str:
        return f"{text or 'hello'}, {who.name}"

    @bot.command("release")
    async def release(ctx: Context) -> type[Form]:
        return DeployForm

    @bot.form(DeployForm)
    async def released(ctx: Context, form: DeployForm) -> str:
        return f"{form.service} {form.version} × {form.replicas}, notify: {form.notify}"

    @bot.command("approve")
    async def ask(ctx: Context) -> Card:
        return Card(
            TextBlock("Approve?"),
            actions=[
                Button("Yes", approve, n=7),
                Button("Once", approve, n=8, once=True),
                Button("Mine", approve, n=9, only=ctx.person),
                Button("Soon", approve, n=10, expires=timedelta(hours=1)),
            ],
        )

    @bot.button
    async def approve(ctx: Context, n: int) -> str:
        return f"approved {n}"

    @bot.command("hello")
    async def onboard(ctx: Context) -> Dialog:
        return Onboard()

    @bot.message(r"ticket (?P<number>\d+)")
    async def ticket(ctx: Context, number: int) -> str:
        async with ctx.once("ticket") as first:
            return f"ticket {number}{'' if first else ' again'}"

    @bot.command("count")
    def count(ctx: Any) -> str:
        return str(ctx.state.room.update("count", lambda value: (value or 0) + 1))

    @bot.command("fail")
    async def fail(ctx: Context) -> None:
        raise ValueError("broken on purpose")

    @bot.command("closed")
    async def closed(ctx: Context) -> None:
        raise Say("That is closed.")

    @bot.event("messages", "updated")
    async def edited(ctx: Context) -> str:
        return f"edited to {ctx.text}"

    @bot.joined
    async def joined(ctx: Context) -> str:
        return f"Hello, thanks for adding me, {ctx.person.display_name}"

    @bot.left
    async def left(ctx: Context) -> None:
        await bot.say("bob@example.com", f"{ctx.person.display_name} has removed me")

    @bot.command("attach")
    async def attach(ctx: Context, name: str) -> None:
        await ctx.reply(f"{len(ctx.files)} files", files=[(name, b"made by the bot")])

    @admin.command("secret", hidden=True)
    async def secret(ctx: Context) -> str:
        return "a secret"

    bot.include(admin)
    bot.dialog(Onboard)
    return bot
