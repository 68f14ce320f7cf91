"""Carry the KMS messages of one user's connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webex.realtime.user_connection import UserConnection


class ServiceKMSTransport:
    """Implement `webex.encryption.channel.KMSTransport` over the user's service client and token."""

    def __init__(self, connection: UserConnection) -> None:
        self._connection = connection
        self.device_url = ""
        self.user_id = ""
        self._bearer = ""

    async def details(self) -> Mapping[str, Any]:
        """Return the key service's address and certificate for the user."""
        services = self._connection.services
        url = await services.url_of("encryption")
        body = (await services.send("GET", f"{url}/kms/{self.user_id}")).json()
        return body if isinstance(body, dict) else {}

    async def post(self, destination: str, messages: Sequence[str]) -> Any:
        """Send encrypted messages to the key service."""
        services = self._connection.services
        url = await services.url_of("encryption")
        body = {"destination": destination, "kmsMessages": list(messages)}
        # A request id makes a repetition harmless.
        return (await services.send("POST", f"{url}/kms/messages", json=body, idempotent=True)).json()

    async def bearer(self) -> str:
        """Return the user's token."""
        self._bearer = await self._connection.tokens.access_token()
        return self._bearer

    async def renew_bearer(self) -> bool:
        """Return whether there is a new token in place of a rejected one."""
        return await self._connection.tokens.replace(self._bearer) is not None

    def now(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._connection.manager.now()
