"""A receiver as an AWS Lambda function, behind an API Gateway, a function URL or an Application Load Balancer.

hooks = WebhookReceiver(Webex(), secret=os.environ["WEBEX_WEBHOOK_SECRET"], storage=storage, mode="inline")
handler = webhook_handler(hooks)
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from http.client import responses
from typing import TYPE_CHECKING, Any

from webex.errors import ConfigurationError
from webex.webhooks.asgi import METHOD

if TYPE_CHECKING:
    from webex.client import Webex
    from webex.webhooks.core import Reply
    from webex.webhooks.receiver import WebhookReceiver

__all__ = ["webhook_handler"]

Event = Mapping[str, Any]


def webhook_handler(hooks: WebhookReceiver[Webex]) -> Callable[[Event, Any], dict[str, Any]]:
    """Return the function that AWS calls with each delivery.

    AWS stops the process when it has answered, so the receiver has to be of blocking style with `mode="inline"`: other
    ones are a `ConfigurationError`, as is an event that is no HTTP request.
    """
    if hooks.is_asynchronous or hooks.mode != "inline":
        raise ConfigurationError(
            "AWS stops a Lambda function when it has answered: make the webhook receiver with an Integration or a "
            'Webex, and mode="inline".'
        )

    def handle(event: Event, context: Any = None) -> dict[str, Any]:
        about = event.get("requestContext") or {}
        method = about["http"]["method"] if "http" in about else event.get("httpMethod")
        if not isinstance(method, str):
            raise ConfigurationError(
                "The event is no HTTP request of an API Gateway (payload 1.0 or 2.0), a function URL or a load "
                "balancer. Give events of schedules and queues a function of their own."
            )
        if method != "POST":
            return _response(hooks.refuse(405, METHOD, allow="POST"), event)
        return _response(hooks.receive(_body(event), _headers(event)), event)

    return handle


def _body(event: Event) -> bytes:
    """Return the bytes that were signed. Those that are no base64 have no valid signature either."""
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "replace")
    try:
        return b64decode(body, validate=True)
    except ValueError:
        return b""


def _headers(event: Event) -> dict[str, str]:
    """Return the headers by their names in lower case; several values of one name are joined, and prove nothing."""
    many = event.get("multiValueHeaders") or {}
    return {name.lower(): ", ".join(values) for name, values in many.items()} or {
        name.lower(): value for name, value in (event.get("headers") or {}).items()
    }


def _response(reply: Reply, event: Event) -> dict[str, Any]:
    about = event.get("requestContext") or {}
    headers = {"content-type": "text/plain; charset=utf-8", **reply.headers}
    answer: dict[str, Any] = {"statusCode": reply.status, "body": f"{reply.text}\n", "isBase64Encoded": False}
    if "elb" in about:
        answer["statusDescription"] = f"{reply.status} {responses.get(reply.status, 'Unknown')}"
    if "elb" in about and "multiValueHeaders" in event:
        answer["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    else:
        answer["headers"] = headers
    return answer
