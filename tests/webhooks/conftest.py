"""Deliveries as the cloud makes them, signed with a secret of the test."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from webex.emulator.accounts import ALICE_ID
from webex.ids import to_hydra_id

SECRET = "the secret of this webhook"
CREATED = "2026-01-05T09:00:00.000Z"

Delivery = tuple[bytes, dict[str, str]]


def signed(body: bytes, secret: str = SECRET) -> Delivery:
    return body, {"X-Spark-Signature": hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()}


def posted(
    resource: str = "messages",
    event: str = "created",
    *,
    owner: str = ALICE_ID,
    secret: str = SECRET,
    **data: Any,
) -> Delivery:
    """A body and its headers; `data` is that of a new message unless it says otherwise."""
    if resource == "messages":
        data = {"id": to_hydra_id("MESSAGE", str(uuid.uuid4())), "created": CREATED, **data}
    envelope = {
        "id": to_hydra_id("WEBHOOK", str(uuid.uuid4())),
        "name": "a webhook",
        "targetUrl": "http://127.0.0.1/hooks",
        "resource": resource,
        "event": event,
        "createdBy": to_hydra_id("PEOPLE", owner),
        "ownedBy": "creator",
        "status": "active",
        "created": CREATED,
        "data": data,
    }
    return signed(json.dumps(envelope).encode(), secret)


def tasks_of(name: str) -> list[str]:
    """The tasks of the running event loop that are not done, and whose coroutine's name contains this."""
    found = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [each for each in found if name in each]


@pytest.fixture
def post() -> Callable[..., Delivery]:
    return posted
