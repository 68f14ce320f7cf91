"""The signature of a webhook: hex HMAC over the raw body, with the webhook's secret (rest §9)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from webex.errors import ConfigurationError, SignatureError
from webex.http.codec import well_formed
from webex.webhooks.events import WebhookEvent, read_event

# Header → hash, the one to believe first on top. A header that carries another hash is a line here.
SIGNATURES: Final[dict[str, Callable[..., Any]]] = {
    "x-spark-signature": hashlib.sha1,
    "x-webexcc-signature": hashlib.sha256,  # of contact-center subscriptions
}


# What holds the headers of a request, as frameworks give it: a mapping, pairs, or the value of one header.
Signature = str | bytes | Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None


def verify(
    raw_body: bytes,
    signature: Signature,
    secret: str | bytes | Sequence[str | bytes],
    *,
    header: str = "X-Spark-Signature",
) -> WebhookEvent:
    """Verify a webhook's signature and return its event; `SignatureError` otherwise.

    `raw_body` is the body as it came, before any JSON reader. `signature` is the value of `header`, or all headers of
    the request: a mapping (also `request.META` and a WSGI `environ`, also with a list of values), or pairs of text or
    bytes (as ASGI's `scope["headers"]`). `secret` is the one that the webhook was created with; of a list any may fit,
    so that it can be replaced. The comparison takes the same time wherever it fails. A body that is signed and no event
    is a `DecodeError`; what can't be a body, headers or a secret is a `ConfigurationError`.
    """
    if not isinstance(raw_body, bytes | bytearray | memoryview):
        raise ConfigurationError(
            f"raw_body must be the bytes of the request, not {type(raw_body).__name__}: "
            "JSON that was read and written again no longer fits its signature."
        )
    body = bytes(raw_body)
    secrets = secrets_of(secret)
    name, given = _signature(signature, header)
    algorithm = SIGNATURES.get(name)
    if algorithm is None:
        raise ConfigurationError(f"No algorithm is known for the header {header!r}; known: {', '.join(SIGNATURES)}.")
    if not given:
        raise SignatureError(
            f"The request has no {header}: it is not from Webex, or the webhook was created without a secret."
        )
    seen = given.strip().lower().encode("utf-8", "surrogatepass")
    fits = [hmac.compare_digest(hmac.new(key, body, algorithm).hexdigest().encode(), seen) for key in secrets]
    if not any(fits):
        raise SignatureError(
            f"{header} does not fit the body of {len(body)} bytes: another secret, a changed body, or not from Webex."
        )
    return read_event(body)


def _signature(signature: Signature, header: str) -> tuple[str, str | None]:
    """Return the name of the signature header and its value, None when the request has none."""
    if not isinstance(header, str) or not header:
        raise ConfigurationError(f"header must be the name of a header, not {header!r}.")
    if signature is None or isinstance(signature, str | bytes | bytearray):
        return header.lower(), _text(signature)
    headers: dict[str, str | None] = {}
    for name, value in _pairs(signature):
        known = (_text(name) or "").lower().replace("_", "-").removeprefix("http-")
        if known in headers:
            raise SignatureError(f"The request has several {known} headers, and one signature is expected.")
        if known in SIGNATURES or known == header.lower():
            headers[known] = _text(value)
    return next(((name, headers[name]) for name in SIGNATURES if name in headers), (header.lower(), None))


def _pairs(headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Names and values; a value that is a list (as API gateways have it) one by one."""
    items: Any = getattr(headers, "multi_items", None) or getattr(headers, "items", None)
    if not callable(items) and not isinstance(headers, Iterable):
        raise ConfigurationError(f"signature must be a header's value or all headers, not {_kind(headers)}.")
    listed: Any = items() if callable(items) else headers
    for pair in listed:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ConfigurationError(f"signature must hold pairs of a header's name and value, not {_kind(pair)}.")
        name, values = pair
        for value in values if isinstance(values, list | tuple) else [values]:
            yield name, value


def _text(value: Any) -> str | None:
    """Return a header's name or value as text; None for what is neither text nor bytes."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("latin-1")
    return value if isinstance(value, str) else None


def _kind(value: object) -> str:
    return type(value).__name__


def secrets_of(secret: str | bytes | Sequence[str | bytes]) -> list[bytes]:
    """Return the secrets as bytes; `ConfigurationError` for what is none, or empty."""
    if secret is None or not isinstance(secret, str | bytes | bytearray | Sequence | set | frozenset):
        raise ConfigurationError(
            f"secret must be the text that the webhook was created with, not {_kind(secret)}: is its variable set?"
        )
    given = [secret] if isinstance(secret, str | bytes | bytearray) else list(secret)
    for index, key in enumerate(given):
        if not isinstance(key, str | bytes | bytearray):
            raise ConfigurationError(f"secret[{index}] must be text or bytes, not {_kind(key)}.")
    keys = [well_formed(key, "secret").encode() if isinstance(key, str) else bytes(key) for key in given]
    # HMAC takes an empty key, and then anyone can sign.
    if not keys or not all(keys):
        raise ConfigurationError(
            "The webhook's secret is empty. Create the webhook with secret=, and give the same here."
        )
    return keys
