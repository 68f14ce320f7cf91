"""What a bot under test answered, and checks of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from webex.testing.bot_people import CardFailure, card_of, elements_of, texts_on

if TYPE_CHECKING:
    from webex.models import Message
    from webex.testing.bot_people import Exchange


class _Test(Protocol):
    @property
    def last(self) -> Exchange: ...


class Replies:
    """What the bot answered last: `t.bot.replied("…")`."""

    def __init__(self, test: _Test) -> None:
        self._test = test

    @property
    def texts(self) -> list[str]:
        """The answers to what was done last."""
        return self._test.last.texts

    def replied(self, text: str | None = None, *, match: str | None = None) -> Message:
        """Check that one of the answers is `text`, or matches a pattern; return it."""
        for message in self._test.last.messages:
            said = message.markdown or message.text or ""
            if (text is not None and text in (said, message.text)) or (match is not None and re.search(match, said)):
                return message
        wanted = repr(text) if text is not None else f"something like {match!r}"
        raise AssertionError(f"The bot did not say {wanted}. It said: {self.texts!r}")

    def replied_card(self, *, title: str | None = None, error: str | None = None) -> Message:
        """Check that a card was sent: with this text on it, or an error below this field; return the message."""
        card = self._test.last.card
        elements = elements_of(card_of(card))
        if title is not None and not any(title in str(each.get("text", "")) for each in elements):
            raise CardFailure(f"The card does not say {title!r}. It says: {texts_on(elements)!r}")
        if error is not None:
            names = [each.get("id") for each in elements]
            after = elements[names.index(error) + 1] if error in names and names.index(error) + 1 < len(names) else {}
            if after.get("color") != "Attention":
                raise CardFailure(f"The card says nothing below {error!r}. It says: {texts_on(elements)!r}")
        return card

    def silent(self) -> None:
        """Check that the bot said nothing."""
        if self._test.last.messages:
            raise AssertionError(f"The bot was to say nothing. It said: {self.texts!r}")
