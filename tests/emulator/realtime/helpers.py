"""A plain client of the emulator's real-time services: websockets, and the key service's encrypted requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.emulator.helpers import Answer, fetch
from tests.support.quiet import QUIET
from webex.emulator import Cloud
from webex.emulator.accounts import ALICE_ID, ALICE_TOKEN
from webex.encryption import jose
from webex.ids import base64url_decode, to_uuid

PATIENCE = 10  # real seconds before a test gives up


def register(cloud: Cloud, token: str = ALICE_TOKEN, **body: Any) -> dict[str, Any]:
    answer = fetch(
        cloud.url + "/wdm/api/v1/devices", json_body={"name": "test", "deviceType": "WEB", **body}, token=token
    )
    assert answer.status == 200, answer.text
    device: dict[str, Any] = answer.json()
    return device


async def call(url: str, method: str = "GET", **more: Any) -> Answer:
    return await asyncio.to_thread(fetch, url, method, **more)


class Client:
    """One open socket; `receive` gives the next frame that is an object."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.state: dict[str, Any] = {}

    async def send(self, frame: Any) -> None:
        await self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def authorize(self, token: str, prefix: str = "Bearer ") -> None:
        await self.send({"id": str(uuid4()), "type": "authorization", "data": {"token": prefix + token}})

    async def receive(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
        return frame

    async def acknowledge(self, frame: dict[str, Any]) -> None:
        await self.send({"type": "ack", "messageId": frame["id"]})

    async def ping(self) -> dict[str, Any]:
        """The next frame after a ping: its pong, when nothing else was on the way."""
        await self.send({"id": f"ping {uuid4()}", "type": "ping"})
        return await self.receive()

    async def closed(self) -> tuple[int, str]:
        """The code and the reason with which the server ends it, whatever came before."""
        async with asyncio.timeout(PATIENCE):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed as end:
                return (end.rcvd.code, end.rcvd.reason) if end.rcvd is not None else (1006, "")


@asynccontextmanager
async def opened(url: str, query: str = "aliasHttpStatus=true", **more: Any) -> AsyncIterator[Client]:
    """A socket that has said nothing yet."""
    async with connect(
        f"{url}?{query}", proxy=None, logger=QUIET, ping_interval=None, max_queue=None, **more
    ) as socket:
        yield Client(socket)


@asynccontextmanager
async def connected(
    device: dict[str, Any], token: str = ALICE_TOKEN, query: str = "aliasHttpStatus=true"
) -> AsyncIterator[Client]:
    """A socket that is authorized, and has its state frame."""
    async with opened(device["webSocketUrl"], query) as client:
        await client.authorize(token)
        client.state = await client.receive()
        assert client.state["data"]["eventType"] == "mercury.buffer_state"
        yield client


def push(cloud: Cloud, number: int = 1, person_id: str = ALICE_ID, **more: Any) -> None:
    """Something happens, of which a person's devices hear."""
    data = {"eventType": "conversation.activity", "activity": {"id": f"activity {number}"}}
    with cloud.lock:
        cloud.mercury.push([person_id], data, **more)


def number_of(frame: dict[str, Any]) -> int:
    return int(frame["data"]["activity"]["id"].split()[1])


class KMSClient:
    """Talks with the key service for one person over one socket."""

    def __init__(self, cloud: Cloud, client: Client, device: dict[str, Any], token: str = ALICE_TOKEN) -> None:
        self.cloud, self.client, self.device, self.token = cloud, client, device, token
        self.static: dict[str, Any] = {}
        self.cipher: jose.Cipher | None = None
        self.uri = ""
        self.aside: list[dict[str, Any]] = []  # activities that came while it waited for an answer

    def body(self, **payload: Any) -> dict[str, Any]:
        credential = {"userId": self.device["userId"], "bearer": self.token}
        return {
            "requestId": str(uuid4()),
            "client": {"clientId": self.device["url"], "credential": credential},
            **payload,
        }

    async def post(self, *messages: str) -> None:
        answer = await call(
            self.cloud.url + "/encryption/api/v1/kms/messages",
            "POST",
            json_body={"destination": "kms://kms.emulator.wbx2.com", "kmsMessages": list(messages)},
            token=self.token,
        )
        assert answer.status == 202, answer.text

    async def answers(self) -> list[str]:
        frame = await self.client.receive()
        while frame["data"]["eventType"] == "conversation.activity":
            self.aside.append(frame["data"]["activity"])
            frame = await self.client.receive()
        assert frame["data"]["eventType"] == "encryption.kms_message"
        messages: list[str] = frame["data"]["encryption"]["kmsMessages"]
        return messages

    async def agree(self, **changes: Any) -> dict[str, Any]:
        """Agree on a key; gives the answer, whose signature is checked."""
        url = f"{self.cloud.url}/encryption/api/v1/kms/{self.device['userId']}"
        self.static = json.loads((await call(url, token=self.token)).json()["rsaPublicKey"])
        private = jose.new_agreement_key()
        body = self.body(**{"uri": "/ecdhe", "method": "create", "jwk": jose.agreement_jwk(private), **changes})
        await self.post(jose.encrypt_for_rsa(json.dumps(body).encode(), self.static))
        answer: dict[str, Any] = json.loads(jose.verify((await self.answers())[0], self.static))
        assert answer["requestId"] == body["requestId"]
        if answer["status"] == 201:
            self.uri = answer["key"]["uri"]
            self.cipher = jose.Cipher(jose.agree(private, answer["key"]["jwk"]))
        return answer

    def encrypt(self, **payload: Any) -> str:
        assert self.cipher is not None
        return self.cipher.encrypt(json.dumps(self.body(**payload)).encode(), kid=self.uri)

    def decrypt(self, token: str) -> dict[str, Any]:
        assert self.cipher is not None
        answer: dict[str, Any] = json.loads(self.cipher.decrypt(token))
        return answer

    async def ask(self, method: str, uri: str, **fields: Any) -> dict[str, Any]:
        await self.post(self.encrypt(method=method, uri=uri, **fields))
        (answer,) = await self.answers()
        return self.decrypt(answer)


@asynccontextmanager
async def key_client(cloud: Cloud, token: str = ALICE_TOKEN) -> AsyncIterator[KMSClient]:
    """A client with a device, a socket and a key agreement."""
    device = await asyncio.to_thread(register, cloud, token)
    async with connected(device, token) as client:
        kms = KMSClient(cloud, client, device, token)
        await kms.agree()
        yield kms


class Talker:
    """Somebody in a room of the conversation service, who encrypts what they say."""

    def __init__(self, kms: KMSClient, room_id: str) -> None:
        self.kms, self.cloud, self.token = kms, kms.cloud, kms.token
        self.url = f"{kms.cloud.url}/conversation/api/v1/conversations/{room_id}"
        self.key_url = ""
        self.cipher = jose.Cipher(bytes(32))

    async def get(self, path: str = "") -> Answer:
        return await call(self.url + path, token=self.token)

    async def learn_key(self) -> str:
        """Ask which key the room has, and for the key."""
        self.key_url = (await self.get()).json()["defaultActivityEncryptionKeyUrl"]
        answer = await self.kms.ask("retrieve", self.key_url)
        self.cipher = jose.Cipher(base64url_decode(answer["key"]["jwk"]["k"]))
        return self.key_url

    async def submit(self, verb: str, content: dict[str, Any], door: str = "/activities", **more: Any) -> Answer:
        """Do something in the room."""
        body = {"verb": verb, "object": content, "encryptionKeyUrl": self.key_url, **more}
        return await call(self.url + door, "POST", json_body=body, token=self.token)

    async def post(self, text: str, **more: Any) -> Answer:
        content: dict[str, Any] = {"objectType": "comment", "displayName": self.cipher.encrypt(text.encode())}
        return await self.submit("post", {**content, **more.pop("content", {})}, **more)

    async def activity(self) -> dict[str, Any]:
        """The next activity of the socket."""
        if self.kms.aside:
            return self.kms.aside.pop(0)
        while True:
            frame = await self.kms.client.receive()
            if frame["data"]["eventType"] == "conversation.activity":
                activity: dict[str, Any] = frame["data"]["activity"]
                return activity


def new_room(cloud: Cloud, *members: str, token: str = ALICE_TOKEN, **fields: Any) -> str:
    """The UUID of a new room with these people in it."""
    made = fetch(cloud.url + "/v1/rooms", json_body={"title": "A room", **fields}, token=token).json()
    for member in members:
        body = {"roomId": made["id"], "personEmail": member}
        assert fetch(cloud.url + "/v1/memberships", json_body=body, token=token).status == 200
    return to_uuid(made["id"])


@asynccontextmanager
async def talker(cloud: Cloud, room_id: str, token: str = ALICE_TOKEN) -> AsyncIterator[Talker]:
    """Somebody with a socket and the key of a room."""
    async with key_client(cloud, token) as kms:
        someone = Talker(kms, room_id)
        await someone.learn_key()
        yield someone
