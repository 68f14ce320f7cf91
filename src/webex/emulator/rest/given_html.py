"""The html that a message is sent with: what is kept of it, its text, and its mentions."""

from __future__ import annotations

import re
from html import escape, unescape
from typing import TYPE_CHECKING, Final, NamedTuple

from webex.ids import person_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from webex.emulator.state import State

_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)([^<>]*)>")
_HEADINGS: Final = {f"h{level}" for level in range(1, 7)}
_BLOCKS: Final = frozenset({*_HEADINGS, "blockquote", "br", "li", "ol", "p", "pre", "ul"})
_KEPT: Final = _BLOCKS | {"a", "b", "code", "em", "i", "strong", "u"}
_MENTION: Final = "spark-mention"
_ATTRIBUTE: Final = re.compile(r"""([A-Za-z-]+)\s*=\s*("[^"]*"|'[^']*')""")
_SAFE: Final = ("http:", "https:", "mailto:", "webexteams:")


class Given(NamedTuple):
    """What was made of the html: stored html (people by UUID), text, people and groups that are mentioned."""

    html: str
    text: str
    people: list[str]
    groups: list[str]


def read_html(state: State, html: str) -> Given:
    """Keep the markup that messages may have, and of other tags what stands in them."""
    people: dict[str, None] = {}
    groups: dict[str, None] = {}
    open_mentions: list[bool] = []

    def tag(match: re.Match[str]) -> str:
        closing, name = match[1], match[2].lower()
        given = {each[1].lower(): unescape(each[2][1:-1]) for each in _ATTRIBUTE.finditer(match[3])}
        if name == _MENTION:
            if closing:
                return f"</{_MENTION}>" if open_mentions and open_mentions.pop() else ""
            made = _mention(state, given, people, groups)
            open_mentions.append(bool(made))
            return made
        if name not in _KEPT:
            return ""
        if name == "a" and not closing and given.get("href", "").lower().startswith(_SAFE):
            return f'<a href="{escape(given["href"])}">'
        return f"<{closing}{name}>"

    kept = "".join(_marked_up(html, tag))
    bare = _TAG.sub(lambda match: " " if match[2].lower() in _BLOCKS else "", kept)
    return Given(kept, " ".join(unescape(bare).split()), list(people), list(groups))


def _marked_up(html: str, tag: Callable[[re.Match[str]], str]) -> Iterator[str]:
    """Give what `tag` makes of each tag, and what stands between: a `<` there begins no tag, also in what is left."""
    end = 0
    for match in _TAG.finditer(html):
        yield html[end : match.start()].replace("<", "&lt;")
        yield tag(match)
        end = match.end()
    yield html[end:].replace("<", "&lt;")


def _mention(state: State, given: dict[str, str], people: dict[str, None], groups: dict[str, None]) -> str:
    group = given.get("data-group-type")
    if group == "all":
        groups[group] = None
        return f'<{_MENTION} data-object-type="groupMention" data-group-type="all">'
    uuid = person_uuid(given.get("data-object-id", ""))
    if uuid not in state.people:
        return ""
    people[uuid] = None
    return f'<{_MENTION} data-object-type="person" data-object-id="{uuid}">'
