"""A receiver as a WSGI app (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http.client import responses
from typing import TYPE_CHECKING, Any

from webex.webhooks.asgi import METHOD

if TYPE_CHECKING:
    from webex.client import Webex
    from webex.webhooks.core import Reply
    from webex.webhooks.receiver import WebhookReceiver

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def read_chunked(environ: Environ, most: int) -> bytes:
    """Read at most so many bytes of a body that came in chunks, where the server ends it (`wsgi.input_terminated`)."""
    pieces, left = [], most
    while left > 0 and (piece := environ["wsgi.input"].read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class WSGIReceiver:
    """What `hooks.wsgi` is."""

    def __init__(self, hooks: WebhookReceiver[Webex]) -> None:
        self._hooks = hooks

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        reply = self._reply(environ)
        body = f"{reply.text}\n".encode()
        headers = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), **reply.headers}
        start_response(f"{reply.status} {responses.get(reply.status, 'Unknown')}", list(headers.items()))
        return [body]

    def _reply(self, environ: Environ) -> Reply:
        refuse = self._hooks.refuse
        if environ["REQUEST_METHOD"] != "POST":
            return refuse(405, METHOD, allow="POST")
        most, text = self._hooks.max_size + 1, environ.get("CONTENT_LENGTH") or ""
        if text.isdecimal():
            length = min(int(text[:18]), most)
            body = environ["wsgi.input"].read(length)
            if len(body) < length:
                return refuse(400, "The body ended early.")
        elif environ.get("wsgi.input_terminated"):
            body = read_chunked(environ, most)
        else:
            return refuse(411, "The request does not tell the length of its body.")
        reply: Reply = self._hooks.receive(body, environ)
        return reply
