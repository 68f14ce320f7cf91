"""From a word to the type of a parameter: what a parameter's annotation takes, and how it is explained to people."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from datetime import time
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, NewType, Union, get_args, get_origin

import msgspec

from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.bots.context import Context
    from webex.bots.words import Word

Rest = NewType("Rest", str)
"""The rest of what was said, as it was written: `text: Rest`."""


class DoesNotFitError(Exception):
    """A word does not fit its parameter; the text is for the person who typed it."""


class Person(msgspec.Struct, frozen=True):
    """A person that a command names: by a mention (`id`) or an address (`email`)."""

    id: str | None = None
    email: str | None = None
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.email or self.id or ""

    @classmethod
    async def from_word(cls, ctx: Context, word: Word) -> Person:
        """Take a mention or an e-mail address."""
        if word.mention is not None and word.mention.id is not None:
            return cls(id=word.mention.id, name=word.mention.text)
        text = word.text.strip("<>,;")
        if "@" in text.strip("@") and " " not in text:
            return cls(email=text, name=text)
        raise DoesNotFitError("Mention a person, or give an e-mail address.")


class Room(msgspec.Struct, frozen=True):
    """A room that a command names, by its id or its exact title."""

    id: str
    title: str = ""

    @classmethod
    async def from_text(cls, ctx: Context, text: str) -> Room:
        """Take the id of a room that the bot is in, or its title."""
        found = None
        async for room in ctx.async_client.rooms.list():
            if room.id == text:
                return cls(room.id or "", room.title or "")
            if (room.title or "").casefold() == text.casefold():
                if found is not None:
                    raise DoesNotFitError("Several rooms have that title; give the id of one.")
                found = cls(room.id or "", room.title or "")
        if found is None:
            raise DoesNotFitError("There is no room of that title here.")
        return found


_SENTENCES: Final = {
    "int": "It is a whole number.",
    "float": "It is a number.",
    "Decimal": "It is a number.",
    "bool": "It is yes or no.",
    "date": "It is a date like 2026-01-31.",
    "time": "It is a time like 14:30.",
    "datetime": "It is a moment like 2026-01-31T14:30:00Z.",
    "timedelta": "It is a duration like PT1H30M.",
    "UUID": "It is a UUID.",
}
_YES: Final = frozenset({"yes", "y", "true", "on", "1"})
_NO: Final = frozenset({"no", "n", "false", "off", "0"})
_SCALARS: Final = (
    msgspec.inspect.StrType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.BoolType,
    msgspec.inspect.DecimalType,
    msgspec.inspect.DateType,
    msgspec.inspect.TimeType,
    msgspec.inspect.DateTimeType,
    msgspec.inspect.TimeDeltaType,
    msgspec.inspect.UUIDType,
    msgspec.inspect.LiteralType,
    msgspec.inspect.EnumType,
    msgspec.inspect.NoneType,
    msgspec.inspect.AnyType,
)


def check_type(annotation: Any, place: str) -> None:
    """Raise `ConfigurationError` for a type that no word can be turned into."""
    if is_rest(annotation) or _reader_of(annotation) is not None:
        return
    try:
        info = msgspec.inspect.type_info(annotation)
    except Exception as error:
        raise ConfigurationError(f"{place}: no word can become {annotation!r} ({error}).") from None
    kinds: Iterable[Any] = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    for kind in kinds:
        if not isinstance(kind, _SCALARS):
            raise ConfigurationError(
                f"{place}: no word can become {_name(annotation)}. Take str, int, float, bool, a date, a time, a "
                "Literal, an Enum, Person, Room, Rest, or a class with `async def from_text(cls, ctx, text)`."
            )


async def convert(ctx: Context, word: Word, annotation: Any) -> Any:
    """Return the value of a word; `DoesNotFitError` says in a sentence what is expected."""
    reader = _reader_of(annotation)
    if reader is not None:
        return await reader(ctx, word)
    return from_text(word.text, annotation)


def from_text(text: str, annotation: Any) -> Any:
    """Return the value of a text; `DoesNotFitError` says in a sentence what is expected."""
    bare = without_none(annotation)
    choices = choices_of(bare)
    if choices is not None:
        for value, shown in choices:
            if shown.casefold() == text.casefold():
                return value
        raise DoesNotFitError(f"It is one of {', '.join(shown for _, shown in choices)}.")
    if bare is bool:
        lower = text.casefold()
        if lower in _YES or lower in _NO:
            return lower in _YES
        raise DoesNotFitError(_SENTENCES["bool"])
    if bare is time:  # an input gives hours and minutes alone, which msgspec does not take
        try:
            return time.fromisoformat(text)
        except ValueError:
            raise DoesNotFitError(_SENTENCES["time"]) from None
    try:
        return msgspec.convert(text, bare, strict=False)
    except msgspec.ValidationError as error:
        raise DoesNotFitError(sentence(str(error), bare)) from None


def sentence(problem: str, annotation: Any) -> str:
    """Return what is wrong with a value as a sentence for people, from the text of msgspec's error."""
    told = problem.partition(" - at ")[0]
    for start, words in (
        ("Expected `int` >= ", "It is at least {}."),
        ("Expected `int` > ", "It is more than {}."),
        ("Expected `int` <= ", "It is at most {}."),
        ("Expected `int` < ", "It is less than {}."),
        ("Expected `float` >= ", "It is at least {}."),
        ("Expected `float` > ", "It is more than {}."),
        ("Expected `float` <= ", "It is at most {}."),
        ("Expected `float` < ", "It is less than {}."),
        ("Expected `str` of length >= ", "It has at least {} characters."),
        ("Expected `str` of length <= ", "It has at most {} characters."),
        ("Expected `str` matching regex ", "It does not have the form that is asked for."),
        ("Expected `int` that's a multiple of ", "It is a multiple of {}."),
    ):
        if told.startswith(start):
            return words.format(told[len(start) :])
    bare = without_none(annotation)
    if get_origin(bare) is not None and hasattr(bare, "__metadata__"):
        bare = get_args(bare)[0]
    return _SENTENCES.get(getattr(bare, "__name__", ""), "It does not fit.")


def choices_of(annotation: Any) -> list[tuple[Any, str]] | None:
    """Return the values of a Literal or an Enum, each with the text that is shown; None for another type."""
    annotation = without_none(annotation)
    if hasattr(annotation, "__metadata__"):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return [(value, str(value)) for value in get_args(annotation)]
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        return [(member, str(member.value)) for member in annotation]
    return None


def without_none(annotation: Any) -> Any:
    """Return the type without `| None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        left = [part for part in get_args(annotation) if part is not types.NoneType]
        if len(left) == 1:
            return left[0]
    return annotation


def shown(annotation: Any) -> str:
    """Return the type as the usage line shows it: the choices, or nothing."""
    choices = choices_of(annotation)
    return "|".join(text for _, text in choices) if choices and len(choices) <= 8 else ""


def _reader_of(annotation: Any) -> Callable[[Any, Word], Any] | None:
    bare = without_none(annotation)
    from_word = getattr(bare, "from_word", None)
    if from_word is not None:
        return from_word  # type: ignore[no-any-return]  # a class method of Person's kind
    of_text = getattr(bare, "from_text", None)
    if of_text is None:
        return None

    async def read(ctx: Any, word: Word) -> Any:
        result = of_text(ctx, word.text)
        return await result if inspect.isawaitable(result) else result

    return read


def _name(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)


def is_rest(annotation: Any) -> bool:
    """Whether a parameter takes the rest of what was said."""
    return without_none(annotation) is Rest
