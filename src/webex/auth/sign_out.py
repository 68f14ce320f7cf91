"""Sign a user out: everything ends, whatever fails, and also when a process dies on the way.

1. The stored record is marked by compare-and-swap. From then on no process serves the user.
2. Browser sessions end; then, each as well as it goes and under one deadline, the sockets of this process, the
   registered devices and the webhooks that the app keeps (while the token still works), and the tokens at Webex.
3. All other records of the user are removed, and the marked one at last.

A process that dies in between leaves the mark, and the next one that looks for the user finishes the work. Doing a step
twice is harmless, so nothing has to be locked.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from webex.auth.store import UnreadableRecordError
from webex.errors import DecryptionError, NotFoundError, StorageError
from webex.http.types import Request

if TYPE_CHECKING:
    from webex.auth.endpoint import TokenEndpoint
    from webex.auth.events import Events
    from webex.auth.store import CredentialStore, Record
    from webex.auth.tokens import TokenSet
    from webex.config import Config
    from webex.http.pipeline import Pipeline
    from webex.http.types import TokenSource
    from webex.runtime.protocol import Runtime
    from webex.telemetry import RefreshReason

_logger = logging.getLogger("webex.auth")

_FINISHING: Final = 3.0  # seconds for the network when another process left work behind: a caller waits for it


class Records(Protocol):
    """What is stored of the users beside their credentials; see `webex.records`."""

    async def end_sessions(self, key: str) -> None:
        """End the browser sessions of a user."""
        ...

    async def device_urls(self, key: str) -> Sequence[str]:
        """Return the URLs of the user's stored devices."""
        ...

    async def webhook_ids(self, key: str) -> Sequence[str]:
        """Return the ids of the user's webhooks that the app keeps."""
        ...

    async def remove(self, key: str, record: Record | None, *, erase: bool) -> None:
        """Remove all that is stored of a user, except for the credentials."""
        ...


