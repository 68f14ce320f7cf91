"""People who sign in to the integration of a bot under test, as they do by the link on its card."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from webex.auth.login import SignedIn, User
from webex.auth.tokens import TokenSet
from webex.testing.bot_people import CardFailure, card_of, elements_of

if TYPE_CHECKING:
    from webex.bots.bot import Bot
    from webex.integration import AsyncIntegration
    from webex.models import Message
    from webex.testing.bot_people import AsyncSpeaker


async def sign_in(
    bot: Bot, integration: AsyncIntegration, speaker: AsyncSpeaker, token: str, sent: Iterable[Message]
) -> None:
    """Store a person's token, and tell the bot as the sign-in would, with what the link carries."""
    await integration.adopt(speaker.uuid, token)
    if bot.resume:
        user = User(speaker.uuid, speaker.id, email=speaker.email)
        await bot.signed_in(SignedIn(user, _return_to(sent), frozenset(), TokenSet(token)))
        await bot.wait_until_idle()


def _return_to(sent: Iterable[Message]) -> str:
    """Return where the link on the last card leads back to; `/` when there is none."""
    for message in reversed([*sent]):
        try:
            elements = elements_of(card_of(message))
        except CardFailure:
            continue
        for element in elements:
            back = parse_qs(urlsplit(str(element.get("url", ""))).query).get("return_to")
            if back:
                return back[0]
    return "/"
