"""Refreshed tokens that the storage did not take: kept in memory, served, and saved by compare-and-swap later."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from webex.auth.store import is_newer
from webex.errors import StorageError, WebexError
from webex.http.timing import Backoff

if TYPE_CHECKING:
    from webex.auth.store import CredentialStore, Record
    from webex.auth.tokens import TokenSet
    from webex.config import Config
    from webex.runtime.protocol import Runtime
    from webex.storage.access import AccessLease

_logger = logging.getLogger("webex.auth")

SWAPS: Final = 50  # compare-and-swaps in a row that may lose to another writer
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
_STEP: Final = 0.25  # seconds after which the task that saves looks whether the client is being closed
_LAST_TRIES: Final = (0.0, 0.1, 0.5)  # pauses before the tries of `aclose`


@dataclass(slots=True)
class Unsaved:
    """Tokens that came after those of `base`. `lease` is held until they are saved or it expires."""

    base: Record
    tokens: TokenSet = field(repr=False)
    parent: str
    lease: AccessLease | None = None
    answered_at: float = 0.0  # monotonic: when the storage last answered
    next_try: float = 0.0
    backoff: Backoff = field(default_factory=lambda: Backoff(_FIRST_PAUSE, _LONGEST_PAUSE))

    def over(self, stored: Record) -> Record:
        """Return the record as it will be once the tokens are saved; its version is that of `stored`."""
        return replace(stored, tokens=self.tokens, parent=self.parent, attempt=None, refusal=None)


class UnsavedTokens:
    """The unsaved tokens of one app's users. `revoke` ends tokens whose user signed out or signed in anew."""

    def __init__(
        self,
        runtime: Runtime,
        store: CredentialStore,
        config: Config,
        revoke: Callable[[TokenSet], Awaitable[None]],
    ) -> None:
        self._runtime = runtime
        self._store = store
        self._config = config
        self._revoke = revoke
        self._pending: dict[str, Unsaved] = {}
        self._closing = False

    def add(self, key: str, unsaved: Unsaved) -> None:
        """Keep tokens that are about to be saved, so that an interruption does not lose them."""
        unsaved.answered_at = self._runtime.clock.monotonic()
        self._pending[key] = unsaved

    async def write(self, key: str) -> Record | None:
        """Save the tokens of `key` unless something newer is stored; None when they were dropped.

        `StorageError` when the storage did not take them; they are kept.
        """
        unsaved = self._pending.get(key)
        if unsaved is None:
            return None
        current: Record | None = unsaved.base
        for _ in range(SWAPS):
            if await self._overtaken(key, unsaved, current) or current is None:
                return None  # the caller reads what is stored
            saved = await self._store.swap(key, unsaved.over(current))
            if saved is not None:
                await self._drop(key, unsaved)
                return saved
            current = await self._store.load(key)
        raise never_our_turn(key)

    async def keep(self, key: str, lease: AccessLease) -> Record | None:
        """Save later. Return the record that serves until then."""
        unsaved = self._pending.get(key)
        if unsaved is None:
            return None
        unsaved.lease = lease
        self._postpone(unsaved)
        await self._start()
        return unsaved.over(unsaved.base)

    def saved(self, key: str, record: Record) -> None:
        """Take note that a record was written; tokens that it holds are no longer unsaved."""
        unsaved = self._pending.get(key)
        if unsaved is not None and unsaved.tokens == record.tokens:
            self._pending.pop(key, None)

    async def current(self, key: str, stored: Record | None) -> Record | None:
        """Return what is current, given what is stored now; save what is due."""
        if not self._pending:
            return stored
        unsaved = self._pending.get(key)
        if unsaved is None:
            await self._save_due()
            return stored
        if await self._overtaken(key, unsaved, stored) or stored is None:
            return stored
        unsaved.answered_at = self._runtime.clock.monotonic()
        await self._save_due()
        await self._start()
        if key not in self._pending:
            return await self._store.load(key)
        return unsaved.over(stored)

    async def unanswered(self, key: str) -> Record | None:
        """Return what serves while the storage does not answer; None when there is nothing, or after too long."""
        unsaved = self._pending.get(key)
        if unsaved is None:
            return None
        await self._start()
        silent = self._runtime.clock.monotonic() - unsaved.answered_at
        return unsaved.over(unsaved.base) if silent < self._config.storage_grace else None

    async def aclose(self) -> None:
        """Try for the last time to save what is unsaved."""
        self._closing = True
        for pause in _LAST_TRIES:
            if not self._pending:
                return
            await self._runtime.sleep(pause)
            for key in tuple(self._pending):
                await self._try(key)
        if self._pending:
            _logger.error("%d refreshed tokens could not be saved and are lost with this client", len(self._pending))

    async def _overtaken(self, key: str, unsaved: Unsaved, stored: Record | None) -> bool:
        """Whether the tokens have no place any more in what is stored; they are dropped then."""
        if stored is not None and stored.login_id == unsaved.base.login_id:
            if not is_newer(stored, unsaved.base):
                return False
            await self._drop(key, unsaved)
            return True
        # Signed out, or signed in anew, meanwhile: no process may go on with these.
        await self._drop(key, unsaved)
        await self._revoke(unsaved.tokens)
        return True

    async def _drop(self, key: str, unsaved: Unsaved) -> None:
        if self._pending.get(key) is unsaved:
            self._pending.pop(key, None)  # another thread may have done so meanwhile
        lease, unsaved.lease = unsaved.lease, None
        if lease is not None:
            try:
                await lease.release()
            except WebexError as error:
                _logger.warning("a lease could not be released and will expire: %s", type(error).__name__)

    async def _start(self) -> None:
        """Save in the background, beside what the next reads save: there may be none for long."""
        if not self._closing:
            await self._runtime.background(("save", id(self)), self._save_all)

    async def _save_all(self) -> None:
        while self._pending and not self._closing:
            await self._save_due()
            await self._runtime.sleep(_STEP)

    async def _save_due(self) -> None:
        now = self._runtime.clock.monotonic()
        for key, unsaved in tuple(self._pending.items()):
            if unsaved.next_try <= now:
                await self._try(key)

    async def _try(self, key: str) -> None:
        unsaved = self._pending.get(key)
        if unsaved is None:
            return
        self._postpone(unsaved)
        try:
            if not await self._overtaken(key, unsaved, await self._store.load(key)):
                await self.write(key)
        except StorageError as error:
            _logger.debug("refreshed tokens are still unsaved: %s", type(error).__name__)

    def _postpone(self, unsaved: Unsaved) -> None:
        unsaved.next_try = self._runtime.clock.monotonic() + unsaved.backoff.next()


def never_our_turn(key: str) -> StorageError:
    """Return the error for a storage whose compare-and-swap does not succeed."""
    return StorageError(
        f"The record of user {key!r} could not be written: {SWAPS} compare-and-swaps in a row found another version. "
        "Check the storage adapter with webex.storage.conformance."
    )
