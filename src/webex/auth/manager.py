"""A token is refreshed once, wherever its users are.

Three states by the clock: *fresh*; *stale* (valid: everybody goes on using it while one refreshes); *expired* (all wait
for the one). Within a process a refresh belongs to the runtime, not to the request that asked. Across processes:
lease → re-read → refresh → compare-and-swap → release. The lease only saves work; correctness is in the save.
"""

from __future__ import annotations

import logging
import random
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webex.auth.scopes import diff_scopes, sort_scope, split
from webex.auth.store import CredentialStore, Record, Refusal
from webex.auth.tokens import TokenSet
from webex.errors import (
    ApiError,
    ConfigurationError,
    ConnectError,
    DeadlineError,
    InvalidGrantError,
    NotSignedInError,
    ReauthorizationRequiredError,
    TransportError,
    WebexError,
)

if TYPE_CHECKING:
    from webex.auth.endpoint import TokenEndpoint
    from webex.auth.events import Events
    from webex.config import Config
    from webex.runtime.protocol import Runtime
    from webex.storage.access import AccessLease

_logger = logging.getLogger("webex.auth")

_MOST_CACHED: Final = 50_000
_REASONS: Final = {
    "refused": "Webex refused the refresh token (consent withdrawn, password changed, or unused for too long)",
    "outcome_unknown": "an earlier refresh may have been carried out, its answer was lost, and Webex now refuses the "
    "old refresh token",
    "no_refresh_token": "the access token is no longer accepted and there is no refresh token",
    "revoked": "the token was revoked",
}


@dataclass(slots=True)
class _Cached:
    record: Record
    read_at: float  # monotonic
    reduced: dict[str, TokenSet] | None = None


