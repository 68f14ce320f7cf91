"""Keep the webhooks of an app as they were wanted: one of all workers checks them at intervals."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webex.api import webhook_records as records
from webex.errors import ConfigurationError, NotSignedInError, ReauthorizationRequiredError, StorageError, WebexError
from webex.view import session_of

if TYPE_CHECKING:
    from webex.api.webhooks import Reconciled, Wanted, WebhookChange
    from webex.app import App
    from webex.storage import StorageAccess
    from webex.storage.access import AccessLease
    from webex.webhooks.core import Core

_logger = logging.getLogger("webex.webhooks")

_MOST_OWNERS: Final = 10_000
_TURN: Final = 60.0  # seconds that a check keeps other workers from checking, renewed after each user


@dataclass(frozen=True, slots=True)
class Kept:
    """The webhooks that a client is to have."""

    client: Any
    wanted: list[str]
    owned_by: str


class Keeper:
    """The webhooks of one receiver. `every` is in seconds; 0: only `check` looks at them.

    `source` is the client that the receiver was made with; None where that is an integration. What users want is in
    the storage of the integration, where a sign-out finds it; what the source wants is in that of the receiver, where
    other workers and later ones find it; what other clients want is known in this process only.
    """

    def __init__(
        self,
        app: App,
        access: StorageAccess,
        core: Callable[[], Core],
        *,
        source: Any,
        url: str | None,
        name: str,
        every: float,
    ) -> None:
        self._app, self._access, self._core, self._source = app, access, core, source
        self._url, self._name = url, name
        self._client_id = app.config.client_id or ""
        self.every: float = every
        self._others: dict[tuple[int, str], Kept] = {}
        self._owners: dict[str, str] = {}

    async def reconcile(
        self, client: Any, wanted: Wanted, *, owned_by: str = "creator", dry_run: bool = False
    ) -> Reconciled:
        """Make the webhooks of a client what is wanted."""
        from webex.api.webhooks import read_wanted

        if self._url is None:
            raise ConfigurationError(
                'The receiver does not know where Webex is to post: WebhookReceiver(…, url="https://…/hooks/webex").'
            )
        kept = Kept(client, [spec.what for spec in read_wanted(wanted)], owned_by)
        result = await self._ensure(kept, dry_run=dry_run)
        if dry_run or client.user_key is not None:
            return result
        if client is self._source:
            await records.save_bot(self._access, self._client_id, self._name, kept.wanted, owned_by)
        elif kept.wanted:
            self._others[id(client), owned_by] = kept
        else:
            self._others.pop((id(client), owned_by), None)
        return result

    async def _ensure(self, kept: Kept, *, dry_run: bool = False) -> Reconciled:
        from webex.api.webhooks import ensure

        assert self._url is not None
        return await ensure(
            session_of(kept.client),
            self._url,
            kept.wanted,
            secret=self._core().secret,
            name=self._name,
            owned_by=kept.owned_by,
            dry_run=dry_run,
        )

    async def check(self, turn: AccessLease | None = None) -> list[WebhookChange]:
        """Check all webhooks that are kept; return what was changed. One user that fails does not end it.

        It ends early when another worker has taken the turn meanwhile.
        """
        changes: list[WebhookChange] = []
        if self._url is None:
            return changes
        async for kept in self.kept():
            try:
                changes += (await self._ensure(kept)).changes
            except (NotSignedInError, ReauthorizationRequiredError):
                _logger.info("the webhooks of a user can't be checked: the user has to sign in again")
            except WebexError as error:
                _logger.warning("the webhooks of a user could not be checked (%s)", type(error).__name__)
            if turn is not None and not await turn.renew(_TURN):
                _logger.warning("another worker has begun to check the webhooks: this one leaves it to that")
                break
        self._warn(changes)
        return changes

    def _warn(self, changes: list[WebhookChange]) -> None:
        stopped = [change.what for change in changes if change.action == "reactivated"]
        if not stopped:
            return
        refused, last = self._core().health.refused, self._core().health.last_refusal
        why = (
            f"this process refused {sum(refused.values())}, the last with {last}"
            if last
            else ("this process refused none: they did not reach it, or another worker refused them")
        )
        _logger.warning(
            "Webex had deactivated %d webhooks (%s), because deliveries failed; %s",
            len(stopped),
            ", ".join(stopped),
            why,
        )

    async def kept(self) -> AsyncIterator[Kept]:
        """Yield what is kept: for clients without a key first, then for each user."""
        for other in list(self._others.values()):
            yield other
        if self._source is not None:
            for each in await self.kept_for(self._source):
                yield each
        async for key, record in records.kept(self._app.access, self._client_id, self._name):
            for each in _read(self._view(key), [record]):
                yield each

    async def kept_for(self, client: Any) -> list[Kept]:
        """Return what `reconcile` made for one client; empty when it made nothing."""
        others = [kept for kept in self._others.values() if kept.client is client]
        if others:
            return others
        if client.user_key is not None:
            found = await records.kept_for(self._app.access, self._client_id, client.user_key, self._name)
        elif client is self._source:
            found = await records.kept_for_bot(self._access, self._client_id, self._name)
        else:
            found = []
        return _read(client, found)

    async def check_if_due(self) -> None:
        """Check, unless a worker has within `every` seconds."""
        if not self.every or self._url is None:
            return
        name = f"check/{self._app.config.client_id}/{self._name}"
        turn = await self._access.try_lease("webhooks-inbox", name, max(self.every, _TURN))
        if turn is None:
            return
        try:
            await self.check(turn)
        except StorageError as error:
            _logger.warning("the webhooks could not be checked (%s)", type(error).__name__)
        finally:
            # Not released: no worker does it again within that time.
            await turn.renew(self.every)

    async def owner(self, person: str) -> str:
        """Return the user key of the person with this UUID."""
        found = self._owners.get(person)
        if found is None:
            found = await records.owner(self._app.access, self._client_id, person)
            if found != person and len(self._owners) < _MOST_OWNERS:
                self._owners[person] = found
        return found

    def _view(self, key: str) -> Any:
        from webex.client import AsyncWebex, Webex
        from webex.view import make_view

        kind: Any = AsyncWebex if self._app.runtime.style == "async" else Webex
        return make_view(kind, self._app, self._app.credentials.source(key))


def _read(client: Any, found: list[dict[str, Any]]) -> list[Kept]:
    return [
        Kept(client, record["wanted"], record.get("owned_by") or "creator")
        for record in found
        if isinstance(record.get("wanted"), list)
    ]
