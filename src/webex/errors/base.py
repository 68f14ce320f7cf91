"""The root of the tree, and what a wrong setting raises."""

from __future__ import annotations

import re
from typing import Any, Final

# What others may have put into a text: it ends a line, moves the cursor, turns the direction, or can't be encoded.
_UNSHOWN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def one_line(text: str) -> str:
    """Return a text for a log or a terminal, with the control characters in it escaped as in JSON."""
    if text.isprintable():
        return text
    return _UNSHOWN.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}", text)


class WebexError(Exception):
    """Base class of every error that the SDK raises on purpose.

    Errors can be pickled and copied with all their attributes, also those of subclasses with other constructors.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args), object.__getstate__(self)

    def __setstate__(self, state: Any) -> None:
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        for name, value in {**(attributes or {}), **(slots or {})}.items():
            object.__setattr__(self, name, value)


class ConfigurationError(WebexError):
    """A setting is missing, wrong or contradicts another; says which, where it was looked for and how to set it."""


class MissingExtraError(ConfigurationError, ModuleNotFoundError):
    """A package of an optional part (`webex[emulator]`, `webex[fastapi]`) is not installed. Also an `ImportError`."""

    def __reduce__(self) -> tuple[Any, ...]:
        made, args, state = super().__reduce__()
        return made, args, {**(state or {}), "name": self.name}


class UnknownArgumentError(ConfigurationError, TypeError):
    """A call got an argument that it does not have; names the nearest one. Also a `TypeError`."""


def _made_again(cls: type[WebexError], args: tuple[Any, ...]) -> WebexError:
    """Make an error again without its constructor, whose arguments are not those that `Exception` remembers."""
    error = cls.__new__(cls, *args)
    error.args = args
    return error
