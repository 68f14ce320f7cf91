"""The words of a message, as commands take them."""

from __future__ import annotations

from typing import Final, NamedTuple

_MARKUP: Final = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'"})


def escape_markdown(text: str) -> str:
    """Escape text that users wrote for an answer in markdown: it mentions no one and hides no address behind a link.

    The characters that mentions, links and code begin with are replaced by similar ones.
    """
    return text.translate(_MARKUP)


class Mention(NamedTuple):
    """A mention in a message: the id of the account (None for `@all`), and the text that it stands as."""

    id: str | None
    text: str


class Word(NamedTuple):
    """One word of what was said: its text, where it begins, and the mention that it is."""

    text: str
    start: int
    mention: Mention | None = None
    quoted: bool = False
