"""The FastAPI app with the session's id in Starlette's session."""

from __future__ import annotations

import os

os.environ["APP_SESSION"] = "framework"

from fastapi_app import application

__all__ = ["application"]
