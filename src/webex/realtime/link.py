"""How the KMS channel of a listener reaches the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.realtime.listener import Listener


class Link:
    """Implements `webex.encryption.channel.KMSLink` over the listener's door and token."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.device_url = ""
        self.user_id = ""
        self._bearer = ""

    async def details(self) -> Mapping[str, Any]:
        door = self._listener.door
        url = await door.url_of("encryption")
        body = (await door.send("GET", f"{url}/kms/{self.user_id}")).json()
        return body if isinstance(body, dict) else {}

    async def post(self, destination: str, messages: Sequence[str]) -> Any:
        door = self._listener.door
        url = await door.url_of("encryption")
        body = {"destination": destination, "kmsMessages": list(messages)}
        # A request id makes a repetition harmless.
        return (await door.send("POST", f"{url}/kms/messages", json=body, idempotent=True)).json()

    async def bearer(self) -> str:
        self._bearer = await self._listener.tokens.access_token()
        return self._bearer

    async def renew_bearer(self) -> bool:
        return await self._listener.tokens.replace(self._bearer) is not None

    def now(self) -> float:
        return self._listener.machine.now()
