"""Commands: the signature of a handler is the grammar of what people type.

    async def deploy(ctx, service: Literal["web", "api"], version: str = "latest", *, force: bool = False): ...

takes `deploy web`, `deploy api 1.2 --force` and `deploy "web"`. Parameters in order take words, `*names` and
`text: Rest` take what is left, keyword-only parameters are options. Conversion and usage come from the annotations.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webex.bots.converters import DoesNotFitError, Rest, check_type, convert, is_rest, shown, without_none
from webex.bots.words import Word, escape_markdown
from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.bots.context import Context
    from webex.bots.text import Said

_EMPTY: Final = inspect.Parameter.empty
_LONGEST_QUOTE: Final = 100  # characters of what a person typed that an answer repeats


class UsageError(Exception):
    """What was typed does not fit the command; the text is for the person who typed it."""


@dataclass(slots=True, frozen=True)
class Parameter:
    """One parameter of a handler."""

    name: str
    annotation: Any
    default: Any = _EMPTY
    is_option: bool = False
    takes_all: bool = False  # `*names`

    @property
    def is_required(self) -> bool:
        """Whether it has to be given."""
        return self.default is _EMPTY and not self.takes_all

    @property
    def is_flag(self) -> bool:
        """Whether it is an option without a value of its own."""
        return self.is_option and without_none(self.annotation) is bool

    @property
    def option(self) -> str:
        """The name of the option as it is typed, without dashes."""
        return self.name.replace("_", "-")

    @property
    def usage(self) -> str:
        """How it stands in the usage line."""
        kind = shown(self.annotation) or self.name.replace("_", "-")
        if self.is_flag:
            return f"[--{self.option}]"
        if self.is_option:
            return f"--{self.option} <{kind}>" if self.is_required else f"[--{self.option} <{kind}>]"
        if self.takes_all:
            return f"[{kind} …]"
        return f"<{kind}>" if self.is_required else f"[{kind}]"


@dataclass(slots=True)
class Command:
    """A command: its names as people type them, its handler, and what the handler takes."""

    names: tuple[str, ...]
    handler: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    help: str = ""
    is_hidden: bool = False
    place: str = ""
    cooldown: float = 0.0  # seconds between two uses by one person

    @property
    def name(self) -> str:
        """The first name."""
        return self.names[0]

    @property
    def usage(self) -> str:
        """The usage line."""
        return " ".join([self.name, *(parameter.usage for parameter in self.parameters)])

    async def arguments(self, ctx: Context, said: Said, words: Sequence[Word]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments for the handler; `UsageError` says which word does not fit, and why."""
        texts, options = self._split(words)
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.is_option:
                named[parameter.name] = await self._option(ctx, parameter, options)
            elif parameter.takes_all:
                positional += [await self._value(ctx, parameter, word) for word in texts]
                texts = []
            elif is_rest(parameter.annotation):
                rest = said.rest(texts[0].start) if texts else ""
                if not rest and parameter.is_required:
                    raise UsageError(f"{parameter.name} is missing.")
                positional.append(Rest(rest) if rest or parameter.is_required else parameter.default)
                texts = []
            elif texts:
                positional.append(await self._value(ctx, parameter, texts.pop(0)))
            elif parameter.is_required:
                raise UsageError(f"{parameter.name} is missing.")
            else:
                positional.append(parameter.default)
        if texts:
            raise UsageError(f'There is more than the command takes: "{_quoted(texts[0].text)}".')
        return positional, named

    def _split(self, words: Sequence[Word]) -> tuple[list[Word], dict[str, Word | None]]:
        """Split words into those in order, and options with their values."""
        known = {parameter.option: parameter for parameter in self.parameters if parameter.is_option}
        takes_rest = any(is_rest(parameter.annotation) for parameter in self.parameters)
        texts: list[Word] = []
        options: dict[str, Word | None] = {}
        left = list(words)
        while left:
            word = left.pop(0)
            if word.quoted or not word.text.startswith("--") or not known:
                texts.append(word)
                continue
            if word.text == "--":
                return texts + left, options
            name, equals, value = word.text[2:].partition("=")
            name = name.lower().replace("_", "-")
            parameter = known.get(name)
            if parameter is None and name.startswith("no-") and name[3:] in known and known[name[3:]].is_flag:
                options[name[3:]] = Word("no", word.start)
            elif parameter is None:
                if takes_rest and texts:
                    texts.append(word)
                    continue
                raise UsageError(
                    f"There is no option --{_quoted(name)}. There are {', '.join(f'--{each}' for each in known)}."
                )
            elif equals:
                options[name] = Word(value, word.start)
            elif parameter.is_flag:
                options[name] = Word("yes", word.start)
            else:
                options[name] = left.pop(0) if left else None
        return texts, options

    async def _option(self, ctx: Context, parameter: Parameter, options: dict[str, Word | None]) -> Any:
        if parameter.option not in options:
            if parameter.is_required:
                raise UsageError(f"--{parameter.option} is missing.")
            return parameter.default
        word = options[parameter.option]
        if word is None:
            raise UsageError(f"--{parameter.option} needs a value.")
        return await self._value(ctx, parameter, word)

    async def _value(self, ctx: Context, parameter: Parameter, word: Word) -> Any:
        try:
            return await convert(ctx, word, parameter.annotation)
        except DoesNotFitError as error:
            raise UsageError(f'{parameter.name}: "{_quoted(word.text)}" does not fit. {error}') from None


