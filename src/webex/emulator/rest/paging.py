"""Pages with a `Link` header. A cursor names the last item that was given, so that a page holds under inserts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from webex.emulator.wire import Problem, Reply
from webex.ids import base64url_decode, base64url_encode

if TYPE_CHECKING:
    from webex.emulator.wire import Call

T = TypeVar("T")


def bound(call: Call, default: int, most: int) -> int:
    """Return the `max` of the query, at most what this list allows; 400 when it is below 1 or no number."""
    text = call.arg("max")
    if text is None or text == "":
        return default
    try:
        value = int(text)
    except ValueError:
        raise Problem(400, f"max must be a number, not {text!r}.") from None
    if value < 1:
        raise Problem(400, f"max must be between 1 and {most}.")
    return min(value, most)


def paged(
    call: Call,
    records: Sequence[T],
    identify: Callable[[T], str],
    render: Callable[[T], dict[str, Any]],
    *,
    default: int = 100,
    most: int = 1000,
    extra: dict[str, Any] | None = None,
    link: Callable[[dict[str, str], T], dict[str, str]] | None = None,
) -> Reply:
    """One page of records that are in their order already. `link` makes the query of the next page."""
    size = bound(call, default, most)
    start = 0
    cursor = call.arg("cursor")
    if cursor is not None:
        try:
            last, _, place = base64url_decode(cursor).decode().rpartition("#")
            start = max(int(place), 0)
        except ValueError:
            raise Problem(400, "The cursor is not one of this API.") from None
        for index, record in enumerate(records):
            if identify(record) == last:
                start = index + 1
                break
    page = records[start : start + size]
    headers = {}
    if start + size < len(records):
        kept = {name: values[-1] for name, values in call.query.items() if name not in ("cursor", "max")}
        kept["max"] = str(size)
        kept["cursor"] = base64url_encode(f"{identify(page[-1])}#{start + size}")
        query = urlencode(kept if link is None else link(kept, page[-1]))
        headers["link"] = f'<{call.base}{call.url_path}?{query}>; rel="next"'
    return Reply(200, {"items": [render(record) for record in page], **(extra or {})}, headers)
