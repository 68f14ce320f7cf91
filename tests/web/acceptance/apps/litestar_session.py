"""The Litestar app with the session's id in Litestar's session."""

from __future__ import annotations

import os

os.environ["APP_SESSION"] = "framework"

from litestar_app import application

__all__ = ["application"]
