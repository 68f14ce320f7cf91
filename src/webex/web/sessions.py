"""The sessions of browsers; they live with the other records of a user in `webex.auth.sessions`."""

from __future__ import annotations

from webex.auth.sessions import NAMESPACE, Sessions, WebSession

__all__ = ["NAMESPACE", "Sessions", "WebSession"]
