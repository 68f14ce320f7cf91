"""Keep the callbacks of a subscription by name, and call them: for its events, and for its connection."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from webex.errors import ConfigurationError

_logger = logging.getLogger("webex.realtime")


@dataclass(slots=True, eq=False)
class _Entry:
    function: Callable[[Any], Any]
    once: bool


class Handlers:
    """Callbacks by name, plain or asynchronous. They may add and remove handlers while they run."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, list[_Entry]] = {}

    def __bool__(self) -> bool:
        return any(self._entries.values())

    def has(self, name: str) -> bool:
        """Return whether there is a handler of this name."""
        return bool(self._entries.get(name))

    def add(self, name: str, function: Callable[[Any], Any], *, once: bool) -> None:
        """Call `function` each time that this name is called, or the next time only."""
        check_handler(function)
        self._entries.setdefault(name, []).append(_Entry(function, once))

    def remove(self, name: str, function: Callable[[Any], Any] | None = None) -> None:
        """Remove `function`; without one, every handler of this name."""
        entries = self._entries.get(name, [])
        entries[:] = [entry for entry in entries if function is not None and entry.function != function]

    def clear(self) -> None:
        """Remove every handler."""
        for entries in self._entries.values():
            entries.clear()

    async def call(self, name: str, argument: Any, what: str) -> bool:
        """Call the handlers of a name one after the other; return whether all of them succeeded.

        One that raises is logged as a handler of `what`, and the next one is called. One that was removed meanwhile is
        not called.
        """
        succeeded = True
        entries = self._entries.get(name, [])
        for entry in tuple(entries):
            if entry not in entries:
                continue
            if entry.once:
                entries.remove(entry)
            try:
                result = entry.function(argument)
                if inspect.isawaitable(result):
                    await result
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                _logger.warning("a handler of %s was cancelled", what)
                succeeded = False
            except Exception:
                _logger.exception("a handler of %s failed", what)
                succeeded = False
        return succeeded


def check_handler(function: Any) -> None:
    """Raise `ConfigurationError` for what can't be called."""
    if not callable(function):
        hint = ": on(event, handler), and listen(…) says of which resources" if isinstance(function, str) else ""
        raise ConfigurationError(f"A handler is a function that takes the event, not {function!r}{hint}.")
