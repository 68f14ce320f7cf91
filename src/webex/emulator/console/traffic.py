"""What went over the wire, as the console shows it: requests, webhook deliveries, messages of the key service."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from webex.emulator.rest.render import webhook_json
from webex.emulator.wire import Problem

if TYPE_CHECKING:
    from webex.emulator.cloud import Cloud
    from webex.emulator.delivery import Attempt
    from webex.emulator.request_log import LoggedRequest
    from webex.emulator.wire import Call

_MOST: Final = 200
# Headers that curl writes itself, or that say nothing about the request.
_OWN_HEADERS: Final = frozenset(
    (
        *("host", "connection", "content-length", "transfer-encoding", "accept-encoding", "cookie", "authorization"),
        *("user-agent", "trackingid", "keep-alive", "te", "expect", "accept-language", "cache-control", "pragma"),
    )
)


def requests(cloud: Cloud, call: Call) -> dict[str, Any]:
    """Show the latest requests that fit the filters `method`, `path` (a part), `status` (`4` is 4xx), `person`."""
    method, path = (call.arg("method") or "").upper(), (call.arg("path") or "").lower()
    status, person = call.arg("status") or "", call.arg("person") or ""
    found = []
    for number, entry in reversed(list(enumerate(cloud.requests))):
        if (
            (method and entry.method != method)
            or (path and path not in entry.path.lower())
            or not str(entry.status).startswith(status)
            or (person and entry.person_id != person)
            or (call.arg("faults") and not entry.fault)
        ):
            continue
        found.append((number, entry))
    return {
        "total": len(cloud.requests),
        "found": len(found),
        "items": [_request(cloud, *each) for each in found[:_MOST]],
    }


def curl(cloud: Cloud, call: Call) -> dict[str, str]:
    """Write a logged request as a command for a shell.

    The token is a live one of the same account, of this emulator's own making; no other secret is ever in it.
    """
    number = call.arg("number") or ""
    entry = next(
        (
            each
            for at, each in enumerate(cloud.requests)
            if str(at) == number and each.tracking_id == call.arg("tracking")
        ),
        None,
    )
    if entry is None:
        raise Problem(404, "The request is no longer in the log.")
    return {"command": _curl(cloud, entry)}


def webhooks(cloud: Cloud, call: Call) -> list[dict[str, Any]]:
    """Show the webhooks with every attempt to deliver to them, the latest first."""
    attempts: dict[str, list[Attempt]] = {}
    for attempt in cloud.delivery.attempts:
        attempts.setdefault(attempt.webhook_id, []).insert(0, attempt)
    shown = []
    for webhook in cloud.state.webhooks.values():
        owner = cloud.state.people.get(webhook.created_by)
        public = webhook_json(webhook)
        public.pop("secret", None)
        shown.append(
            {
                "id": webhook.id,
                "webhook": public,
                "owner": owner.display_name if owner is not None else "",
                "signed": bool(webhook.secret),
                "failures": webhook.failures,
                "attempts": [_attempt(each) for each in attempts.get(webhook.id, ())[:_MOST]],
            }
        )
    return shown


def keys(cloud: Cloud, call: Call) -> dict[str, Any]:
    """Show what clients and the key service said to each other, the latest first, and which keys there are."""
    state = cloud.state
    exchanges = [
        {
            "id": each.id,
            "time": each.time,
            "by": state.people[each.person_id].display_name if each.person_id in state.people else "",
            "request": each.request,
            "answer": each.answer,
        }
        for each in list(reversed(cloud.kms.traffic))[:_MOST]
    ]
    return {
        "exchanges": exchanges,
        "content_keys": len(state.content_keys),
        "agreed_keys": len(state.agreed_keys),
        "resources": len(state.key_resources),
    }


def _request(cloud: Cloud, number: int, entry: LoggedRequest) -> dict[str, Any]:
    person = cloud.state.people.get(entry.person_id or "")
    app = cloud.state.integrations.get(entry.client_id or "")
    return {
        **entry.as_dict(),
        "number": number,
        "person": person.display_name if person is not None else None,
        "app": app.name if app is not None else None,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "id": attempt.id,
        "number": attempt.number,
        "time": attempt.time,
        "seconds": attempt.seconds,
        "target": attempt.target,
        "headers": attempt.headers,
        "payload": msgspec.Raw(attempt.body),
        "status": attempt.status,
        "answer": attempt.answer,
        "error": attempt.error,
        "succeeded": attempt.succeeded,
        "redelivered": attempt.redelivered,
    }


def _curl(cloud: Cloud, entry: LoggedRequest) -> str:
    query = f"?{urlencode(entry.query)}" if entry.query else ""
    words = ["curl", *(("-X", entry.method) if entry.method != "GET" else ()), f"{cloud.url}{entry.path}{query}"]
    for name, value in entry.headers.items():
        if name not in _OWN_HEADERS and not name.startswith(("sec-", "x-forwarded-")):
            words += ["-H", f"{name}: {value}"]
    content_type = entry.headers.get("content-type", "")
    if entry.body is not None:
        form = content_type.startswith("application/x-www-form-urlencoded")
        words += ["--data", urlencode(entry.body) if form else msgspec.json.encode(entry.body).decode()]
    line = " ".join(shlex.quote(word) for word in words)
    if "authorization" in entry.headers:
        line += f" -H {_authorization(cloud, entry)}"
    if entry.body_size and entry.body is None:
        line += " # the body was not kept"
    return line


def _authorization(cloud: Cloud, entry: LoggedRequest) -> str:
    """Return the quoted header: a token that this cloud issued, else a variable to fill in."""
    now = cloud.now()
    theirs = [
        token for token in cloud.state.tokens.values() if token.person_id == entry.person_id and token.expires > now
    ]
    token = next((each for each in theirs if each.client_id == entry.client_id), theirs[0] if theirs else None)
    if token is None:
        return '"Authorization: Bearer $WEBEX_ACCESS_TOKEN"'
    return shlex.quote(f"Authorization: Bearer {token.value}")
