"""A receiver in a Flask app: `install(app, hooks, "/hooks/webex")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webex.extras import needed_by
from webex.webhooks.asgi import METHOD

with needed_by("webex.webhooks.flask"):
    from flask import Flask, Response, request

if TYPE_CHECKING:
    from webex.client import Webex
    from webex.webhooks.core import Reply
    from webex.webhooks.receiver import WebhookReceiver

__all__ = ["install"]


def install(app: Flask, hooks: WebhookReceiver[Webex], path: str = "/hooks/webex") -> None:
    """Serve a receiver of blocking style at a path; CSRF protection of an extension has to leave it out."""
    hooks.wsgi  # noqa: B018  # refuses a source of event-loop style

    def webex_webhooks() -> Response:
        reply = _reply(hooks)
        return Response(f"{reply.text}\n", reply.status, reply.headers, mimetype="text/plain")

    app.add_url_rule(path, f"webex_webhooks_{hooks.name}", webex_webhooks, methods=["GET", "POST"])


def _reply(hooks: WebhookReceiver[Webex]) -> Reply:
    if request.method != "POST":
        return hooks.refuse(405, METHOD, allow="POST")
    if (request.content_length or 0) > hooks.max_size:
        return hooks.receive(bytes(hooks.max_size + 1), {})
    body: Any = None
    if request.content_length is None:  # in chunks, of which only so many are read
        body = request.stream.read(hooks.max_size + 1)
    # A hook of the app may have read the bytes before; they are kept as they came.
    return hooks.receive(body or request.get_data(), request.headers)
