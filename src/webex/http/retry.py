"""When a call is repeated, and after how long.

Connection faults and the statuses of `RETRY_STATUSES` are repeated within the call's deadline. A call that may have
been carried out is repeated only if doing it twice is the same as once; 423 and 429 say that it was not carried out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from webex.errors import ConnectError, DeadlineError, FileError, RedirectError, TransportError

if TYPE_CHECKING:
    from webex.http.exchange import Exchange
    from webex.runtime.protocol import Runtime, WireResponse

RETRY_STATUSES: Final = frozenset({408, 423, 429, 500, 502, 503, 504})
NOT_PROCESSED: Final = frozenset({423, 429})
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
LONGEST_RETRY_AFTER: Final = 3600.0

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 20.0


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from seconds or an HTTP date (RFC 9110 §10.2.3); None for anything else, at most an hour."""
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
            if when.tzinfo is None:
                when = when.replace(tzinfo=UTC)
            seconds = when.timestamp() - now
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def server_time(value: str | None) -> float | None:
    """The time of a `Date` header, in seconds since the epoch; None when there is none."""
    if not value:
        return None
    try:
        when = parsedate_to_datetime(value)
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def backoff(attempt: int) -> float:
    """A pause before the attempt after `attempt` (from 1): doubling, with full jitter, in seconds."""
    return random.uniform(0.05, 1.0) * min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE)  # noqa: S311  # jitter


async def retrying(
    exchange: Exchange, runtime: Runtime, send: Callable[[Exchange], Awaitable[WireResponse]]
) -> WireResponse:
    """Send, and again while that makes sense and time is left."""
    request = exchange.request
    repeatable = request.idempotent if request.idempotent is not None else exchange.method in IDEMPOTENT
    while True:
        exchange.attempts += 1
        failure: TransportError | None = None
        response: WireResponse | None = None
        try:
            response = await send(exchange)
        except (DeadlineError, RedirectError):
            raise
        except ConnectError as error:
            failure, again, asked = error, True, None
        except TransportError as error:
            failure, again, asked = error, repeatable, None
        else:
            if response.status not in RETRY_STATUSES:
                return response
            again = repeatable or response.status in NOT_PROCESSED
            now = datetime.now(UTC).timestamp()
            base = server_time(response.headers.get("date"))
            asked = parse_retry_after(response.headers.get("retry-after"), now if base is None else base)
        pause = backoff(exchange.attempts)
        if asked is not None:
            pause = asked + random.uniform(0.0, min(0.1 * asked, 1.0))  # noqa: S311  # jitter
        if not again or exchange.attempts > exchange.max_retries or exchange.remaining() <= pause:
            return _give_up(failure, response)
        if not exchange.body.rewindable:
            if response is not None:
                return response
            raise FileError(
                "The connection failed while a body was sent that can't be read a second time. Give a path, bytes or a "
                "seekable file, and it will be repeated."
            ) from failure
        if response is not None:
            await response.close()
        await runtime.sleep(pause)


def _give_up(failure: TransportError | None, response: WireResponse | None) -> WireResponse:
    if failure is not None:
        raise failure
    assert response is not None
    return response
