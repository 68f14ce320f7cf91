"""A key service in memory, with the keys of the vectors: it answers at once, late, twice, wrongly or never."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from tests.encryption.vectors import load
from webex.encryption import jose
from webex.encryption.channel import KMSChannel
from webex.encryption.jose import Cipher
from webex.ids import base64url_decode, base64url_encode

CLUSTER = "kms://kms.example.com"
STATIC: Any = load("kms-ecdhe")["static_public_key"]
PRIVATE: Any = {**load("kms-static-key")["rsa_private_jwk"], "kid": STATIC["kid"]}
SERVER_KEY: Any = load("kms-ecdhe")["server_ec_private_jwk"]
STARTED = datetime(2024, 10, 23, 4, 27, 22, tzinfo=UTC).timestamp()

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


def agreement_key(jwk: Any) -> Any:
    """The private key of a recorded pair."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.derive_private_key(int.from_bytes(base64url_decode(jwk["d"]), "big"), ec.SECP256R1())


def key_answer(body: dict[str, Any]) -> dict[str, Any]:
    """A key for every key URI that is asked for, always the same for the same URI."""
    secret = (body["uri"].encode() * jose.KEY_BYTES)[-jose.KEY_BYTES :]
    return {"status": 200, "key": {"uri": body["uri"], "jwk": {"kty": "oct", "k": base64url_encode(secret)}}}


def resigned(jws: str) -> str:
    """The same message with another signature."""
    head, payload, signature = jws.split(".")
    return f"{head}.{payload}.{'A' * len(signature)}"


class FakeKMS:
    """The key service and the way to it. `answer` says what it answers to a request; None is silence."""

    device_url = "https://wdm-a.example.com/wdm/api/v1/devices/88888888-4444-4444-8444-cccccccccccc"
    user_id = "842e2d82-7e71-4040-8eb9-d977fe888807"

    def __init__(self, answer: Answer = key_answer, *, patience: Sequence[float] = (5.0, 5.0)) -> None:
        self.channel = KMSChannel(self, patience=patience)
        self.answer = answer
        self.agreements = self.asked_details = self.renewed = 0
        self.requests: list[dict[str, Any]] = []
        self.posts: list[list[str]] = []
        self.contexts: dict[str, Cipher] = {}
        self.lifetime = 3600.0
        self.moment = STARTED
        self.agree: Callable[[dict[str, Any]], str | None] = self.signed_agreement
        self.deliver: Callable[[list[str]], Any] = self.at_once
        self.fail: Callable[[list[str]], Any] = lambda messages: None
        self.details_body: Any = {"kmsCluster": CLUSTER, "rsaPublicKey": msgspec.json.encode(STATIC).decode()}

    # KMSTransport

    async def details(self) -> Any:
        self.asked_details += 1
        return self.details_body

    async def bearer(self) -> str:
        return f"VECTOR-ACCESS-TOKEN-{self.renewed}"

    async def renew_bearer(self) -> bool:
        self.renewed += 1
        return True

    def now(self) -> float:
        return self.moment

    async def post(self, destination: str, messages: Sequence[str]) -> Any:
        assert destination == CLUSTER
        self.posts.append(list(messages))
        self.fail(list(messages))
        answers = [answer for message in messages if (answer := self._answer_to(message)) is not None]
        return self.deliver(answers) if answers else None

    # The service

    def at_once(self, answers: list[str]) -> None:
        """The answers, over the socket."""
        asyncio.get_running_loop().call_soon(self.channel.receive, answers)

    def signed_agreement(self, body: dict[str, Any]) -> str:
        """The signed answer to a key agreement."""
        uri = f"{CLUSTER}/ecdhe/{uuid4()}"
        private = agreement_key(SERVER_KEY)
        self.contexts[uri] = Cipher(jose.agree(private, body["jwk"]))
        expires = datetime.fromtimestamp(self.moment + self.lifetime, UTC).isoformat()
        key = {"uri": uri, "jwk": jose.agreement_jwk(private), "expirationDate": expires}
        return self.signed({"status": 201, "requestId": body["requestId"], "key": key})

    def signed(self, body: dict[str, Any]) -> str:
        """A message with the service's signature."""
        return jose.sign(msgspec.json.encode(body), PRIVATE)

    def encrypted(self, body: dict[str, Any], uri: str | None = None) -> str:
        """A message under an agreed key, the newest one by default."""
        uri = uri or [*self.contexts][-1]
        return self.contexts[uri].encrypt(msgspec.json.encode(body), kid=uri)

    def _answer_to(self, message: str) -> str | None:
        kid = jose.header_of(message)["kid"]
        if kid == STATIC["kid"]:
            self.agreements += 1
            return self.agree(msgspec.json.decode(jose.decrypt_with_rsa(message, PRIVATE)))
        if kid not in self.contexts:
            return self.signed({"status": 403, "reason": "The ephemeral key has expired."})
        body = msgspec.json.decode(self.contexts[kid].decrypt(message))
        self.requests.append(body)
        answer = self.answer(body)
        return None if answer is None else self.encrypted({"requestId": body["requestId"], **answer}, kid)
