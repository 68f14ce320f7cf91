"""Adaptive cards as plain data, checked before they are sent (rest §8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from webex.errors import ConfigurationError
from webex.http.codec import encode_json
from webex.models.base import Model

CONTENT_TYPE: Final = "application/vnd.microsoft.card.adaptive"
MOST_BYTES: Final = 22 * 1024
_NEWEST: Final = (1, 3)


def attachments_of(value: Any) -> list[dict[str, Any]]:
    """Return the attachments for `attachments=`, a list of cards, each in its envelope or plain."""
    if isinstance(value, Mapping | Model):
        raise ConfigurationError("attachments must be a list, not one attachment: attachments=[…], or card=….")
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ConfigurationError(f"attachments must be a list of attachments, not {type(value).__name__}.")
    return [attachment(item, f"attachments[{index}]") for index, item in enumerate(value)]


def attachment(card: Any, place: str = "card") -> dict[str, Any]:
    """Return the attachment for a card; check and keep one that is an attachment already.

    `ConfigurationError` names the `place` of what is no card, has a version above 1.3, or more than 22 KB.
    """
    card = _mapping(card, place)
    kind = card.get("contentType", card.get("content_type"))
    if kind is not None or ("content" in card and "type" not in card):
        if kind not in (None, CONTENT_TYPE):
            raise ConfigurationError(f"{place} has the content type {kind!r}; Webex takes {CONTENT_TYPE}.")
        if not isinstance(card.get("content"), Mapping):
            raise ConfigurationError(f"{place} needs content: the card as a mapping.")
        card, place = card["content"], f"{place}['content']"
    if card.get("type") != "AdaptiveCard":
        raise ConfigurationError(f"{place}: a card's type is 'AdaptiveCard', not {card.get('type')!r}.")
    version = card.get("version")
    parts = _version(version)
    if parts is None or parts > _NEWEST:
        said = "no version" if version is None else f"version {version!r}"
        raise ConfigurationError(f"{place}: Webex takes cards up to version 1.3; this one has {said}.")
    size = len(encode_json(card))
    if size > MOST_BYTES:
        raise ConfigurationError(f"{place}: the card has {size:,} bytes; Webex takes {MOST_BYTES:,}.")
    return {"contentType": CONTENT_TYPE, "content": dict(card)}


def _mapping(card: Any, place: str) -> Mapping[str, Any]:
    if isinstance(card, Mapping):
        return card
    if isinstance(card, str | bytes | bytearray):
        raise ConfigurationError(f"{place} must be a mapping, not text: {place}=json.loads(…).")
    if isinstance(card, list | tuple):
        kind = type(card).__name__
        raise ConfigurationError(f"{place} must be one card, not a {kind}: attachments=[…] takes several.")
    to_dict = getattr(card, "to_dict", None)  # as the models here and the card classes of other libraries have it
    data = to_dict() if callable(to_dict) and not isinstance(card, type) else None
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"{place} must be a mapping (an adaptive card), not {type(card).__name__}.")
    return data


def _version(version: Any) -> tuple[int, ...] | None:
    """Return a version's parts without zeros at its end, so that 1.3 and 1.3.0 are equal; None when it is none."""
    if isinstance(version, bool) or not isinstance(version, str | int | float):
        return None
    texts = str(version).strip().split(".")
    if not all(text.isascii() and text.isdigit() and len(text) < 9 for text in texts):
        return None
    parts = [int(text) for text in texts]
    while len(parts) > 1 and not parts[-1]:
        del parts[-1]
    return tuple(parts)
