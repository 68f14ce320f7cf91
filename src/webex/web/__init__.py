"""Sign people in with a browser: `SignIn`, which knows no framework, and thin adapters over it.

`webex.web.asgi` and `webex.web.wsgi` are plain middleware, which the adapters for FastAPI, Starlette, Litestar,
aiohttp, Flask and Django build on; `webex.web.aws_lambda` has neither. Another adapter speaks to `SignIn`, or in
blocking code to `BlockingSignIn`, with `WebRequest` and `WebResponse`.
"""

from __future__ import annotations

from webex.web.blocking import BlockingSignIn
from webex.web.core import SignIn
from webex.web.messages import WebRequest, WebResponse
from webex.web.sessions import WebSession

__all__ = ["BlockingSignIn", "SignIn", "WebRequest", "WebResponse", "WebSession"]
