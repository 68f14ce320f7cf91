"""Arguments and methods in the spelling of the wire or of the Node SDK: errors that name ours.

`check_arguments` wraps the public methods of a class. Python itself refuses an unknown argument before the method runs,
so the wrapper costs nothing but a call; only after such a refusal it looks for the name that was meant.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeVar

from webex.config.spelling import nearest, snake
from webex.errors import UnknownArgumentError

__all__ = ["check_arguments", "refuse_attribute"]

C = TypeVar("C", bound=type)

# Wire or Node name → ours, where changing the spelling does not find it.
_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "max": ("limit", "page_size"),
    "body": ("markdown", "text"),
    "content": ("markdown", "html", "text"),
    "count": ("limit",),
    "email": ("person_email", "to_person_email"),
    "file": ("files",),
    "html": ("markdown",),
    "id": ("room_id", "message_id", "person_id", "team_id", "webhook_id", "membership_id", "id"),
    "message": ("text", "message_id"),
    "name": ("title", "display_name"),
    "per_page": ("page_size",),
    "person": ("person_id",),
    "room": ("room_id",),
    "to": ("to_person_email", "to_person_id"),
    "url": ("target_url",),
}
_MEANING: Final = {"limit": "how many items in all", "page_size": "how many a page"}
_METHODS: Final = {
    "remove": "delete",
    "del": "delete",
    "edit": "update",
    "fetch": "get",
    "send": "create",
    "post": "create",
    "on": 'listen(), then events.on("created", handler)',
    "once": 'listen(), then events.on("created", handler)',
    "off": "listen(), then await events.stop_listening()",
    "stop_listening": "listen(), then await events.stop_listening()",
}


def check_arguments(cls: C) -> C:
    """Give every public method of the class an error that names our argument for an unknown one."""
    for name, function in list(vars(cls).items()):
        if not name.startswith("_") and inspect.isfunction(function) and not hasattr(function, "_checked"):
            setattr(cls, name, _checked(cls, function))
    return cls


def _checked(cls: type, function: Callable[..., Any]) -> Callable[..., Any]:
    wrapper: Callable[..., Any]
    if inspect.iscoroutinefunction(function) and not hasattr(inspect, "markcoroutinefunction"):

        @functools.wraps(function)
        async def wait(*args: Any, **kwargs: Any) -> Any:
            try:
                call = function(*args, **kwargs)
            except TypeError as error:
                _explain(cls, function, args, kwargs, error)
            return await call

        wrapper = wait
    else:

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except TypeError as error:
                _explain(cls, function, args, kwargs, error)

        wrapper = call
        if inspect.iscoroutinefunction(function):
            wrapper = inspect.markcoroutinefunction(wrapper)  # type: ignore[attr-defined,unused-ignore]  # Python 3.12
    setattr(wrapper, "_checked", True)  # noqa: B010 - a mark of ours
    return wrapper


def _explain(
    cls: type, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], error: TypeError
) -> NoReturn:
    """Raise the error that names our argument, or the one that was raised."""
    if isinstance(error, UnknownArgumentError):
        raise error
    parameters = inspect.signature(function).parameters
    kinds = [parameter.kind for parameter in parameters.values()]
    where = f"{cls.__name__}.{function.__name__}()"
    ours = [name for name, one in parameters.items() if name != "self" and one.kind is not one.VAR_KEYWORD]
    positional = kinds.count(inspect.Parameter.POSITIONAL_ONLY) + kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(args) > positional and isinstance(args[positional], Mapping):
        names = ", ".join(f"{_meant(str(name), ours)[0] if _meant(str(name), ours) else name}=…" for name in args[-1])
        raise UnknownArgumentError(
            f"{where} takes its arguments by name, not in a mapping: {function.__name__}({names})."
        ) from None
    if len(args) > positional and inspect.Parameter.VAR_POSITIONAL not in kinds:
        by_name = [name for name in ours if parameters[name].kind is inspect.Parameter.KEYWORD_ONLY]
        if by_name:
            raise UnknownArgumentError(
                f"{where} takes {'the other' if positional > 1 else 'its'} arguments by name: "
                f"{', '.join(f'{name}=' for name in by_name)}."
            ) from None
    unknown = [name for name in kwargs if name not in ours]
    if not unknown or inspect.Parameter.VAR_KEYWORD in kinds:
        raise error
    raise UnknownArgumentError(f"{where} has no argument {unknown[0]!r}.{_hint(unknown[0], ours)}") from None


def _hint(name: str, ours: list[str]) -> str:
    meant = _meant(name, ours)
    if not meant:
        return f" It has {', '.join(ours)}." if ours else " It takes none."
    if any(one in _MEANING for one in meant):
        return f" Use {' or '.join(f'{one}= ({_MEANING.get(one, one)})' for one in meant)}."
    return f" Use {' or '.join(f'{one}=' for one in meant)}."


def _meant(name: str, ours: list[str]) -> list[str]:
    spelled = snake(name)
    if spelled in ours:
        return [spelled]
    if meant := [one for one in _ARGUMENTS.get(spelled, ()) if one in ours]:
        return meant if spelled in ("max", "to") else meant[:1]
    close = nearest(name, ours)
    if close is None:
        close = next((one for one in ours if spelled.endswith(f"_{one}") or one.endswith(f"_{spelled}")), None)
    return [close] if close else []


def refuse_attribute(owner: Any, name: str, table: Mapping[str, str] | None = None) -> NoReturn:
    """Raise the `AttributeError` for a missing attribute, with our name where it is spelled otherwise."""
    cls = type(owner)
    text = f"{cls.__name__!r} object has no attribute {name!r}"
    if not name.startswith("_"):
        spelled = snake(name)
        known = {**_METHODS, **(table or {})}
        if spelled != name and hasattr(cls, spelled):
            text += f"; it is {spelled!r} here"
        elif (meant := known.get(spelled)) is not None and hasattr(cls, re.split(r"\W", meant)[0]):
            text += f"; use {meant}"
    raise AttributeError(text, name=name, obj=owner)
