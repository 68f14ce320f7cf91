"""From an error answer to an exception (rest §5)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from webex.errors import ApiError, RequestInfo, api_error_class
from webex.http.timing import asked_wait

_KEYS: Final = ("message", "error_description", "error", "errorString", "response", "errorResponse", "msg", "detail")
_LONGEST: Final = 2000  # characters of an answer's text that a message may hold


def failure(status: int, headers: Mapping[str, str], content: bytes, request: RequestInfo, now: float) -> ApiError:
    """Return the error for an answer with a status of 400 or more."""
    body: Any
    try:
        body = msgspec.json.decode(content) if content else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        body = content[:_LONGEST].decode("utf-8", "replace")
    described = body.get("errors") if isinstance(body, dict) else None
    errors = [
        str(item["description"])
        for item in (described if isinstance(described, list) else [])
        if isinstance(item, dict) and item.get("description")
    ]
    tracking_id = headers.get("trackingid") or (body.get("trackingId") if isinstance(body, dict) else None)
    return api_error_class(status)(
        _message(body) or (errors[0] if errors else "") or _phrase(status),
        status=status,
        request=request,
        errors=errors,
        tracking_id=tracking_id if isinstance(tracking_id, str) else request.tracking_id,
        retry_after=asked_wait(headers, now),
        body=body,
        headers=headers,
    )


def _message(body: Any, depth: int = 0) -> str:
    if isinstance(body, str):
        text = body.strip()
        return "" if text.startswith("<") else text[:_LONGEST]
    if isinstance(body, dict) and depth < 5:
        for key in _KEYS:
            if body.get(key):
                return _message(body[key], depth + 1)
    return ""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "The service answered with an error"
