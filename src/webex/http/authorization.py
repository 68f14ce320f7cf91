"""Which credentials go with one attempt, and what happens on a 401.

The token is asked for anew for every attempt and every host: a host that may not receive it gets none.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webex.http.exchange import Exchange
    from webex.http.types import HostPolicy
    from webex.runtime.protocol import WireResponse


def basic(user: str, password: str) -> str:
    """Return the value of an `Authorization` header with HTTP Basic (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


async def authorized(
    exchange: Exchange, hosts: HostPolicy, send: Callable[[Exchange, str | None], Awaitable[WireResponse]]
) -> WireResponse:
    """Send with the right credentials; a 401 is answered by one replay with a token that differs."""
    auth, tokens = exchange.request.auth, exchange.tokens
    if isinstance(auth, tuple):
        return await send(exchange, basic(*auth) if hosts.may_receive_token(exchange.url) else None)
    if auth == "none" or tokens is None or not hosts.may_receive_token(exchange.url):
        return await send(exchange, None)
    token = await tokens.access_token(deadline=exchange.give_up)
    response = await send(exchange, f"Bearer {token}")
    if response.status != 401:
        return response
    newer = await tokens.replace(token, deadline=exchange.give_up)
    if newer is None or newer == token or not exchange.body.rewindable or exchange.remaining() <= 0:
        return response
    await response.close()
    return await send(exchange, f"Bearer {newer}")
