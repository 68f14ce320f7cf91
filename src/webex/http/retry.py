"""When a call is repeated, and after how long.

Connection faults and the statuses of `RETRY_STATUSES` are repeated within the call's deadline. A call that may have
been carried out is repeated only if doing it twice is the same as once; 423 and 429 say that it was not carried out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from webex.errors import (
    ConnectError,
    DeadlineError,
    FileError,
    RedirectError,
    ResponseTooLargeError,
    TransportError,
)
from webex.http.timing import Backoff, asked_wait, with_jitter
from webex.telemetry import AttemptFailed, RetryScheduled

if TYPE_CHECKING:
    from webex.http.exchange import Exchange
    from webex.runtime.protocol import Runtime, WireResponse

RETRY_STATUSES: Final = frozenset({408, 423, 429, 500, 502, 503, 504})
NOT_PROCESSED: Final = frozenset({423, 429})
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})

_FIRST_PAUSE: Final = 0.5  # seconds
_LONGEST_PAUSE: Final = 20.0
_SHORTEST_PAUSE: Final = 0.05  # also where the service asks for less: 0 does not mean a hot loop


async def retrying(
    exchange: Exchange, runtime: Runtime, send: Callable[[Exchange], Awaitable[WireResponse]]
) -> WireResponse:
    """Send, and again while that makes sense and time is left."""
    request = exchange.request
    repeatable = request.idempotent if request.idempotent is not None else exchange.method in IDEMPOTENT
    backoff: Backoff | None = None
    while True:
        exchange.attempts += 1
        began = exchange.now()
        failure: TransportError | None = None
        response: WireResponse | None = None
        try:
            response = await send(exchange)
        except (DeadlineError, RedirectError, ResponseTooLargeError):
            raise
        except ConnectError as error:
            failure, again, asked = error, True, None
        except TransportError as error:
            failure, again, asked = error, repeatable, None
        else:
            if response.status not in RETRY_STATUSES:
                return response
            again = repeatable or response.status in NOT_PROCESSED
            asked = asked_wait(response.headers, runtime.clock.time())
        cause = str(response.status) if response is not None else type(failure).__name__
        _tell_failed(exchange, began, cause)
        backoff = backoff or Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, spread=0.95)
        pause = backoff.next()
        if asked is not None:
            pause = with_jitter(max(asked, min(pause, _SHORTEST_PAUSE)))
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
        _tell_retry(exchange, pause, cause, asked is not None)
        await runtime.sleep(pause)


def _give_up(failure: TransportError | None, response: WireResponse | None) -> WireResponse:
    if failure is not None:
        raise failure
    assert response is not None
    return response


def _tell_failed(exchange: Exchange, began: float, cause: str) -> None:
    if exchange.telemetry.wants(AttemptFailed):
        tracking_id, took = exchange.info.tracking_id, exchange.now() - began
        exchange.telemetry.tell(
            AttemptFailed(exchange.method, exchange.path, tracking_id, exchange.attempts, took, cause)
        )


def _tell_retry(exchange: Exchange, wait: float, cause: str, asked: bool) -> None:
    if exchange.telemetry.wants(RetryScheduled):
        tracking_id = exchange.info.tracking_id
        exchange.telemetry.tell(
            RetryScheduled(exchange.method, exchange.path, tracking_id, exchange.attempts, wait, cause, asked)
        )
