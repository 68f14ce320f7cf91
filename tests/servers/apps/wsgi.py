"""A WSGI application: each request makes both calls, in blocking style."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from shared import blocking_calls


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = json.dumps(blocking_calls()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Connection", "close")])
    return [body]
