"""What a 429 teaches: the next calls of the same kind wait as long, rather than being refused one by one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from webex.http.retry import parse_retry_after

if TYPE_CHECKING:
    from webex.http.exchange import Exchange
    from webex.runtime.protocol import Runtime, WireResponse

_MOST: Final = 10_000

Key = tuple[object, str, str]


class RateLimits:
    """Remembers until when a kind of call (whose token, which host, which resource) has to wait."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._until: dict[Key, float] = {}

    async def limited(self, exchange: Exchange, send: Callable[[Exchange], Awaitable[WireResponse]]) -> WireResponse:
        """Wait if this kind of call has to, as far as the deadline allows; then send and learn."""
        if self._until:
            until = self._until.get(_key(exchange))
            if until is not None:
                pause = until - self._runtime.clock.monotonic()
                if 0 < pause < exchange.remaining():
                    await self._runtime.sleep(pause)
        response = await send(exchange)
        if response.status == 429:
            pause_asked = parse_retry_after(response.headers.get("retry-after"), self._runtime.clock.time())
            if pause_asked:
                self._learn(_key(exchange), pause_asked)
        return response

    def _learn(self, key: Key, pause: float) -> None:
        now = self._runtime.clock.monotonic()
        if len(self._until) >= _MOST:
            self._until = {kept: until for kept, until in self._until.items() if until > now}
        self._until[key] = now + pause


def _key(exchange: Exchange) -> Key:
    parts = urlsplit(exchange.url)
    owner = getattr(exchange.tokens, "key", None) or id(exchange.tokens)
    return owner, parts.netloc, "/".join(parts.path.split("/", 3)[:3])
