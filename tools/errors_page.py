"""Write the list of errors in `docs/errors.md` from the classes: `python -m tools.errors_page [--check]`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import webex
from webex import errors

PAGE = Path(__file__).resolve().parents[1] / "docs" / "errors.md"
BEGIN = "<!-- errors: written by tools/errors_page.py -->\n"
END = "<!-- errors: end -->\n"


def classes() -> list[type[BaseException]]:
    """Every public error, parents before children, in the order of the module."""
    found = [getattr(errors, name) for name in errors.__all__]
    return [one for one in found if isinstance(one, type) and issubclass(one, errors.WebexError)]


def children(parent: type[BaseException], every: list[type[BaseException]]) -> list[type[BaseException]]:
    """The classes right below one, by name; those that have children of their own last."""
    own = [
        one
        for one in every
        if next(base for base in one.__mro__[1:] if base in every or base is one.__mro__[-1]) is parent
    ]
    return sorted(
        own, key=lambda one: (any(issubclass(other, one) and other is not one for other in every), one.__name__)
    )


def tree(parent: type[BaseException], every: list[type[BaseException]], indent: str = "") -> list[str]:
    """The lines of the tree below a class."""
    below = children(parent, every)
    lines = []
    for number, one in enumerate(below, start=1):
        last = number == len(below)
        lines.append(f"{indent}{'└' if last else '├'}── {one.__name__}")
        lines += tree(one, every, indent + ("    " if last else "│   "))
    return lines


def described(one: type[BaseException]) -> str:
    """The first sentence of a class's docstring, as a cell of a table."""
    text = inspect.cleandoc(one.__doc__ or "").split("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


def also(one: type[BaseException]) -> str:
    """The built-in exceptions that an `except` may name for it."""
    built_in = [base for base in one.__bases__ if base.__module__ == "builtins" and base is not Exception]
    return ", ".join(f"`{base.__name__}`" for base in built_in)


def flat(parent: type[BaseException], every: list[type[BaseException]]) -> list[type[BaseException]]:
    """The classes below one in the order of the tree."""
    found = []
    for one in children(parent, every):
        found += [one, *flat(one, every)]
    return found


def written() -> str:
    """The part of the page between the marks."""
    every = classes()
    lines = ["```text", "WebexError", *tree(errors.WebexError, every), "```", ""]
    lines += ["| error | what happened | also a |", "| --- | --- | --- |"]
    for one in flat(errors.WebexError, every):
        name = f"`{one.__name__}`" + (" \\*" if one.__name__ in webex.__all__ else "")
        lines.append(f"| {name} | {described(one)} | {also(one)} |")
    return "\n".join(
        [*lines, "", "Those with a star can be imported from `webex`, all of them from `webex.errors`.", ""]
    )


def main() -> int:
    """Write the page, or say whether it is as it would be written."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        sys.stderr.write(f"{PAGE.name} lacks the marks {BEGIN.strip()} and {END.strip()}\n")
        return 1
    now = f"{before}{BEGIN}\n{written()}\n{END}{after}"
    if "--check" in sys.argv[1:]:
        if now != page:
            sys.stderr.write("docs/errors.md differs from the classes: python -m tools.errors_page\n")
        return int(now != page)
    PAGE.write_text(now, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
