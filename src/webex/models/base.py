"""What all models are: structs with snake_case names that also keep the JSON that they came from.

A call never fails because the cloud's types differ from its description: the fast path is strict, and what does not fit
is decoded leniently, the odd value kept as it came, with one debug log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, KeysView, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self, TypeVar, get_type_hints

import msgspec

from webex.errors import DecodeError
from webex.http.codec import encode_json, not_json, read_json, without_lone_surrogates

if TYPE_CHECKING:
    from webex.http.types import Response

_logger = logging.getLogger("webex.api")

# Aware; a naive moment counts as UTC. One that can't be read stays the text that came.
Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]

_SECRET: Final = ("secret", "token", "password")
_LONGEST: Final = 60
_SMALL_PAGE: Final = 64 * 1024  # bytes

# What reading JSON from elsewhere may raise: too deep, no UTF-8, a number out of range, or no JSON at all.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)

# The default of an id that every answer has: its type is `str`, and None only where an answer breaks the rule.
ABSENT: Final[Any] = None

M = TypeVar("M", bound="Model")


class Model(msgspec.Struct, rename="camel", kw_only=True, dict=True):
    """A thing that the cloud answered with. Fields that did not come are None; `is_set` tells them from a null.

    `model["wireName"]` and `extra` read what the description does not know.
    """

    _decoders: ClassVar[dict[type[Any], Any]] = {}

    def is_set(self, name: str) -> bool:
        """Whether the field came with the answer (even as null); its Python name or its name on the wire."""
        names = _wire_names(type(self))
        wire = names.get(name, name)
        if wire in (self._came() or {}):
            return True
        attribute = next((own for own, on_wire in names.items() if on_wire == wire), None)
        return attribute is not None and getattr(self, attribute) is not None

    @property
    def extra(self) -> dict[str, Any]:
        """The fields that came and that this model has no name for, under their names on the wire."""
        known = set(_wire_names(type(self)).values())
        return {name: value for name, value in (self._came() or {}).items() if name not in known}

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name on the wire or in Python, as plain data; `KeyError` when it is not there."""
        data = self.to_dict()
        return data[name if name in data else _wire_names(type(self)).get(name, name)]

    def keys(self) -> KeysView[str]:
        """Return the names of `to_dict()`; with them, `dict(model)` and `{**model}` work."""
        return self.to_dict().keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __contains__(self, name: object) -> bool:
        data = self.to_dict()
        return name in data or (isinstance(name, str) and _wire_names(type(self)).get(name) in data)

    def to_json(self) -> str:
        """Return the JSON of `to_dict()`."""
        return encode_json(self.to_dict()).decode()

    def to_dict(self) -> dict[str, Any]:
        """Plain data with the names of the wire: what came, also what is unknown here, with what was changed since."""
        came = self._came()
        result = dict(came or {})
        before = None if came is None else _fitted(type(self), came)
        for name, wire in _wire_names(type(self)).items():
            value = getattr(self, name)
            if before is None:
                if value is not None:
                    result[wire] = _plain(value)
            elif value != getattr(before, name):
                result[wire] = _plain(value)
        return result

    def _came(self) -> dict[str, Any] | None:
        """Return what the model was made of; None for one that the program made itself."""
        kept = self.__dict__.get("_raw")
        if isinstance(kept, dict) or kept is None:
            return kept
        if isinstance(kept, tuple):
            page, index = kept
            kept = vars(self)["_raw"] = page.item(index)
        try:
            decoded: dict[str, Any] = read_json(kept)
        except _UNREADABLE as error:
            raise DecodeError(
                f"The unknown fields of a {type(self).__name__} can't be read ({type(error).__name__})."
            ) from None
        return decoded

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            wire = next((own for own, on_wire in _wire_names(type(self)).items() if on_wire == name), None)
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if wire is not None:
                text += f"; it is {wire!r} here"
            elif not name.startswith("_") and name in (self._came() or {}):
                text += f"; the cloud sent a field of this name: [{name!r}]"
            raise AttributeError(text, name=name, obj=self)

    def __repr__(self) -> str:
        shown = [f"{name}={_shown(name, value)}" for name, value in self._fields()]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show every field whole in a terminal with rich, but no secret."""
        return [(name, _Hidden() if _is_secret(name) else value) for name, value in self._fields()]

    def _repr_html_(self) -> str:
        return html_table([self], type(self).__name__)

    def _fields(self) -> Iterator[tuple[str, Any]]:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None:
                yield name, value

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.to_dict())

    def __copy__(self) -> Self:
        return type(self).from_dict(self.to_dict())

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make a model of plain data with the names of the wire; values of other types than described are kept.

        `ConfigurationError` for what JSON can't hold.
        """
        return from_json(cls, encode_json(data))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let FastAPI and pydantic take and give this model."""
        from webex.models.pydantic_schema import core_schema_of

        return core_schema_of(cls)


class _Hidden:
    def __repr__(self) -> str:
        return "…"


def _is_secret(name: str) -> bool:
    return any(word in name for word in _SECRET)


def _shown(name: str, value: Any, most: int = _LONGEST) -> str:
    """Format a field's value for display: short, but ids are whole, because they are there to be copied."""
    if _is_secret(name):
        return "…"
    text = repr(value)
    if len(text) <= most or name == "id" or name.endswith("_id"):
        return text
    return text[: most - 1] + "…"


