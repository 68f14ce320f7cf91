"""What a 429 asked of one worker, kept in the user's record for all workers.

It is written on a 429 only, and read with the record that each worker reads anyway (`Config.credential_max_age`), so no
call makes a trip more. Moments are by the writer's clock; a reader waits at most as long as the service asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from webex.errors import StorageError
from webex.http.limits import AskedWait

if TYPE_CHECKING:
    from webex.auth.cache import CredentialCache
    from webex.auth.store import CredentialStore
    from webex.runtime.protocol import Runtime

_logger = logging.getLogger("webex.auth")

_SWAPS: Final = 5  # compare-and-swaps in a row; after that the wait stays this worker's own
_MOST: Final = 20  # kinds of calls of one user
_SAME: Final = 1.0  # seconds by which a stored wait may end earlier


class StoredWaits:
    """Implements `webex.http.limits.SharedWaits` over the stored records of users."""

    def __init__(self, runtime: Runtime, store: CredentialStore, cache: CredentialCache) -> None:
        self._runtime = runtime
        self._store = store
        self._cache = cache

    def known(self, key: str) -> Mapping[str, AskedWait]:
        """Return what the record that was last read of this user says. Does no I/O."""
        entry = self._cache.peek(key)
        return {} if entry is None else entry.record.waits

    async def tell(self, key: str, kind: str, wait: AskedWait) -> None:
        """Write a wait down, unless about the same is there. A storage that fails is logged, and ends no call."""
        try:
            await self._write(key, kind, wait)
        except StorageError as error:
            _logger.info("a rate limit could not be told to other workers: %s", type(error).__name__)

    async def _write(self, key: str, kind: str, wait: AskedWait) -> None:
        now = self._runtime.clock.time()
        for _ in range(_SWAPS):
            record = await self._store.load_any(key)
            if record is None or record.signing_out is not None:
                return
            known = record.waits.get(kind)
            if known is not None and known.until >= wait.until - _SAME:
                return
            kept = {name: each for name, each in record.waits.items() if each.until > now and name != kind}
            while len(kept) >= _MOST:
                del kept[min(kept, key=lambda name: kept[name].until)]
            # Losing it in a crash costs a 429 more.
            if await self._store.swap(key, record, durable=False, waits={**kept, kind: wait}) is not None:
                return
