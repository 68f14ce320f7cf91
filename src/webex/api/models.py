"""What all models are: structs with snake_case names that also keep the JSON that they came from.

A call never fails because the cloud's types differ from its description: the fast path is strict, and what does not fit
is decoded leniently, the odd value kept as it came, with one debug log.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Self, TypeVar, get_type_hints

import msgspec

from webex.errors import DecodeError, RequestInfo
from webex.http.codec import encode_json

_logger = logging.getLogger("webex.api")

# Aware; a naive moment counts as UTC. One that can't be read stays the text that came.
Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]

_SECRET: Final = ("secret", "token", "password")
_LONGEST: Final = 60

# What reading JSON from elsewhere may raise: too deep, no UTF-8, a number out of range, or no JSON at all.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError)

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
        """A field by its name on the wire, as plain data; `KeyError` when it is not there."""
        return self.to_dict()[name]

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
        """What the model was made of; None for one that the program made itself."""
        kept = self.__dict__.get("_raw")
        if isinstance(kept, dict) or kept is None:
            return kept
        try:
            decoded: dict[str, Any] = msgspec.json.decode(kept)
        except _UNREADABLE as error:
            raise DecodeError(
                f"The unknown fields of a {type(self).__name__} can't be read ({type(error).__name__})."
            ) from None
        return decoded

    def __repr__(self) -> str:
        shown = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is None:
                continue
            if any(word in name for word in _SECRET):
                shown.append(f"{name}=…")
                continue
            text = repr(value)
            shown.append(f"{name}={text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.to_dict())

    def __copy__(self) -> Self:
        return type(self).from_dict(self.to_dict())

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """A model of plain data with the names of the wire; values of other types than described are kept.

        `ConfigurationError` for what JSON can't hold.
        """
        return from_json(cls, encode_json(data))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let FastAPI and pydantic take and give this model."""
        from webex.api.pydantic_schema import core_schema_of

        return core_schema_of(cls)


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


def from_json(cls: type[M], raw: bytes | msgspec.Raw, request: RequestInfo | None = None) -> M:
    """A model of one JSON object; `DecodeError` when it is no object at all."""
    decoder = _strict.get(cls) or prepare(cls)
    try:
        model: M = decoder.decode(raw)
    except msgspec.ValidationError as error:
        model = _lenient(cls, raw, error, request)
    except _UNREADABLE as error:
        raise DecodeError(
            f"A {cls.__name__} in the answer can't be read ({type(error).__name__}).", request=request
        ) from None
    vars(model)["_raw"] = bytes(raw)
    return model


def from_data(cls: type[M], data: dict[str, Any]) -> M:
    """A model of plain data with the names of the wire, which it keeps."""
    try:
        model = msgspec.convert(data, cls)
    except (msgspec.ValidationError, RecursionError):
        return _fitted(cls, data)
    vars(model)["_raw"] = data
    return model


def _lenient(cls: type[M], raw: bytes | msgspec.Raw, why: Exception, request: RequestInfo | None) -> M:
    try:
        data = msgspec.json.decode(raw)
    except _UNREADABLE:
        data = None
    if not isinstance(data, dict):
        raise DecodeError(f"A {cls.__name__} in the answer is no JSON object.", request=request)
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
    """The value as the type says, else as near as it comes: naive moments are UTC, the rest stays as it came."""
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


def page_of(cls: type[M], content: bytes, request: RequestInfo | None = None) -> list[M]:
    """The models of a page `{"items": […]}`."""
    try:
        items = _page.decode(content).items or []
    except _UNREADABLE as error:
        raise DecodeError(
            f"A page of {cls.__name__} can't be read ({type(error).__name__}).", path="items", request=request
        ) from None
    return [from_json(cls, item, request) for item in items]
