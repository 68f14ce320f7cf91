"""The same for FastAPI: `install(app, hooks, "/hooks/webex")`."""

from __future__ import annotations

from webex.webhooks.starlette import install

__all__ = ["install"]
