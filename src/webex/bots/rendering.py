"""The messages that answers become: text, cards and forms, with signed buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webex.bots.buttons import Button, Pressed
from webex.bots.forms import TOKEN, Prefilled, as_prefilled, card_of, fields_of, is_form
from webex.cards import Card
from webex.errors import ConfigurationError
from webex.ids import to_uuid

if TYPE_CHECKING:
    from webex.bots.bot import Bot

_CARD_TEXT: Final = "(a card)"


def render(what: Any, bot: Bot, room_id: str | None, person_id: str | None, fallback: str | None) -> dict[str, Any]:
    """Return the fields of a message for what a handler answers with; buttons and forms signed for the room."""
    if isinstance(what, str):
        return {"markdown": what}

    def sign(action: Any) -> dict[str, Any]:
        button: Button = action
        pressed = button.pressed(room_id, bot.now())
        if not pressed.room and not pressed.only and person_id:
            pressed.only = to_uuid(person_id)
        return {TOKEN: bot.signer.sign(pressed)}

    if isinstance(what, Card):
        return {"markdown": fallback or _CARD_TEXT, "card": what.render(sign)}
    if is_form(what):
        prefilled: Prefilled = as_prefilled(what)
        return {"markdown": fallback or prefilled.form.__form_texts__[0] or _CARD_TEXT} | {
            "card": form_card(bot, prefilled, {}, room_id, person_id)
        }
    if hasattr(what, "to_dict") or isinstance(what, dict):
        return {"markdown": fallback or _CARD_TEXT, "card": what}
    if hasattr(what, "model_dump"):
        dump = what.model_dump
        return {"markdown": fallback or _CARD_TEXT, "card": dump(by_alias=True, exclude_none=True, mode="json")}
    raise ConfigurationError(
        f"A handler answered with {type(what).__name__}; answers are text, a Card, a form, a Dialog, or None."
    )


def form_card(
    bot: Bot, prefilled: Prefilled, errors: dict[str, str], room_id: str | None, person_id: str | None
) -> dict[str, Any]:
    """Return the card of a form, signed for its room, else for its person."""
    fields_of(prefilled.form)
    only = "" if room_id or not person_id else to_uuid(person_id)
    pressed = Pressed("form", prefilled.form.__qualname__, only=only, room=to_uuid(room_id) if room_id else "")
    return card_of(prefilled.form, prefilled.values, errors, bot.signer.sign(pressed))
