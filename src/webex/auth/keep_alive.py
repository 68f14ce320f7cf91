"""Renew the tokens of users who have not been here for long, before their refresh tokens end.

One worker at a time walks the stored users, by a lease that it renews on the way. Where it stopped does not have to be
remembered: a user who was renewed is not due any more, and a walk that goes on where another ended finds only the rest.
What was counted so far is stored, so that the report is one of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from webex.auth.users import UserFilter, ends_at, matching
from webex.errors import ConfigurationError, NotSignedInError, ReauthorizationRequiredError, WebexError
from webex.storage.formats import check_format, with_format
from webex.storage.paths import path

if TYPE_CHECKING:
    from webex.auth.endpoint import TokenEndpoint
    from webex.auth.manager import TokenManager
    from webex.auth.store import CredentialStore, Record
    from webex.config import Config
    from webex.runtime.protocol import Runtime
    from webex.storage.access import AccessLease, StorageAccess

__all__ = ["NAMESPACE", "KeepAlive", "KeepAliveReport"]

NAMESPACE: Final = "keep-alive"

DAY: Final = 86_400.0
_LEASE: Final = 60.0  # seconds; renewed after a third of it
_GOES_ON: Final = 2 * DAY  # an interrupted walk that is older is not resumed
_CLOCKS_DIFFER: Final = 300.0  # seconds by which the clocks of two hosts may differ
_SAVE_EVERY: Final = 5.0  # seconds
_ROUNDED: Final = 60.0  # seconds by which an end may move that is given as whole seconds from now
_FAILURES_IN_A_ROW: Final = 20  # then Webex, or the storage, is away


@dataclass(frozen=True, slots=True)
class KeepAliveReport:
    """What came of `integration.keep_alive()`.

    `state`: `finished`; `elsewhere`, when another worker is at it and this one did nothing; `interrupted`, when the
    lease was lost or too many refreshes in a row failed: the next call goes on. `due` users had a refresh token that
    ends within the given days; `renewed` of them were refreshed, and for `extended` the end moved by more than a
    minute. `sign_in_again` have to sign in, `failed` counts the others by the name of their error. `resumed`: an
    interrupted walk is included.
    """

    state: Literal["finished", "elsewhere", "interrupted"]
    due: int = 0
    renewed: int = 0
    extended: int = 0
    sign_in_again: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    resumed: bool = False


@dataclass(slots=True)
class _Walk:
    began: float
    due: int = 0
    renewed: int = 0
    extended: int = 0
    sign_in_again: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    resumed: bool = False

    def report(self, state: Literal["finished", "interrupted"], seconds: float) -> KeepAliveReport:
        return KeepAliveReport(
            state, self.due, self.renewed, self.extended, self.sign_in_again, dict(self.failed), seconds, self.resumed
        )

    def to_json(self) -> dict[str, Any]:
        names = ("began", "due", "renewed", "extended", "sign_in_again")
        return with_format({**{name: getattr(self, name) for name in names}, "failed": dict(self.failed)})


class KeepAlive:
    """Walks the stored users of one app."""

    def __init__(
        self,
        runtime: Runtime,
        access: StorageAccess,
        store: CredentialStore,
        manager: TokenManager,
        endpoint: TokenEndpoint,
        config: Config,
    ) -> None:
        self._runtime, self._access, self._store = runtime, access, store
        self._manager, self._endpoint, self._config = manager, endpoint, config
        self._path = path(config.client_id or "-", "walk")

    async def run(self, *, days: float, per_second: float, over: float) -> KeepAliveReport:
        """Renew the tokens of all users who are due, unless another worker does."""
        for name, value in (("days", days), ("per_second", per_second), ("over", over)):
            may_be_zero = name == "over"
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
            if not is_number or (value == 0 and not may_be_zero):
                what = "a number, 0 or more" if may_be_zero else "a number above zero"
                raise ConfigurationError(f"{name} of keep_alive is {what}, not {value!r}.")
        self._config.require("client_secret")
        lease = await self._access.try_lease(NAMESPACE, self._path, _LEASE)
        if lease is None:
            return KeepAliveReport("elsewhere")
        try:
            return await self._walk(
                lease, UserFilter(expires_before=self._endpoint.now() + days * DAY), per_second, over
            )
        finally:
            await lease.release()

    async def _walk(self, lease: AccessLease, wanted: UserFilter, per_second: float, over: float) -> KeepAliveReport:
        clock = self._runtime.clock
        began = renewed_at = saved_at = clock.monotonic()
        walk = await self._begun()
        not_since = min(walk.began, self._endpoint.now() - DAY)  # a refresh within a day may bring the same again
        between = 1.0 / per_second
        if over > 0:
            due = 0
            async for _, record in matching(self._store, wanted):
                due += self._is_due(record, not_since)
            between = max(between, over / max(due, 1))
        next_at = clock.monotonic()
        in_a_row = 0
        async for key, record in matching(self._store, wanted):
            if not self._is_due(record, not_since):
                walk.sign_in_again += record.refused is not None and not walk.resumed
                continue
            while True:
                now = clock.monotonic()
                if now - renewed_at >= _LEASE / 3:
                    if not await lease.renew(_LEASE):
                        return walk.report("interrupted", now - began)
                    renewed_at = now
                if now >= next_at:
                    break
                await self._runtime.sleep(min(next_at - now, _LEASE / 6))
            next_at = max(next_at + between, now)
            walk.due += 1
            in_a_row = 0 if await self._renew(key, record, walk) else in_a_row + 1
            if in_a_row == _FAILURES_IN_A_ROW:
                await self._save(walk)
                return walk.report("interrupted", clock.monotonic() - began)
            if clock.monotonic() - saved_at >= _SAVE_EVERY:
                await self._save(walk)
                saved_at = clock.monotonic()
        await self._access.delete(NAMESPACE, self._path)
        return walk.report("finished", clock.monotonic() - began)

    def _is_due(self, record: Record, not_since: float) -> bool:
        if record.refused is not None or not record.tokens.refresh_token:
            return False
        return record.tokens.issued_at is None or record.tokens.issued_at < not_since

    async def _renew(self, key: str, record: Record, walk: _Walk) -> bool:
        """Refresh one user; False when that failed for a reason that may be the same for the next."""
        deadline = self._runtime.clock.monotonic() + self._config.timeout
        try:
            await self._manager.refresh(key, record.tokens.access_token, deadline=deadline, reason="asked")
            after = await self._store.load(key)
        except ReauthorizationRequiredError:
            walk.sign_in_again += 1
            return True
        except NotSignedInError:
            return True
        except WebexError as error:
            walk.failed[type(error).__name__] += 1
            return False
        walk.renewed += 1
        if after is not None:
            walk.extended += (ends_at(after) or 0.0) > (ends_at(record) or 0.0) + _ROUNDED
        return True

    async def _begun(self) -> _Walk:
        """Return the interrupted walk that this one goes on with, or a new one."""
        stored = await self._access.get_or_none(NAMESPACE, self._path)
        now = self._endpoint.now()
        if isinstance(stored, dict):
            check_format(stored, "The state of keep_alive")
            if -_CLOCKS_DIFFER <= now - stored["began"] < _GOES_ON:
                rest = {name: stored[name] for name in ("began", "due", "renewed", "extended", "sign_in_again")}
                return _Walk(**rest, failed=Counter(stored["failed"]), resumed=True)
        walk = _Walk(now)
        await self._save(walk)
        return walk

    async def _save(self, walk: _Walk) -> None:
        await self._access.put(NAMESPACE, self._path, walk.to_json(), expires_in=_GOES_ON, durable=False)