class TokenManager:
    """The tokens of all users of one app. Never gives out an older token when it knows a newer one."""

    def __init__(
        self, runtime: Runtime, endpoint: TokenEndpoint, store: CredentialStore, config: Config, events: Events
    ) -> None:
        self._runtime = runtime
        self._endpoint = endpoint
        self._store = store
        self._config = config
        self._events = events
        self._cache: OrderedDict[str, _Cached] = OrderedDict()

    async def access_token(self, key: str) -> str:
        """A valid token of this user; refreshes first if it has expired.

        Raises `NotSignedInError`, `ReauthorizationRequiredError`, and what the storage and the endpoint raise.
        """
        record = await self._known(key)
        state = record.tokens.state(self._endpoint.now())
        if state == "fresh":
            return record.tokens.access_token
        if state == "stale" and record.tokens.access_token:
            if record.tokens.refresh_token and record.refused is None and self._can_refresh:
                await self._runtime.begin(self._flight(key), lambda: self._refreshed(key, None, patient=False))
                record = await self._known(key)
            return record.tokens.access_token
        return (await self.refresh(key)).access_token

    async def replace(self, key: str, rejected: str) -> str | None:
        """The cloud answered 401 to `rejected`: the stored token if that differs, else a refreshed one."""
        return (await self.refresh(key, rejected)).access_token

    async def refresh(self, key: str, rejected: str | None = None) -> TokenSet:
        """Tokens that are newer than `rejected` (and not expired): stored ones, or refreshed now.

        However many ask at the same time, here or in other processes, one refreshes.
        """
        while True:
            record = await self._runtime.single_flight(
                self._flight(key), lambda: self._refreshed(key, rejected, patient=True)
            )
            if record is not None and record.tokens.access_token != rejected:
                return record.tokens

    async def record(self, key: str) -> Record | None:
        """What is stored of this user, read now."""
        return await self._read(key)

    async def save_login(self, key: str, tokens: TokenSet, person: Mapping[str, Any] | None = None) -> Record:
        """Keep the tokens of a new sign-in; it ends any refusal of earlier ones."""
        record = await self._store.save_login(key, tokens, person)
        self._cache.pop(key, None)
        await self._events.emit("signed_in", key)
        return record

    async def sign_out(self, key: str, *, revoke: bool = True) -> bool:
        """Forget the tokens here first, then revoke them at Webex as far as it can be reached.

        False when nothing was stored. The person is signed out even when Webex does not answer; that is logged.
        """
        record = await self._store.take(key)
        self._cache.pop(key, None)
        if record is None:
            return False
        if revoke:
            await self.revoke(record.tokens)
        await self._events.emit("signed_out", key)
        return True

    async def revoke(self, tokens: TokenSet) -> None:
        """Revoke both tokens, as well as that goes."""
        if not self._config.client_id or not self._config.client_secret:
            return
        for token, hint in ((tokens.refresh_token, "refresh_token"), (tokens.access_token, "access_token")):
            if token:
                try:
                    await self._endpoint.revoke(token, hint=hint, timeout=self._config.refresh_deadline)
                except WebexError as error:
                    _logger.warning("a %s could not be revoked at Webex: %s", hint, type(error).__name__)

    async def reduced_token(self, key: str, scope: str) -> str:
        """A token with these scopes only (core-behaviour §2.4); cached as long as it is fresh."""
        wanted = sort_scope(scope)
        token = await self.access_token(key)
        cached = self._cache.get(key)
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

    # The cache

    async def _known(self, key: str) -> Record:
        cached = self._cache.get(key)
        if cached is not None and self._runtime.clock.monotonic() - cached.read_at < self._config.credential_max_age:
            return cached.record
        record = await self._read(key)
        if record is None:
            raise self._nobody(key)
        return record

    async def _read(self, key: str) -> Record | None:
        record = await self._store.load(key)
        if record is None:
            self._cache.pop(key, None)
        else:
            self._keep(key, record)
        return record

    def _keep(self, key: str, record: Record) -> None:
        before = self._cache.get(key)
        same = before is not None and before.record.tokens == record.tokens
        self._cache[key] = _Cached(
            record, self._runtime.clock.monotonic(), before.reduced if same and before is not None else None
        )
        if len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)

    # The refresh

    @property
    def _can_refresh(self) -> bool:
        return bool(self._config.client_id and self._config.client_secret)

    def _flight(self, key: str) -> tuple[str, int, str]:
        return ("refresh", id(self), key)

    async def _refreshed(self, key: str, rejected: str | None, *, patient: bool) -> Record | None:
        """Newer tokens; None when somebody else is at it and we are not patient."""
        give_up = self._runtime.clock.monotonic() + self._config.lease_ttl + self._config.refresh_deadline
        while True:
            record = await self._refreshable(key, rejected, patient)
            if not isinstance(record, _Work):
                return record
            lease = await self._store.lease(key, self._config.lease_ttl)
            if lease is not None:
                try:
                    # Somebody may have finished between our look and our lease.
                    record = await self._refreshable(key, rejected, patient)
                    if not isinstance(record, _Work):
                        return record
                    done = await self._refresh_under_lease(key, record.record, lease)
                finally:
                    await self._release(lease)
                if done is not None:
                    return done
            elif not patient:
                return None
            else:
                await self._wait(key, give_up)

    async def _refreshable(self, key: str, rejected: str | None, patient: bool) -> Record | _Work:
        """The stored record if it serves already, else the work to be done; raises when nothing can be done."""
        record = await self._read(key)
        if record is None:
            raise self._nobody(key)
        state = record.tokens.state(self._endpoint.now())
        usable = bool(record.tokens.access_token) and record.tokens.access_token != rejected
        if usable and (state == "fresh" or (state == "stale" and patient)):
            return record
        if record.refused is not None:
            raise self._reauthorize(key, record.refused.reason)
        if not record.tokens.refresh_token:
            raise self._reauthorize(key, "no_refresh_token")
        self._config.require("client_id")
        self._config.require("client_secret")
        return _Work(record)

    async def _wait(self, key: str, give_up: float) -> None:
        left = give_up - self._runtime.clock.monotonic()
        if left <= 0:
            raise DeadlineError(f"Somebody else has been refreshing the token of {key!r} for too long.")
        remaining = await self._store.lease_remaining(key)
        pause = random.uniform(0.02, 0.1)  # noqa: S311  # jitter, not a secret
        await self._runtime.sleep(min(left, max(remaining, 0.005), pause))

    async def _release(self, lease: AccessLease) -> None:
        try:
            await lease.release()
        except WebexError as error:
            _logger.warning("a lease could not be released and will expire: %s", type(error).__name__)

    async def _refresh_under_lease(self, key: str, record: Record, lease: AccessLease) -> Record | None:
        """Refresh and save; None when the storage has to be looked at again."""
        parent = record.refresh_hash
        refresh_token = record.tokens.refresh_token
        assert parent is not None
        assert refresh_token is not None
        uncertain = record.attempt == parent
        if not uncertain:
            # Before it is sent: should we die, the next one knows that its outcome is unknown.
            marked = await self._store.swap(key, record, attempt=parent)
            if marked is None:
                return None
            record = marked
        try:
            answer, uncertain = await self._ask(refresh_token, uncertain)
        except _RefusedError as refused:
            return await self._refused(key, record, lease, "outcome_unknown" if refused.uncertain else "refused")
        except ConnectError:
            await self._store.swap(key, record, attempt=None)  # it was certainly not sent
            raise
        saved = await self._save(key, record, answer.after(record.tokens), parent)
        if saved is not None:
            self._keep(key, saved)
        return saved

    async def _ask(self, refresh_token: str, uncertain: bool) -> tuple[TokenSet, bool]:
        """Ask the endpoint until the refresh deadline; a lease is held throughout, so repeating is safe."""
        clock = self._runtime.clock
        give_up = clock.monotonic() + self._config.refresh_deadline
        pause = 0.2
        while True:
            left = give_up - clock.monotonic()
            try:
                return await self._endpoint.refresh(refresh_token, timeout=max(left, 0.05)), uncertain
            except InvalidGrantError:
                raise _RefusedError(uncertain) from None
            except ConnectError:
                if uncertain or clock.monotonic() + pause >= give_up:
                    raise
            except TransportError:
                uncertain = True
                if clock.monotonic() + pause >= give_up:
                    raise
            except ApiError as error:
                uncertain = uncertain or error.status >= 500
                if error.status not in (408, 500, 502, 503, 504) or clock.monotonic() + pause >= give_up:
                    raise
            await self._runtime.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            pause = min(pause * 2, 3.0)

    async def _refused(self, key: str, asked: Record, lease: AccessLease, reason: str) -> Record | None:
        """The cloud refused the token of `asked`: believe it only when nobody else got something better for it."""
        parent = asked.refresh_hash
        assert parent is not None
        if not await lease.renew(self._config.lease_ttl):
            give_up = self._runtime.clock.monotonic() + self._config.lease_ttl
            while await self._store.lease_remaining(key) > 0 and self._runtime.clock.monotonic() < give_up:
                await self._runtime.sleep(0.05)
        while True:
            record = await self._read(key)
            if record is None:
                raise self._nobody(key)
            if _is_newer(record, asked):
                return None
            if record.refused is None:
                written = await self._store.swap(key, record, refusal=Refusal(parent, reason), attempt=None)
                if written is None:
                    continue
                self._keep(key, written)
                await self._events.emit("reauthorization_required", key, reason)
            raise self._reauthorize(key, reason)

    async def _save(self, key: str, record: Record, tokens: TokenSet, parent: str) -> Record | None:
        """Write what the cloud gave, unless something newer is there."""
        while True:
            saved = await self._store.swap(key, record, tokens=tokens, parent=parent, attempt=None, refusal=None)
            if saved is not None:
                await self._events.emit("token_refreshed", key)
                return saved
            current = await self._store.load(key)
            if current is None or current.login_id != record.login_id:
                # Signed out, or signed in anew, meanwhile: nobody may go on with ours.
                await self.revoke(tokens)
                return None
            if _is_newer(current, record):
                return None  # the caller reads it
            record = current  # refused, marked or annotated, but the tokens that ours come after still stand

    # Errors

    def _nobody(self, key: str) -> NotSignedInError:
        return NotSignedInError(
            f"Nobody is signed in under the key {key!r}: sign the person in (begin_login, finish_login).", user_key=key
        )

    def _reauthorize(self, key: str, reason: str) -> ReauthorizationRequiredError:
        return ReauthorizationRequiredError(
            f"User {key!r} has to sign in again: {_REASONS.get(reason, reason)}.", reason=reason, user_key=key
        )


def _is_newer(stored: Record, ours: Record) -> bool:
    """Whether somebody wrote other tokens than the ones we began with (the cloud may keep the refresh token)."""
    return (stored.tokens.access_token, stored.refresh_hash) != (ours.tokens.access_token, ours.refresh_hash)


@dataclass(frozen=True, slots=True)
class _Work:
    """A record whose token has to be refreshed."""

    record: Record


class _RefusedError(Exception):
    """The cloud said `invalid_grant`; `uncertain` when an earlier attempt may have been carried out."""

    def __init__(self, uncertain: bool) -> None:
        self.uncertain = uncertain
        super().__init__("refused")
