"""Output of commands: tables, or JSON for programs; progress bars on the terminal's standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click

from webex.errors.base import one_line

__all__ = ["confirmed", "json_lines_option", "json_option", "print_result", "progress", "table", "yes_option"]

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
json_lines_option: Final = click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
yes_option: Final = click.option("--yes", is_flag=True, help="Do not ask.")


def print_result(data: Any, text: str, *, as_json: bool) -> None:
    """Print data as JSON, or as text."""
    is_utf8 = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"
    shown = json.dumps(data, indent=2, ensure_ascii=not is_utf8) if as_json else text
    click.echo("\n".join(map(one_line, shown.split("\n"))))


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return rows in columns."""
    texts = [list(titles), *([one_line(str(each)) for each in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(titles))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in texts
    )


@contextmanager
def progress(label: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; the function takes how much of `total` is done by now."""
    if quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr, show_pos=True) as bar:

        def reach(done: int) -> None:
            bar.update(min(done, total) - bar.pos)

        yield reach


def confirmed(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed; without a terminal `--yes` is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} There is no terminal to ask at: add --yes.")
    click.confirm(question, abort=True, err=True)
