"""The Django project as an ASGI application, with the session's id in Django's session."""

from __future__ import annotations

import os

os.environ.update(APP_STYLE="asgi", APP_SESSION="framework")

from django_site import application

__all__ = ["application"]
