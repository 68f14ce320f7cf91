"""How data becomes bytes and back: the one JSON codec of the house, queries, forms, URLs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from webex.errors import ConfigurationError, DecodeError, RequestInfo

if TYPE_CHECKING:
    from webex.http.types import Params

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


def encode_json(value: Any) -> bytes:
    """JSON of plain data, structs and datetimes; `ConfigurationError` names what can't be sent."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise ConfigurationError(f"The request's body can't be written as JSON: {error}.") from None


def decode_json(content: bytes, request: RequestInfo | None = None) -> Any:
    """Plain data of JSON; `DecodeError` when it is none."""
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        kind = "is empty" if not content.strip() else f"is not JSON ({type(error).__name__})"
        raise DecodeError(f"The answer {kind}; {len(content)} bytes came.", request=request) from None


def encode_query(params: Params | None) -> str:
    """A query in which lists are joined by commas, as the API reads them, and None is left out."""
    if not params:
        return ""
    pairs = [(name, _text(value)) for name, value in params.items() if value is not None]
    return urlencode(pairs, quote_via=quote, safe="")


def encode_form(form: Mapping[str, str]) -> bytes:
    """An urlencoded body; spaces are `%20`."""
    return urlencode(list(form.items()), quote_via=quote).encode("ascii")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ",".join(_text(item) for item in value)
    return str(value)


def join_url(base: str, path: str) -> str:
    """A service's base URL and a path below it, with one slash between."""
    return f"{base}/{path.lstrip('/')}"


def is_absolute(url: str) -> bool:
    """Whether the text is an http or https URL rather than a path."""
    return url.startswith(("https://", "http://"))


def add_query(url: str, query: str) -> str:
    """The URL with a query added to the one that it may have."""
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def without_secrets(url: str) -> str:
    """The URL as errors and logs may show it: without user info, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
