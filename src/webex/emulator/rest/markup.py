"""Mentions in markdown, and a small honest rendering of it as text and html."""

from __future__ import annotations

import contextlib
import html
import re
from typing import TYPE_CHECKING, Final

from webex.emulator.oauth.clients import find_person
from webex.ids import parse_id

if TYPE_CHECKING:
    from webex.emulator.state import Person, State

_MENTION: Final = re.compile(r"<@(personId|personEmail):([^|>]+)(?:\|([^>]*))?>|<@(all)>")
_INLINE: Final = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<!\*)\*([^*\n]+)\*(?!\*)"), r"<em>\1</em>"),
    (re.compile(r"`([^`\n]+)`"), r"<code>\1</code>"),
    (re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)"), r'<a href="\2">\1</a>'),
)


def mentions(state: State, markdown: str) -> tuple[list[str], list[str]]:
    """The UUIDs of the people, and the groups, that a text mentions."""
    people: list[str] = []
    groups: list[str] = []
    for match in _MENTION.finditer(markdown):
        if match.group(4):
            groups.append("all")
            continue
        person = _mentioned(state, match)
        if person is not None and person.id not in people:
            people.append(person.id)
    return people, list(dict.fromkeys(groups))


def plain(state: State, markdown: str) -> str:
    """The text without its marks; a mention is the person's name."""
    text = _MENTION.sub(lambda match: _label(state, match), markdown)
    for pattern, _ in _INLINE:
        text = pattern.sub(r"\1", text)
    return re.sub(r"^(?:#{1,6} |> |[-*] )", "", text, flags=re.MULTILINE)


def rendered(state: State, markdown: str) -> str:
    """The text as html; a mention is a `spark-mention`."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        person = None if match.group(4) else _mentioned(state, match)
        label = html.escape(_label(state, match))
        if match.group(4):
            kept.append(f'<spark-mention data-object-type="groupMention" data-group-type="all">{label}</spark-mention>')
        elif person is None:
            kept.append(label)
        else:
            kept.append(
                f'<spark-mention data-object-type="person" data-object-id="{person.id}">{label}</spark-mention>'
            )
        return f"\x00{len(kept) - 1}\x00"

    text = html.escape(_MENTION.sub(keep, markdown), quote=False)
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    paragraphs = "".join(f"<p>{part.strip()}</p>" for part in text.split("\n\n") if part.strip())
    paragraphs = paragraphs.replace("\n", "<br/>")
    return re.sub("\x00(\\d+)\x00", lambda match: kept[int(match.group(1))], paragraphs)


def _mentioned(state: State, match: re.Match[str]) -> Person | None:
    name = match.group(2).strip()
    if match.group(1) == "personId":
        with contextlib.suppress(ValueError):
            name = parse_id(name).id
    return find_person(state, name)


def _label(state: State, match: re.Match[str]) -> str:
    if match.group(4):
        return "All"
    person = _mentioned(state, match)
    return match.group(3) or (person.display_name if person is not None else match.group(2))
