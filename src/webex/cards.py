"""Typed builders for Adaptive Cards 1.3, as far as Webex shows them.

    card = Card(
        TextBlock("Release 1.2", size="Large", weight="Bolder"),
        FactSet([Fact("Service", "web"), Fact("Version", "1.2")]),
        TextInput("reason", label="Why?", required=True),
        actions=[Submit("Approve", data={"n": 7}), OpenUrl("Notes", "https://example.com/notes")],
    )
    await client.messages.create(room_id=room_id, markdown="A card", card=card)

A card is checked when it is made: `ConfigurationError` for more than 22 KB, two inputs of one id, or what Webex does
not show (`Media`, `Action.Execute`, tables: they belong to later versions). Source: the schema of Adaptive Cards 1.3,
and the guide to buttons and cards of the Webex documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

import msgspec

from webex.errors import ConfigurationError

__all__ = [
    "Action",
    "ActionSet",
    "Card",
    "Choice",
    "ChoiceInput",
    "Column",
    "ColumnSet",
    "Container",
    "DateInput",
    "Element",
    "Fact",
    "FactSet",
    "Image",
    "ImageSet",
    "NumberInput",
    "OpenUrl",
    "RichTextBlock",
    "ShowCard",
    "Submit",
    "TextBlock",
    "TextInput",
    "TextRun",
    "TimeInput",
    "ToggleInput",
    "ToggleVisibility",
]

VERSION: Final = "1.3"
_SCHEMA: Final = "http://adaptivecards.io/schemas/adaptive-card.json"
Color = Literal["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"]
FontSize = Literal["Default", "Small", "Medium", "Large", "ExtraLarge"]
Weight = Literal["Default", "Lighter", "Bolder"]
Font = Literal["Default", "Monospace"]
Alignment = Literal["Left", "Center", "Right"]
VerticalAlignment = Literal["Top", "Center", "Bottom"]
Spacing = Literal["Default", "None", "Small", "Medium", "Large", "ExtraLarge", "Padding"]
Height = Literal["auto", "stretch"]
Look = Literal["default", "emphasis", "good", "attention", "warning", "accent"]
ImageSize = Literal["Auto", "Stretch", "Small", "Medium", "Large"]
ActionLook = Literal["default", "positive", "destructive"]

Sign = Callable[[Any], Mapping[str, Any]]  # what an action that has to be signed is given: the bot


class _Part(msgspec.Struct, rename="camel", omit_defaults=True):
    """What all parts of a card have in common: a `type` on the wire, and fields in the names of the schema."""

    wire_type: ClassVar[str] = ""


class Element(_Part, kw_only=True):
    """What every element of a card's body can have."""

    id: str | None = None
    is_visible: bool = True
    separator: bool = False
    spacing: Spacing | None = None
    height: Height | None = None


class Action(_Part, kw_only=True):
    """What every action can have."""

    id: str | None = None
    icon_url: str | None = None
    style: ActionLook | None = None


class _Text(Element, kw_only=True):
    color: Color | None = None
    size: FontSize | None = None
    weight: Weight | None = None
    font_type: Font | None = None
    is_subtle: bool = False


class TextBlock(_Text):
    """Text, in a subset of markdown: bold, italics, lists and links."""

    wire_type: ClassVar[str] = "TextBlock"
    text: str
    wrap: bool = msgspec.field(default=True, name="wrap")
    max_lines: int | None = None
    horizontal_alignment: Alignment | None = None


class TextRun(_Part, kw_only=True):
    """A run of text of one look, in a `RichTextBlock`."""

    wire_type: ClassVar[str] = "TextRun"
    text: str = msgspec.field()
    color: Color | None = None
    size: FontSize | None = None
    weight: Weight | None = None
    font_type: Font | None = None
    is_subtle: bool = False
    italic: bool = False
    strikethrough: bool = False
    underline: bool = False
    highlight: bool = False
    select_action: Action | None = None


class RichTextBlock(Element):
    """Text of several looks in one paragraph."""

    wire_type: ClassVar[str] = "RichTextBlock"
    inlines: Sequence[TextRun | str]
    horizontal_alignment: Alignment | None = None


class Image(Element):
    """A picture at a public `https` URL."""

    wire_type: ClassVar[str] = "Image"
    url: str
    alt_text: str | None = None
    size: ImageSize | None = None
    style: Literal["default", "person"] | None = None
    width: str | None = None  # "80px"
    background_color: str | None = None
    horizontal_alignment: Alignment | None = None
    select_action: Action | None = None


