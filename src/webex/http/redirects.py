"""Redirects: `Location`, and `cisco-location` on any answer (rest §3).

A redirect to another host keeps no token, because the next attempt asks anew who may have one, and no body unless that
host may have a token as well; one from https to plain http is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from webex.errors import RedirectError
from webex.http.codec import without_secrets
from webex.http.exchange import Body
from webex.telemetry import Redirected

if TYPE_CHECKING:
    from webex.http.exchange import Exchange
    from webex.http.types import HostPolicy
    from webex.runtime.protocol import WireResponse

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


async def following(
    exchange: Exchange, hosts: HostPolicy, most: int, send: Callable[[Exchange], Awaitable[WireResponse]]
) -> WireResponse:
    """Send, and follow where the answer points, at most `most` times."""
    here = exchange
    for _ in range(most + 1):
        response = await send(here)
        target = response.headers.get("cisco-location")
        keeps_method = target is not None or response.status in (307, 308)
        if target is None and response.status in _REDIRECTS:
            target = response.headers.get("location")
        if not target:
            return response
        await response.close()
        before, here = here, _next(here, target, hosts, keeps_method, response.status)
        if here.telemetry.wants(Redirected):
            host = urlsplit(here.url).hostname or ""
            here.telemetry.tell(Redirected(before.method, before.path, here.info.tracking_id, response.status, host))
    raise RedirectError(
        f"More than {most} redirects; the last went to {without_secrets(here.url)}.", request=exchange.info
    )


def _next(here: Exchange, target: str, hosts: HostPolicy, keeps_method: bool, status: int) -> Exchange:
    try:
        url = urljoin(here.url, target)
        old, new = urlsplit(here.url), urlsplit(url)
        same = (old.scheme, old.hostname, old.port) == (new.scheme, new.hostname, new.port)
    except ValueError:
        raise RedirectError("A redirect points to something that is no URL.", request=here.info) from None
    if new.scheme not in ("http", "https") or not new.hostname:
        raise RedirectError(f"A redirect points to a {new.scheme or 'relative'} URL.", request=here.info)
    if old.scheme == "https" and new.scheme == "http":
        raise RedirectError(f"A redirect leads from https to plain http on {new.hostname}.", request=here.info)
    if here.body.opened and not here.body.rewindable:
        raise RedirectError("A redirect came for a body that can't be read a second time.", request=here.info)
    changed = copy(here)
    changed.url = url
    if not keeps_method and (status == 303 or here.method == "POST") and here.method != "HEAD":
        changed.method, changed.body = "GET", Body()
        changed.headers = {name: value for name, value in here.headers.items() if name != "content-type"}
    if not same:
        if changed.method not in ("GET", "HEAD") and not hosts.may_receive_token(url):
            raise RedirectError(
                f"A redirect would carry a {changed.method} to {new.hostname}, which is no host of the cloud.",
                request=here.info,
            )
        changed.headers = {
            name: value for name, value in changed.headers.items() if name not in ("authorization", "cookie")
        }
    return changed
