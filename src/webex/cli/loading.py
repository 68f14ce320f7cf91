"""Import the bot or fleet that a command line names as `module:name`, and say what is wrong with a name."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TypeVar

import click

from webex.errors import WebexError
from webex.importing import NoSuchNameError, import_named

__all__ = ["load_object"]

T = TypeVar("T")


def load_object(target: str, kind: type[T], *, default: str, command: str, more: str = "") -> T:
    """Import `module:name`; without a name it is `default`. A click error says what is missing, or why it can't be.

    `command` is what the user has typed before the name, `more` ends the message for a module that is not there. Errors
    of the SDK are let through, and so is every other error of the module itself, but failed imports.
    """
    module_name, _, name = target.partition(":")
    name = name or default
    try:
        found = import_named(f"{module_name}:{name}")
    except NoSuchNameError as error:
        if error.module is None:
            raise click.ClickException(_no_module(module_name, name, command, more)) from None
        found = None
    except ImportError as error:
        if isinstance(error, WebexError):
            raise
        raise click.ClickException(f"{module_name} can't be imported: {error}{_place(error)}") from None
    if isinstance(found, kind):
        return found
    others = [each for each, value in vars(sys.modules[module_name]).items() if isinstance(value, kind)]
    hint = f" It has {', '.join(others)}." if others else ""
    raise click.ClickException(f"{module_name} has no {kind.__name__.lower()} {name!r}.{hint}")


def _no_module(module_name: str, name: str, command: str, more: str) -> str:
    if module_name.endswith(".py") and os.path.isfile(module_name):
        dotted = module_name.removesuffix(".py").replace(os.sep, ".")
        return f"{module_name!r} is a file; name the module: {command} {dotted}:{name}"
    told = f"There is no module {module_name!r} in {os.getcwd()}. Name it: {command} MODULE:NAME."
    return f"{told} {more}" if more else told


def _place(error: ImportError) -> str:
    """Return where the app's code was when an import failed."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "importlib" not in each.filename]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
