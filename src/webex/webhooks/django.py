"""A receiver in a Django project: `path("hooks/webex", webhook_view(hooks))`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from webex.errors import ConfigurationError
from webex.extras import needed_by
from webex.webhooks.asgi import METHOD
from webex.webhooks.wsgi import read_chunked

with needed_by("webex.webhooks.django"):
    from django.core.handlers.wsgi import WSGIRequest
    from django.http import HttpResponse
    from django.views.decorators.csrf import csrf_exempt

if TYPE_CHECKING:
    from webex.webhooks.core import Reply
    from webex.webhooks.receiver import WebhookReceiver

__all__ = ["webhook_view"]


def webhook_view(hooks: WebhookReceiver[Any]) -> Callable[..., Any]:
    """Return a view that takes deliveries, without CSRF protection: their signature is what proves them.

    It is `async def` where the receiver is of event-loop style. That needs an ASGI server, unless the receiver has
    `mode="inline"`: under WSGI each request has an event loop of its own, which ends with it. There the view raises
    `ConfigurationError`.
    """

    def blocking(request: Any) -> HttpResponse:
        body = _body(request, hooks)
        reply: Any = hooks.receive(body, request.META) if isinstance(body, bytes) else body
        return _response(reply)

    async def asynchronous(request: Any) -> HttpResponse:
        if isinstance(request, WSGIRequest) and hooks.mode != "inline":
            raise ConfigurationError(
                "This webhook receiver is of event-loop style, and the project is served by WSGI, where no event loop "
                "outlives a request: make it with an Integration or a Webex, serve the project by ASGI, or give it "
                'mode="inline".'
            )
        body = _body(request, hooks)
        return _response(body if not isinstance(body, bytes) else await hooks.receive(body, request.META))

    view: Callable[..., Any] = csrf_exempt(asynchronous if hooks.is_asynchronous else blocking)
    return view


def _body(request: Any, hooks: WebhookReceiver[Any]) -> bytes | Reply:
    if request.method != "POST":
        return hooks.refuse(405, METHOD, allow="POST")
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length[:18]) > hooks.max_size:
        return bytes(hooks.max_size + 1)
    body: bytes = request.body
    if not body and not request.META.get("CONTENT_LENGTH") and request.META.get("wsgi.input_terminated"):
        return read_chunked(request.META, hooks.max_size + 1)  # Django takes a body in chunks for an empty one
    return body


def _response(reply: Reply) -> HttpResponse:
    return HttpResponse(
        f"{reply.text}\n".encode(), status=reply.status, headers=reply.headers, content_type="text/plain"
    )
