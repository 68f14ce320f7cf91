"""Adaptive cards as plain data, checked before they are sent (cloud-facts §4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from webex.errors import ConfigurationError
from webex.http.codec import encode_json

CONTENT_TYPE: Final = "application/vnd.microsoft.card.adaptive"
MOST_BYTES: Final = 22 * 1024
_NEWEST: Final = (1, 3)


def attachment(card: Mapping[str, Any]) -> dict[str, Any]:
    """The attachment for a card; one that is an attachment already is checked and kept.

    `ConfigurationError` for what is no card, a version above 1.3, or more than 22 KB.
    """
    if "contentType" in card or "content_type" in card:
        content = card.get("content")
        if not isinstance(content, Mapping):
            raise ConfigurationError("An attachment needs content: the card.")
        card = content
    if card.get("type") != "AdaptiveCard":
        raise ConfigurationError(f"A card's type is 'AdaptiveCard', not {card.get('type')!r}.")
    version = str(card.get("version", ""))
    try:
        parts = tuple(int(part) for part in version.split("."))
    except ValueError:
        parts = ()
    if not parts or parts > _NEWEST:
        raise ConfigurationError(f"Webex takes cards up to version 1.3; this one says {version or 'no version'!r}.")
    size = len(encode_json(card))
    if size > MOST_BYTES:
        raise ConfigurationError(f"The card has {size:,} bytes; Webex takes {MOST_BYTES:,}.")
    return {"contentType": CONTENT_TYPE, "content": dict(card)}
