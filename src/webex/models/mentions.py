"""What was said to a bot: the text of a message without the mention of the bot."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webex.errors import ConfigurationError
from webex.ids import person_uuid
from webex.models.base import Model

# No mention within a mention, and no "<" inside a tag: each character is read once.
_MENTION: Final = re.compile(
    r"<(?:spark|webex)-mention\b([^<>]*)>([^<]*(?:<(?!/?(?:spark|webex)-mention\b)[^<]*)*)"
    r"</(?:spark|webex)-mention[ \t\r\n]*>",
    re.IGNORECASE,
)
_PERSON: Final = re.compile(r"""\bdata-object-id=["']([A-Za-z0-9_=-]+)["']""")
_TAG: Final = re.compile(r"<[^<>]+>")
_NAMES: Final = ("display_name", "nick_name", "first_name")
_AFTER: Final = " \t\r\n\xa0,:"  # what may stand between the name at the beginning and what is said


class MentioningMessage(Model):
    """The part of `Message` that knows of mentions."""

    if TYPE_CHECKING:
        text: str | None
        html: str | None
        mentioned_people: list[str] | None

    def text_without_mention(self, bot: Any) -> str:
        """Return what was said to a bot: the text without each mention of it, and without white space around.

        `bot` is the bot's person or its id. Where the mention is by the html, the text loses just that; a name that was
        only written stays. A message without html, which mentions the bot, loses the name that it begins with (for
        that, give the person, whose names are known). A comma or colon after the name at the beginning goes as well.
        """
        own = getattr(bot, "id", bot)
        if not isinstance(own, str) or not own:
            raise ConfigurationError(f"text_without_mention takes the bot's person or id, not {type(bot).__name__}.")
        text = self.text or ""
        return without(text, own_mentions(text, find_mentions(text, self.html), self.mentioned_people, bot) or ())


class FoundMention(NamedTuple):
    """A mention in the html of a message: of which account (None: of all), and where the text has it."""

    id: str | None
    label: str
    start: int  # -1: the text lacks it
    end: int

    def is_of(self, uuid: str) -> bool:
        """Whether it mentions this person."""
        return self.id is not None and person_uuid(self.id) == uuid


def find_mentions(text: str, html: str | None) -> list[FoundMention]:
    """Return the mentions in the html, each found in the text by what the html says before it."""
    found: list[FoundMention] = []
    place = end = 0
    for mention in _MENTION.finditer(html or ""):
        label = unescape(_TAG.sub("", mention[2])).strip()
        before = unescape(_TAG.sub(" ", (html or "")[end : mention.start()]))
        end = mention.end()
        start, after = -1, place
        for _ in range(before.count(label) + 1 if label else 0):  # the name may also have been written
            start = text.find(label, after)
            after = start + len(label)
            if start < 0:
                break
        if start >= 0:
            place = after
        person = _PERSON.search(mention[1])
        found.append(FoundMention(person[1] if person else None, label, start, start + len(label)))
    return found


def own_mentions(
    text: str, found: Iterable[FoundMention], mentioned: Iterable[str] | None, bot: Any
) -> list[tuple[int, int]] | None:
    """Return where the text mentions a bot (its person or id); None when it is not mentioned.

    `mentioned` are the ids of all who are mentioned: where the html does not say where, a name of the bot at the
    beginning counts.
    """
    uuid = person_uuid(getattr(bot, "id", bot))
    own = [mention for mention in found if mention.is_of(uuid)]
    if own:
        return [(mention.start, mention.end) for mention in own if mention.start >= 0]
    if uuid not in [person_uuid(each) for each in mentioned or ()]:
        return None
    for name in (getattr(bot, each, None) for each in _NAMES):
        if isinstance(name, str) and name and _begins_with(text, name):
            start = len(text) - len(text.lstrip())
            return [(start, start + len(name))]
    return []


def without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return a text without some parts, the punctuation after one at the beginning, and white space around."""
    said, place = "", 0
    for start, end in spans:
        said += text[place:start]
        place = end
        if not said.strip():  # at the beginning
            said, place = "", end + len(text[end:]) - len(text[end:].lstrip(_AFTER))
        elif said[-1].isspace() and text[end : end + 1].isspace():
            place += 1
    return (said + text[place:]).strip()


def _begins_with(text: str, name: str) -> bool:
    begun = text.lstrip()
    following = begun[len(name) : len(name) + 1]
    return begun[: len(name)].casefold() == name.casefold() and not following.isalnum()
