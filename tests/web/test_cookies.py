"""Signed values and cookie headers: what a browser or another app can make of them."""

from __future__ import annotations

from typing import Any

import pytest

from webex.errors import ConfigurationError
from webex.web.cookies import Cookie, CookieNames, Signer

OLD, NEW = "o" * 32, "n" * 32


@pytest.mark.parametrize("value", ["session-1", "", "a.b", "é", "\ud800"], ids=["plain", "empty", "dot", "é", "lone"])
def test_signed_value_is_valid_for_its_purpose_only(value: str) -> None:
    signer = Signer(NEW)
    signed = signer.sign(value, "session")
    assert signer.open(signed, "session") == value
    for purpose in ("login", "", "sessio", "session\0"):
        assert signer.open(signed, purpose) is None


def test_purpose_and_value_are_separated_in_the_signature() -> None:
    signer = Signer(NEW)
    for value, purpose in (("b", "a"), ("", "ab"), ("ab", "")):
        signature = signer.sign(value, purpose).rpartition(".")[2]
        others = {("b", "a"), ("", "ab"), ("ab", "")} - {(value, purpose)}
        assert all(signer.open(f"{other}.{signature}", another) is None for other, another in others)


@pytest.mark.parametrize("changed", [None, "", ".", "value", "value.", ".signature", "value.é", "valué.x"])
def test_value_without_a_signature_is_refused(changed: str | None) -> None:
    assert Signer(NEW).open(changed, "session") is None


def test_changed_value_or_signature_is_refused() -> None:
    signer = Signer(NEW)
    value, _, signature = signer.sign("session-1", "session").rpartition(".")
    assert len(signature) == 43  # SHA-256 in base64url
    other = ("A" if signature[0] != "A" else "B") + signature[1:]
    for forged in (f"session-2.{signature}", f"{value}.{other}", f"{value}.{signature[:-1]}", f"{value}.{signature}A"):
        assert signer.open(forged, "session") is None


def test_replaced_secret_verifies_but_does_not_sign() -> None:
    before, during, after = Signer(OLD), Signer([NEW, OLD.encode()]), Signer(NEW)
    old = before.sign("session-1", "session")
    assert during.open(old, "session") == "session-1"
    assert after.open(old, "session") is None
    new = during.sign("session-1", "session")
    assert after.open(new, "session") == "session-1"
    assert before.open(new, "session") is None
    assert repr(during) == "Signer(2 secrets)"


@pytest.mark.parametrize(
    ("secrets", "text"),
    [
        pytest.param([], "session_secret is empty", id="none"),
        pytest.param("s" * 31, "has 31 bytes; it needs at least 32", id="short"),
        pytest.param([NEW, b"s"], "has 1 bytes", id="one of two"),
        pytest.param("é" * 15, "has 30 bytes", id="bytes count"),
        pytest.param(None, "and is None: is the variable set", id="not set"),
        pytest.param(2**256, "and is int", id="number"),
    ],
)
def test_weak_secret_is_refused_with_advice(secrets: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{text}.*token_urlsafe\(48\)"):
        Signer(secrets)
    assert Signer("é" * 16).sign("v", "p").startswith("v.")  # 32 bytes are enough


@pytest.mark.parametrize(
    ("names", "prefix", "flags"),
    [
        pytest.param(CookieNames("/", secure=True), "__Host-", "; Secure", id="root"),
        pytest.param(CookieNames("/team", secure=True), "__Secure-", "; Secure", id="below a path"),
        pytest.param(CookieNames("/", secure=False), "", "", id="plain http"),
    ],
)
def test_cookie_names_and_flags_follow_the_origin(names: CookieNames, prefix: str, flags: str) -> None:
    made = names.make("webex", "value", 60.9)
    assert made.header == f"{prefix}webex=value; Max-Age=60; Path={names.path}; HttpOnly; SameSite=Lax{flags}"
    gone = f"{prefix}webex=; Max-Age=0; Path={names.path}; HttpOnly; SameSite=Lax{flags}"
    assert names.gone("webex").header == names.gone_by_name(f"{prefix}webex").header == gone
    assert names.owns(f"{prefix}webex")
    assert names.owns("webex") is (prefix == "")
    assert "value" not in repr(Cookie("webex", "value", "/", secure=True, max_age=1))
