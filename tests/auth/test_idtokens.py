"""ID tokens: which claim is refused in which words, and when the keys are fetched anew."""

from __future__ import annotations

from typing import Any

import pytest

from webex.auth.idtoken import IdTokens
from webex.config import load_config
from webex.encryption.jose import UnknownKeyError
from webex.errors import ConnectError, IdTokenError
from webex.runtime import drive

CLAIMS = {"iss": "https://issuer.example.com", "aud": "me", "exp": 2000, "sub": "person", "nonce": "n"}


class Endpoint:
    """Gives key sets, and counts how often it is asked."""

    def __init__(self, *sets: Any) -> None:
        self.sets = list(sets) or [{"keys": [1]}]
        self.moment = 1000.0
        self.asked: list[str] = []

    def now(self) -> float:
        return self.moment

    async def get_json(self, url: str) -> Any:
        self.asked.append(url)
        answer = self.sets.pop(0) if len(self.sets) > 1 else self.sets[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Case:
    """A verifier whose signatures always fit; `known` are the key sets that hold the token's key."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *sets: Any, known: Any = None) -> None:
        self.claims = dict(CLAIMS)
        self.endpoint = Endpoint(*sets)
        config, _ = load_config(
            {
                "client_id": "me",
                "issuers": ("https://issuer.example.com", "https://other.example.com"),
                "jwks_url": "https://cloud.example.com/keys",
            },
            None,
        )
        made: Any = self.endpoint
        self.verifier = IdTokens(made, config)

        def verify(token: str, keys: Any) -> Any:
            if known is not None and keys not in known:
                raise UnknownKeyError("no such key")
            return self.claims

        monkeypatch.setattr("webex.encryption.jose.verify_rs256", verify)

    def verify(self, nonce: str | None = "n") -> Any:
        return drive(self.verifier.verify("token", nonce=nonce))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"iss": "https://evil.example.com"}, r"issued by 'https://evil\.example\.com', .* \(https://issuer\.exam"),
        ({"iss": None}, "issued by None"),
        ({"aud": "other"}, "issued for another app"),
        ({"aud": []}, "issued for another app"),
        ({"aud": None}, "issued for another app"),
        ({"aud": ["me", "other"]}, "for another app as well"),
        ({"aud": ["me", "other"], "azp": "other"}, "for another app as well"),
        ({"azp": "other"}, "for another app as well"),
        ({"exp": None}, "has expired"),
        ({"exp": 939}, "has expired"),
        ({"exp": "2000"}, "A time of the ID token is not a moment"),
        ({"nbf": 1061}, "is not valid yet"),
        ({"nbf": "soon"}, "A time of the ID token is not a moment"),
        ({"nonce": "other"}, r"belongs to another sign-in \(its nonce differs\)"),
        ({"nonce": None}, "belongs to another sign-in"),
        ({"sub": ""}, "does not name a person"),
        ({"sub": None}, "does not name a person"),
        ({"sub": 5}, "does not name a person"),
    ],
    ids=str,
)
def test_refused_claim_is_named(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], text: str) -> None:
    case = Case(monkeypatch)
    case.claims.update(change)
    with pytest.raises(IdTokenError, match=text):
        case.verify()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"iss": "https://other.example.com"},
        {"aud": ["me"]},
        {"aud": ["other", "me"], "azp": "me"},
        {"azp": "me"},
        {"exp": 940},  # a minute that two clocks may differ
        {"nbf": 1060},
        {"nbf": None},
        {"exp": 1000.5},
    ],
    ids=str,
)
def test_claims_of_this_app_are_accepted(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> None:
    case = Case(monkeypatch)
    case.claims.update(change)
    assert case.verify() == case.claims


def test_nonce_is_compared_only_if_one_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    del case.claims["nonce"]
    assert case.verify(None)["sub"] == "person"


def test_key_set_is_cached_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    case.claims["exp"] = 9_000
    for moment, fetched in ((1000, 1), (1000, 1), (4599, 1), (4600, 2), (4601, 2), (4000, 3)):  # or the clock went back
        case.endpoint.moment = moment
        case.verify()
        assert len(case.endpoint.asked) == fetched, moment
    assert set(case.endpoint.asked) == {"https://cloud.example.com/keys"}


def test_unknown_key_id_refetches_the_key_set_once(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = {"keys": [1]}, {"keys": [2]}
    known = [old]
    case = Case(monkeypatch, old, new, known=known)
    case.verify()
    known[:] = [new]  # the cloud has replaced its key, and signed this token with it
    case.verify()
    case.verify()
    assert len(case.endpoint.asked) == 2


@pytest.mark.parametrize("kept", [True, False])
def test_key_missing_from_a_fresh_set_is_refused(monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    case = Case(monkeypatch, known=[])
    if kept:
        case.verifier._keys, case.verifier._fetched = {"keys": [0]}, 1000.0
    with pytest.raises(IdTokenError, match="is not accepted: no such key"):
        case.verify()
    assert len(case.endpoint.asked) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (ConnectError("refused"), "keys of the ID token could not be fetched: refused"),
        ([], "https://cloud.example.com/keys gave no key set"),
        ({}, "gave no key set"),
        ({"keys": {}}, "gave no key set"),
    ],
    ids=["unreachable", "a list", "no keys", "keys of another shape"],
)
def test_unavailable_key_set_is_an_id_token_error(monkeypatch: pytest.MonkeyPatch, answer: Any, text: str) -> None:
    case = Case(monkeypatch, answer, {"keys": [1]})
    with pytest.raises(IdTokenError, match=text):
        case.verify()
    assert case.verify()["sub"] == "person"  # the next one asks again
