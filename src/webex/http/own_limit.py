"""Limit the calls of this client itself (`calls_per_second`, `user_calls_per_second`).

A call waits for its turn within its own time; who goes first is decided in `turns.py`. The limits are those of one
process: asking a storage about each call would be a trip a call. The library `limits` is not used: it answers yes or
no and leaves waiting, order and priorities to its caller, and it takes the time from the system, not from a runtime.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from webex.errors import DeadlineError
from webex.http.turns import Turn, Turns
from webex.telemetry import RateLimited

if TYPE_CHECKING:
    from webex.http.exchange import Exchange
    from webex.http.turns import Priority
    from webex.runtime.protocol import Runtime


class OwnLimit:
    """The limits of one client, for all threads and event loops that use it; after a fork, for each process."""

    def __init__(self, runtime: Runtime, rate: float | None, owner_rate: float | None) -> None:
        self._runtime = runtime
        self._rates = rate, owner_rate
        self._become_ours()

    def _become_ours(self) -> None:
        self._pid = os.getpid()
        self._mutex = self._runtime.mutex()
        self._turns = Turns(*self._rates)

    async def take_turn(self, exchange: Exchange) -> None:
        """Return when the call may be sent; `DeadlineError` when that was not within its time."""
        if self._pid != os.getpid():
            self._become_ours()
        now = self._runtime.clock.monotonic
        mutex, turns = self._mutex, self._turns
        owner = None if exchange.tokens is None else exchange.tokens.owner
        priority: Priority = exchange.request.priority or "interactive"
        with mutex:
            if turns.at_once(owner, priority, now()):
                return
            turn = Turn(owner, priority, self._runtime.signal())
            turns.join(turn)
        began = now()
        try:
            while True:
                with mutex:
                    pause = turns.step(turn, now())
                if turn.granted:
                    break
                left = exchange.remaining()
                if left <= 0:
                    raise self._too_late(exchange, priority)
                await turn.signal.wait(left if pause is None else min(pause, left))
        finally:
            with mutex:
                turns.leave(turn)
        if exchange.telemetry.wants(RateLimited):
            tracking_id, waited = exchange.info.tracking_id, now() - began
            exchange.telemetry.tell(RateLimited(exchange.method, exchange.path, tracking_id, waited, "client"))

    def _too_late(self, exchange: Exchange, priority: Priority) -> DeadlineError:
        rates = zip(("calls_per_second", "user_calls_per_second"), self._rates, strict=True)
        limits = " and ".join(f"{name}={rate:g}" for name, rate in rates if rate is not None)
        return DeadlineError(
            f"The call ({priority}) was not sent within its {exchange.timeout:g} s: this client limits itself to "
            f"{limits}. Give it more time (timeout=), make fewer calls at once, or raise the limit.",
            request=exchange.info,
        )
