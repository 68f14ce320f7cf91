"""Forms: the struct becomes a card, and what is submitted becomes the struct."""

from __future__ import annotations

from datetime import date, datetime, time
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webex.bots import Form, Input, Meta
from webex.bots.forms import as_prefilled, card_of, parse, values_of
from webex.errors import ConfigurationError


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Everything(Form, title="Everything"):
    name: Annotated[str, Meta(min_length=1, max_length=20)]
    service: Literal["web", "api"]
    size: Size
    replicas: Annotated[int, Meta(ge=1, le=9)]
    share: float
    day: date
    at: time
    several: list[Literal["a", "b", "c"]]
    note: str | None = None
    count: int = 2
    ok: bool = False
    picked: list[Size] = []  # noqa: RUF012  # msgspec copies it
    until: date | None = None


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
FORMS = st.builds(
    Everything,
    name=TEXT,
    service=st.sampled_from(["web", "api"]),
    size=st.sampled_from(Size),
    replicas=st.integers(1, 9),
    share=st.floats(allow_nan=False, allow_infinity=False),
    day=st.dates(),
    at=st.times().map(lambda moment: moment.replace(microsecond=0)),
    several=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True),
    note=st.none() | TEXT,
    count=st.integers(-(2**53), 2**53),
    ok=st.booleans(),
    picked=st.lists(st.sampled_from(Size), unique=True),
    until=st.none() | st.dates(),
)


def submitted(card: dict[str, Any]) -> dict[str, str]:
    """What a client sends when nothing is changed: every input as text, an empty one as ''."""
    inputs = [element for element in card["body"] if element["type"].startswith("Input.")]
    return {each["id"]: _sent(each.get("value", "")) for each in inputs}


def _sent(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(form=FORMS)
def test_prefilled_form_round_trips(form: Everything) -> None:
    prefilled = as_prefilled(form)
    found, errors = parse(Everything, submitted(card_of(Everything, prefilled.values, {}, "token")))
    assert not errors
    assert found == form


CHOICES = Literal["a", "b", "c"]
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    date: st.dates(),
    time: st.times().map(lambda moment: moment.replace(microsecond=0)),
    CHOICES: st.sampled_from(["a", "b", "c"]),
    Size: st.sampled_from(Size),
    list[CHOICES]: st.lists(st.sampled_from(["a", "b", "c"]), unique=True),
    list[Size]: st.lists(st.sampled_from(Size), unique=True),
}
NAMES = ["id", "type", "value", "data", "title", "action", "name_2", "x"]


@st.composite
def any_form(draw: st.DrawFn) -> Form:
    """Return a form of a class of its own, with any fields."""
    types: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        kind = draw(st.sampled_from([*TYPES]))
        is_list = kind in (list[CHOICES], list[Size])
        has_default = draw(st.booleans())
        value = draw(TYPES[kind] if has_default else TYPES[kind].filter(lambda found: found != []))  # it is required
        types[name], values[name] = kind, value
        if has_default and is_list:
            defaults[name] = []
        elif has_default and kind is not bool:
            types[name], defaults[name] = kind | None, None
            values[name] = draw(st.sampled_from([value, None]))
    namespace = {"__annotations__": types, "__module__": __name__} | defaults
    made: Any = type(Form)("AnyForm", (Form,), namespace, kw_only=True)
    form: Form = made(**values)
    return form


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)
@given(form=any_form())
def test_forms_of_any_fields_round_trip(form: Form) -> None:
    kind = type(form)
    found, errors = parse(kind, submitted(card_of(kind, as_prefilled(form).values, {}, "token")))
    assert not errors
    assert found == form


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(inputs=st.dictionaries(st.sampled_from(Everything.__struct_fields__), st.text() | st.integers() | st.booleans()))
def test_no_submission_raises(inputs: dict[str, Any]) -> None:
    form, errors = parse(Everything, inputs)
    assert (form is None) == bool(errors)
    card_of(Everything, values_of(Everything, inputs), errors, "token")


def test_all_form_errors_are_reported_at_once() -> None:
    _, errors = parse(
        Everything,
        {
            "name": "x" * 21,
            "service": "db",
            "replicas": "12",
            "share": "x",
            "day": "soon",
            "at": "noon",
            "several": "d",
        },
    )
    assert errors == {
        "name": "It has at most 20 characters.",
        "service": "It is one of web, api.",
        "size": "This is needed.",
        "replicas": "It is at most 9.",
        "share": "It is a number.",
        "day": "It is a date like 2026-01-31.",
        "at": "It is a time like 14:30.",
        "several": "It is one of a, b, c.",
    }


def test_card_of_a_form() -> None:
    class Small(Form, title="Small", submit="Go"):
        version: Annotated[str, Meta(title="Version", pattern=r"^\d$"), Input(error="One digit", placeholder="1")]
        replicas: Annotated[int, Meta(ge=1, le=9)] = 2

    card = card_of(Small, {}, {"version": "One digit"}, "token")
    assert card["body"] == [
        {"type": "TextBlock", "text": "Small", "size": "Medium", "weight": "Bolder", "wrap": True},
        {
            "type": "Input.Text",
            "id": "version",
            "label": "Version",
            "isRequired": True,
            "errorMessage": "One digit",
            "placeholder": "1",
            "regex": r"^\d$",
        },
        {"type": "TextBlock", "text": "One digit", "color": "Attention", "spacing": "None", "wrap": True},
        {"type": "Input.Number", "id": "replicas", "label": "Replicas", "min": 1, "max": 9, "value": 2},
    ]
    assert card["actions"] == [{"type": "Action.Submit", "title": "Go", "data": {"_w": "token"}}]
    assert card["version"] == "1.3"


class Nested(Form):
    inner: Everything


class Moment(Form):
    when: datetime


class Strings(Form):
    names: list[str]


class Commas(Form):
    several: list[Literal["a,b", "c"]]


class Hidden(Form):
    _w: str


class Empty(Form):
    pass


class Large(Form):
    text: Annotated[str, Input(label="x" * 23_000)]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (Nested, "no input fits Everything"),
        (Moment, "no input fits datetime"),
        (Strings, "a list is of a Literal"),
        (Commas, "comma"),
        (Hidden, "underscore"),
        (Empty, "at least one field"),
        (Large, "22,528"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_form_without_a_card_equivalent_names_its_file_and_line(form: type[Form], words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        card_of(form, {}, {}, "token")
    assert words in str(refused.value)
    assert "test_forms.py:" in str(refused.value)


def test_prefilled_form_refuses_unknown_fields() -> None:
    with pytest.raises(ConfigurationError, match="no field 'servce'"):
        Everything.new(servce="web")
