"""Check the shape of what a caller gives, before it is iterated or called: `ConfigurationError` names the argument."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webex.errors import ConfigurationError

__all__ = ["check_function", "items_of"]


def items_of(name: str, given: Any, what: str) -> list[Any]:
    """Return the items of a list or another iterable; a text is none."""
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise ConfigurationError(f"{name} must be a list of {what}, not {type(given).__name__}.")
    return list(given)


def check_function(name: str, given: Any) -> None:
    """Refuse what can't be called."""
    if not callable(given):
        raise ConfigurationError(f"{name} must be a function, not {type(given).__name__}.")
