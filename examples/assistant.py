"""An assistant that answers in threads, remembers what was said there, and acts as the person who asks.

`ask` is any function that takes the conversation and the tools and gives an answer: a language model here is yours.
`webex bot run examples.assistant:bot` answers with a model that only repeats.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from webex.bots import Bot, Context
from webex.storage import SQLiteStorage

Turn = dict[str, str]
Tools = dict[str, Callable[..., Awaitable[Any]]]
Model = Callable[[list[Turn], Tools], Awaitable[str]]

MOST = 20  # turns that are remembered


async def repeat(conversation: list[Turn], tools: Tools) -> str:
    """Stand in for a language model."""
    return f"You said: {conversation[-1]['text']}"


def make_bot(model: Model = repeat, **options: Any) -> Bot:
    """Return the assistant with a model of your own."""
    bot = Bot(threads="always", unknown="ignore", **options)

    @bot.message(when=lambda ctx: ctx.room_type == "direct" or ctx.said.addressed)
    async def answer(ctx: Context) -> str:
        thread = ctx.thread or (ctx.message.id if ctx.message else "")

        async def my_rooms() -> list[str]:
            """List the titles of the rooms that the person is in, as that person."""
            return [room.title or "" async for room in ctx.user_client.rooms.list(limit=20)]

        tools: Tools = {"my_rooms": my_rooms} if bot.integration is not None else {}
        kept: list[Turn] = await ctx.state.room.get(f"thread:{thread}", [])
        conversation = [*kept, {"role": "user", "text": ctx.text}][-MOST:]
        text = await model(conversation, tools)  # NotSignedInError: the bot sends the person where they sign in
        await ctx.state.room.put(
            f"thread:{thread}", [*conversation, {"role": "assistant", "text": text}], expires_in=30 * 86_400
        )
        return text

    return bot


bot = make_bot(storage=SQLiteStorage("assistant.db"))
