"""The key service: real keys, given to who may have them, over a channel that only the two ends can read.

A client agrees on a key (RSA-OAEP there, a signed answer back), and then everything goes under that key. Answers come
over Mercury (kms §2-6). The caller holds the cloud's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from webex.emulator.clock import iso
from webex.emulator.directory import require_room
from webex.emulator.realtime import kms_requests
from webex.emulator.realtime.faults import KMSFaults, change
from webex.emulator.realtime.kms_identity import CLUSTER, identity, static_key
from webex.emulator.realtime.kms_requests import Refused, Request
from webex.emulator.realtime.kms_vault import Vault
from webex.emulator.state import AgreedKey
from webex.ids import base64url_encode

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.state import Room, Token
    from webex.encryption.jose import Cipher


@dataclass(frozen=True, slots=True)
class RoomKey:
    """The content key of a room."""

    uri: str
    secret: bytes = field(repr=False)
    resource_uri: str


@dataclass(slots=True)
class Exchange:
    """One request to the key service and its answer, in the clear; the bearer of the request is left out."""

    id: int
    time: float
    person_id: str
    request: dict[str, Any] | None = field(repr=False)  # None: it could not be opened
    answer: dict[str, Any] = field(repr=False)


class KMS:
    """The key service of a cloud. `faults` spoils what it answers."""

    cluster = CLUSTER

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._vault = Vault(cloud)
        self._ciphers: dict[str, Cipher] = {}
        self._held: dict[str, list[list[str]]] = {}  # events that change places with the next, by person
        self._opened: dict[str, Any] | None = None  # the request that is being answered
        self._count = 0  # of requests, ever
        self.traffic: deque[Exchange] = deque(maxlen=500)
        self.faults: KMSFaults = KMSFaults()
        cloud.on_replaced(self._ciphers.clear)

    @property
    def root_pem(self) -> bytes:
        """The certificate to trust when its identity shall be checked, in PEM."""
        return identity().root_pem

    def details(self) -> dict[str, Any]:
        """Return the body of `GET kms/{userId}`."""
        shown = static_key(identity().public_jwk, self.faults.static_key)
        as_text = self.faults.static_key != "object"
        return {"kmsCluster": CLUSTER, "rsaPublicKey": msgspec.json.encode(shown).decode() if as_text else shown}

    # What the Conversation service uses

    def room_key(self, room: Room) -> RoomKey:
        """Return the key of a room, which its members may have; make it on first use."""
        vault = self._vault
        key = vault.key(room.key_uri) if room.key_uri is not None else None
        if key is None or key.resource_uri is None:
            members = [m.person_id for m in self._cloud.state.memberships.values() if m.room_id == room.id]
            key = vault.new_key(room.creator_id)
            resource = vault.new_resource(room.creator_id, members, [key])
            if room.creator_id not in members:
                vault.deauthorize(resource, room.creator_id)
            room.key_uri, room.resource_uri = key.uri, resource.uri
        return RoomKey(key.uri, key.secret, key.resource_uri or "")

    def cipher(self, uri: str) -> Cipher:
        """Return the cipher of a key; `LookupError` when there is no such key."""
        cipher = self._ciphers.get(uri)
        if cipher is None:
            key = self._vault.key(uri)
            if key is None:
                raise LookupError(f"The key service has no key {uri}.")
            cipher = self._cipher(uri, key.secret)
        return cipher

    def authorize(self, resource_uri: str, person_id: str) -> None:
        """Let a person have the keys of a resource."""
        resource = self._vault.resource(resource_uri)
        if resource is not None:
            self._vault.authorize(resource, person_id)

    def deauthorize(self, resource_uri: str, person_id: str) -> None:
        """Let a person no longer have them."""
        resource = self._vault.resource(resource_uri)
        if resource is not None:
            self._vault.deauthorize(resource, person_id)

    def may_read(self, person_id: str, key_uri: str) -> bool:
        """Return whether a person would be given a key."""
        key = self._vault.key(key_uri)
        return key is not None and self._vault.may_read(person_id, key)

    def resource_of(self, key_uri: str) -> str | None:
        """Return the resource that a key is bound to."""
        key = self._vault.key(key_uri)
        return key.resource_uri if key is not None else None

    def encrypt_for(self, person_id: str, token: str, text: str) -> str:
        """Encrypt a text for the sender of a request; leave it as it is when they share no key with the key service."""
        from webex.encryption.jose import BadTokenError, header_of

        try:
            uri = header_of(token).get("kid")
        except BadTokenError:
            return text
        agreed = self._cloud.state.agreed_keys.get(uri) if isinstance(uri, str) else None
        if agreed is None or agreed.person_id != person_id:
            return text
        cipher = self._ciphers.get(agreed.uri) or self._cipher(agreed.uri, agreed.secret)
        return cipher.encrypt(text.encode(), kid=agreed.uri)

    def relay(self, person_id: str, token: str) -> tuple[str, dict[str, Any]]:
        """Do what an encrypted request asks for: the encrypted answer, and the same in the clear."""
        self._opened = None
        answer = self._relay(person_id, token)
        self._count += 1
        now = self._cloud.now()
        self.traffic.append(Exchange(self._count, now, person_id, _without_bearer(self._opened), answer[1]))
        return answer

    def _relay(self, person_id: str, token: str) -> tuple[str, dict[str, Any]]:
        from webex.encryption.jose import BadTokenError, header_of

        try:
            header = header_of(token)
        except BadTokenError:
            return self._signed({"status": 400, "reason": "The request can't be read."})
        if header.get("alg") == "RSA-OAEP":
            return self._signed(self._agree(person_id, token))
        return self._encrypted(person_id, token, header.get("kid"))

    # What a test does

    def expire(self) -> int:
        """Forget every agreed key: clients must agree anew. Gives how many there were."""
        with self._cloud.lock:
            agreed = self._cloud.state.agreed_keys
            count = len(agreed)
            for uri in agreed:
                self._ciphers.pop(uri, None)
            agreed.clear()
            return count

    def key_uri(self, room_id: str) -> str:
        """Return the URI of a room's key, for `by_key`; the room by its public id or UUID."""
        with self._cloud.lock:
            return self.room_key(require_room(self._cloud, room_id)).uri

    def set_faults(self, **changes: Any) -> dict[str, Any]:
        """Change faults by name; gives all of them. See `KMSFaults`."""
        with self._cloud.lock:
            return msgspec.structs.asdict(change(self.faults, changes))

    def reset(self) -> None:
        """No faults, nothing held back, no traffic."""
        self.faults = KMSFaults()
        self._held.clear()
        self.traffic.clear()

    # Answers

    def post(self, person_id: str, tokens: Sequence[str]) -> None:
        """Answer requests over Mercury: one event, in the order of the requests."""
        answers: list[str] = []
        for token in tokens:
            answer, _ = self.relay(person_id, token)
            if self.faults.drop > 0:
                self.faults.drop -= 1
            elif self.faults.cut > 0:
                self.faults.cut -= 1
                answers.append(answer[:-8])
            else:
                answers.append(answer)
        if not answers:
            return
        if self.faults.reorder > 0 and answers[0].count(".") == 4:  # there is no other answer to change places with
            self.faults.reorder -= 1
            if len(answers) == 1:
                self._held.setdefault(person_id, []).append(answers)
                return
            answers.reverse()
        self._send(person_id, answers)
        for late in self._held.pop(person_id, ()):
            self._send(person_id, late)
        if self.faults.replay > 0:
            self.faults.replay -= 1
            self._send(person_id, answers)

    def _send(self, person_id: str, answers: list[str]) -> None:
        mercury = self._cloud.mercury
        data = {"eventType": "encryption.kms_message", "encryption": {"kmsMessages": answers}}
        if self.faults.delay > 0:
            mercury.push_later(self.faults.delay, person_id, data)
        else:
            mercury.push([person_id], data, keep=False)

    def _agree(self, person_id: str, token: str) -> dict[str, Any]:
        """Agree on a key with a client: the answer, which will be signed."""
        from webex.encryption import jose

        try:
            body = self._opened = _object(identity().decrypt(token))
        except jose.BadTokenError:
            return {"status": 400, "reason": "The request can't be opened with the static key."}
        try:
            request = self._request(person_id, body)
            if (request.method, request.parts) != ("create", ["ecdhe"]):
                raise Refused(400, "Only a key agreement may be encrypted with the static key.")
            key, peer = jose.new_agreement_key(), body.get("jwk")
            try:
                secret = jose.agree(key, peer if isinstance(peer, dict) else {})
            except jose.BadTokenError:
                raise Refused(400, "The public key of the request can't be used.") from None
        except Refused as refused:
            return _with_id(refused.body(), body)
        cloud = self._cloud
        now = cloud.now()
        agreed = AgreedKey(
            uri=f"{CLUSTER}/ecdhe/{cloud.new_uuid()}",
            secret=secret,
            person_id=person_id,
            client_id=request.client_id,
            expires=now + cloud.settings.kms_agreement_lifetime,
        )
        self._make_room(person_id, now)
        cloud.state.agreed_keys[agreed.uri] = agreed
        shown = {
            "uri": agreed.uri,
            "jwk": jose.agreement_jwk(key),
            "userId": request.person_id,
            "clientId": agreed.client_id,
            "createDate": iso(now),
            "expirationDate": iso(agreed.expires),
        }
        return _with_id({"status": 201, "key": shown}, body)

    def _encrypted(self, person_id: str, token: str, uri: Any) -> tuple[str, dict[str, Any]]:
        """Answer a request under an agreed key."""
        from webex.encryption.jose import BadTokenError

        agreed = self._cloud.state.agreed_keys.get(uri) if isinstance(uri, str) else None
        if agreed is None or agreed.person_id != person_id:
            return self._signed({"status": 403, "reason": "The ephemeral key is unknown or has expired."})
        cipher = self._ciphers.get(agreed.uri) or self._cipher(agreed.uri, agreed.secret)
        try:
            body = self._opened = _object(cipher.decrypt(token))
        except BadTokenError:
            return self._signed({"status": 400, "reason": "The request can't be opened with the ephemeral key."})
        if agreed.expires <= self._cloud.now():
            answer = {"status": 403, "reason": "The ephemeral key is unknown or has expired."}
            return self._signed(_with_id(answer, body))
        try:
            answer = self._execute(agreed, self._request(person_id, body))
        except Refused as refused:
            answer = refused.body()
        answer = _with_id(answer, body)
        return cipher.encrypt(msgspec.json.encode(answer), kid=agreed.uri), answer

    def _execute(self, agreed: AgreedKey, request: Request) -> dict[str, Any]:
        if request.parts[:1] == ["ecdhe"] and request.method == "delete":
            if request.uri != agreed.uri:
                raise Refused(403, "That is the key of another channel.")
            del self._cloud.state.agreed_keys[agreed.uri]
            self._ciphers.pop(agreed.uri, None)
            return {"status": 204}
        fault = self.faults.by_key.get(request.uri) or self.faults.by_key.get("*")
        if fault is not None and request.method == "retrieve" and request.parts[:1] == ["keys"]:
            return dict(fault)
        return kms_requests.execute(self._vault, request)

    def _request(self, person_id: str, body: dict[str, Any]) -> Request:
        """Return the request in a body, after checking its credential."""
        client = body.get("client")
        client = client if isinstance(client, dict) else {}
        acting = self._acting(person_id, client.get("credential"))
        parts, query = kms_requests.split(body.get("uri"))
        method, client_id = body.get("method"), client.get("clientId")
        return Request(
            method=method.lower() if isinstance(method, str) else "",
            parts=parts,
            query=query,
            person_id=acting,
            client_id=client_id if isinstance(client_id, str) else "",
            fields=body,
        )

    def _acting(self, person_id: str, credential: Any) -> str:
        """Return the person who makes a request; `Refused` when the credential is not good."""
        credential = credential if isinstance(credential, dict) else {}
        bearer = credential.get("bearer")
        token = self._cloud.state.tokens.get(bearer) if isinstance(bearer, str) else None
        if token is None or token.expires <= self._cloud.now():
            raise Refused(401, "The bearer of the credential is not a live access token.")
        if token.person_id != person_id or not _may_ask(token):
            raise Refused(403, "The bearer of the credential does not allow this.")
        user_id, other = credential.get("userId", person_id), credential.get("onBehalfOf")
        if other is not None and other != person_id:
            if not self._cloud.state.people[person_id].compliance or not isinstance(other, str):
                raise Refused(403, "Only a compliance officer may act on behalf of others.")
            return other
        if user_id != person_id:
            raise Refused(403, "The bearer of the credential is another user's.")
        return person_id

    def _signed(self, answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        token = identity().sign(msgspec.json.encode(answer), self._cloud.settings.kms_signature)
        if self.faults.wrong_signature > 0:
            self.faults.wrong_signature -= 1
            head, payload, signature = token.split(".")
            token = f"{head}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
        elif self.faults.unsigned > 0:
            self.faults.unsigned -= 1
            head = base64url_encode(msgspec.json.encode({"alg": "none", "kid": CLUSTER}))
            token = f"{head}.{token.split('.')[1]}."
        return token, answer

    def _cipher(self, uri: str, secret: bytes) -> Cipher:
        from webex.encryption.jose import Cipher

        cipher = self._ciphers[uri] = Cipher(secret)
        return cipher

    def _make_room(self, person_id: str, now: float) -> None:
        """Forget the agreed keys that ran out a while ago: until then a request under them can be told its id."""
        agreed = self._cloud.state.agreed_keys
        grace = self._cloud.settings.kms_agreement_lifetime
        for key in [key for key in agreed.values() if key.person_id == person_id and key.expires + grace <= now]:
            del agreed[key.uri]
            self._ciphers.pop(key.uri, None)


def _may_ask(token: Token) -> bool:
    return token.allows("spark:kms")


def _with_id(answer: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    request_id = body.get("requestId")
    return {**answer, "requestId": request_id} if isinstance(request_id, str) else answer


def _without_bearer(body: dict[str, Any] | None) -> dict[str, Any] | None:
    client = body.get("client") if body is not None else None
    credential = client.get("credential") if isinstance(client, dict) else None
    if body is None or not isinstance(client, dict) or not isinstance(credential, dict):
        return body
    shown = {name: "…" if name == "bearer" else value for name, value in credential.items()}
    return {**body, "client": {**client, "credential": shown}}


def _object(data: bytes) -> dict[str, Any]:
    from webex.encryption.jose import BadTokenError

    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadTokenError("What was encrypted is no JSON.") from None
    if not isinstance(value, dict):
        raise BadTokenError("What was encrypted is no JSON object.")
    return value
