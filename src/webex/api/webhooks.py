"""`client.webhooks`, with `ensure`: the webhooks that an app wants, created, corrected, activated again and removed.

Ours are those whose name is the app's, up to ` #`. What stands behind it is a short hash of the secret and of what the
webhook is for, so that a changed secret is seen although the cloud never returns one.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from webex.api.generated import webhooks as generated
from webex.api.operation import UNSET
from webex.api.webhook_records import NAMESPACE, place_of, save
from webex.config.shapes import items_of
from webex.config.values import split_url
from webex.errors import ConfigurationError, ConflictError, NotFoundError, StorageError
from webex.http.codec import well_formed
from webex.http.timing import Backoff
from webex.ids import person_uuid
from webex.models.generated.messaging import Webhook
from webex.runtime import drive
from webex.storage.access import path

if TYPE_CHECKING:
    from webex.api.session import Session

__all__ = ["AsyncWebhooks", "Reconciled", "WebhookChange", "Webhooks"]

_logger = logging.getLogger("webex.api")

Wanted: TypeAlias = Mapping[str, str | Sequence[str] | None] | Iterable[str]
Action = Literal["created", "updated", "reactivated", "deleted"]
NAME: Final = "webex-python-sdk"
_LEASE: Final = 60.0  # seconds for one reconciliation
_LONGEST_WAIT: Final = 90.0


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """One thing that was done, or with `dry_run` would be: `messages:created?roomType=direct` was `created`."""

    action: Action
    what: str  # resource:event, and behind a question mark its filter
    why: str
    webhook_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What `ensure` did, and the webhooks that there are now (`dry_run`: that stay). False when nothing changed."""

    changes: list[WebhookChange]
    webhooks: list[Webhook] = field(default_factory=list)
    dry_run: bool = False

    def __bool__(self) -> bool:
        return bool(self.changes)

    def of(self, action: Action) -> list[str]:
        """Return what was created, updated, reactivated or deleted."""
        return [change.what for change in self.changes if change.action == action]


@dataclass(frozen=True, slots=True)
class _Spec:
    resource: str
    event: str
    filter: str | None
    owned_by: str

    @property
    def what(self) -> str:
        return f"{self.resource}:{self.event}" + (f"?{self.filter}" if self.filter else "")

    @property
    def identity(self) -> tuple[str, str, tuple[str, ...], str]:
        return self.resource, self.event, _parts(self.filter), self.owned_by


def read_wanted(wanted: Wanted, owned_by: str = "creator") -> list[_Spec]:
    """Return what is wanted, each once; `ConfigurationError` for what is no `resource:event`."""
    pairs: list[tuple[str, Any]] = []
    if isinstance(wanted, str):
        raise ConfigurationError(f'The wanted webhooks are a list or a mapping, not the text {wanted!r}: ["{wanted}"].')
    given = wanted.items() if isinstance(wanted, Mapping) else items_of("wanted", wanted, "webhooks, or a mapping")
    for each in given if isinstance(wanted, Mapping) else ((name, None) for name in given):
        name, filters = each
        if not isinstance(name, str):
            raise ConfigurationError(f'A wanted webhook is a text such as "messages:created", not {name!r}.')
        name, question, query = name.partition("?")
        if question:
            filters = query
        several = filters if isinstance(filters, list | tuple) else [filters]
        pairs += [(name, one) for one in several]
    found: dict[Any, _Spec] = {}
    for name, one in pairs:
        resource, _, event = name.partition(":")
        if not resource or not event or ":" in event or not (one is None or isinstance(one, str)):
            raise ConfigurationError(
                f'A wanted webhook is "resource:event", such as "messages:created", with a filter such as '
                f'"roomType=direct" or None, not {name!r}: {one!r}.'
            )
        spec = _Spec(resource, event, one or None, owned_by)
        found.setdefault(spec.identity, spec)
    return list(found.values())


