"""The words of a message: without the mention of the bot, which is found by its id, and as people type them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from webex.bots.words import Mention, Word
from webex.ids import person_uuid
from webex.models.mentions import find_mentions, own_mentions, without

_OPEN, _CLOSE = "\ue000", "\ue001"  # around the number of a mention, in text that words are read from
_MARK: Final = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_PRIVATE: Final = re.compile(f"[{_OPEN}{_CLOSE}]")
_QUOTES: Final = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'"})
_WORD: Final = re.compile(r"""\s*(?:"([^"]*)"(?=\s|$)|'([^']*)'(?=\s|$)|(\S+))""")
_DASH: Final = re.compile(r"(?<!\S)[—–](?=\w)")  # what phones make of `--`


@dataclass(slots=True, frozen=True)
class Said:
    """What was said to the bot: the text without its own mention, and the mentions of others in it."""

    marked: str  # with a mark for each mention, so that a name of several words is one word
    mentions: tuple[Mention, ...]
    addressed: bool  # whether the bot itself was mentioned

    @property
    def text(self) -> str:
        """The text, with mentions as their names."""
        return self.plain(self.marked)

    def plain(self, marked: str) -> str:
        """Return a part of the marked text with mentions as their names."""
        return _MARK.sub(lambda match: self.mentions[int(match[1])].text, marked)

    def words(self) -> list[Word]:
        """Split into words: quotes keep words together, typographic ones too; `—x` counts as `--x`."""
        marked = _DASH.sub("--", self.marked.translate(_QUOTES))
        found = []
        for match in _WORD.finditer(marked):
            quoted = match[3] is None
            raw = match[3] if not quoted else (match[1] if match[1] is not None else match[2])
            mark = _MARK.fullmatch(raw.rstrip(",;:")) if not quoted else None
            mention = self.mentions[int(mark[1])] if mark else None
            found.append(Word(self.plain(raw), match.start(match.lastindex or 0), mention, quoted))
        return found

    def rest(self, start: int) -> str:
        """Return the text from a word on, as it was written."""
        return self.plain(self.marked[start:]).strip()


def read_text(text: str | None, html: str | None, mentioned: Iterable[str] | None, bot: Any) -> Said:
    """Read what was said: without the mentions of the bot. Never raises, whatever the html is.

    `mentioned` are the ids of those who are mentioned, `bot` is the bot's person or id; None: it is not known yet.
    """
    plain = _PRIVATE.sub("", text or "")
    found = find_mentions(plain, _PRIVATE.sub("", html or ""))
    own = own_mentions(plain, found, mentioned, bot) if bot is not None else None
    uuid = person_uuid(getattr(bot, "id", bot)) if bot is not None else ""
    others = [mention for mention in found if not mention.is_of(uuid)]
    # Marks first, from the end on, so that the places before them stay; then the bot's own mentions go.
    marked, spans = plain, [*(own or ())]
    for number, mention in reversed([*enumerate(others)]):
        if mention.start >= 0:
            mark = f"{_OPEN}{number}{_CLOSE}"
            marked = marked[: mention.start] + mark + marked[mention.end :]
            grown = len(mark) - (mention.end - mention.start)
            spans = [(a + grown, b + grown) if a >= mention.end else (a, b) for a, b in spans]
    mentions = [Mention(mention.id, _PRIVATE.sub("", mention.label)) for mention in others]
    known = {person_uuid(mention.id) for mention in others if mention.id} | {uuid}
    mentions += [Mention(each, "") for each in mentioned or () if person_uuid(each) not in known]
    return Said(without(marked, spans), tuple(mentions), own is not None)
