"""The Django project as an ASGI application."""

from __future__ import annotations

import os

os.environ.update(APP_STYLE="asgi")

from django_site import application

__all__ = ["application"]