class SignOut:
    """Signs the users of one app out."""

    def __init__(
        self,
        runtime: Runtime,
        pipeline: Pipeline,
        endpoint: TokenEndpoint,
        store: CredentialStore,
        config: Config,
        events: Events,
        records: Records,
        end_listening: Callable[[str, str | None, float], Awaitable[None]],
    ) -> None:
        self._runtime, self._pipeline, self._endpoint = runtime, pipeline, endpoint
        self._store, self._config, self._events = store, config, events
        self._records = records
        # Ends what this process listens to for a user, and its cached tokens: by key, with a token that still works
        # (or None), within so many seconds.
        self._end_listening = end_listening
        self._under_way: dict[str, int] = {}  # how many calls of `sign_out` of this process are at work, by user
        store.on_half_signed_out = self.finish

    async def sign_out(self, key: str, *, revoke: bool = True, erase: bool = False) -> bool:
        """Sign a user out; False when no credentials were stored.

        Raises `StorageError` when the storage can't be written. When Webex can't be reached, the user is signed out
        all the same, and that is logged.
        """
        ended = await self._runtime.single_flight(
            ("sign out", id(self), key, erase), lambda: self._sign_out(key, revoke=revoke, erase=erase)
        )
        if ended:
            await self._events.emit("signed_out", key)
        return ended

    async def finish(self, key: str, record: Record) -> None:
        """Finish what another process began, unless this one is at it."""
        if key in self._under_way:
            return
        _logger.info("finishing a sign-out that another process began")
        how = record.signing_out or {}
        revoke, erase = bool(how.get("revoke", True)), bool(how.get("erase"))
        try:
            await self._runtime.single_flight(
                ("finish sign out", id(self), key),
                lambda: self._end(key, record, _FINISHING, revoke=revoke, erase=erase),
            )
        except StorageError as error:
            _logger.warning("a sign-out could not be finished: %s", type(error).__name__)

    async def _sign_out(self, key: str, *, revoke: bool, erase: bool) -> bool:
        seconds = self._config.refresh_deadline
        try:
            record = await self._mark(key, revoke=revoke, erase=erase)
        except (UnreadableRecordError, DecryptionError):  # there is no token to be revoked, nor one to be served
            await self._store.remove_unread(key)
            record = None
        self._under_way[key] = self._under_way.get(key, 0) + 1
        try:
            await self._end(key, record, seconds, revoke=revoke, erase=erase)
        except StorageError as error:
            if record is None or erase:
                raise
            _logger.warning("a user is signed out, but records stay for now: %s", type(error).__name__)
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]
        return record is not None

    async def _mark(self, key: str, *, revoke: bool, erase: bool) -> Record | None:
        how = {"revoke": revoke, "erase": erase}
        while True:
            record = await self._store.load_any(key)
            if record is None:
                return None
            before = record.signing_out
            if before is not None and before.get("revoke", True) >= revoke and bool(before.get("erase")) >= erase:
                return record
            marked = await self._store.swap(key, record, signing_out=how)
            if marked is not None:
                return marked

    async def _end(self, key: str, record: Record | None, seconds: float, *, revoke: bool, erase: bool) -> None:
        give_up = self._runtime.clock.monotonic() + seconds

        def share(part: float = 0.5) -> float:
            return max((give_up - self._runtime.clock.monotonic()) * part, 0.1)

        if record is not None and await self._is_signed_in_again(key, record):  # this process was asleep meanwhile
            if revoke and self._can_revoke:
                await self._revoke(record.tokens, share)
            return
        await self._well("browser sessions", self._records.end_sessions(key))
        token = record.tokens.access_token if record is not None else ""
        await self._well("listening", self._end_listening(key, token or None, share()))
        if record is not None:
            last = _LastTokens(self._endpoint, record.tokens, share, can_refresh=self._can_revoke)
            await self._well("webhooks", self._delete_webhooks(key, last, share))
            await self._well("devices", self._delete_devices(key, last, share))
            if revoke and self._can_revoke:
                await self._revoke(last.tokens, share)
        await self._remove(key, record, erase=erase)

    async def _delete_devices(self, key: str, last: _LastTokens, share: Callable[[], float]) -> None:
        for url in await self._records.device_urls(key):
            await self._well("a device", self._delete(url, last, share()))

    async def _delete_webhooks(self, key: str, last: _LastTokens, share: Callable[[], float]) -> None:
        for webhook_id in await self._records.webhook_ids(key):
            url = f"/webhooks/{quote(webhook_id, safe='')}"
            await self._well("a webhook", self._delete(url, last, share()))

    async def _delete(self, url: str, tokens: TokenSource, seconds: float) -> None:
        try:
            await self._pipeline.send(Request("DELETE", url, timeout=seconds), tokens)
        except NotFoundError:
            return

    async def _revoke(self, tokens: TokenSet, share: Callable[[], float]) -> None:
        for token, hint in ((tokens.refresh_token, "refresh_token"), (tokens.access_token, "access_token")):
            if token:
                await self._well(hint, self._endpoint.revoke(token, hint=hint, timeout=share()))

    @property
    def _can_revoke(self) -> bool:
        return bool(self._config.client_id and self._config.client_secret)

    async def _remove(self, key: str, record: Record | None, *, erase: bool) -> None:
        """Remove the records, unless the user has signed in again meanwhile."""
        current = await self._store.load_readable(key)
        if current is not None and (record is None or current.login_id != record.login_id):
            return
        await self._records.remove(key, record, erase=erase)
        while current is not None and record is not None and current.login_id == record.login_id:
            if await self._store.remove(key, current):
                return
            current = await self._store.load_any(key)

    async def _is_signed_in_again(self, key: str, record: Record) -> bool:
        try:
            current = await self._store.load_readable(key)
        except StorageError:
            return False
        return current is not None and current.login_id != record.login_id

    async def _well(self, what: str, work: Awaitable[Any]) -> None:
        """Do one step as well as it goes."""
        try:
            await work
        except Exception as error:
            _logger.warning("%s could not be ended while a user was signed out: %s", what, type(error).__name__)


class _LastTokens:
    """The tokens of a user who is signed out: refreshed once where a call needs that, and never stored."""

    def __init__(
        self, endpoint: TokenEndpoint, tokens: TokenSet, share: Callable[[], float], *, can_refresh: bool
    ) -> None:
        self._endpoint, self.tokens, self._share = endpoint, tokens, share
        self._can_refresh = can_refresh and bool(tokens.refresh_token)
        self.owner: Hashable = ("signing out", id(self))
        self.key: None = None
        self.can_authorize = True

    @property
    def can_refresh(self) -> bool:
        """Whether a refresh was not tried yet."""
        return self._can_refresh

    async def access_token(self, *, deadline: float | None = None) -> str:
        if not self.tokens.access_token or self.tokens.state(self._endpoint.now()) == "expired":
            await self._refresh()
        return self.tokens.access_token

    async def replace(
        self, rejected: str, *, deadline: float | None = None, reason: RefreshReason | None = None
    ) -> str | None:
        await self._refresh()
        return None if self.tokens.access_token == rejected else self.tokens.access_token

    async def _refresh(self) -> None:
        refresh_token = self.tokens.refresh_token
        if self._can_refresh and refresh_token:
            self._can_refresh = False
            self.tokens = (await self._endpoint.refresh(refresh_token, timeout=self._share())).after(self.tokens)
