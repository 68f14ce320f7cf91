"""The tokens of all users of one app.

Three states by the clock: *fresh*; *stale* (valid: it stays in use while one caller refreshes it); *expired* (all wait
for the one refresh, `refresh.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from webex.auth.cache import CredentialCache
from webex.auth.failures import not_signed_in, reauthorization_required
from webex.auth.refresh import Refresher
from webex.auth.scopes import diff_scopes, sort_scope, split
from webex.auth.unsaved import UnsavedTokens
from webex.auth.waits import StoredWaits
from webex.errors import ConfigurationError, WebexError
from webex.telemetry import SILENT, RefreshReason, Telemetry

if TYPE_CHECKING:
    from webex.auth.endpoint import TokenEndpoint
    from webex.auth.events import Events
    from webex.auth.store import CredentialStore, Record
    from webex.auth.tokens import TokenSet
    from webex.config import Config
    from webex.runtime.protocol import Runtime

_logger = logging.getLogger("webex.auth")


class TokenManager:
    """The tokens of all users of one app. Never gives out an older token when it knows a newer one."""

    def __init__(
        self,
        runtime: Runtime,
        endpoint: TokenEndpoint,
        store: CredentialStore,
        config: Config,
        events: Events,
        telemetry: Telemetry = SILENT,
    ) -> None:
        self._runtime = runtime
        self._endpoint = endpoint
        self._store = store
        self._config = config
        self._events = events
        self._unsaved = UnsavedTokens(runtime, store, config, self.revoke)
        self._cache = CredentialCache(runtime, store, config, self._unsaved)
        self.waits: StoredWaits = StoredWaits(runtime, store, self._cache)
        self._refresher = Refresher(
            runtime, endpoint, store, config, events, self._cache, self._unsaved, self.revoke, telemetry
        )

    async def access_token(self, key: str, *, deadline: float | None = None) -> str:
        """Return a valid token of this user; refresh first if it has expired. `deadline` is monotonic.

        Raises `NotSignedInError`, `ReauthorizationRequiredError`, and what the storage and the endpoint raise.
        """
        record = await self._cache.known(key)
        state = record.tokens.state(self._endpoint.now())
        if state == "fresh":
            return record.tokens.access_token
        if state == "stale" and record.tokens.access_token:
            if record.tokens.refresh_token and record.refused is None:
                await self._refresher.begin(key)
                record = await self._cache.known(key)
            return record.tokens.access_token
        return (await self.refresh(key, deadline=deadline)).access_token

    async def replace(
        self, key: str, rejected: str, *, deadline: float | None = None, reason: RefreshReason | None = None
    ) -> str | None:
        """Return the stored token if it differs from `rejected`, which got a 401, else one that is refreshed now.

        None when the cloud gives the rejected token again: the 401 stands.
        """
        newer = (await self.refresh(key, rejected, deadline=deadline, reason=reason)).access_token
        return None if newer == rejected else newer

    async def refresh(
        self,
        key: str,
        rejected: str | None = None,
        *,
        deadline: float | None = None,
        reason: RefreshReason | None = None,
    ) -> TokenSet:
        """Return tokens that are newer than `rejected` and not expired: stored ones, or refreshed now."""
        return await self._refresher.refresh(key, rejected, deadline=deadline, reason=reason)

    @property
    def can_refresh(self) -> bool:
        """Whether this app may refresh tokens: it has a secret."""
        return bool(self._config.client_secret)

    async def is_signed_in(self, key: str, *, except_token: str | None = None) -> bool:
        """Return whether usable tokens are stored for this user, read now, other than `except_token`."""
        record = await self.record(key)
        if record is None or record.refused is not None:
            return False
        if except_token is not None and record.tokens.access_token == except_token:
            return False
        return bool(record.tokens.refresh_token) or record.tokens.state(self._endpoint.now()) != "expired"

    async def aclose(self) -> None:
        """Save what could not be saved before."""
        await self._unsaved.aclose()

    async def record(self, key: str) -> Record | None:
        """Read what is stored of this user."""
        return await self._cache.read(key)

    async def save_login(self, key: str, tokens: TokenSet, person: Mapping[str, Any] | None = None) -> Record:
        """Keep the tokens of a new sign-in; it ends any refusal of earlier ones."""
        before = await self._store.before_login(key)
        record = await self._store.write_login(key, tokens, person)
        self._cache.forget(key)
        await self._events.emit("signed_in", key)
        if before is not None and (grown := set(split(tokens.scope)) - set(before.scopes)) and before.scopes:
            await self._events.emit("scopes_grown", key, scopes=frozenset(grown))
        return record

    async def login_id(self, key: str) -> str:
        """Return which sign-in is stored, read now; raise when the user is signed out or has to sign in again."""
        record = await self.record(key)
        if record is None:
            raise not_signed_in(key)
        if record.refused is not None:
            raise reauthorization_required(key, record.refused.reason)
        return record.login_id

    def forget(self, key: str) -> None:
        """Forget what is cached of this user."""
        self._cache.forget(key)

    async def revoke(self, tokens: TokenSet) -> None:
        """Revoke both tokens; what fails is logged."""
        if not self._config.client_id or not self._config.client_secret:
            return
        for token, hint in ((tokens.refresh_token, "refresh_token"), (tokens.access_token, "access_token")):
            if token:
                try:
                    await self._endpoint.revoke(token, hint=hint, timeout=self._config.refresh_deadline)
                except WebexError as error:
                    _logger.warning("a %s could not be revoked at Webex: %s", hint, type(error).__name__)

    async def reduced_token(self, key: str, scope: str, *, deadline: float | None = None) -> str:
        """Return a token with these scopes only (oauth §8); cached as long as it is fresh."""
        wanted = sort_scope(scope)
        token = await self.access_token(key, deadline=deadline)
        cached = self._cache.entry(key)
        has = cached.record.tokens.scope if cached is not None else ""
        if wanted == has:
            return token
        missing = diff_scopes(wanted, has or self._config.scope)
        if missing:
            raise ConfigurationError(f"The token of {key!r} does not have the scopes {', '.join(split(missing))}.")
        known = (cached.reduced or {}).get(wanted) if cached is not None else None
        if known is None or known.state(self._endpoint.now()) != "fresh":
            known = await self._endpoint.reduce_scope(token, wanted)
            if cached is not None:
                cached.reduced = {**(cached.reduced or {}), wanted: known}
        return known.access_token