class ImageSet(Element):
    """Several pictures side by side."""

    wire_type: ClassVar[str] = "ImageSet"
    images: Sequence[Image]
    image_size: ImageSize | None = None


class Fact(_Part):
    """A name and its value, in a `FactSet`."""

    title: str
    value: str


class FactSet(Element):
    """A table of names and values: `FactSet([Fact("Service", "web")])`."""

    wire_type: ClassVar[str] = "FactSet"
    facts: Sequence[Fact]


class Container(Element):
    """Elements that belong together."""

    wire_type: ClassVar[str] = "Container"
    items: Sequence[Element]
    style: Look | None = None
    bleed: bool = False
    min_height: str | None = None
    vertical_content_alignment: VerticalAlignment | None = None
    select_action: Action | None = None


class Column(Element):
    """One column of a `ColumnSet`; `width` is `"auto"`, `"stretch"`, a weight, or pixels (`"80px"`)."""

    wire_type: ClassVar[str] = "Column"
    items: Sequence[Element]
    width: str | int | None = None
    style: Look | None = None
    bleed: bool = False
    vertical_content_alignment: VerticalAlignment | None = None
    select_action: Action | None = None


class ColumnSet(Element):
    """Columns side by side."""

    wire_type: ClassVar[str] = "ColumnSet"
    columns: Sequence[Column]
    style: Look | None = None
    bleed: bool = False
    horizontal_alignment: Alignment | None = None
    select_action: Action | None = None


class ActionSet(Element):
    """Buttons within the body."""

    wire_type: ClassVar[str] = "ActionSet"
    actions: Sequence[Action]


class _Input(Element, kw_only=True):
    label: str | None = None
    required: bool = msgspec.field(default=False, name="isRequired")
    error: str | None = msgspec.field(default=None, name="errorMessage")


class TextInput(_Input):
    """A text. `regex` and `max_length` are checked by the clients; check what arrives as well."""

    wire_type: ClassVar[str] = "Input.Text"
    name: str = msgspec.field(name="id_")
    value: str | None = None
    placeholder: str | None = None
    multiline: bool = msgspec.field(default=False, name="isMultiline")
    max_length: int | None = None
    regex: str | None = None
    style: Literal["text", "tel", "url", "email"] | None = None


class NumberInput(_Input):
    """A number; it arrives as text."""

    wire_type: ClassVar[str] = "Input.Number"
    name: str = msgspec.field(name="id_")
    value: float | None = None
    placeholder: str | None = None
    min: float | None = None
    max: float | None = None


class DateInput(_Input):
    """A date as `2026-01-31`."""

    wire_type: ClassVar[str] = "Input.Date"
    name: str = msgspec.field(name="id_")
    value: str | None = None
    placeholder: str | None = None
    min: str | None = None
    max: str | None = None


class TimeInput(_Input):
    """A time as `14:30`."""

    wire_type: ClassVar[str] = "Input.Time"
    name: str = msgspec.field(name="id_")
    value: str | None = None
    placeholder: str | None = None
    min: str | None = None
    max: str | None = None


class ToggleInput(_Input):
    """A check box; it arrives as `value_on` or `value_off`."""

    wire_type: ClassVar[str] = "Input.Toggle"
    name: str = msgspec.field(name="id_")
    title: str
    value: str | None = None
    value_on: str = "true"
    value_off: str = "false"
    wrap: bool = False


class Choice(_Part):
    """One choice of a `ChoiceInput`."""

    title: str
    value: str


class ChoiceInput(_Input):
    """A choice of one, or of several with `multi_select`; several arrive separated by commas."""

    wire_type: ClassVar[str] = "Input.ChoiceSet"
    name: str = msgspec.field(name="id_")
    choices: Sequence[Choice]
    value: str | None = None
    placeholder: str | None = None
    multi_select: bool = msgspec.field(default=False, name="isMultiSelect")
    style: Literal["compact", "expanded"] | None = None
    wrap: bool = False


class Submit(Action):
    """A button that sends the inputs and `data`: an attachment action. `data` is visible to all in the room."""

    wire_type: ClassVar[str] = "Action.Submit"
    title: str
    data: Mapping[str, Any] | str | None = None


class OpenUrl(Action):
    """A button that opens a web page."""

    wire_type: ClassVar[str] = "Action.OpenUrl"
    title: str
    url: str


class ShowCard(Action):
    """A button that opens a card within the card."""

    wire_type: ClassVar[str] = "Action.ShowCard"
    title: str
    card: Card


