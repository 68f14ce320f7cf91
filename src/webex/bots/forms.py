"""Forms: a struct is a card with inputs, and what people submit is an instance of the struct.

    class DeployForm(Form, title="Deploy", submit="Go"):
        service: Literal["web", "api"]
        replicas: Annotated[int, Meta(ge=1, le=9)] = 2

All inputs arrive as text, and an empty one as `""`, which stands for "not given". Every field is converted by itself,
so that a person is told of all that does not fit at once.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, dataclass_transform, get_args, get_origin

import msgspec

from webex.bots.converters import DoesNotFitError, choices_of, from_text, without_none
from webex.errors import ConfigurationError

if TYPE_CHECKING:
    from webex.bots.context import Context

__all__ = ["Form", "Input", "Meta", "Prefilled"]

Meta = msgspec.Meta
"""Bounds and patterns of a field, as msgspec has them: `Annotated[int, Meta(ge=1, le=9)]`."""

TOKEN: Final = "_w"  # the name of the hidden value that is signed
_SCALARS: Final = (str, int, float, bool, date, time)
_MOST_CHOICES: Final = 100


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """How a field of a form is shown: `version: Annotated[str, Input(placeholder="1.2", error="Like 1.2")]`.

    `label` is above the input (default: the field's name), `placeholder` in it; `error` replaces the sentence for what
    does not fit; `multiline` gives a text several lines; `choices` gives the texts of a Literal's values.
    """

    label: str | None = None
    placeholder: str | None = None
    error: str | None = None
    multiline: bool = False
    expanded: bool = False  # choices as buttons in place of a list
    choices: Mapping[str, str] | None = None


class _Field(msgspec.Struct, frozen=True):
    name: str
    annotation: Any  # without `| None`
    bare: Any  # without Annotated
    label: str
    look: Input
    default: Any
    default_factory: Any
    is_optional: bool
    many: bool  # a list of choices

    @property
    def is_required(self) -> bool:
        return (
            not self.is_optional
            and self.default is msgspec.NODEFAULT
            and self.default_factory is msgspec.NODEFAULT
            and self.bare is not bool
        )

    def absent(self) -> Any:
        if self.default is not msgspec.NODEFAULT:
            return self.default
        if self.default_factory is not msgspec.NODEFAULT:
            return self.default_factory()
        if self.bare is bool:
            return False
        return [] if self.many else None


@dataclass_transform(field_specifiers=(msgspec.field,))
class _FormMeta(msgspec.StructMeta):
    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        title: str | None = None,
        submit: str | None = None,
        **options: Any,
    ) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace, **options)
        inherited = getattr(cls, "__form_texts__", ("", "Submit"))
        cls.__form_texts__ = (title if title is not None else inherited[0], submit or inherited[1])
        return cls


class Form(msgspec.Struct, metaclass=_FormMeta):
    """The base of forms; `title` is the heading of the card, `submit` the text of its button.

    Fields are `str`, `int`, `float`, `bool`, `date`, `time`, a `Literal` or an `Enum` (one choice), or a list of one of
    these two (several), each also `| None`; `msgspec.Meta` gives bounds and patterns, `Input` the looks. A field that
    no input fits is a `ConfigurationError` when the form is first used by a bot.
    """

    __form_texts__: ClassVar[tuple[str, str]] = ("", "Submit")

    if TYPE_CHECKING:

        def __init_subclass__(cls, *, title: str | None = None, submit: str | None = None, **options: Any) -> None: ...

    async def check(self, ctx: Context) -> Mapping[str, str] | None:
        """Override for rules of your own: return field → what is wrong with it."""
        return None

    @classmethod
    def new(cls, **values: Any) -> Prefilled:
        """Return this form with some fields filled in, to be sent; what is left out is up to the person."""
        known = {each.name: each for each in fields_of(cls)}
        for name in values:
            if name not in known:
                raise ConfigurationError(f"{cls.__name__} has no field {name!r}. It has {', '.join(known)}.")
        return Prefilled(cls, {name: _shown(known[name], value) for name, value in values.items() if value is not None})


class Prefilled(msgspec.Struct, frozen=True):
    """A form with some fields filled in: what `Form.new(…)` returns."""

    form: type[Form]
    values: dict[str, str]


def as_prefilled(form: type[Form] | Form | Prefilled) -> Prefilled:
    """Return the form to show: a class is an empty one, an instance is filled in with its values."""
    if isinstance(form, Prefilled):
        return form
    if isinstance(form, Form):
        values = {each.name: getattr(form, each.name) for each in fields_of(type(form))}
        return type(form).new(**values)
    return Prefilled(form, {})


_known: dict[type[Form], tuple[_Field, ...]] = {}


def fields_of(form: type[Form]) -> tuple[_Field, ...]:
    """Return the fields of a form, each with its input; `ConfigurationError` names the file of one that has none."""
    found = _known.get(form)
    if found is None:
        place = _place(form)
        try:
            infos = msgspec.structs.fields(form)
        except NameError as error:
            raise ConfigurationError(f"{place}: an annotation can't be read ({error}).") from None
        found = tuple(_field(info, place) for info in infos)
        if not found:
            raise ConfigurationError(f"{place}: a form has at least one field.")
        _known[form] = found
        try:
            from webex.api.cards import attachment

            attachment(card_of(form, {}, {}, "x" * 200))
        except ConfigurationError as error:
            del _known[form]
            raise ConfigurationError(f"{place}: {error}") from None
    return found


def _field(info: msgspec.structs.FieldInfo, place: str) -> _Field:
    where = f"{place}, field {info.name}"
    if info.name.startswith("_"):
        raise ConfigurationError(f"{where}: the name of a field does not begin with an underscore.")
    annotation, look, title = info.type, Input(), None
    is_optional = without_none(annotation) is not annotation
    annotation = without_none(annotation)
    bare = annotation
    if get_origin(annotation) is Annotated:
        bare, *notes = get_args(annotation)
        look = next((note for note in notes if isinstance(note, Input)), look)
        title = next((note.title for note in notes if isinstance(note, Meta) and note.title), None)
        is_optional = is_optional or without_none(bare) is not bare
        bare = without_none(bare)
        metas = tuple(note for note in notes if isinstance(note, Meta))
        annotation = Annotated[(bare, *metas)] if metas else bare
    many = get_origin(bare) is list
    inner = get_args(bare)[0] if many else bare
    choices = choices_of(inner)
    if many and choices is None:
        raise ConfigurationError(f"{where}: a list is of a Literal or an Enum: list[Literal['a', 'b']].")
    if choices is not None:
        if len(choices) > _MOST_CHOICES:
            raise ConfigurationError(f"{where}: a card can't hold more than {_MOST_CHOICES} choices well.")
        if many and any("," in text for _, text in choices):
            raise ConfigurationError(f"{where}: a choice of several has a comma, which separates choices on the wire.")
    elif bare not in _SCALARS or bare is datetime:
        raise ConfigurationError(
            f"{where}: no input fits {getattr(bare, '__name__', bare)}. Take str, int, float, bool, date, time, a "
            "Literal, an Enum, or a list of one of these two."
        )
    label = look.label or title or info.name.replace("_", " ").capitalize()
    return _Field(info.name, annotation, bare, label, look, info.default, info.default_factory, is_optional, many)


def card_of(form: type[Form], values: Mapping[str, str], errors: Mapping[str, str], token: str) -> dict[str, Any]:
    """Return the card of a form: with values filled in, errors below their fields, and the signed hidden value."""
    title, submit = form.__form_texts__
    body: list[dict[str, Any]] = []
    if title:
        body.append({"type": "TextBlock", "text": title, "size": "Medium", "weight": "Bolder", "wrap": True})
    for field in fields_of(form):
        body.append(_input(field, values.get(field.name)))
        if field.name in errors:
            body.append(_error(errors[field.name]))
    body += [_error(text) for name, text in errors.items() if name not in {each.name for each in fields_of(form)}]
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.3",
        "body": body,
        "actions": [{"type": "Action.Submit", "title": submit, "data": {TOKEN: token}}],
    }


def _error(text: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "color": "Attention", "spacing": "None", "wrap": True}


def _input(field: _Field, value: str | None) -> dict[str, Any]:
    look = field.look
    made: dict[str, Any] = {"type": "Input.Text", "id": field.name, "label": field.label}
    if field.is_required:
        made |= {"isRequired": True, "errorMessage": look.error or f"{field.label} is needed."}
    if value is None:
        default = field.absent()
        value = None if default is None or default == [] else _shown(field, default)
    if look.placeholder is not None:
        made["placeholder"] = look.placeholder
    constraint = _constraint(field)
    choices = choices_of(get_args(field.bare)[0] if field.many else field.bare)
    if choices is not None:
        texts = look.choices or {}
        made |= {
            "type": "Input.ChoiceSet",
            "style": "expanded" if look.expanded else "compact",
            "choices": [{"title": texts.get(text, text), "value": text} for _, text in choices],
        }
        if field.many:
            made["isMultiSelect"] = True
    elif field.bare is bool:
        made |= {"type": "Input.Toggle", "title": field.label, "valueOn": "true", "valueOff": "false"}
        made.pop("label")
    elif field.bare is int or field.bare is float:
        made["type"] = "Input.Number"
        if constraint.ge is not None:
            made["min"] = constraint.ge
        if constraint.le is not None:
            made["max"] = constraint.le
        if value is not None:
            return made | {"value": float(value) if field.bare is float else int(value)}
    elif field.bare is date:
        made["type"] = "Input.Date"
    elif field.bare is time:
        made["type"] = "Input.Time"
    else:
        if look.multiline:
            made["isMultiline"] = True
        if constraint.max_length is not None:
            made["maxLength"] = constraint.max_length
        if constraint.pattern is not None:
            made["regex"] = constraint.pattern
            made.setdefault("errorMessage", look.error or f"{field.label} does not have the form that is asked for.")
    if value is not None:
        made["value"] = value
    return made


def _constraint(field: _Field) -> Meta:
    if get_origin(field.annotation) is Annotated:
        return next((note for note in get_args(field.annotation)[1:] if isinstance(note, Meta)), Meta())
    return Meta()


def _shown(field: _Field, value: Any) -> str:
    """Return a value as its input holds it."""
    if field.many:
        return ",".join(_text(item) for item in value)
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, time):
        return value.isoformat("minutes") if not value.second and not value.microsecond else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def parse(form: type[Form], inputs: Mapping[str, Any]) -> tuple[Form | None, dict[str, str]]:
    """Return the form that was submitted, or None and what is wrong with which field, for all of them."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field in fields_of(form):
        raw = inputs.get(field.name)
        text = raw if isinstance(raw, str) else "" if raw is None else _text(raw)
        if not text:
            if field.is_required:
                errors[field.name] = field.look.error or "This is needed."
            else:
                values[field.name] = field.absent()
            continue
        try:
            values[field.name] = _value(field, text)
        except DoesNotFitError as error:
            errors[field.name] = field.look.error or str(error)
    return (None, errors) if errors else (form(**values), {})


def _value(field: _Field, text: str) -> Any:
    if field.many:
        inner = get_args(field.bare)[0]
        found = [from_text(part.strip(), inner) for part in text.split(",") if part.strip()]
        if field.annotation is not field.bare:
            try:
                msgspec.convert([_text(item) for item in found], field.annotation, strict=False)
            except msgspec.ValidationError:
                raise DoesNotFitError("Choose another number of them.") from None
        return found
    if field.bare is bool:
        return from_text(text, bool)
    if field.bare is int and text.endswith(".0"):
        text = text[:-2]  # a client's number input may write 2.0
    return from_text(text, field.annotation)


def values_of(form: type[Form], inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return what was typed, to be shown again."""
    names = {field.name: field for field in fields_of(form)}
    kept: dict[str, str] = {}
    for name, value in inputs.items():
        field = names.get(name)
        if field is None or value is None or value == "":
            continue
        text = value if isinstance(value, str) else _text(value)
        if field.bare in (int, float):
            try:
                float(text)
                text = str(int(text)) if field.bare is int else text
            except ValueError:
                continue  # a number input can't show what is no number
        kept[name] = text
    return kept


def _place(form: type[Form]) -> str:
    module = sys.modules.get(form.__module__)
    try:
        line = inspect.getsourcelines(form)[1]
    except (OSError, TypeError):
        line = 0
    file = getattr(module, "__file__", form.__module__)
    return f"{form.__qualname__} ({file}:{line})"


def is_form(value: Any) -> bool:
    """Whether this is a form's class, an instance of one, or one that is filled in."""
    return isinstance(value, Form | Prefilled) or (isinstance(value, type) and issubclass(value, Form))


def forms_in(annotation: Any) -> Sequence[type[Form]]:
    """Return the form that an annotation names."""
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, Form) else []
