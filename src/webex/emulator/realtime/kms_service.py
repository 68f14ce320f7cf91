"""The encryption service's two requests; what is asked of the key service comes back over Mercury."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from webex.emulator.realtime import kms_identity
from webex.emulator.wire import Problem, Reply

if TYPE_CHECKING:
    from webex.emulator.routing import RouteTable
    from webex.emulator.wire import Call


def routes(table: RouteTable) -> None:
    """Add this service."""
    table.add("GET", "/encryption/api/v1/kms/{userId}", details)
    table.add("POST", "/encryption/api/v1/kms/messages", messages)


def details(call: Call) -> Reply | Awaitable[Reply]:
    """Which key service a user has, and its static key."""
    call.person()
    if call.path["userId"] not in call.state.people:
        raise Problem(404, "There is no such user.")
    if kms_identity.is_made() or not _in_loop():
        return Reply(200, call.cloud.kms.details())
    return _details_later(call)


async def _details_later(call: Call) -> Reply:
    await asyncio.to_thread(kms_identity.identity)  # not under the cloud's lock
    return Reply(200, call.cloud.kms.details())


def messages(call: Call) -> Reply:
    """Take requests for the key service. The answer says only that they were taken."""
    person = call.person()
    tokens = call.json().get("kmsMessages")
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise Problem(400, "kmsMessages is a list of encrypted requests.")
    call.cloud.kms.post(person.id, tokens)
    return Reply(202, {})


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
