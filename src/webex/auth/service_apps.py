"""Tokens of a service app in one organization: kept in the storage like those of people, under `org:<uuid>`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from webex.auth.sources import UserTokens
from webex.auth.tokens import TokenSet
from webex.errors import ConfigurationError, NotSignedInError, ReauthorizationRequiredError, WebexError
from webex.ids import to_uuid

if TYPE_CHECKING:
    from webex.auth.manager import TokenManager
    from webex.auth.store import CredentialStore
    from webex.config import Config
    from webex.runtime.protocol import Runtime

__all__ = ["ServiceAppTokens", "service_app_key"]


def service_app_key(org_id: str) -> str:
    """Return the key under which the tokens of a service app in this organization are stored: `org:` and its UUID."""
    try:
        return f"org:{to_uuid(org_id)}"
    except ValueError:
        raise ConfigurationError(f"{org_id!r} is no organization id.") from None


class ServiceAppTokens(UserTokens):
    """The stored token, refreshed as a person's is; one that is missing or refused is asked for with `fetch`.

    Of all callers in this process one asks; of several processes the one that holds the lease.
    """

    __slots__ = ("_fetch", "_lease_ttl", "_runtime", "_store")

    def __init__(
        self,
        manager: TokenManager,
        key: str,
        runtime: Runtime,
        store: CredentialStore,
        config: Config,
        fetch: Callable[[], Awaitable[TokenSet]],
    ) -> None:
        super().__init__(manager, key)
        self._runtime = runtime
        self._store = store
        self._lease_ttl = config.lease_ttl
        self._fetch = fetch

    async def access_token(self, **options: Any) -> str:
        """Return a valid token."""
        try:
            return await super().access_token(**options)
        except (NotSignedInError, ReauthorizationRequiredError):
            await self._obtain()
        return await super().access_token(**options)

    async def replace(self, rejected: str, **options: Any) -> str | None:
        """Return a token that differs from the rejected one."""
        try:
            return await super().replace(rejected, **options)
        except (NotSignedInError, ReauthorizationRequiredError):
            await self._obtain(rejected)
        token = await super().access_token(**options)
        return None if token == rejected else token

    async def _obtain(self, rejected: str | None = None) -> None:
        async def obtained() -> None:
            await self._obtained(rejected)

        await self._runtime.single_flight(("service app", id(self._manager), self.key), obtained)

    async def _obtained(self, rejected: str | None) -> None:
        clock = self._runtime.clock
        give_up = clock.monotonic() + self._lease_ttl
        while True:
            lease = await self._store.lease(self.key, self._lease_ttl)
            try:
                if await self._manager.is_signed_in(self.key, except_token=rejected):
                    self._manager.forget(self.key)
                    return  # another caller has it already, maybe before this one began
                if lease is not None or clock.monotonic() > give_up:
                    await self._manager.save_login(self.key, await self._fetch())
                    return
            finally:
                if lease is not None:
                    await self._released(lease)
            await self._runtime.sleep(0.05)

    async def _released(self, lease: Any) -> None:
        try:
            await lease.release()
        except WebexError:
            return  # it expires
