"""Webhooks without a public address: what a user receives over the socket is posted to a local URL, signed."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from webex.ids import to_hydra_id
from webex.webhooks.events import without_content

if TYPE_CHECKING:
    from webex.client import AsyncWebex
    from webex.realtime.event import Event

_TRIES: Final = 4  # of a delivery that the app refuses
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
_TIMEOUT: Final = 30.0
_AWAY: Final = frozenset({502, 503, 504})

Report = Callable[[dict[str, Any]], None]


def sign(body: bytes, secret: str) -> dict[str, str]:
    """Return the headers of a delivery, as the cloud makes them."""
    signature = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    return {"Content-Type": "application/json;charset=UTF-8", "X-Spark-Signature": signature}


def envelope(event: dict[str, Any], url: str, webhook_id: str) -> bytes:
    """Return the body that a webhook would post for an event of the socket."""
    data = without_content(event["data"])
    return json.dumps(
        {"id": webhook_id, "name": "webex webhooks listen", "targetUrl": url, **event, "data": data},
        separators=(",", ":"),
    ).encode()


class Forwarder:
    """Posts events to `url` one after the other, each until the app takes it; `report` is called with every try."""

    def __init__(self, url: str, secret: str, wanted: Sequence[tuple[str, str]], report: Report) -> None:
        self._url, self._secret, self._wanted, self._report = url, secret, wanted, report
        self._webhook_id = to_hydra_id("WEBHOOK", str(uuid.uuid4()))

    async def run(self, client: AsyncWebex, ready: Callable[[], None]) -> None:
        """Listen and forward, until cancelled."""
        resources = sorted({resource for resource, _ in self._wanted})
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as http,
            client.listen(resources, ack="manual", device_name="webex-webhooks-listen") as events,
        ):
            ready()
            async for event in events:
                if self._wants(event):
                    await self._deliver(http, event)
                event.ack()

    def _wants(self, event: Event[Any]) -> bool:
        return any(event.resource == resource and kind in (event.event, "*") for resource, kind in self._wanted)

    async def _deliver(self, http: aiohttp.ClientSession, event: Event[Any]) -> None:
        """Post until the app answers with 2xx; one that is not there is waited for, one that refuses is asked again."""
        body = envelope(event.to_dict(), self._url, self._webhook_id)
        pause, refused = _FIRST_PAUSE, 0
        while True:
            status, why, seconds = await post(http, self._url, body, self._secret)
            attempt = {"event": f"{event.resource}:{event.event}", "key": event.key, "status": status, "error": why}
            self._report({**attempt, "milliseconds": round(seconds * 1000)})
            if 200 <= status < 300:
                return
            if status and status not in _AWAY:
                refused += 1
                if refused >= _TRIES:
                    self._report({**attempt, "given_up": True})
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


async def post(http: aiohttp.ClientSession, url: str, body: bytes, secret: str) -> tuple[int, str | None, float]:
    """Post a signed body; return the status (0 for none), what went wrong, and the seconds that it took."""
    begun = time.monotonic()
    try:
        async with http.post(url, data=body, headers=sign(body, secret), allow_redirects=False) as answer:
            await answer.read()
            return answer.status, None, time.monotonic() - begun
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return 0, str(error) or type(error).__name__, time.monotonic() - begun
