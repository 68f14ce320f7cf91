"""Buttons whose data is signed: no storage, any worker, any restart.

A button carries the name of a function and its arguments, with an HMAC. It is bound to the room that it was sent to
(else to the person), so that its readable data is of no use in another one; whether it stands in the very card that was
submitted is checked when it is pressed.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from webex.errors import ConfigurationError
from webex.ids import base64url_decode, base64url_encode, person_uuid, to_uuid

Secret = str | bytes | Sequence[str | bytes]
MOST_BYTES: Final = 1024
_MAC: Final = 16  # bytes
_PURPOSE: Final = b"webex.bots buttons 1"


class InvalidButtonError(Exception):
    """What was submitted is no button of this bot for this room and person, or no longer; the text says which."""


class Pressed(msgspec.Struct, array_like=True):
    """What a button, the button of a form, or a link to the sign-in says."""

    kind: Literal["button", "form", "resume"]
    name: str  # of the function or form, or under which the event is stored that is resumed
    arguments: dict[str, Any] = {}
    expires: int = 0  # seconds since the epoch; 0: never
    only: str = ""  # the UUID of the only person who may press it
    room: str = ""  # the UUID of the room that it was sent to
    once: str = ""  # a random mark, where it may be pressed only once
    nonce: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(6))  # no two cards have an equal one


class Button:
    """A button that calls a function of the bot: `Button("Approve", approve, n=7)`.

    The function is registered by `@bot.button`; the arguments are those that it takes after the context, up to 1,024
    bytes in all. They are signed, not encrypted: all in the room can read them. `only` is the person (id, or what has
    an `id`) who may press it, `expires` how long it can be pressed, `once=True` lets it be pressed only once. `style`
    is `positive` or `destructive`.
    """

    def __init__(
        self,
        title: str,
        function: Callable[..., Any] | str,
        *,
        only: Any = None,
        expires: timedelta | float | None = None,
        once: bool = False,
        style: Literal["default", "positive", "destructive"] | None = None,
        **arguments: Any,
    ) -> None:
        self.title: str = title
        self.name: str = function if isinstance(function, str) else name_of(function)
        self.style = style
        self._only = _person(only)
        self._expires = expires.total_seconds() if isinstance(expires, timedelta) else expires
        self._once = secrets.token_urlsafe(6) if once else ""
        try:
            self._arguments = msgspec.to_builtins(arguments, str_keys=True)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"The arguments of the button {title!r} can't be sent: {error}.") from None
        size = len(msgspec.msgpack.encode(self._arguments))
        if size > MOST_BYTES:
            raise ConfigurationError(
                f"The button {title!r} has {size:,} bytes of arguments; it takes {MOST_BYTES:,}. Keep them in your "
                "database, and put their id here."
            )

    def sign_with(self, sign: Callable[[Any], Mapping[str, Any]] | None) -> dict[str, Any]:
        """Return the action as plain data; `sign` gives its signed data."""
        if sign is None:
            raise ConfigurationError(
                f"The button {self.title!r} is signed by the bot: send the card with ctx.reply(…) or bot.say(…)."
            )
        action: dict[str, Any] = {"type": "Action.Submit", "title": self.title, "data": dict(sign(self))}
        return action if self.style is None else action | {"style": self.style}

    def pressed(self, room_id: str | None, now: float) -> Pressed:
        """Return what this button says in a room."""
        expires = 0 if self._expires is None else int(now + self._expires)
        return Pressed(
            "button", self.name, self._arguments, expires, self._only, to_uuid(room_id) if room_id else "", self._once
        )

    def __repr__(self) -> str:
        return f"Button({self.title!r}, {self.name!r})"


class Signer:
    """Signs with the first secret, and takes what any of them signed."""

    def __init__(self, secret: Sequence[bytes]) -> None:
        self._keys = [hmac.digest(each, _PURPOSE, "sha256") for each in secret]

    def sign(self, pressed: Pressed) -> str:
        """Return the signed text."""
        body = msgspec.msgpack.encode(pressed)
        return base64url_encode(self._mac(self._keys[0], body) + body)

    def read(self, text: Any, *, person: str, room_id: str | None, now: float) -> Pressed:
        """Return what a signed text says; `InvalidButtonError` unless it holds here, now, and for this person."""
        if not isinstance(text, str) or len(text) > 4 * MOST_BYTES:
            raise InvalidButtonError("it is not signed")
        try:
            data = base64url_decode(text)
        except ValueError:
            raise InvalidButtonError("it is not signed") from None
        mac, body = data[:_MAC], data[_MAC:]
        # A text is taken in one spelling only: base64 would leave bits of the last character without a meaning.
        good = [hmac.compare_digest(mac, self._mac(key, body)) for key in self._keys]
        if not any(good) or base64url_encode(data) != text:
            raise InvalidButtonError("its signature is wrong")
        try:
            pressed = msgspec.msgpack.decode(body, type=Pressed)
        except msgspec.DecodeError:
            raise InvalidButtonError("it is of another version") from None
        if pressed.expires and now > pressed.expires:
            raise InvalidButtonError("it has expired")
        if pressed.room and (not room_id or to_uuid(room_id) != pressed.room):
            raise InvalidButtonError("it belongs to another room")
        if pressed.only and person_uuid(person) != pressed.only:
            raise InvalidButtonError("it is for another person")
        return pressed

    @staticmethod
    def _mac(key: bytes, body: bytes) -> bytes:
        return hmac.digest(key, body, hashlib.sha256)[:_MAC]


def secrets_of(given: Secret | None, token: str) -> list[bytes]:
    """Return what to sign with: the secrets given, else that of `WEBEX_BOT_SECRET`, else one derived from the token."""
    given = given if given is not None else os.environ.get("WEBEX_BOT_SECRET") or None
    if given is None:
        if not token:
            raise ConfigurationError("A bot without secret= signs with its token: await bot.ready() first.")
        return [hmac.digest(token.encode(), b"webex.bots secret", hashlib.sha256)]
    several = [given] if isinstance(given, str | bytes) else list(given)
    found = [each.encode() if isinstance(each, str) else bytes(each) for each in several]
    if not found or not all(len(each) >= 16 for each in found):
        raise ConfigurationError("The secret of a bot has at least 16 bytes; make one with secrets.token_urlsafe().")
    return found


def name_of(function: Callable[..., Any]) -> str:
    """Return the name that a button calls a function by: the same whether its module is imported or run."""
    module = function.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        module = spec.name if spec is not None else Path(file).stem if file else module
    return f"{module}:{function.__qualname__}"


def _person(value: Any) -> str:
    if value is None:
        return ""
    found = value if isinstance(value, str) else getattr(value, "id", None)
    if not isinstance(found, str) or "@" in found:
        raise ConfigurationError("only= takes the id of a person, or what has one: ctx.person.")
    return person_uuid(found)
