"""A support queue over two rooms: people write to the bot, a team answers from its own room, in threads.

`webex bot run examples.support_queue:bot`; the team says `@bot here` in its room once.
"""

from __future__ import annotations

from webex.bots import Bot, Context
from webex.storage import SQLiteStorage

bot = Bot(storage=SQLiteStorage("support.db"), unknown="ignore")


@bot.command("here")
async def here(ctx: Context) -> str:
    """Makes this the room of the support team."""
    await ctx.state.bot.put("team", ctx.room_id)
    return "Questions come here. Answer in the thread of a question, with a mention of me."


@bot.command("close")
async def close(ctx: Context) -> str:
    """Closes the question whose thread this is."""
    asked = await ctx.state.bot.get(f"question:{ctx.thread}")
    if asked is None:
        return "Say close in the thread of a question."
    await ctx.state.bot.delete(f"question:{ctx.thread}")
    await ctx.bot.say(asked, "Your question is closed. Write again at any time.")
    return "Closed."


@bot.message(when=lambda ctx: ctx.room_type == "direct")
async def asked(ctx: Context) -> str:
    team = await ctx.state.bot.get("team")
    if team is None:
        return "There is no team yet."
    # Not within ctx.once: after a failure, a question that the team has twice is better than one that it never had.
    question = await ctx.bot.say(team, f"**{ctx.person.display_name}** asks:\n\n{ctx.text}")
    await ctx.state.bot.put(f"question:{question.id}", await ctx.email(), expires_in=30 * 86_400)
    return "The team has your question."


@bot.message(when=lambda ctx: ctx.thread is not None)
async def answered(ctx: Context) -> str | None:
    asked = await ctx.state.bot.get(f"question:{ctx.thread}")
    if asked is None:
        return None
    await ctx.bot.say(asked, ctx.text)
    return "Sent."
