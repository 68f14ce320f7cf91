"""Signing in with a browser: a core that knows no framework, and thin adapters over it.

`webex.web.fastapi` and `webex.web.starlette` are the adapters; another one speaks to `SignIn` with `WebRequest` and
`WebResponse`.
"""

from __future__ import annotations

from webex.web.core import SignIn
from webex.web.messages import WebRequest, WebResponse
from webex.web.sessions import WebSession

__all__ = ["SignIn", "WebRequest", "WebResponse", "WebSession"]
