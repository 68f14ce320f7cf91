"""Groups of commands: a misspelled command gets a suggestion, and errors of the SDK are printed without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import click

from webex.errors import WebexError

__all__ = ["ReportingGroup", "SuggestingGroup", "suggestion"]


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return what an error adds for a misspelled name: the nearest one, else all."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."


class SuggestingGroup(click.Group):
    """A group whose error for an unknown command says which one may be meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with a suggestion."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"No such command {args[0]!r}: {suggestion(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


class ReportingGroup(SuggestingGroup):
    """A group whose commands end with the message of an error of the SDK, or of an import that failed."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (WebexError, ImportError) as error:
            raise click.ClickException(str(error)) from None
