"""Make the content of messages: text, html with its mentions, cards (conversations §2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Any, Final

from webex.errors import ConfigurationError
from webex.ids import is_uuid, person_uuid

_TAG: Final = re.compile(r"<[^<>]+>")  # no "<" inside: each character is read once
_GROUP_MENTION: Final = re.compile(r"""<(?:spark|webex)-mention\b[^<>]*?\bdata-group-type=["'](\w+)["']""")
_MENTION: Final = re.compile(r"""(<(?:spark|webex)-mention\b[^<>]*?\bdata-object-id=)(["'])([A-Za-z0-9_=-]+)\2""")


def person(uuid: str) -> dict[str, Any]:
    """Return how activities name a person."""
    return {"objectType": "person", "id": uuid}


def comment(text: str | None, html: str | None, card: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the object of a message; `ConfigurationError` where there is nothing to say."""
    content = texts(text, html)
    if not content.get("displayName"):
        if card is None:
            raise ConfigurationError("A message has text, html or a card.")
        content["displayName"] = "Card"
    if card is not None:
        if not hasattr(card, "keys"):
            raise ConfigurationError(f"card must be a mapping, the card itself, and not {type(card).__name__}.")
        content["cards"] = [dict(card)]
    return {"objectType": "comment", **content}


def checked_text(name: str, value: object) -> None:
    """Raise `ConfigurationError` for what is neither text nor None."""
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(f"{name} must be text, not {type(value).__name__}.")


def texts(text: str | None, html: str | None) -> dict[str, Any]:
    """Return the text of a message, its html, and what that mentions; the text is made of html where it is missing."""
    checked_text("text", text)
    checked_text("html", html)
    content: dict[str, Any] = {}
    if text or html:
        content["displayName"] = text if text else plain_text(html or "")
    if html:
        content["content"], mentioned = _with_uuids(html)
        if mentioned:
            content["mentions"] = {"items": [person(uuid) for uuid in mentioned]}
        groups = list(dict.fromkeys(_GROUP_MENTION.findall(html)))
        if groups:
            content["groupMentions"] = {
                "items": [{"objectType": "groupMention", "groupType": group} for group in groups]
            }
    return content


def _with_uuids(html: str) -> tuple[str, list[str]]:
    """Return html whose mentions name people by UUID, and these; REST writes a person's public id there instead."""
    mentioned: dict[str, None] = {}

    def replace(match: re.Match[str]) -> str:
        uuid = person_uuid(match[3])
        if not is_uuid(uuid):
            return match[0]
        mentioned[uuid] = None
        return f"{match[1]}{match[2]}{uuid}{match[2]}"

    return _MENTION.sub(replace, html), list(mentioned)


def plain_text(html: str) -> str:
    """Return the text of html: tags removed, entities replaced."""
    return unescape(_TAG.sub("", html)).strip()
