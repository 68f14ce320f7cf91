"""The root of the tree, and what a wrong setting raises."""

from __future__ import annotations

from typing import Any


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
