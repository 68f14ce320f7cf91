"""Headers and secrets in the shapes of frameworks: understood, or refused with an error of ours."""

from __future__ import annotations

from email.message import Message as EmailMessage
from typing import Any

import pytest
from starlette.datastructures import Headers as StarletteHeaders

from tests.webhooks.test_verify import SECRET, envelope, sign
from webex.errors import ConfigurationError
from webex.webhooks import MessageEvent, SignatureError, verify

BODY = envelope()
SIGNED = sign(BODY)


def _email_headers() -> EmailMessage:
    headers = EmailMessage()
    headers["X-Spark-Signature"] = SIGNED
    return headers


SHAPES: dict[str, Any] = {
    "text": SIGNED,
    "bytes": SIGNED.encode(),
    "bytearray": bytearray(SIGNED.encode()),
    "upper case": SIGNED.upper(),
    "blanks around": f" {SIGNED}\r\n",
    "mapping": {"X-Spark-Signature": SIGNED, "Host": "a"},
    "lower case": {"x-spark-signature": SIGNED},
    "bytes in a mapping": {b"X-Spark-Signature": SIGNED.encode()},
    "list of values": {"x-spark-signature": [SIGNED]},
    "pairs": [("Host", "a"), ("X-Spark-Signature", SIGNED)],
    "pairs of lists": [["x-spark-signature", SIGNED]],
    "pairs of ASGI": [(b"host", b"a"), (b"x-spark-signature", SIGNED.encode())],
    "tuple of pairs": ((b"x-spark-signature", SIGNED.encode()),),
    "generator": (pair for pair in [("x-spark-signature", SIGNED)]),
    "META of Django": {"HTTP_X_SPARK_SIGNATURE": SIGNED, "REQUEST_METHOD": "POST", "wsgi.input": object()},
    "headers of starlette": StarletteHeaders({"X-Spark-Signature": SIGNED}),
    "headers of http.server": _email_headers(),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_headers_of_every_framework_are_accepted(shape: str) -> None:
    assert isinstance(verify(BODY, SHAPES[shape], SECRET), MessageEvent)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        {},
        [("Host", "a")],
        {"x-spark-signature": None},
        {"x-spark-signature": []},
        {"x-spark-signature": 7},
        {None: SIGNED},
        b"",
        [(b"x-spark-signature", b"\xff\xfe")],
    ],
    ids=repr,
)
def test_headers_without_a_signature_are_refused(headers: Any) -> None:
    with pytest.raises(SignatureError):
        verify(BODY, headers, SECRET)


@pytest.mark.parametrize(
    "headers",
    [
        [("x-spark-signature", SIGNED), ("X-Spark-Signature", "0" * 40)],
        [("x-spark-signature", "0" * 40), ("X-Spark-Signature", SIGNED)],
        {"x-spark-signature": [SIGNED, SIGNED]},
    ],
)
def test_several_signatures_are_refused(headers: Any) -> None:
    with pytest.raises(SignatureError, match="several"):
        verify(BODY, headers, SECRET)


@pytest.mark.parametrize("headers", [7, object(), ["x-spark-signature", SIGNED], [SIGNED], [("a", "b", "c")], [7]])
def test_an_invalid_header_is_a_configuration_error(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^signature must"):
        verify(BODY, headers, SECRET)


@pytest.mark.parametrize("secret", [None, 7, 1.5, [None], ["a", 7], {"secret": "a"}, [["a"]]], ids=repr)
def test_an_invalid_secret_is_a_configuration_error(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^secret(\[\d\])? must be (the )?text"):
        verify(BODY, SIGNED, secret)


@pytest.mark.parametrize("body", [None, "text", {"id": 1}, 7])
def test_an_invalid_body_is_a_configuration_error(body: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^raw_body must be the bytes"):
        verify(body, SIGNED, SECRET)


@pytest.mark.parametrize("secret", [SECRET, SECRET.encode(), bytearray(SECRET.encode()), ["other", SECRET], (SECRET,)])
def test_secret_may_be_text_bytes_or_several(secret: Any) -> None:
    assert verify(BODY, SIGNED, secret).event == "created"