def check_target_url(url: str, name: str) -> None:
    """Raise `ConfigurationError` for what is no URL that Webex could post to."""
    parts = split_url(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{name} is {url!r}; it is the http or https URL that Webex posts to.")


async def ensure(
    session: Session,
    target_url: str,
    wanted: Wanted,
    *,
    secret: str | bytes | Sequence[str | bytes],
    name: str = NAME,
    owned_by: str = "creator",
    dry_run: bool = False,
) -> Reconciled:
    """Make the webhooks of a user what is wanted; see `AsyncWebhooks.ensure`."""
    if owned_by not in ("creator", "org"):
        raise ConfigurationError(f"owned_by is {owned_by!r}; it is 'creator' or 'org'.")
    specs, first = read_wanted(wanted, owned_by), _first_secret(secret)
    check_target_url(target_url, "target_url")
    if not isinstance(name, str) or not name.strip() or "#" in name:
        raise ConfigurationError(
            f"name is {name!r}; it is a text without #, which the names of the webhooks begin with."
        )
    work = _Work(session, target_url, specs, first, name, owned_by)
    if dry_run:
        return await work.run(dry_run=True)
    lease = await _lease(session, name)
    try:
        return await work.run(dry_run=False)
    finally:
        if lease is not None:
            await lease.release()


class _Work:
    """One reconciliation."""

    def __init__(
        self, session: Session, target: str, specs: list[_Spec], secret: str, name: str, owned_by: str
    ) -> None:
        self._session, self._api = session, generated.AsyncWebhooks(session)
        self._target, self._specs, self._secret, self._name = target, specs, secret, name
        self._owned_by = owned_by
        self._changes: list[WebhookChange] = []
        self._dry = False

    async def run(self, *, dry_run: bool) -> Reconciled:
        self._dry = dry_run
        ours = await self._ours()
        kept: list[Webhook] = []
        missing: list[_Spec] = []
        for spec in self._specs:
            same = [each for each in ours if _identity(each) == spec.identity]
            if not same:
                missing.append(spec)
                continue
            # The one that needs the least, then the oldest: all workers choose the same one.
            same.sort(key=lambda each: (self._why_changed(each, spec) is not None, str(each.created), each.id))
            kept.append(same[0])
        for spec in missing:
            made = await self._create(spec)
            kept += [] if made is None else [made]
        final = [await self._correct(each) for each in kept]
        if missing and not dry_run:  # another worker without a common storage may have done the same meanwhile
            ours = await self._ours()
            final = self._oldest(ours, final)
        stay = {each.id for each in final}
        wanted = {spec.identity for spec in self._specs}
        for each in ours:
            if each.id not in stay:
                why = "there are two" if _identity(each) in wanted else "it is not wanted any more"
                await self._delete(each, why)
        if not dry_run:
            await self._remember(final)
        return Reconciled(self._changes, final, dry_run)

    async def _ours(self) -> list[Webhook]:
        listed = self._api.list() if self._owned_by == "creator" else self._api.list(owned_by=self._owned_by)
        # A list without `owned_by` has those of the organization too.
        return [
            each
            async for each in listed
            if (each.name or "").partition(" #")[0] == self._name and str(each.owned_by or "creator") == self._owned_by
        ]

    def _oldest(self, ours: list[Webhook], final: list[Webhook]) -> list[Webhook]:
        found = []
        for each in final:
            same = [other for other in ours if _identity(other) == _identity(each)] or [each]
            found.append(min(same, key=lambda other: (str(other.created), other.id)))
        return found

    def _why_changed(self, webhook: Webhook, spec: _Spec) -> str | None:
        if webhook.target_url != self._target:
            return f"its URL was {webhook.target_url}"
        if webhook.name != self._full_name(spec):
            return "its secret is another one"
        return None if webhook.status == "active" else "Webex had deactivated it: too many deliveries failed"

    async def _correct(self, webhook: Webhook) -> Webhook:
        spec = next(spec for spec in self._specs if spec.identity == _identity(webhook))
        why = self._why_changed(webhook, spec)
        if why is None:
            return webhook
        was_stopped = webhook.status != "active"
        self._changed("reactivated" if was_stopped else "updated", spec.what, why, webhook.id)
        if self._dry:
            return webhook
        return await self._api.update(
            webhook.id,
            name=self._full_name(spec),
            target_url=self._target,
            secret=self._secret,
            status="active" if was_stopped else UNSET,
        )

    async def _create(self, spec: _Spec) -> Webhook | None:
        if self._dry:
            self._changed("created", spec.what, "there was none", None)
            return None
        options: dict[str, Any] = {} if spec.filter is None else {"filter": spec.filter}
        if spec.owned_by != "creator":
            options["owned_by"] = spec.owned_by
        try:
            made = await self._api.create(
                name=self._full_name(spec),
                target_url=self._target,
                resource=spec.resource,
                event=spec.event,
                secret=self._secret,
                **options,
            )
        except ConflictError:  # another worker was first
            same = [each for each in await self._ours() if _identity(each) == spec.identity]
            if not same:
                raise
            return same[0]
        self._changed("created", spec.what, "there was none", made.id)
        return made

    async def _delete(self, webhook: Webhook, why: str) -> None:
        what = f"{webhook.resource}:{webhook.event}" + (f"?{webhook.filter}" if webhook.filter else "")
        self._changed("deleted", what, why, webhook.id)
        if self._dry:
            return
        try:
            await self._api.delete(webhook.id)
        except NotFoundError:
            return

    def _changed(self, action: Action, what: str, why: str, webhook_id: str | None) -> None:
        self._changes.append(WebhookChange(action, what, why, webhook_id))
        if not self._dry:
            level = logging.WARNING if action == "reactivated" else logging.INFO
            _logger.log(level, "the webhook %s was %s: %s", what, action, why)

    def _full_name(self, spec: _Spec) -> str:
        of = f"{spec.resource}:{spec.event}?{'&'.join(_parts(spec.filter))}"
        return f"{self._name} #{hmac.new(self._secret.encode(), of.encode(), hashlib.sha256).hexdigest()[:8]}"

    async def _remember(self, webhooks: list[Webhook]) -> None:
        """Note the webhooks of a user of the app: a sign-out removes them, and events find their owner by it."""
        access, key = self._session.access, self._session.tokens.key if self._session.tokens is not None else None
        if access is None or key is None:
            return
        client = self._session.pipeline.config.client_id or ""
        if not webhooks:
            await access.delete(NAMESPACE, place_of(client, key, self._name, self._owned_by))
            return
        owner = next((each.created_by for each in webhooks if each.created_by), None)
        record = {
            "ids": [each.id for each in webhooks],
            "url": self._target,
            "wanted": [spec.what for spec in self._specs],
            "owned_by": self._owned_by,
            "person": person_uuid(owner) if owner else None,
        }
        await save(access, client, key, self._name, record)


async def _lease(session: Session, name: str) -> Any:
    """Wait for the turn of this worker; None where there is no storage to take turns by."""
    access = session.access
    if access is None:
        return None
    key = (session.tokens.key if session.tokens is not None else None) or "-"
    place = f"reconcile/{path(session.pipeline.config.client_id or '-', key, name)}"
    give_up = session.runtime.clock.monotonic() + _LONGEST_WAIT
    backoff = Backoff(0.05, 1.0)
    while (lease := await access.try_lease(NAMESPACE, place, _LEASE)) is None:
        if session.runtime.clock.monotonic() > give_up:
            raise StorageError("Another worker reconciles the webhooks for too long; call it again.")
        await session.runtime.sleep(backoff.next())
    return lease


def _identity(webhook: Webhook) -> tuple[str, str, tuple[str, ...], str]:
    return str(webhook.resource), str(webhook.event), _parts(webhook.filter), str(webhook.owned_by or "creator")


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(sorted(part for part in (text or "").split("&") if part))


def _first_secret(secret: Any) -> str:
    first = (
        secret if isinstance(secret, str | bytes) else next(iter(secret), "") if isinstance(secret, Iterable) else ""
    )
    text = first.decode("utf-8", "strict") if isinstance(first, bytes) else first
    if not isinstance(text, str) or not text:
        raise ConfigurationError(
            "secret is the text that deliveries are signed with, or a list with the new one first."
        )
    return well_formed(text, "secret")


class AsyncWebhooks(generated.AsyncWebhooks):
    """`client.webhooks`, in event-loop style."""

    __slots__ = ()

    async def ensure(
        self,
        target_url: str,
        wanted: Wanted,
        *,
        secret: str | Sequence[str],
        name: str = NAME,
        owned_by: Literal["creator", "org"] = "creator",
        dry_run: bool = False,
    ) -> Reconciled:
        """Make this user's webhooks what is wanted: `{"messages:created": "roomType=direct", "rooms:created": None}`.

        Creates what is missing, corrects another URL or secret, activates what Webex had deactivated, and deletes what
        is not wanted any more or there twice; in this order, and only webhooks whose name begins with `name`. A second
        call changes nothing. `wanted` is a mapping of `resource:event` to its filter (a list of them, or None), or a
        list of `"messages:created?roomType=direct"`. Of a list of secrets the first is set. With `owned_by="org"` the
        webhooks are for what happens in the whole organization, which an administrator may; a call leaves those of the
        other kind as they are. Workers with one storage take turns. With `dry_run` nothing is changed, and the answer
        says what would be. Raises `ConfigurationError` for what is no webhook, and what the calls raise.
        """
        return await ensure(
            self._session, target_url, wanted, secret=secret, name=name, owned_by=owned_by, dry_run=dry_run
        )


class Webhooks(generated.Webhooks):
    """`client.webhooks`, in blocking style."""

    __slots__ = ()

    def ensure(
        self,
        target_url: str,
        wanted: Wanted,
        *,
        secret: str | Sequence[str],
        name: str = NAME,
        owned_by: Literal["creator", "org"] = "creator",
        dry_run: bool = False,
    ) -> Reconciled:
        """Make this user's webhooks what is wanted; see `AsyncWebhooks.ensure`."""
        return drive(
            ensure(self._session, target_url, wanted, secret=secret, name=name, owned_by=owned_by, dry_run=dry_run)
        )
