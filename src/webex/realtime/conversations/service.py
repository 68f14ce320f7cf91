"""Submit activities to the conversation service, encrypted with the conversation's key (conversations §1, §4)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from webex.encryption.content import encrypt_activity
from webex.errors import ApiError, DeadlineError, DecodeError, EncryptionError
from webex.realtime.conversations.comments import person
from webex.realtime.conversations.room_keys import key_of, rotate
from webex.realtime.given_ids import uuid_of
from webex.realtime.lookup import room_url
from webex.realtime.wire import Activity, is_activity

if TYPE_CHECKING:
    from webex.http.types import TokenSource
    from webex.realtime.manager import ConnectionManager
    from webex.realtime.user_connection import UserConnection

_ROTATE: Final = 1400087  # the key has to be changed: a member left
_STALE: Final = (1409004, 1400049)  # another client has changed it


class ConversationService:
    """The conversation service, as one user."""

    def __init__(self, manager: ConnectionManager, tokens: TokenSource) -> None:
        self.manager: ConnectionManager = manager
        self.tokens: TokenSource = tokens

    async def connected(self) -> UserConnection:
        """Return the connection to the key service, which stays open until the app closes."""
        limit = self.manager.config.timeout
        connection = self.manager.sender(self.tokens)
        try:
            async with asyncio.timeout(limit):
                await connection.keep_open()
        except TimeoutError:
            raise DeadlineError(f"No connection to the key service within {limit:g} s; nothing was sent.") from None
        return connection

    async def submit(
        self,
        room_id: str,
        activity: dict[str, Any],
        *,
        encrypt: bool = True,
        endpoint: str = "activities",
        kms: Mapping[str, Any] | None = None,
    ) -> Activity:
        """Send an activity of the user to a conversation, and return it as the service has made it.

        `encrypt`: its content is encrypted here. In `kms`, `<KRO>` stands for the conversation's key resource. When the
        key has to be changed, or another client has changed it, that is done and the activity sent again.
        """
        room = uuid_of(room_id)
        connection = await self.connected()
        url = await room_url(connection, room)
        whole = {
            "objectType": "activity",
            "clientTempId": str(uuid4()),
            "actor": person(connection.user_id),
            "target": {"objectType": "conversation", "id": room, "url": url},
            **activity,
        }
        params = {"personRefresh": "true"}
        if endpoint == "content":
            params |= {"transcode": "true", "async": "false"}
        for _ in range(3):
            body = dict(whole)
            if kms is not None:
                resource = (await key_of(connection, room))[2]
                filled = json.loads(json.dumps(dict(kms)).replace("<KRO>", resource))
                body["kmsMessage"] = await connection.channel.encrypt(filled)
            if encrypt:
                key_url, cipher, _resource = await key_of(connection, room)
                body = encrypt_activity(body, cipher, key_url)
            try:
                response = await connection.services.send("POST", f"{url}/{endpoint}", params=params, json=body)
            except ApiError as error:
                code = error_code(error)
                if code not in (_ROTATE, *_STALE):
                    raise
                connection.room_keys.pop(room, None)
                if code == _ROTATE:
                    await self._rotate_once(connection, room)
                continue
            made = response.json()
            if not is_activity(made):
                raise DecodeError("The conversation service's answer is no activity.")
            return made
        raise EncryptionError("The key of the conversation changed each time that a message was encrypted with it.")

    async def rotate_key(self, room_id: str) -> str:
        """Give a conversation a new key; when another client was faster, on top of what that one made."""
        room = uuid_of(room_id)
        connection = await self.connected()
        for _ in range(3):
            try:
                return await rotate(connection, room)
            except ApiError as error:
                connection.room_keys.pop(room, None)
                if error_code(error) not in _STALE:
                    raise
        raise EncryptionError("The key of the conversation changed each time that it was to be changed.")

    async def _rotate_once(self, connection: UserConnection, room: str) -> None:
        try:
            await rotate(connection, room)
        except ApiError as error:
            if error_code(error) not in _STALE:  # of these the key that another client made is the one to use
                raise


def error_code(error: ApiError) -> int | None:
    """Return the conversation service's own code of an error."""
    body = error.body
    code = body.get("errorCode") if isinstance(body, dict) else None
    return code if isinstance(code, int) else None
