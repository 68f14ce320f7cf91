"""The signature of a webhook: hex HMAC over the raw body, with the webhook's secret (cloud-facts §3)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from webex.errors import ConfigurationError, SignatureError
from webex.webhooks.events import WebhookEvent, read_event

# Header → hash, the one to believe first on top. A header that carries another hash is a line here.
SIGNATURES: Final[dict[str, Callable[..., Any]]] = {
    "x-spark-signature": hashlib.sha1,
}


def verify(
    raw_body: bytes,
    signature: str | Mapping[str, str] | None,
    secret: str | bytes | Sequence[str | bytes],
    *,
    header: str = "X-Spark-Signature",
) -> WebhookEvent:
    """The event in a webhook's request, once its signature is proved; `SignatureError` otherwise.

    `raw_body` is the body as it came, before any JSON reader. `signature` is the value of `header`, or all headers of
    the request. `secret` is the one that the webhook was created with; of a list any may fit, so that it can be
    replaced. The comparison takes the same time wherever it fails. A body that is signed and no event is a
    `DecodeError`.
    """
    if not isinstance(raw_body, bytes | bytearray | memoryview):
        raise ConfigurationError(
            f"raw_body must be the bytes of the request, not {type(raw_body).__name__}: "
            "JSON that was read and written again no longer fits its signature."
        )
    body = bytes(raw_body)
    secrets = _secrets(secret)
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


def _signature(signature: str | Mapping[str, str] | None, header: str) -> tuple[str, str | None]:
    if not isinstance(signature, Mapping):
        return header.lower(), signature
    headers = {str(name).lower(): value for name, value in signature.items()}
    return next(((name, headers[name]) for name in SIGNATURES if name in headers), (header.lower(), None))


def _secrets(secret: str | bytes | Sequence[str | bytes]) -> list[bytes]:
    given = [secret] if isinstance(secret, str | bytes) else list(secret)
    keys = [key.encode() if isinstance(key, str) else key for key in given]
    # HMAC takes an empty key, and then anybody can sign.
    if not keys or not all(keys):
        raise ConfigurationError(
            "The webhook's secret is empty. Create the webhook with secret=, and give the same here."
        )
    return keys
