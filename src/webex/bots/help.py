"""The help of a bot, out of the names, signatures and docstrings of its commands."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webex.bots.commands import Command
    from webex.bots.context import Context
    from webex.bots.router import Entry, Router


async def overview(router: Router, ctx: Context) -> str:
    """Return the list of commands that this person may use."""
    lines = []
    for command in router.commands:
        entry = router.handlers.commands[command.name.casefold()]
        if await is_shown(entry, ctx):
            lines.append(f"- **{command.name}**{_after(command)}")
    if not lines:
        return "I have no commands for you."
    return "I can do this:\n\n" + "\n".join(lines)


def of_command(command: Command) -> str:
    """Return how one command is used."""
    names = f" (also: {', '.join(command.names[1:])})" if len(command.names) > 1 else ""
    text = f"{command.help}\n\n" if command.help else ""
    return f"{text}Usage: `{command.usage}`{names}"


async def unknown(router: Router, ctx: Context) -> str:
    """Return what is said to a message that nothing handles."""
    words = ctx.text.split(maxsplit=1)
    names = {command.name.casefold(): command for command in router.commands}
    meant = ""
    for name in difflib.get_close_matches(words[0].casefold() if words else "", names, 1):
        if await is_shown(router.handlers.commands[name], ctx):
            meant = f" Did you mean **{name}**?"
    return f"I don't know what to do with that.{meant} Say **help** for what I can do."


def _after(command: Command) -> str:
    return f": {command.help}" if command.help else ""


async def is_shown(entry: Entry, ctx: Context) -> bool:
    """Whether the help tells this person of a command: it is not hidden, and they may use it."""
    if entry.command is None or entry.command.is_hidden:
        return False
    for rule in entry.rules:
        if not await rule.allows(ctx):
            return False
    return True
