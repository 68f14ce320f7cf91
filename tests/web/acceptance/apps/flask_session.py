"""The Flask app with the session's id in `flask.session`."""

from __future__ import annotations

import os

os.environ["APP_SESSION"] = "framework"

from flask_app import application

__all__ = ["application"]
