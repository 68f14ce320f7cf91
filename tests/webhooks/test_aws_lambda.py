"""Deliveries as AWS hands them to a function, in each of its four forms."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.test_aws_lambda import EVENTS, KINDS, v1, v2
from tests.webhooks.conftest import SECRET, posted
from webex import AsyncWebex, Webex
from webex.errors import ConfigurationError
from webex.storage import MemoryStorage
from webex.webhooks import WebhookReceiver
from webex.webhooks.aws_lambda import webhook_handler

any_event = pytest.mark.parametrize("event", EVENTS, ids=KINDS)


@pytest.fixture
def hooks() -> Iterator[WebhookReceiver[Webex]]:
    storage = MemoryStorage()
    receiver = WebhookReceiver(Webex("a token"), secret=SECRET, storage=storage, mode="inline", max_size=5000)
    yield receiver
    receiver.close()


def delivered(event: dict[str, Any], body: bytes, headers: Any, *, encoded: bool, method: str = "POST") -> Any:
    """The event with a delivery in it, its headers spelled as Webex sends them."""
    own = {name.title(): value for name, value in dict(headers).items()}
    event = {**event, "body": b64encode(body).decode() if encoded else body.decode(), "isBase64Encoded": encoded}
    if "httpMethod" in event:
        event["httpMethod"] = method
    else:
        event["requestContext"] = {**event["requestContext"], "http": {"method": method}}
    if "headers" in event:
        event["headers"] = {**event["headers"], **own}
    if "multiValueHeaders" in event:
        event["multiValueHeaders"] = {**event["multiValueHeaders"], **{name: [value] for name, value in own.items()}}
    return event


@any_event
@pytest.mark.parametrize("encoded", [False, True], ids=["text", "base64"])
def test_delivery_is_handled_before_the_answer(
    hooks: WebhookReceiver[Webex], event: dict[str, Any], encoded: bool
) -> None:
    seen: list[str] = []
    hooks.on("messages", "created")(lambda happened: seen.append(happened.key))
    handler = webhook_handler(hooks)
    body, headers = posted(id="M1", title="Grüße")
    for _ in range(2):
        answer = handler(delivered(event, body, headers, encoded=encoded), None)
        assert answer["statusCode"] == 200
    assert seen == ["messages:created:M1"]
    assert handler(delivered(event, body + b" ", headers, encoded=encoded), None)["statusCode"] == 401
    assert handler(delivered(event, body, {}, encoded=encoded), None)["statusCode"] == 401
    assert handler(delivered(event, b"x" * 5001, headers, encoded=encoded), None)["statusCode"] == 413
    refused = handler(delivered(event, b"", {}, encoded=encoded, method="GET"), None)
    assert refused["statusCode"] == 405
    assert "POST" in str(refused.get("headers") or refused["multiValueHeaders"])


def test_two_signatures_prove_nothing(hooks: WebhookReceiver[Webex]) -> None:
    body, headers = posted(id="M1")
    event = delivered(v1(), body, headers, encoded=False)
    name = next(name for name in event["multiValueHeaders"] if "Spark" in name)
    event["multiValueHeaders"][name] = ["0" * 40, *event["multiValueHeaders"][name]]
    assert webhook_handler(hooks)(event, None)["statusCode"] == 401


def test_body_that_is_no_base64_is_refused(hooks: WebhookReceiver[Webex]) -> None:
    body, headers = posted(id="M1")
    event = {**delivered(v2(), body, headers, encoded=False), "isBase64Encoded": True}
    assert webhook_handler(hooks)(event, None)["statusCode"] == 401


def test_event_of_a_schedule_is_refused(hooks: WebhookReceiver[Webex]) -> None:
    with pytest.raises(ConfigurationError, match="a function of their own"):
        webhook_handler(hooks)({"source": "aws.events"}, None)


@pytest.mark.parametrize(("style", "mode"), [(Webex, "inbox"), (Webex, "lossy"), (AsyncWebex, "inline")])
def test_receiver_that_works_after_the_answer_is_refused(style: Any, mode: Any) -> None:
    receiver: Any = WebhookReceiver(style("a token"), secret=SECRET, storage=MemoryStorage(), mode=mode)
    with pytest.raises(ConfigurationError, match="inline"):
        webhook_handler(receiver)
