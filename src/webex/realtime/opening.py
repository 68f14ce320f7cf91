"""Open what the conversation service lists: activities with the keys of the user, as events and models."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from webex.encryption.content import Ciphers, decrypt_activity, key_urls_of
from webex.encryption.jose import Cipher
from webex.errors import DecryptionError, KMSError, KMSIdentityError
from webex.realtime.event import Event
from webex.realtime.kinds import make_event

if TYPE_CHECKING:
    from webex.realtime.user_connection import UserConnection
    from webex.realtime.wire import Activity


async def keys_for(connection: UserConnection, urls: Iterable[str]) -> Ciphers:
    """Return the keys with these URLs; why the key service refuses one stands in its place.

    `KMSError` when the key service can't be reached.
    """
    wanted = list(dict.fromkeys(urls))
    found = await asyncio.gather(*(_key(connection, url) for url in wanted))
    return dict(zip(wanted, found, strict=True))


async def _key(connection: UserConnection, url: str) -> Cipher | DecryptionError:
    try:
        return await connection.keys.get(url)
    except DecryptionError as error:
        return error
    except KMSError as error:
        if error.status is None and not isinstance(error, KMSIdentityError):
            raise  # it may answer another time
        refused = DecryptionError(f"The key could not be had: {error}")
        refused.__cause__ = error
        return refused


async def open_all(
    connection: UserConnection, activities: Sequence[Activity]
) -> list[tuple[Activity, DecryptionError | None]]:
    """Decrypt activities in place; return each with why a part of it could not be opened."""
    ciphers = await keys_for(connection, (url for each in activities for url in key_urls_of(each)))
    return [(each, decrypt_activity(each, ciphers)) for each in activities]


async def events_of(connection: UserConnection, activities: Sequence[Activity]) -> list[list[Event[Any]]]:
    """Return the events of each activity, decrypted, as `listen()` gives them; none for what it does not tell of."""
    dispatcher = connection.dispatcher
    return [
        [
            make_event(occurrence, dispatcher.audience, activity, decryption_error=failure)
            for occurrence in dispatcher.reader.read(activity)
        ]
        for activity, failure in await open_all(connection, activities)
    ]
