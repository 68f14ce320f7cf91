"""A token is refreshed once, wherever its users are.

Within a process a refresh belongs to the runtime, not to the request that asked. Across processes:
lease → re-read → refresh → compare-and-swap → release. The lease only saves work; correctness is in the save.
Handlers of the app run when lease and flight are over.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from webex.auth.events import Kind
from webex.auth.failures import not_signed_in, reauthorization_required
from webex.auth.store import CredentialStore, Record, Refusal, is_newer
from webex.auth.unsaved import SWAPS, Unsaved, never_our_turn
from webex.auth.users import ends_at
from webex.errors import (
    ApiError,
    ConnectError,
    DeadlineError,
    InvalidGrantError,
    OAuthError,
    OAuthServerError,
    StorageError,
    TemporarilyUnavailableError,
    TransportError,
    WebexError,
)
from webex.http.timing import Backoff
from webex.telemetry import (
    LeaseWaited,
    RefreshReason,
    Telemetry,
    TokenRefreshFinished,
    TokenRefreshRefused,
    TokenRefreshStarted,
)

if TYPE_CHECKING:
    from webex.auth.cache import CredentialCache
    from webex.auth.endpoint import TokenEndpoint
    from webex.auth.events import Events
    from webex.auth.tokens import TokenSet
    from webex.auth.unsaved import UnsavedTokens
    from webex.config import Config
    from webex.runtime.protocol import Runtime
    from webex.storage.access import AccessLease

_logger = logging.getLogger("webex.auth")

_ROUNDS: Final = 4  # how often a caller joins other callers' refreshes before it takes what there is
_RETRIED: Final = frozenset({408, 500, 502, 503, 504})
_SAVE_PAUSES: Final = (0.05, 0.2)  # between the tries to save while callers wait


class Refresher:
    """Refreshes the stored tokens of one app's users. `revoke` ends tokens that may not be kept."""

    def __init__(
        self,
        runtime: Runtime,
        endpoint: TokenEndpoint,
        store: CredentialStore,
        config: Config,
        events: Events,
        cache: CredentialCache,
        unsaved: UnsavedTokens,
        revoke: Callable[[TokenSet], Awaitable[None]],
        telemetry: Telemetry,
    ) -> None:
        self._runtime = runtime
        self._endpoint = endpoint
        self._store = store
        self._config = config
        self._events = events
        self._cache = cache
        self._unsaved = unsaved
        self._revoke = revoke
        self._telemetry = telemetry

    async def refresh(
        self,
        key: str,
        rejected: str | None = None,
        *,
        deadline: float | None = None,
        reason: RefreshReason | None = None,
    ) -> TokenSet:
        """Return stored tokens that are newer than `rejected` and not expired, or refresh, once.

        However many ask at the same time, here or in other processes, one refreshes. When the cloud gives the rejected
        token again, that is what is returned. `deadline` (monotonic) bounds the wait: `DeadlineError`. `reason` is for
        telemetry.
        """
        clock = self._runtime.clock
        reason = reason or ("expired" if rejected is None else "rejected")
        for _ in range(_ROUNDS):
            left = None if deadline is None else deadline - clock.monotonic()
            if left is not None and left <= 0:
                raise self._too_late(key)
            try:
                done = await self._runtime.single_flight(
                    self._flight(key), lambda: self._flown(key, rejected, deadline, reason), timeout=left
                )
            except _CutOffError:  # by the deadline of the call that ran it, in blocking style
                if deadline is None or deadline - clock.monotonic() > 0:
                    continue
                raise self._too_late(key) from None
            if done is None:
                continue
            if done.refreshed or done.record.tokens.access_token != rejected:
                return done.record.tokens
        record = await self._cache.read(key)
        if record is None:
            raise not_signed_in(key)
        return record.tokens

    async def begin(self, key: str) -> None:
        """Refresh a token that is stale, without waiting for another holder of the lease."""
        if self._config.client_id and self._config.client_secret:
            await self._runtime.begin(self._flight(key), lambda: self._flown(key, None, None, "stale"))

    def _flight(self, key: str) -> tuple[str, int, str]:
        return ("refresh", id(self), key)

    async def _flown(
        self, key: str, rejected: str | None, deadline: float | None, reason: RefreshReason
    ) -> _Done | None:
        """Newer tokens; None when another process refreshes and the caller is not patient."""
        if self._runtime.style == "async":
            deadline = None  # the work is a task of its own, which outlives the call that began it
        run = _Run(key, rejected, deadline, reason)
        try:
            return await self._refreshed(run)
        except _CutOffError:
            raise
        except DeadlineError:
            if deadline is not None and deadline <= self._runtime.clock.monotonic():
                raise _CutOffError(key) from None
            raise
        finally:
            for kind, why in run.told:
                await self._events.emit_later(kind, key, why)

    async def _refreshed(self, run: _Run) -> _Done | None:
        clock = self._runtime.clock
        key = run.key
        waiting_since: float | None = None
        pauses = Backoff(0.05, 0.1)
        unreachable: ConnectError | None = None
        give_up_connecting = 0.0
        give_up = clock.monotonic() + self._config.lease_ttl + self._config.refresh_deadline
        if run.deadline is not None:
            give_up = min(give_up, run.deadline)
        while True:
            found = await self._refreshable(run)
            if isinstance(found, _Done):
                if waiting_since is not None and self._telemetry.wants(LeaseWaited):
                    self._telemetry.tell(LeaseWaited(key, clock.monotonic() - waiting_since))
                return found
            began = clock.monotonic()
            if unreachable is not None and began >= give_up_connecting:
                raise unreachable
            lease = await self._store.lease(key, self._config.lease_ttl)
            if lease is not None:
                give_up_asking = began + self._config.refresh_deadline
                if run.deadline is not None:
                    give_up_asking = min(give_up_asking, run.deadline)
                if unreachable is not None:
                    give_up_asking = min(give_up_asking, give_up_connecting)
                try:
                    done = await self._with_lease(run, lease, give_up_asking)
                except ConnectError as error:
                    # Another host may have the cloud: from now on this one looks at the lease less often than others.
                    if unreachable is None:
                        give_up_connecting, pauses = give_up_asking, Backoff(0.4, 3.0)
                    unreachable, pause = error, pauses.next()
                    if not run.patient or clock.monotonic() + pause >= give_up_connecting:
                        raise
                    await self._runtime.sleep(pause)
                    continue
                if done is not None:
                    return done
                # Another process wrote at the same moment; what it wrote is looked at next.
                await self._wait(key, give_up, pauses.next())
            elif not run.patient:
                return None
            else:
                waiting_since = waiting_since if waiting_since is not None else began
                await self._wait(key, give_up, pauses.next())

    async def _with_lease(self, run: _Run, lease: AccessLease, give_up: float) -> _Done | None:
        """Look once more, since another process may have finished before this one had the lease, and refresh."""
        run.keeps_lease = False
        try:
            found = await self._refreshable(run)
            if isinstance(found, _Done):
                return found
            done = await self._refresh_under_lease(run, found, lease, give_up)
            return None if done is None else _Done(done, refreshed=True)
        finally:
            if not run.keeps_lease:
                await self._release(lease)

    async def _refreshable(self, run: _Run) -> Record | _Done:
        """Return tokens that are usable already, or the record to refresh; raise when neither is possible."""
        record = await self._cache.read(run.key)
        if record is None:
            raise not_signed_in(run.key)
        state = record.tokens.state(self._endpoint.now())
        usable = bool(record.tokens.access_token) and record.tokens.access_token != run.rejected
        if usable and (state == "fresh" or (state == "stale" and run.patient)):
            return _Done(record)
        if record.refused is not None:
            raise reauthorization_required(run.key, record.refused.reason)
        if not record.tokens.refresh_token:
            raise reauthorization_required(run.key, "no_refresh_token")
        self._config.require("client_id")
        self._config.require("client_secret")
        return record

    async def _wait(self, key: str, give_up: float, pause: float) -> None:
        left = give_up - self._runtime.clock.monotonic()
        if left <= 0:
            raise self._too_late(key)
        remaining = await self._store.lease_remaining(key)
        await self._runtime.sleep(min(left, max(remaining, 0.005), pause))

    async def _release(self, lease: AccessLease) -> None:
        try:
            await lease.release()
        except WebexError as error:
            _logger.warning("a lease could not be released and will expire: %s", type(error).__name__)

    async def _refresh_under_lease(
        self, run: _Run, record: Record, lease: AccessLease, give_up: float
    ) -> Record | None:
        """Refresh and save; None when the storage has to be looked at again."""
        parent = record.refresh_hash
        refresh_token = record.tokens.refresh_token
        assert parent is not None
        assert refresh_token is not None
        uncertain = record.attempt == parent
        if not uncertain:
            # Before it is sent: should this process die, the next one knows that its outcome is unknown.
            marked = await self._store.swap(run.key, record, attempt=parent)
            if marked is None:
                return None
            self._unsaved.saved(run.key, marked)
            record = marked
        asked = _Asked(refresh_token, uncertain)
        began = self._runtime.clock.monotonic()
        if not run.started and self._telemetry.wants(TokenRefreshStarted):
            self._telemetry.tell(TokenRefreshStarted(run.key, run.reason))
        run.started = True
        try:
            answer = await self._ask(asked, give_up)
        except InvalidGrantError:
            reason = "outcome_unknown" if asked.uncertain else "refused"
            return await self._refused(run, record, lease, reason)
        except WebexError:
            if not asked.uncertain:
                await self._unmark(run.key, record)
            elif (newer := await self._saved_by_another(run, record)) is not None:
                return newer
            raise
        saved = await self._save(run, record, answer.after(record.tokens), parent, lease)
        if saved is not None and self._telemetry.wants(TokenRefreshFinished):
            expires_at, took = saved.tokens.expires_at, self._runtime.clock.monotonic() - began
            expires_in = None if expires_at is None else expires_at - self._endpoint.now()
            self._telemetry.tell(TokenRefreshFinished(run.key, took, expires_in))
        return saved

    async def _saved_by_another(self, run: _Run, asked: Record) -> Record | None:
        """Tokens that another process saved while this one, perhaps paused past its lease, got no answer."""
        try:
            record = await self._cache.read(run.key)
        except StorageError:
            return None
        if record is None or not is_newer(record, asked) or record.tokens.access_token == run.rejected:
            return None
        return record if record.tokens.state(self._endpoint.now()) != "expired" else None

    async def _unmark(self, key: str, record: Record) -> None:
        """Note that the refresh token was certainly not used: a later refusal is one of the first use."""
        try:
            await self._store.swap(key, record, attempt=None)
        except StorageError as error:
            _logger.warning("the mark of a refresh that was not sent stays: %s", type(error).__name__)

    async def _ask(self, asked: _Asked, give_up: float) -> TokenSet:
        """Ask the endpoint until `give_up`; a lease is held throughout, so repeating is safe.

        What can't be reached is not asked again: the caller gives the lease to others first.
        """
        clock = self._runtime.clock
        backoff = Backoff(0.2, 3.0)
        while True:
            left = give_up - clock.monotonic()
            if left <= 0:
                raise DeadlineError("There was no time left to refresh the token.")
            try:
                return await self._endpoint.refresh(asked.refresh_token, timeout=left)
            except BaseException as error:
                asked.uncertain = asked.uncertain or not _certainly_not_processed(error)
                pause = backoff.next()
                if isinstance(error, ConnectError) or not _may_pass(error) or clock.monotonic() + pause >= give_up:
                    raise
            await self._runtime.sleep(pause)

    async def _refused(self, run: _Run, asked: Record, lease: AccessLease, reason: str) -> Record | None:
        """Handle the cloud's refusal of the token of `asked`: it counts only when no other process has newer tokens."""
        key, parent = run.key, asked.refresh_hash
        assert parent is not None
        clock = self._runtime.clock
        if not await lease.renew(self._config.lease_ttl):
            reason = "outcome_unknown"  # another process may have used the token meanwhile
            give_up = clock.monotonic() + self._config.lease_ttl
            while await self._store.lease_remaining(key) > 0 and clock.monotonic() < give_up:
                if run.deadline is not None and run.deadline <= clock.monotonic():
                    raise self._too_late(key)
                await self._runtime.sleep(0.05)
        for _ in range(SWAPS):
            record = await self._cache.read(key)
            if record is None:
                raise not_signed_in(key)
            if is_newer(record, asked):
                return None
            if record.refused is None:
                written = await self._store.swap(key, record, refusal=Refusal(parent, reason), attempt=None)
                if written is None:
                    continue
                self._cache.keep(key, written)
                run.told.append(("reauthorization_required", reason))
                end = ends_at(asked)
                if reason == "refused" and end is not None and end > self._endpoint.now():
                    run.told.append(("consent_withdrawn", reason))
                if self._telemetry.wants(TokenRefreshRefused):
                    self._telemetry.tell(TokenRefreshRefused(key, reason))
            raise reauthorization_required(key, reason)
        raise never_our_turn(key)

    async def _save(
        self, run: _Run, record: Record, tokens: TokenSet, parent: str, lease: AccessLease
    ) -> Record | None:
        """Write what the cloud gave, unless something newer is there; keep it in memory when that fails."""
        key = run.key
        self._unsaved.add(key, Unsaved(record, tokens, parent))
        pauses = iter(_SAVE_PAUSES)
        while True:
            try:
                saved = await self._unsaved.write(key)
            except StorageError as error:
                pause = next(pauses, None)
                if pause is not None:
                    await self._runtime.sleep(pause)
                    continue
                _logger.warning(
                    "refreshed tokens could not be saved (%s); they are kept in memory and saved later",
                    type(error).__name__,
                )
                run.keeps_lease = True
                saved = await self._unsaved.keep(key, lease)
            if saved is not None:
                self._cache.keep(key, saved)
                run.told.append(("token_refreshed", None))
            return saved

    def _too_late(self, key: str) -> DeadlineError:
        return DeadlineError(f"The token of {key!r} was not refreshed in time; a refresh may still be under way.")