def _quoted(text: str) -> str:
    """Return the beginning of what a person typed: the answer is markdown, and the bot's."""
    return escape_markdown(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")


def place_of(function: Callable[..., Any]) -> str:
    """Return the file and line of a function, for errors that are raised while the app is imported."""
    unwrapped = inspect.unwrap(function)
    code = getattr(unwrapped, "__code__", None)
    name = getattr(unwrapped, "__qualname__", repr(unwrapped))
    return f"{name} ({code.co_filename}:{code.co_firstlineno})" if code is not None else name


def parameters_of(function: Callable[..., Any], *, given: int = 1) -> tuple[Parameter, ...]:
    """Return what a handler takes beyond its first `given` parameters (the context); checked.

    `ConfigurationError`, with file and line, for a handler without a context, a type that no word can become, or
    `**options`.
    """
    place = place_of(function)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{place}: a handler is a function that takes the context.") from None
    hints = hints_of(function, place)
    found = list(signature.parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len([each for each in found if each.kind in positional]) < given:
        raise ConfigurationError(f"{place}: a handler takes the context as its first parameter: def {_shown(function)}")
    return tuple(_parameter(each, hints, place) for each in found[given:])


def _parameter(parameter: inspect.Parameter, hints: dict[str, Any], place: str) -> Parameter:
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        raise ConfigurationError(f"{place}: **{parameter.name} can't be filled; name each option.")
    annotation = hints.get(parameter.name, str)
    check_type(annotation, f"{place}, parameter {parameter.name}")
    return Parameter(
        parameter.name,
        annotation,
        parameter.default,
        is_option=parameter.kind is inspect.Parameter.KEYWORD_ONLY,
        takes_all=parameter.kind is inspect.Parameter.VAR_POSITIONAL,
    )


def hints_of(function: Callable[..., Any], place: str) -> dict[str, Any]:
    """Return the annotations of a handler; `ConfigurationError`, with its place, for one that can't be read."""
    try:
        return typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    except NameError as error:
        if "Context" in str(error):  # often imported for type checkers alone
            unwrapped = inspect.unwrap(function)
            names = {**getattr(unwrapped, "__globals__", {}), "Context": Any, "BlockingContext": Any}
            try:
                return typing.get_type_hints(unwrapped, globalns=names, include_extras=True)
            except NameError as second:
                error = second
        raise ConfigurationError(
            f"{place}: an annotation can't be read ({error}). Import its name where the program runs, not under "
            "TYPE_CHECKING."
        ) from None


def _shown(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__name__', 'handler')}(ctx, …)"
