"""Notice when a user who is listened to was signed out, here or by another process.

The socket of a user who was signed out may go on to bring events. So each listening asks the storage whether its user
is still signed in, at least every `credential_max_age` seconds. It ends with `NotSignedInError` when the record is gone
or marked, and with `ReauthorizationRequiredError` when the refresh token was refused.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Final

from webex.auth.store import CredentialStore
from webex.encryption import stored_keys
from webex.errors import NotSignedInError, ReauthorizationRequiredError, StorageError, WebexError
from webex.realtime import records
from webex.realtime.tasks import Tasks

if TYPE_CHECKING:
    from webex.realtime.manager import ConnectionManager
    from webex.realtime.user_connection import UserConnection

_logger = logging.getLogger("webex.realtime")

_AT_ONCE: Final = 50  # listeners that are checked together
_EARLY: Final = 0.8  # of credential_max_age: asking takes time, too
_SHORTEST: Final = 0.2  # seconds, where credential_max_age is less


class Watch:
    """Checks the listeners of one event loop."""

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager
        self._store = CredentialStore(manager.storage, manager.config)
        self._interval = max(manager.config.credential_max_age * _EARLY, _SHORTEST)
        self._task: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        self._leaving: set[UserConnection] = set()

    def begin(self) -> None:
        """Check the connections, for as long as there are any."""
        if self._task is None or self._task.done():
            self._task = self._tasks.start(self._run())

    async def close(self) -> None:
        """End watching."""
        await self._tasks.close()

    def lost(self, listener: UserConnection, error: WebexError) -> None:
        """Stop a connection whose user is not signed in any more."""
        if listener not in self._leaving:
            self._leaving.add(listener)
            self._tasks.start(self._leave(listener, error))

    async def _run(self) -> None:
        while watched := [each for each in self._manager.listeners() if each.is_running and _is_stored(each)]:
            parts = math.ceil(len(watched) / _AT_ONCE)
            for start in range(parts):
                await asyncio.sleep(self._interval / parts)
                await self._check_all(watched[start::parts])

    async def _check_all(self, listeners: list[UserConnection]) -> None:
        """Look at many records in one trip, and closely at those that look odd."""
        try:
            found = await self._store.sign_ins([str(each.user_key) for each in listeners])
        except WebexError as error:
            _logger.debug("the records could not be read together: %s", type(error).__name__)
            found = {}
        except Exception:
            _logger.exception("the records could not be read together")
            found = {}
        odd = []
        for listener in listeners:
            login_id = found.get(str(listener.user_key))
            if login_id is None or listener.login_id not in (None, login_id):
                odd.append(listener)
            else:
                listener.login_id = login_id
        await asyncio.gather(*(self._check(each) for each in odd))

    async def _check(self, listener: UserConnection) -> None:
        try:
            login_id = await listener.tokens.login_id()  # type: ignore[attr-defined]  # it is stored
        except (NotSignedInError, ReauthorizationRequiredError) as error:
            if listener.is_running:
                listener.end(error)
        except WebexError as error:
            _logger.info("the storage could not say who is signed in: %s", type(error).__name__)
        except Exception:
            _logger.exception("whether a user is signed in could not be found out")
        else:
            before, listener.login_id = listener.login_id, login_id
            if before not in (None, login_id):  # signed out, and in again, or only in again: records may be gone
                await listener.checkpoint.rewrite()

    async def _leave(self, listener: UserConnection, error: WebexError) -> None:
        try:
            if isinstance(error, NotSignedInError):
                await listener.sign_out(error)
                await self._forget(listener)
            else:
                await listener.stop(error)
            self._manager.drop(listener)
        finally:
            self._leaving.discard(listener)

    async def _forget(self, listener: UserConnection) -> None:
        """Remove what this process may have stored after the sign-out had removed everything."""
        manager, key = self._manager, listener.user_key
        if key is None:
            return
        try:
            await listener.tokens.login_id()  # type: ignore[attr-defined]  # it is stored
        except NotSignedInError:
            pass
        else:
            return  # signed in again, a moment ago
        client = manager.config.client_id or ""
        ids = [listener.user_id] if listener.user_id else []
        try:
            await records.remove(manager.storage, client, key, ids)
            if manager.key_storage is not None:
                await stored_keys.remove(manager.key_storage, client, ids)
        except StorageError as failure:
            _logger.warning("records of a user who was signed out stay: %s", type(failure).__name__)


def _is_stored(listener: UserConnection) -> bool:
    return listener.user_key is not None and hasattr(listener.tokens, "login_id")
