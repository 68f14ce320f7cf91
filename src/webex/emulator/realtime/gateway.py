"""The door of the websockets: which upgrade becomes a Mercury socket, and how the others are turned away."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from webex.emulator.hosts import is_allowed
from webex.emulator.realtime.socket import Socket, cut_connection

if TYPE_CHECKING:
    from webex.emulator.app import Receive, Scope, Send
    from webex.emulator.cloud import Cloud

_PREFIX: Final = "/mercury"  # the JS SDK's tests look for this word in the URL; the cloud has it in the host
_PATH: Final = re.compile(r"/v1/apps/wx2/registrations/([^/]+)/messages/?")
_ALIASED: Final = (400, 401, 403, 404)  # with aliasHttpStatus these are told as a close code, 4000 more


async def open_socket(cloud: Cloud, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one websocket."""
    await receive()
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    aliased = _flag(query, "aliasHttpStatus")
    if not is_allowed(headers.get("host", ""), cloud.hosts):
        await _refuse(scope, send, 421, aliased=False)
        return
    called = str(scope["path"]).removeprefix(_PREFIX)
    path = _PATH.fullmatch(called)
    if path is None:
        await _refuse(scope, send, 404, aliased=True)
        return
    with cloud.lock:
        status = _fault(cloud)
    fault = cloud.faults.strike("GET", called, None) if not status else None
    if fault is not None and fault.drop:
        cut_connection(scope, send)
        return
    asked = fault.retry_after_text if fault is not None else None
    more = {} if asked is None else {"retry-after": asked}
    with cloud.lock:
        status = status or (fault.status if fault is not None and fault.status is not None else 0)
        device = cloud.devices.by_registration(path[1])
        if not status and not _may(cloud, headers):
            status = 401
        elif not status and device is None:
            status = 404
        channel = cloud.mercury.channel(device) if device is not None and not status else None
    if channel is None:
        await _refuse(scope, send, status, aliased=aliased, headers=more)
        return
    await send({"type": "websocket.accept"})
    socket = Socket(
        cloud,
        channel,
        scope,
        receive,
        send,
        multiple=_flag(query, "multipleConnections"),
        local_urls=_local_urls(scope, headers) if _flag(query, "mercuryRegistrationStatus") else None,
    )
    await socket.run()


def _fault(cloud: Cloud) -> int:
    faults = cloud.mercury.faults
    if not faults.refuse_upgrade or faults.refuse_count == 0:
        return 0
    if faults.refuse_count is not None:
        faults.refuse_count -= 1
    return faults.refuse_upgrade


def _may(cloud: Cloud, headers: dict[str, str]) -> bool:
    """Check the token of a request, which may also come without one."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return True
    token = cloud.state.tokens.get(value.strip())
    return token is not None and token.expires > cloud.now()


def _local_urls(scope: Scope, headers: dict[str, str]) -> dict[str, str]:
    """Where Mercury is near, for who asked for the status of the registration."""
    scheme = "https" if scope.get("scheme") == "wss" else "http"
    url = f"{scheme}://{headers.get('host', '')}/v1"
    return {"mercuryApiServiceClusterUrl": url, "mercuryConnectionServiceClusterUrl": url}


def _flag(query: dict[str, list[str]], name: str) -> bool:
    return query.get(name, [""])[0].lower() == "true"


async def _refuse(
    scope: Scope, send: Send, status: int, *, aliased: bool, headers: dict[str, str] | None = None
) -> None:
    if aliased and status in _ALIASED:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000 + status, "reason": _phrase(status)})
        return
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    raw: list[Any] = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
    await send({"type": "websocket.http.response.start", "status": status, "headers": raw})
    await send({"type": "websocket.http.response.body", "body": _phrase(status).encode()})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"
