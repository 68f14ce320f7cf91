"""Values as JSON, and nothing but JSON: what an adapter of ours takes in comes out equal, or is refused."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from webex.errors import StorageError
from webex.storage.protocol import Json

__all__ = ["check_duration", "check_text", "decode", "encode"]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def encode(value: Json) -> bytes:
    """Encode a value as JSON; `StorageError` when it is not plain JSON data, rather than storing something else."""
    try:
        _check(value)
        return _encoder.encode(value)
    except _NotPlainError as error:
        raise StorageError(
            f"a stored value is plain JSON data (None, bool, int, float, str, list, dict with text keys); "
            f"this one holds {error}"
        ) from None
    except (UnicodeEncodeError, RecursionError) as error:
        what = "text with a lone surrogate" if isinstance(error, UnicodeEncodeError) else "too many levels"
        raise StorageError(f"the value can't be stored as JSON: it holds {what}") from None


def decode(data: bytes) -> Json:
    """Decode a value; `StorageError` when the bytes are not JSON: another program wrote or damaged them."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise StorageError("a stored value is not JSON: it was damaged, or written by another program") from None


def check_text(text: str, what: str) -> None:
    """Refuse a key, namespace or name that no storage could keep apart from another."""
    if not isinstance(text, str):
        raise StorageError(f"a {what} is text, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise StorageError(f"the {what} {text!r} holds a lone surrogate, which can't be stored") from None


def check_namespace(namespace: str) -> None:
    """Refuse a namespace that is empty or no text."""
    check_text(namespace, "namespace")
    if not namespace:
        raise StorageError("a namespace is text of at least one character: bind(namespace)")


def check_duration(seconds: float | None, what: str) -> None:
    """Refuse a duration that is not a number of seconds above zero."""
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise StorageError(f"{what} is a number of seconds, not {type(seconds).__name__}")
    if not (seconds > 0 and math.isfinite(seconds)):
        raise StorageError(f"{what} is a number of seconds above zero, not {seconds!r}")


class _NotPlainError(Exception):
    pass


def _check(value: Any) -> None:
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise _NotPlainError("an integer of more than 64 bits")
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _NotPlainError(f"the number {value!r}")
        return
    if isinstance(value, list | tuple):
        for item in value:
            _check(item)
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _NotPlainError(f"a dict key of type {type(key).__name__}")
            _check(item)
        return
    raise _NotPlainError(f"an object of type {type(value).__name__}")
