"""Mentions in markdown, and its rendering as html and as plain text, in the form that the cloud gives them."""

from __future__ import annotations

import contextlib
import html
import re
from typing import TYPE_CHECKING, Final

from webex.emulator.oauth.clients import find_person
from webex.ids import parse_id

if TYPE_CHECKING:
    from webex.emulator.state import Person, State

_MENTION: Final = re.compile(r"<@(personId|personEmail):([^|>]+)(?:\|([^>]*))?>|<@(all)(?:\|[^>]*)?>")
_INLINE: Final = (
    (re.compile(r"\*\*(?=\S)(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<!\w)__(?=\S)(.+?)__(?!\w)"), r"<strong>\1</strong>"),
    (re.compile(r"(?<!\*)\*(?=\S)([^*]+)\*(?!\*)"), r"<em>\1</em>"),
    (re.compile(r"(?<!\w)_(?=\S)([^_]+)_(?!\w)"), r"<em>\1</em>"),
    (re.compile(r"~~(?=\S)(.+?)~~"), r"<del>\1</del>"),
)
_CODE: Final = re.compile(r"`([^`]+)`")
_LINK: Final = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)")
_KEPT: Final = re.compile("\x00(\\d+)\x00")
_TAG: Final = re.compile(r"<[^>]*>")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})\s*+([\w+#.-]*+)\s*+")
_HEADING: Final = re.compile(r"(#{1,6})\s+(.*)")
_RULE: Final = re.compile(r"\s*([-*_])(?:\s*\1){2,}\s*")
_QUOTE: Final = re.compile(r" {0,3}> ?")
_ITEM: Final = re.compile(r"( *)([-*+]|\d{1,9}[.)])\s+(.*)")
_DELIMITER: Final = re.compile(r"\s*+\|?\s*+:?-++:?\s*+(?:\|\s*+:?-++:?\s*+)*+\|?\s*+")
_DEEPEST: Final = 8

Block = tuple[str, str]  # its html and its text


def mentions(state: State, markdown: str) -> tuple[list[str], list[str]]:
    """Find the UUIDs of the people, and the groups, that a text mentions."""
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


def rendered(state: State, markdown: str) -> Block:
    """Render markdown as html, where a mention is a `spark-mention`, and as text, where it is the person's name.

    Lines of a paragraph are parted by `<br>` in html; in the text a space stands between lines and between blocks.
    """
    inline = _Inline(state)
    blocks = _blocks(inline.keep_mentions(markdown.replace("\x00", "")).splitlines(), inline, 0)
    return (
        inline.put_back("".join(block for block, _ in blocks)),
        inline.put_back_text(" ".join(text for _, text in blocks if text)),
    )


class _Inline:
    """What stands inside of a line. What must stay as it is (mentions, code) waits behind a mark until the end."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._kept: list[Block] = []

    def keep(self, block: str, text: str) -> str:
        self._kept.append((block, text))
        return f"\x00{len(self._kept) - 1}\x00"

    def keep_mentions(self, markdown: str) -> str:
        return _MENTION.sub(self._mention, markdown)

    def put_back(self, text: str) -> str:
        return _KEPT.sub(lambda match: self._kept[int(match.group(1))][0], text)

    def put_back_text(self, text: str) -> str:
        return _KEPT.sub(lambda match: self._kept[int(match.group(1))][1], text)

    def code(self, text: str) -> str:
        """Return the text of a code block, with the marks in it as they were written."""
        return self.put_back_text(text)

    def block(self, text: str) -> Block:
        """Render a run of text."""
        marked = _CODE.sub(lambda m: self.keep(f"<code>{html.escape(m[1], quote=False)}</code>", m[1]), text)
        marked = html.escape(marked, quote=False)
        marked = _LINK.sub(
            lambda m: self.keep(f'<a href="{m[2].replace(chr(34), "%22")}">', "") + m[1] + "</a>", marked
        )
        for pattern, replacement in _INLINE:
            marked = pattern.sub(replacement, marked)
        plain = html.unescape(_TAG.sub("", marked))
        return marked.replace("\n", "<br>"), re.sub(r"\s+", " ", plain).strip()

    def _mention(self, match: re.Match[str]) -> str:
        if match.group(4):
            return self.keep(
                '<spark-mention data-object-type="groupMention" data-group-type="all">All</spark-mention>', "All"
            )
        person = _mentioned(self._state, match)
        label = match.group(3) or (person.display_name if person is not None else match.group(2))
        shown = html.escape(label)
        if person is None:
            return self.keep(shown, label)
        opening = f'<spark-mention data-object-type="person" data-object-id="{person.id}">'
        return self.keep(f"{opening}{shown}</spark-mention>", label)


def _blocks(lines: list[str], inline: _Inline, depth: int) -> list[Block]:
    found: list[Block] = []
    paragraph: list[str] = []
    at = 0

    def end_paragraph() -> None:
        if paragraph:
            block, text = inline.block("\n".join(line.strip() for line in paragraph))
            found.append((f"<p>{block}</p>", text))
            paragraph.clear()

    while at < len(lines):
        taken, block = _special(lines, at, inline, depth)
        if taken:
            end_paragraph()
            if block is not None:
                found.append(block)
            at += taken
            continue
        paragraph.append(lines[at])
        at += 1
    end_paragraph()
    return found


def _special(lines: list[str], at: int, inline: _Inline, depth: int) -> tuple[int, Block | None]:
    """How many lines a block takes that is no paragraph, and the block; 0 when there is none here."""
    line = lines[at]
    if not line.strip():
        return 1, None
    if fence := _FENCE.fullmatch(line):
        return _code(lines, at, fence, inline)
    if heading := _HEADING.fullmatch(line):
        block, text = inline.block(heading[2].rstrip().rstrip("#").rstrip())
        level = len(heading[1])
        return 1, (f"<h{level}>{block}</h{level}>", text)
    if _RULE.fullmatch(line):
        return 1, ("<hr>", "")
    if depth < _DEEPEST and _QUOTE.match(line):
        return _quote(lines, at, inline, depth)
    if depth < _DEEPEST and _ITEM.fullmatch(line):
        return _list(lines, at, inline, depth)
    if "|" in line and at + 1 < len(lines) and "|" in lines[at + 1] and _DELIMITER.fullmatch(lines[at + 1]):
        return _table(lines, at, inline)
    return 0, None


def _code(lines: list[str], at: int, fence: re.Match[str], inline: _Inline) -> tuple[int, Block]:
    end = at + 1
    while end < len(lines) and not lines[end].strip().startswith(fence[1]):
        end += 1
    code = inline.code("\n".join(lines[at + 1 : end]))
    language = f' class="language-{html.escape(fence[2])}"' if fence[2] else ""
    kept = inline.keep(f"<pre><code{language}>{html.escape(code, quote=False)}</code></pre>", code)
    return min(end + 1, len(lines)) - at, (kept, kept)


def _quote(lines: list[str], at: int, inline: _Inline, depth: int) -> tuple[int, Block]:
    end = at
    while end < len(lines) and _QUOTE.match(lines[end]):
        end += 1
    inner = _blocks([_QUOTE.sub("", line, count=1) for line in lines[at:end]], inline, depth + 1)
    return end - at, (f"<blockquote>{_html(inner)}</blockquote>", _text(inner))


def _list(lines: list[str], at: int, inline: _Inline, depth: int) -> tuple[int, Block]:
    first = _ITEM.fullmatch(lines[at])
    assert first is not None
    indent, ordered = len(first[1]), first[2][0].isdigit()
    items: list[list[str]] = []
    end = at
    while end < len(lines) and lines[end].strip():
        item = _ITEM.fullmatch(lines[end])
        if item is not None and len(item[1]) <= indent + 1:
            if item[2][0].isdigit() != ordered:
                break
            items.append([item[3]])
        else:
            items[-1].append(lines[end][indent + 2 :] if lines[end].startswith(" " * (indent + 2)) else lines[end])
        end += 1
    name = "ol" if ordered else "ul"
    shown = [_blocks(item, inline, depth + 1) for item in items]
    # A list without empty lines is tight: its items are no paragraphs.
    inner = "".join(f"<li>{_html(item).replace('<p>', '').replace('</p>', '')}</li>" for item in shown)
    return end - at, (f"<{name}>{inner}</{name}>", " ".join(_text(item) for item in shown))


def _table(lines: list[str], at: int, inline: _Inline) -> tuple[int, Block]:
    end = at + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    head, *body = [[inline.block(cell) for cell in _cells(line)] for line in (lines[at], *lines[at + 2 : end])]
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell, _ in row)}</tr>" for row in body)
    shown = f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell, _ in head)}</tr></thead>"
    text = " ".join(text for row in (head, *body) for _, text in row if text)
    return end - at, (f"<table>{shown}{f'<tbody>{rows}</tbody>' if rows else ''}</table>", text)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def _html(blocks: list[Block]) -> str:
    return "".join(block for block, _ in blocks)


def _text(blocks: list[Block]) -> str:
    return " ".join(text for _, text in blocks if text)


def _mentioned(state: State, match: re.Match[str]) -> Person | None:
    name = match.group(2).strip()
    if match.group(1) == "personId":
        with contextlib.suppress(ValueError):
            name = parse_id(name).id
        person = state.people.get(name.lower())
        return person if person is not None and not person.deleted else None
    return find_person(state, name) if "@" in name else None