def html_table(models: Sequence[Model], title: str) -> str:
    """Format a table for notebooks: one model field by field, several row by row."""
    rows = [{name: _shown(name, value, 200) for name, value in model._fields()} for model in models]
    if len(rows) == 1:
        lines: list[tuple[str, ...]] = list(rows[0].items())
    else:
        names = list(dict.fromkeys(name for row in rows for name in row))
        lines = [tuple(names), *(tuple(row.get(name, "") for name in names) for row in rows)]
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<table><caption>{escape(title)}</caption>{body}</table>"


def _plain(value: Any) -> Any:
    """Models within as plain data, moments as text."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return msgspec.to_builtins(value)


def _rebuilt(cls: type[M], data: dict[str, Any]) -> M:
    return cls.from_dict(data)


_names: dict[type[Any], dict[str, str]] = {}


def _wire_names(cls: type[Any]) -> dict[str, str]:
    """Python name → name on the wire."""
    names = _names.get(cls)
    if names is None:
        names = _names[cls] = dict(zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True))
    return names


_strict: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def prepare(*classes: type[Any]) -> msgspec.json.Decoder[Any]:
    """Make the decoders of models; gives the last one.

    Done while the module of the models is imported, which one thread does alone: msgspec fails when two threads make
    the first decoder of a struct together.
    """
    for cls in classes:
        _strict[cls] = msgspec.json.Decoder(cls)
    return _strict[classes[-1]]


def from_json(cls: type[M], raw: bytes | msgspec.Raw, response: Response | None = None) -> M:
    """Make a model of one JSON object; `DecodeError` when it is no object at all."""
    decoder = _strict.get(cls) or prepare(cls)
    try:
        model: M = decoder.decode(raw)
    except msgspec.ValidationError as error:
        model = _lenient(cls, raw, error, response)
    except _UNREADABLE as error:
        repaired = without_lone_surrogates(bytes(raw))
        if repaired is None:
            raise _unreadable(f"A {cls.__name__} can't be read.", raw, error, response) from None
        return from_json(cls, repaired, response)
    vars(model)["_raw"] = bytes(raw)
    return model


def from_data(cls: type[M], data: dict[str, Any]) -> M:
    """Make a model of plain data with the names of the wire, which it keeps."""
    try:
        model = msgspec.convert(data, cls)
    except (msgspec.ValidationError, RecursionError):
        return _fitted(cls, data)
    vars(model)["_raw"] = data
    return model


def _lenient(cls: type[M], raw: bytes | msgspec.Raw, why: Exception, response: Response | None) -> M:
    try:
        data = read_json(raw)
    except _UNREADABLE:
        data = None
    if not isinstance(data, dict):
        raise _unreadable(f"A {cls.__name__} in the answer is no JSON object.", b"{", why, response)
    _logger.debug("a %s came with other types than described: %s", cls.__name__, why)
    return _fitted(cls, data)


def _fitted(cls: type[M], data: dict[str, Any]) -> M:
    types = _hints(cls)
    values: dict[str, Any] = {}
    for name, wire in _wire_names(cls).items():
        if wire in data:
            values[name] = _converted(data[wire], types[name])
    model = cls(**values)
    vars(model)["_raw"] = data
    return model


_hint_cache: dict[type[Any], dict[str, Any]] = {}


def _hints(cls: type[Any]) -> dict[str, Any]:
    hints = _hint_cache.get(cls)
    if hints is None:
        hints = _hint_cache[cls] = get_type_hints(cls, include_extras=True)
    return hints


def _converted(value: Any, kind: Any) -> Any:
    """Convert a value to the type as near as possible: naive moments are UTC, the rest stays as it came."""
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError, ValueError, OverflowError):
        pass
    inner = _model_in(kind)
    if inner is not None:
        if isinstance(value, dict):
            return _fitted(inner, value)
        if isinstance(value, list):
            return [_fitted(inner, item) if isinstance(item, dict) else item for item in value]
    if isinstance(value, str) and "datetime" in str(kind):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return value


def _model_in(kind: Any) -> type[Any] | None:
    if isinstance(kind, type) and issubclass(kind, Model):
        return kind
    for argument in getattr(kind, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


class _Page(msgspec.Struct):
    items: list[msgspec.Raw] | None = None


_page = msgspec.json.Decoder(_Page)
_whole_pages: dict[type[Any], msgspec.json.Decoder[Any]] = {}


class _Kept:
    """What the items of one page were made of; cut into items when one of them is asked."""

    __slots__ = ("_content", "_items")

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._items: list[msgspec.Raw] | None = None

    def item(self, index: int) -> bytes:
        """Return the JSON of one item."""
        if self._items is None:
            self._items = _page.decode(self._content).items or []
        return bytes(self._items[index])


def page_of(cls: type[M], content: bytes, response: Response | None = None) -> list[M]:
    """Return the models of a page `{"items": […]}`.

    All are decoded in one strict pass; where one does not fit, item by item. An item that is no JSON object is left
    out with a warning, unless none is one.
    """
    try:
        models: list[M] = _whole_page(cls).decode(content).items or []
    except _UNREADABLE:
        return _item_by_item(cls, content, response)
    if len(content) <= _SMALL_PAGE:
        kept = _Kept(content)
        for index, model in enumerate(models):
            vars(model)["_raw"] = (kept, index)
    elif models:  # an item that is kept must not keep a large page: each gets its own part
        for model, raw in zip(models, _page.decode(content).items or (), strict=True):
            vars(model)["_raw"] = bytes(raw)
    return models


def _item_by_item(cls: type[M], content: bytes, response: Response | None) -> list[M]:
    try:
        items = _page.decode(content).items or []
    except _UNREADABLE as error:
        repaired = without_lone_surrogates(content)
        if repaired is not None:
            return page_of(cls, repaired, response)
        raise _unreadable(f"A page of {cls.__name__} can't be read.", content, error, response, path="items") from None
    found: list[M] = []
    failed: DecodeError | None = None
    for item in items:
        try:
            found.append(from_json(cls, item, response))
        except DecodeError as error:
            _logger.warning("an item of a page of %s was left out: %s", cls.__name__, error)
            failed = error
    if failed is not None and not found:
        raise failed
    return found


def _whole_page(cls: type[M]) -> msgspec.json.Decoder[Any]:
    decoder = _whole_pages.get(cls)
    if decoder is None:
        if cls not in _strict:
            prepare(cls)
        page = msgspec.defstruct(f"{cls.__name__}Page", [("items", list[cls] | None, None)])  # type: ignore[valid-type]  # a class
        decoder = _whole_pages[cls] = msgspec.json.Decoder(page)
    return decoder


def _unreadable(
    what: str, raw: bytes | msgspec.Raw, why: Exception, response: Response | None, *, path: str | None = None
) -> DecodeError:
    if not isinstance(why, msgspec.ValidationError):
        what = f"{what} {not_json(bytes(raw), why)}"
    return DecodeError(what, path=path) if response is None else response.unreadable(what, path=path)
