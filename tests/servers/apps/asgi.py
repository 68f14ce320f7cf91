"""An ASGI application: each request makes both calls, in event-loop style."""

from __future__ import annotations

import json
from typing import Any

from shared import event_loop_calls


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = json.dumps(await event_loop_calls()).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
