"""What the middleware does for scopes that are no page: websockets, and the lifespan."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.web.conftest import Site
from webex.errors import NotSignedInError
from webex.web.fastapi import WebexMiddleware


def run(site: Site, scope: dict[str, Any], app: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    asyncio.run(WebexMiddleware(app, site.auth)(scope, receive, send))
    return sent


def socket_scope(cookie: str = "") -> dict[str, Any]:
    headers = [(b"host", b"127.0.0.1"), *([(b"cookie", cookie.encode("latin-1"))] if cookie else [])]
    return {"type": "websocket", "scheme": "ws", "path": "/live", "headers": headers, "query_string": b""}


async def live(scope: Any, receive: Any, send: Any) -> None:
    if scope["state"]["webex_session"] is None:
        raise NotSignedInError("sign in first")
    await send({"type": "websocket.accept", "who": scope["state"]["webex"].user_key})


def test_websocket_of_a_signed_in_user_has_the_client(site: Site) -> None:
    browser = site.browser()
    site.sign_in(browser)
    [accepted] = run(site, socket_scope(f"x=1; webex_session={browser.cookie('webex_session')}"), live)
    assert accepted["who"]


def test_websocket_without_a_user_is_closed(site: Site) -> None:
    for cookie in ("", "webex_session=\xff.\xff", "webex_session"):
        [closed] = run(site, socket_scope(cookie), live)
        assert (closed["type"], closed["code"]) == ("websocket.close", 1008)


def test_lifespan_passes_unchanged(site: Site) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope))

    run(site, {"type": "lifespan"}, app)
    assert seen == [{"type": "lifespan"}]
