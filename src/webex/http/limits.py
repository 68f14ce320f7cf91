"""Delay later calls of the same token, host and resource after a 429, rather than have them refused one by one.

What another worker was answered counts as well: it comes with the user's stored record (`SharedWaits`), which was read
for the token just before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

from webex.http.own_limit import OwnLimit
from webex.http.timing import LONGEST_RETRY_AFTER, asked_wait
from webex.telemetry import RateLimited

if TYPE_CHECKING:
    from webex.http.exchange import Exchange
    from webex.runtime.protocol import Runtime, WireResponse

_MOST: Final = 10_000
_WORTH_TELLING: Final = 0.5  # seconds: a shorter wait is over before another worker reads of it

Key = tuple[Hashable, str, str]


class AskedWait(NamedTuple):
    """A wait that a service asked for: when it ends (seconds since the epoch), and how long it was."""

    until: float
    seconds: float


class SharedWaits(Protocol):
    """Knows what other workers were asked to wait for the same user. Implemented by `auth`."""

    def known(self, key: str) -> Mapping[str, AskedWait]:
        """Return what the record that was last read of this user says, by kind of call. Does no I/O."""
        ...

    async def tell(self, key: str, kind: str, wait: AskedWait) -> None:
        """Write a wait down for other workers. Raises nothing of the storage's."""
        ...


class RateLimits:
    """Remembers until when calls of one kind (owner of the token, host, resource) have to wait.

    `rate` and `owner_rate` are limits of the client's own, in calls a second, for all tokens together and for each.
    """

    def __init__(self, runtime: Runtime, *, rate: float | None = None, owner_rate: float | None = None) -> None:
        self._runtime = runtime
        self._own: OwnLimit | None = None
        if rate is not None or owner_rate is not None:
            self._own = OwnLimit(runtime, rate, owner_rate)
        self._until: dict[Key, float] = {}
        self._told: dict[Key, float] = {}  # when the wait ends that was last taken from, or given to, other workers
        self.shared: SharedWaits | None = None

    async def limited(
        self,
        exchange: Exchange,
        authorization: str | None,
        send: Callable[[Exchange, str | None], Awaitable[WireResponse]],
    ) -> WireResponse:
        """Wait if this kind of call has to, as far as the deadline allows; then send, and remember a 429."""
        waits: Mapping[str, AskedWait] = {}
        if self.shared is not None and exchange.tokens is not None and exchange.tokens.key is not None:
            waits = self.shared.known(exchange.tokens.key)
        if self._until or waits:
            await self._wait(exchange, waits)
        if self._own is not None and authorization is not None:
            await self._own.take_turn(exchange)
        response = await send(exchange, authorization)
        if response.status == 429:
            asked = asked_wait(response.headers, self._runtime.clock.time())
            if asked:
                await self._learn(exchange, asked)
        return response

    async def _wait(self, exchange: Exchange, waits: Mapping[str, AskedWait]) -> None:
        key = _key(exchange)
        by_worker = self._take(key, waits.get(_kind(key)))
        until = self._until.get(key)
        if until is None:
            return
        pause = until - self._runtime.clock.monotonic()
        if 0 < pause < exchange.remaining():
            if exchange.telemetry.wants(RateLimited):
                tracking_id = exchange.info.tracking_id
                by: Literal["worker", "service"] = "worker" if by_worker else "service"
                exchange.telemetry.tell(RateLimited(exchange.method, exchange.path, tracking_id, pause, by))
            await self._runtime.sleep(pause)

    def _take(self, key: Key, wait: AskedWait | None) -> bool:
        """Take over what another worker was asked for, once; return whether it is longer than what is known here."""
        if wait is None or self._told.get(key) == wait.until:
            return False
        self._remember(self._told, key, wait.until)
        # At most as long as was asked for: the clocks of two machines differ.
        left = min(wait.until - self._runtime.clock.time(), wait.seconds, LONGEST_RETRY_AFTER)
        until = self._runtime.clock.monotonic() + left
        if left <= 0 or until <= self._until.get(key, 0.0):
            return False
        self._remember(self._until, key, until)
        return True

    async def _learn(self, exchange: Exchange, asked: float) -> None:
        key, clock = _key(exchange), self._runtime.clock
        self._remember(self._until, key, clock.monotonic() + asked)
        shared, user = self.shared, None if exchange.tokens is None else exchange.tokens.key
        if shared is None or user is None or asked < _WORTH_TELLING:
            return
        wait = AskedWait(clock.time() + asked, asked)
        self._remember(self._told, key, wait.until)
        await self._runtime.begin(("rate limit", id(self), key), lambda: shared.tell(user, _kind(key), wait))

    def _remember(self, kept: dict[Key, float], key: Key, until: float) -> None:
        if len(kept) >= _MOST and key not in kept:
            now = self._runtime.clock.monotonic() if kept is self._until else self._runtime.clock.time()
            for old in [old for old, end in kept.items() if end <= now]:
                del kept[old]
            while len(kept) >= _MOST:  # the oldest goes: all of them are still waited for
                del kept[next(iter(kept))]
        kept[key] = until


def _key(exchange: Exchange) -> Key:
    parts = urlsplit(exchange.url)
    owner = None if exchange.tokens is None else exchange.tokens.owner
    return owner, parts.netloc, "/".join(parts.path.split("/", 3)[:3])


def _kind(key: Key) -> str:
    return f"{key[1]}{key[2]}"
