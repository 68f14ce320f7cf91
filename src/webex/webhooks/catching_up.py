"""What came while no worker received: listed from the history, as `listen()` does, and taken like a delivery."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from webex.api.services import catalog_of
from webex.errors import ConfigurationError, DecodeError, MissingKeyError, WebexError
from webex.http.types import Request, Response
from webex.realtime.catchup import find_missed
from webex.realtime.event import person_id
from webex.realtime.events import Reader
from webex.storage.formats import check_format, with_format
from webex.webhooks.events import read_event, without_content
from webex.webhooks.seconds import checked_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from webex.api.session import Session
    from webex.storage import StorageAccess
    from webex.webhooks.core import Core, Job

ALIVE: Final = "alive"  # the key, below the receiver's root
_OVERLAP: Final = 60.0  # seconds: clocks differ, and a delivery takes its time
_LONGEST: Final = 86_400.0
NAMESPACE: Final = "webhooks-alive"


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What `catch_up` found for one user: how many events were new, since when, and whether the history told all.

    `error` is what kept it from the end, and None otherwise; `user_key` is None for a client without one.
    """

    events: int
    since: datetime
    complete: bool
    user_key: str | None = None
    error: WebexError | None = None


class Heartbeat:
    """When a worker of the receiver was last at work. A gap is kept until it was caught up with."""

    def __init__(self, access: StorageAccess, root: str, now: Callable[[], float], every: float) -> None:
        self._access, self._key, self._now, self._every = access, root + ALIVE, now, every

    async def beat(self) -> None:
        """Note that a worker is at work; one that notes it after a pause keeps the beginning of the pause."""
        now = self._now()
        while True:
            at, gap, version = await self._read()
            if at is not None and now - at > 3 * self._every + 5 and gap is None:
                gap = at
            value = with_format({"at": max(now, at or 0.0), "gap": gap})
            if await self._access.put_if_version(NAMESPACE, self._key, value, version, durable=False) is not None:
                return

    async def since(self) -> float | None:
        """Return when the last pause began, or when a worker was last at work; None when there was never one."""
        at, gap, _ = await self._read()
        return at if gap is None else gap

    async def caught_up(self) -> None:
        """Forget the pause."""
        at, gap, version = await self._read()
        if gap is not None:
            value = with_format({"at": at, "gap": None})
            await self._access.put_if_version(NAMESPACE, self._key, value, version, durable=False)

    async def _read(self) -> tuple[float | None, float | None, str | None]:
        try:
            value, version = await self._access.get_versioned(NAMESPACE, self._key)
        except MissingKeyError:
            return None, None, None
        check_format(value, "The times at which workers were at work")
        at, gap = value.get("at"), value.get("gap")
        return (
            at if isinstance(at, int | float) else None,
            gap if isinstance(gap, int | float) else None,
            version,
        )


async def catch_up(
    core: Core,
    session: Session,
    wanted: Sequence[str] | None,
    since: datetime,
    submit: Callable[[Job], bool],
) -> CaughtUp:
    """Take what the webhooks of one user would have delivered since then; `wanted` None: all that has a handler."""
    services = _Services(session)
    hydra = await services.url_of("hydra")
    me = (await services.send("GET", f"{hydra}/people/me")).json()
    if not isinstance(me, dict) or not isinstance(me.get("id"), str):
        raise DecodeError("The answer to people/me is no person.")
    reader = Reader(hydra, (await catalog_of(session)).cluster_of)
    moment = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    missed = await find_missed(services, moment, is_bot=me.get("type") == "bot")
    taken = 0
    for activity in missed.activities:
        if str(activity.get("published", "")) < moment:
            continue
        for resource, event, actor, data in reader.read(activity):
            if not _is_wanted(wanted, resource, event, data, me["id"]):
                continue
            body = {
                "resource": resource,
                "event": event,
                "orgId": me.get("orgId"),
                "createdBy": me["id"],
                "ownedBy": "creator",
                "status": "active",
                "created": activity.get("published"),
                "actorId": person_id(actor) if actor else None,
                "data": without_content(data),
            }
            text = json.dumps(body)
            taken += await core.ingest(read_event(text.encode()), text, submit)
    return CaughtUp(taken, since, missed.complete)


def begin_of(since: datetime | float | None, last: float | None, now: float) -> datetime:
    """Return from when on to list: what was asked for, else where the pause began; a day back at most."""
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise ConfigurationError("since is a moment with a time zone: datetime.now(UTC) - timedelta(hours=1).")
        begin = since.timestamp()
    elif since is not None:
        begin = now - checked_seconds("since, where it is no datetime,", since, most=math.inf)
    else:
        begin = (now if last is None else last) - _OVERLAP
    return datetime.fromtimestamp(max(begin, now - _LONGEST), UTC)


def _is_wanted(wanted: Sequence[str] | None, resource: str, event: str, data: dict[str, Any], me: str) -> bool:
    if wanted is None:
        return True
    for each in wanted:
        what, _, filters = each.partition("?")
        name, _, kind = what.partition(":")
        if (
            name in (resource, "all")
            and kind in (event, "all")
            and all(_passes(part, data, me) for part in filters.split("&") if part)
        ):
            return True
    return False


def _passes(part: str, data: dict[str, Any], me: str) -> bool:
    name, _, value = part.partition("=")
    if name == "mentionedPeople":
        return (me if value == "me" else value) in (data.get("mentionedPeople") or ())
    if name == "hasFiles":
        return bool(data.get("files")) == (value == "true")
    found = data.get(name)
    return (str(found).lower() if isinstance(found, bool) else str(found)) == value


class _Services:
    """Send requests with the token of one client."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def url_of(self, service: str) -> str:
        configured = self._session.pipeline.config.service_urls.get(service)
        return configured or (await catalog_of(self._session)).url_of(service)

    async def send(self, method: str, url: str, **options: Any) -> Response:
        return await self._session.pipeline.send(Request(method, url, **options), self._session.tokens)
