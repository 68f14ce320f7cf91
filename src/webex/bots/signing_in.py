"""People of an integration: they are sent to the sign-in in private, and what they asked for is done afterwards.

The link of the card is that of the app's sign-in. Its `return_to` carries a signed text: the person that it is for, and
the name under which the ids of the event are stored for ten minutes. The sign-in calls `resume` when a person has
finished it, which hands the event to the bot again if that person is the one of the card.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

from webex.bots.buttons import InvalidButtonError, Pressed
from webex.bots.happening import from_data
from webex.cards import Card, OpenUrl, TextBlock
from webex.errors import ApiError, NotSignedInError, ReauthorizationRequiredError
from webex.ids import person_uuid
from webex.models import AttachmentAction, Message

if TYPE_CHECKING:
    from webex.auth.login import SignedIn
    from webex.bots.bot import Bot
    from webex.bots.context import Context
    from webex.bots.happening import Happening
    from webex.web import WebResponse

_logger = logging.getLogger("webex.bots")

NAMESPACE: Final = "bot-resume"
QUERY: Final = "webex_resume"  # the name of the signed text in `return_to`
_KEPT: Final = 600.0  # seconds that an event waits for the sign-in
_RESUMED: Final[dict[str, Any]] = {"messages": Message, "attachmentActions": AttachmentAction}


async def send_invitation(bot: Bot, ctx: Context, error: BaseException) -> bool:
    """Send the card that asks a person to sign in; False when that is not what went wrong, or there is no sign-in."""
    if not isinstance(error, NotSignedInError | ReauthorizationRequiredError) or bot.sign_in_url is None:
        return False
    name = secrets.token_urlsafe(12)
    goes_on = bot.resume and _can_resume(ctx.happening)
    url = _with_return_to(bot, bot.sign_in_url, ctx, name) if goes_on else bot.sign_in_url
    then = "I go on as soon as you have signed in." if goes_on else "Sign in, and ask me again."
    card: Any = Card(
        TextBlock("Please sign in", weight="Bolder", size="Medium"),
        TextBlock(f"I need your permission for that. {then}"),
        actions=[OpenUrl("Sign in", url)],
    )
    sent = await ctx.reply(card, private=True, fallback=f"Please sign in: {url}")
    if goes_on:
        await bot.storage.put(NAMESPACE, f"{bot.key}:{name}", _stored(ctx, sent.id), expires_in=_KEPT)
    if ctx.room_type != "direct":
        await ctx.reply("I need your permission for that: please see our direct room.")
    return True


async def resume(bot: Bot, signed_in: SignedIn) -> WebResponse | None:
    """Hand the event to the bot again that a sign-in was for; see `Bot.signed_in`."""
    path, _, query = signed_in.return_to.partition("?")
    token = parse_qs(query).get(QUERY, [""])[0]
    if not token:
        return None
    await bot.ready()
    person = person_uuid(signed_in.user.id or signed_in.user.key)
    try:
        pressed = bot.signer.read(token, person="", room_id=None, now=bot.now())
    except InvalidButtonError as error:
        _logger.info("nothing is resumed after a sign-in: %s", error)
        return _page(400, "This link is too old", "You are signed in. Ask the bot again.", path)
    if pressed.kind != "resume":
        return None
    wanted, storage_key = pressed.arguments, f"{bot.key}:{pressed.name}"
    if wanted.get("person") != person:
        who = signed_in.user.email or signed_in.user.display_name or "another person"
        text = f"You signed in as {who}, and the bot asked {wanted.get('email') or 'another person'}."
        return _page(403, "Another person was asked to sign in", text, path)
    kept = await bot.storage.take(NAMESPACE, storage_key)
    if isinstance(kept, dict) and (happening := _restored(bot, kept)) is not None:
        with suppress(ApiError):  # it was deleted meanwhile
            await bot.client.messages.delete(kept["card"])
        bot.resume_later(happening)
    return _page(200, "You are signed in", "The bot goes on in Webex; you can close this page.", path)


def _can_resume(happening: Happening) -> bool:
    return happening.resource in _RESUMED and happening.event == "created"


def _with_return_to(bot: Bot, url: str, ctx: Context, name: str) -> str:
    """Return the URL of the sign-in with a `return_to` that carries the signed text, after a path that it has."""
    arguments = {"person": person_uuid(ctx.person.id), "email": ctx.person.email or ctx.person.display_name or ""}
    token = bot.signer.sign(Pressed("resume", name, arguments, expires=int(bot.now() + _KEPT)))
    parts = urlsplit(url)
    fields = dict(parse_qsl(parts.query, keep_blank_values=True))
    back = fields.get("return_to", "/")
    fields["return_to"] = f"{back}{'&' if '?' in back else '?'}{urlencode({QUERY: token})}"
    return urlunsplit(parts._replace(query=urlencode(fields)))


def _stored(ctx: Context, card: str) -> dict[str, Any]:
    """Return what is stored of an event: ids, and not what was said."""
    happening = ctx.happening
    return {
        "resource": happening.resource,
        "id": happening.data.id,
        "room": ctx.room_id,
        "person": ctx.person.id,
        "card": card,
    }


def _restored(bot: Bot, kept: dict[str, Any]) -> Happening | None:
    model = _RESUMED.get(kept["resource"])
    if model is None:
        return None
    data = model(id=kept["id"], room_id=kept["room"])
    happening = from_data(
        kept["resource"],
        "created",
        data,
        client=bot.client,
        actor=kept["person"],
        redelivered=True,
        is_whole=False,
    )
    happening.resumed = True
    return happening


def _page(status: int, title: str, text: str, back: str) -> WebResponse:
    from webex.web.pages import Problem, page

    return page(Problem(status, title, text), link=back or "/", link_text="Go on to the app")