def _certainly_not_processed(error: BaseException) -> bool:
    """Whether the cloud has certainly not used the refresh token of a request that ended with `error`."""
    if isinstance(error, ConnectError | InvalidGrantError):
        return True
    if isinstance(error, OAuthServerError | TemporarilyUnavailableError):
        return False
    if isinstance(error, OAuthError | ApiError):
        return error.status is not None and 400 <= error.status < 500 and error.status != 408
    return False


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ApiError):
        return error.status in _RETRIED
    return isinstance(error, TransportError)


@dataclass(frozen=True, slots=True)
class _Done:
    """A record that serves. `refreshed`: it comes from a refresh that this flight made."""

    record: Record
    refreshed: bool = False


@dataclass(slots=True)
class _Run:
    """One flight. `told`: what the handlers of the app are told afterwards."""

    key: str
    rejected: str | None
    deadline: float | None  # monotonic; of the call whose thread runs this
    reason: RefreshReason
    keeps_lease: bool = False
    started: bool = False  # and said so
    told: list[tuple[Kind, str | None]] = field(default_factory=list)

    @property
    def patient(self) -> bool:
        """Whether the caller needs new tokens; one whose token is only stale does not wait for another process."""
        return self.reason != "stale"


@dataclass(slots=True)
class _Asked:
    """A refresh token that is sent. `uncertain`: a try may have been processed, with its answer lost."""

    refresh_token: str = field(repr=False)
    uncertain: bool


class _CutOffError(DeadlineError):
    """The call that ran the flight had no time left; others that wait may have some."""