class ToggleVisibility(Action):
    """A button that shows or hides elements by their ids."""

    wire_type: ClassVar[str] = "Action.ToggleVisibility"
    title: str
    targets: Sequence[str] = msgspec.field(name="targetElements")


class Card:
    """An adaptive card: elements from top to bottom, and the buttons below them.

    `ConfigurationError` when it is larger than 22 KB, two of its inputs have one id, or an element is none that Webex
    shows.
    """

    def __init__(
        self,
        *body: Element | Mapping[str, Any],
        actions: Iterable[Any] = (),
        fallback_text: str | None = None,
        min_height: str | None = None,
        select_action: Action | None = None,
    ) -> None:
        self.body: tuple[Element | Mapping[str, Any], ...] = body
        self.actions: tuple[Any, ...] = tuple(actions)
        self._more = {"fallbackText": fallback_text, "minHeight": min_height, "selectAction": select_action}
        for part in _parts((*body, *self.actions)):
            _check(part)
        names = [str(getattr(part, "name", "")) for part in _parts(body) if isinstance(part, _Input)]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise ConfigurationError(f"Two inputs of the card have the id {double!r}: only one would arrive.")
        from webex.api.cards import attachment  # loaded once there is a card

        attachment(self.render(lambda action: {"_w": "x" * 200}))

    def render(self, sign: Sign | None = None) -> dict[str, Any]:
        """Return the card as plain data; `sign` gives the data of each button of a bot."""
        more = {name: _plain(value, sign) for name, value in self._more.items() if value is not None}
        card: dict[str, Any] = {"$schema": _SCHEMA, "type": "AdaptiveCard", "version": VERSION, **more}
        card["body"] = [_plain(part, sign) for part in self.body]
        if self.actions:
            card["actions"] = [_plain(action, sign) for action in self.actions]
        return card

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain data; `ConfigurationError` when it has buttons that only a bot can sign."""
        return self.render()

    def __repr__(self) -> str:
        return f"<Card of {len(self.body)} elements and {len(self.actions)} actions>"


def _parts(values: Iterable[Any]) -> Iterator[Any]:
    """Yield every part of a card, however deep."""
    for value in values:
        yield value
        if isinstance(value, _Part):
            for name in value.__struct_fields__:
                inner = getattr(value, name)
                if isinstance(inner, list | tuple):
                    yield from _parts(inner)
                elif isinstance(inner, _Part):
                    yield from _parts((inner,))
                elif isinstance(inner, Card):
                    yield from _parts((*inner.body, *inner.actions))


_SHOWN: Final = frozenset(
    {"TextBlock", "RichTextBlock", "Image", "ImageSet", "FactSet", "Container", "ColumnSet", "Column", "ActionSet"}
    | {f"Input.{name}" for name in ("Text", "Number", "Date", "Time", "Toggle", "ChoiceSet")}
    | {f"Action.{name}" for name in ("Submit", "OpenUrl", "ShowCard", "ToggleVisibility")}
    | {"TextRun", "AdaptiveCard"}
)


def _check(part: Any) -> None:
    if isinstance(part, Mapping):
        kind = part.get("type")
        if kind not in _SHOWN:
            raise ConfigurationError(f"Webex shows no {kind!r} in a card. It shows {', '.join(sorted(_SHOWN))}.")
    elif not isinstance(part, _Part | str) and not hasattr(part, "sign_with"):
        raise ConfigurationError(
            f"{type(part).__name__} is no part of a card. Take the classes of webex.cards, or a mapping in the names "
            "of the schema."
        )


def _plain(value: Any, sign: Sign | None) -> Any:
    """Return a part as plain data in the names of the schema, without what is as it is by default."""
    if isinstance(value, _Part):
        kind = type(value)
        data: dict[str, Any] = {"type": kind.wire_type} if kind.wire_type else {}
        for field in msgspec.structs.fields(kind):
            inner = getattr(value, field.name)
            if inner is None or (
                field.default is not msgspec.NODEFAULT and inner == field.default and not _kept(field)
            ):
                continue
            data["id" if field.encode_name == "id_" else field.encode_name] = _plain(inner, sign)
        return data
    if isinstance(value, Card):
        inner_card = value.render(sign)
        return {name: inner_card[name] for name in inner_card if name != "$schema"}
    if hasattr(value, "sign_with"):
        return value.sign_with(sign)
    if isinstance(value, Mapping):
        return {name: _plain(item, sign) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, sign) for item in value]
    return value


def _kept(field: msgspec.structs.FieldInfo) -> bool:
    """Whether a default is written all the same: text wraps here by default, and by the schema it does not."""
    return field.name == "wrap" and field.default is True
