"""Handlers and what they are for. A bot is a router; `bot.include(router)` takes another one's handlers over."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from webex.bots.buttons import name_of
from webex.bots.commands import Command, Parameter, parameters_of, place_of
from webex.bots.converters import is_rest
from webex.bots.dialogs import Dialog, Dialogs
from webex.bots.forms import Form, fields_of
from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import timedelta

    from webex.bots.allow import Rule
    from webex.bots.words import Word

F = TypeVar("F", bound=Callable[..., Any])
D = TypeVar("D", bound=type[Dialog])

_EVENTS: Final = {
    "messages": ("created", "updated", "deleted"),
    "rooms": ("created", "updated", "migrated"),
    "memberships": ("created", "updated", "deleted", "seen"),
    "attachmentActions": ("created",),
    "reactions": ("created", "deleted"),
}


@dataclass(slots=True)
class Entry:
    """One handler: what it is for, and the rules that it and its router have."""

    handler: Callable[..., Any]
    allow: Rule | None = None
    when: Callable[..., Any] | None = None
    routers: tuple[Router, ...] = ()  # the innermost first
    pattern: re.Pattern[str] | Callable[[str], Any] | None = None
    parameters: tuple[Parameter, ...] = ()
    command: Command | None = None
    form: type[Form] | None = None

    @property
    def rules(self) -> list[Rule]:
        """All rules that have to allow it."""
        found = [self.allow, *(router.allow for router in self.routers)]
        return [rule for rule in found if rule is not None]

    @property
    def conditions(self) -> list[Callable[..., Any]]:
        """All conditions that have to hold; where one does not, the next handler is looked for."""
        found = [self.when, *(router.when for router in self.routers)]
        return [condition for condition in found if condition is not None]


@dataclass(slots=True)
class _Handlers:
    commands: dict[str, Entry] = field(default_factory=dict)
    messages: list[Entry] = field(default_factory=list)
    forms: dict[str, Entry] = field(default_factory=dict)
    buttons: dict[str, Entry] = field(default_factory=dict)
    events: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)


class Router:
    """A set of handlers with rules of its own: `allow` for who may use them, `when` for when they count."""

    def __init__(self, *, allow: Rule | None = None, when: Callable[..., Any] | None = None) -> None:
        self.allow: Rule | None = allow
        self.when: Callable[..., Any] | None = when
        self.handlers: _Handlers = _Handlers()
        self.middlewares: list[Callable[..., Any]] = []
        self.error_handlers: list[Callable[..., Any]] = []
        self.dialogs: Dialogs = Dialogs(self)

    # Registering

    def command(
        self,
        name: str,
        *,
        aliases: Iterable[str] = (),
        help: str | None = None,
        allow: Rule | None = None,
        when: Callable[..., Any] | None = None,
        hidden: bool = False,
        cooldown: timedelta | None = None,
    ) -> Callable[[F], F]:
        """Register a command: `@bot.command("deploy", aliases=["ship"])`. Its name may be several words.

        The handler's signature is the grammar, the first line of its docstring the help. `allow` is who may use it;
        `when(ctx)` may say that it does not count now; `hidden` leaves it out of the help. A person
        who used it less than `cooldown` ago is told how long to wait.
        `ConfigurationError`, with file and line, for a name that is taken or a parameter that no word can become.
        """
        names = tuple(" ".join(each.split()) for each in (name, *aliases))

        def register(function: F) -> F:
            place = place_of(function)
            parameters = parameters_of(function)
            _check_order(parameters, place)
            text = help if help is not None else (inspect.getdoc(function) or "").partition("\n")[0]
            seconds = 0.0 if cooldown is None else cooldown.total_seconds()
            if seconds < 0:
                raise ConfigurationError(f"{place}: cooldown is {cooldown}; it is a time above zero.")
            command = Command(names, function, parameters, text, hidden, place, seconds)
            entry = Entry(function, allow, when, (self,), parameters=parameters, command=command)
            for each in names:
                if not each:
                    raise ConfigurationError(f"{place}: the name of a command is not empty.")
                self._add_command(each, entry)
            return function

        return register

    def message(
        self,
        pattern: re.Pattern[str] | str | Callable[[str], Any] | None = None,
        *,
        allow: Rule | None = None,
        when: Callable[..., Any] | None = None,
    ) -> Callable[[F], F]:
        """Register a handler for messages that are no command: of a pattern, of a function of the text, or all.

        Named groups of the pattern become parameters: `r"ticket (?P<number>[0-9]+)"` for `number: int`.
        """
        compiled = re.compile(pattern, re.IGNORECASE) if isinstance(pattern, str) else pattern

        def register(function: F) -> F:
            parameters = parameters_of(function)
            if isinstance(compiled, re.Pattern):
                missing = [
                    each.name for each in parameters if each.is_required and each.name not in compiled.groupindex
                ]
            else:
                missing = [each.name for each in parameters if each.is_required]
            if missing:
                raise ConfigurationError(f"{place_of(function)}: the pattern has no group (?P<{missing[0]}>…).")
            self.handlers.messages.append(
                Entry(function, allow, when, (self,), pattern=compiled, parameters=parameters)
            )
            return function

        return register

    def form(self, form: type[Form], *, allow: Rule | None = None) -> Callable[[F], F]:
        """Register the handler of what is submitted with a form, outside of a dialog: `async def f(ctx, form)`."""
        fields_of(form)

        def register(function: F) -> F:
            _check_second(function, "the form")
            self._add(self.handlers.forms, form.__qualname__, Entry(function, allow, None, (self,), form=form), "form")
            return function

        return register

    @overload
    def button(self, function: F) -> F: ...

    @overload
    def button(self, *, allow: Rule | None = None) -> Callable[[F], F]: ...

    def button(self, function: Callable[..., Any] | None = None, *, allow: Rule | None = None) -> Any:
        """Register a function that buttons may name: `@bot.button`; its parameters are what the button carries."""

        def register(function: F) -> F:
            entry = Entry(function, allow, None, (self,), parameters=parameters_of(function))
            self._add(self.handlers.buttons, name_of(function), entry, "button")
            return function

        return register if function is None else register(function)

    def event(
        self, resource: str, event: str, *, allow: Rule | None = None, when: Callable[..., Any] | None = None
    ) -> Callable[[F], F]:
        """Register a handler for any other event: `@bot.event("messages", "updated")`.

        `("messages", "created")` are the messages that no command and no pattern takes.
        """
        if resource not in _EVENTS:
            raise ConfigurationError(f"There is no resource {resource!r}. Resources are {', '.join(_EVENTS)}.")
        if event not in _EVENTS[resource]:
            known = ", ".join(_EVENTS[resource])
            raise ConfigurationError(f"There is no event {event!r} of {resource}. Events are {known}.")

        def register(function: F) -> F:
            _check_context(function)
            self.handlers.events.setdefault((resource, event), []).append(Entry(function, allow, when, (self,)))
            return function

        return register

    def joined(self, function: F) -> F:
        """Register what happens when the bot comes into a room; `ctx.person` is who added it."""
        return self._of_bot("created", function)

    def left(self, function: F) -> F:
        """Register what happens when the bot was removed from a room."""
        return self._of_bot("deleted", function)

    def dialog(self, cls: D) -> D:
        """Register a dialog: `@bot.dialog` above its class."""
        self.dialogs.add(cls)
        return cls

    def middleware(self, function: F) -> F:
        """Run around every handler: `async def f(ctx, call_next)`, which returns `await call_next(ctx)`."""
        if not inspect.iscoroutinefunction(function):
            raise ConfigurationError(f"{place_of(function)}: a middleware is async def f(ctx, call_next).")
        self.middlewares.append(function)
        return function

    def error(self, function: F) -> F:
        """Handle what a handler raises: `async def f(ctx, error)`; the router's own first, then the bot's."""
        _check_second(function, "the error")
        self.error_handlers.append(function)
        return function

    def include(self, router: Router) -> None:
        """Take over the handlers of another router, with its rules."""
        for names, kind in ((router.handlers.forms, "form"), (router.handlers.buttons, "button")):
            own = self.handlers.forms if kind == "form" else self.handlers.buttons
            for name, entry in names.items():
                self._add(own, name, self._outer(entry), kind)
        taken: dict[int, Entry] = {}  # one entry for all names of a command
        for name, entry in router.handlers.commands.items():
            self._add_command(name, taken.setdefault(id(entry), self._outer(entry)))
        self.handlers.messages += [self._outer(entry) for entry in router.handlers.messages]
        for key, entries in router.handlers.events.items():
            self.handlers.events.setdefault(key, []).extend(self._outer(entry) for entry in entries)
        self.dialogs.include(router.dialogs)

    # Finding

    def find_command(self, words: Sequence[Word]) -> tuple[Entry, int] | None:
        """Return the command that the words begin with, the longest name first, and the number of its words."""
        most = max((name.count(" ") + 1 for name in self.handlers.commands), default=0)
        for count in range(min(most, len(words)), 0, -1):
            name = " ".join(word.text for word in words[:count]).casefold()
            entry = self.handlers.commands.get(name) or self.handlers.commands.get(name.removeprefix("/"))
            if entry is not None and not any(word.quoted for word in words[:count]):
                return entry, count
        return None

    @property
    def commands(self) -> list[Command]:
        """The commands that are not hidden, in the order in which they were registered."""
        entries = {id(entry): entry for entry in self.handlers.commands.values()}
        return [entry.command for entry in entries.values() if entry.command and not entry.command.is_hidden]

    def _of_bot(self, event: str, function: F) -> F:
        def is_own(ctx: Any) -> bool:
            return bool(ctx.bot.is_own(getattr(ctx.happening.data, "person_id", None)))

        _check_context(function)
        entry = Entry(function, None, is_own, (self,))
        self.handlers.events.setdefault(("memberships", event), []).append(entry)
        return function

    def _outer(self, entry: Entry) -> Entry:
        made = Entry(entry.handler, entry.allow, entry.when, (*entry.routers, self), entry.pattern, entry.parameters)
        made.command, made.form = entry.command, entry.form
        return made

    def _add_command(self, name: str, entry: Entry) -> None:
        self._add(self.handlers.commands, name.casefold(), entry, "command")

    @staticmethod
    def _add(known: dict[str, Entry], name: str, entry: Entry, kind: str) -> None:
        other = known.get(name)
        if other is not None and other.handler is not entry.handler:
            raise ConfigurationError(
                f"There are two handlers of the {kind} {name!r}: {place_of(other.handler)} and "
                f"{place_of(entry.handler)}."
            )
        known[name] = entry


def _check_order(parameters: Sequence[Parameter], place: str) -> None:
    """Raise `ConfigurationError` for parameters that could never be filled."""
    ends = None
    for parameter in parameters:
        if parameter.is_option:
            continue
        if ends is not None:
            raise ConfigurationError(f"{place}: {ends} takes all that is left, so nothing can follow it.")
        if parameter.takes_all or is_rest(parameter.annotation):
            ends = parameter.name


def _check_context(function: Callable[..., Any]) -> None:
    found = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    if len(found) != 1:
        raise ConfigurationError(f"{place_of(function)}: this handler takes the context and nothing else.")


def _check_second(function: Callable[..., Any], what: str) -> None:
    found = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    if len(found) != 2:
        raise ConfigurationError(f"{place_of(function)}: this handler takes the context and {what}.")
