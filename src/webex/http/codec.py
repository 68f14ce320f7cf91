"""How data becomes bytes and back: the one JSON codec of the house, queries, forms, URLs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import msgspec

from webex.config.values import split_url
from webex.errors import ConfigurationError, DecodeError, RequestInfo

if TYPE_CHECKING:
    from webex.http.types import Params

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()

# One escape of a JSON text: a pair of surrogates, a lone one (group 1), or any other.
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def encode_json(value: Any) -> bytes:
    """JSON of plain data, structs and datetimes; `ConfigurationError` names what can't be sent."""
    try:
        content = _encoder.encode(value)
    except UnicodeEncodeError as error:
        whole = _whole_text(value, "The request's body")
        if whole == value:
            raise ConfigurationError(f"The request's body can't be written as JSON: {error.reason}.") from None
        return encode_json(whole)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise ConfigurationError(f"The request's body can't be written as JSON: {error}.") from None
    _refuse_silent_changes(value, "The request's body")
    return content


def _refuse_silent_changes(value: Any, name: str) -> None:
    """Refuse what msgspec would change without a word: bytes become base64, NaN and infinities null."""
    if isinstance(value, str | int | None):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if item.__class__ is not str:
                _refuse_silent_changes(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if item.__class__ is not str:
                _refuse_silent_changes(item, f"{name}[{index}]")
    elif isinstance(value, bytes | bytearray | memoryview):
        raise ConfigurationError(f"{name} is bytes, which JSON does not have: value.decode() makes it text.")
    elif isinstance(value, float) and not isfinite(value):
        raise ConfigurationError(f"{name} is {value}, a number that JSON does not have.")


def well_formed(text: str, name: str) -> str:
    """Join pairs of surrogates to the characters that they stand for.

    `ConfigurationError` for a lone surrogate, which is no character; `name` says where it is.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise ConfigurationError(
                f"{name} holds half a character (a lone surrogate, at {error.start}), which can't be sent. "
                "Was the text cut, or read with errors='surrogateescape'?"
            ) from None
    return text


def _whole_text(value: Any, name: str) -> Any:
    """Plain data with every text well formed."""
    if isinstance(value, str):
        return well_formed(value, name)
    if isinstance(value, Mapping):
        return {_whole_text(key, name): _whole_text(item, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_text(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, msgspec.Struct) or is_dataclass(value):
        return _whole_text(msgspec.to_builtins(value), name)
    return value


def read_json(content: bytes | bytearray | memoryview | msgspec.Raw) -> Any:
    """Plain data of JSON; lone surrogates, which msgspec refuses, become U+FFFD. Raises what msgspec raises."""
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        repaired = without_lone_surrogates(bytes(content))
        if repaired is None:
            raise
        return _decoder.decode(repaired)


def without_lone_surrogates(content: bytes) -> bytes | None:
    """Replace escaped lone surrogates of a JSON text by U+FFFD; None when it has none."""
    if b"\\u" not in content:
        return None
    repaired = _ESCAPE.sub(lambda match: b"\\ufffd" if match.group(1) else match.group(), content)
    return repaired if repaired != content else None


def decode_json(content: bytes, request: RequestInfo | None = None) -> Any:
    """Plain data of JSON; `DecodeError` when it is none."""
    try:
        return read_json(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DecodeError(not_json(content, error), request=request) from None


def not_json(content: bytes, error: Exception) -> str:
    """Say what came instead of JSON, without showing any of it."""
    start = content[:200].lstrip()
    if not start:
        kind = "is empty"
    elif start.startswith(b"<"):
        kind = "is a page (HTML or XML) and not JSON: a proxy or a sign-in page may have answered"
    else:
        kind = f"is not JSON ({type(error).__name__})"
    return f"The answer {kind}; {len(content)} bytes came."


def encode_query(params: Params | None) -> str:
    """Encode a query: lists joined by commas, as the API reads them, and None left out."""
    if not params:
        return ""
    try:
        pairs = [(name, well_formed(_text(value), name)) for name, value in params.items() if value is not None]
    except RecursionError:
        raise ConfigurationError("A value of the query is nested too deeply.") from None
    return urlencode(pairs, quote_via=quote, safe="")


def encode_form(form: Mapping[str, str]) -> bytes:
    """Encode a form body; spaces are `%20`."""
    pairs = [(name, well_formed(value, name) if isinstance(value, str) else value) for name, value in form.items()]
    try:
        return urlencode(pairs, quote_via=quote).encode("ascii")
    except RecursionError:
        raise ConfigurationError("A value of the form is nested too deeply.") from None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ",".join(_text(item) for item in value)
    return str(value)


def join_url(base: str, path: str) -> str:
    """Join a service's base URL and a path below it, with one slash between."""
    return f"{base}/{path.lstrip('/')}"


def is_absolute(url: str) -> bool:
    """Whether the text is an http or https URL rather than a path."""
    return url.startswith(("https://", "http://"))


def add_query(url: str, query: str) -> str:
    """Add a query to the one that the URL may have."""
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def without_secrets(url: str) -> str:
    """Return the URL as errors and logs may show it: without user info, query and fragment."""
    parts = split_url(url)
    if parts is None:
        return f"{url.partition('://')[0]}://…"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
