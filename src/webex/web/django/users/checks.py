"""What `manage.py check` says of the settings of the accounts."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error

from webex.errors import ConfigurationError
from webex.web.django import conf
from webex.web.django.users import bridge

_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_OURS = "webex.web.django.middleware.WebexMiddleware"


def check_users(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Name what is missing or can't work."""
    found: list[CheckMessage] = []
    if not apps.is_installed("webex.web.django.users"):  # a test has changed INSTALLED_APPS
        return found
    try:
        bridge.rule()
    except (ConfigurationError, ImportError) as error:
        found.append(Error(f"WEBEX_USERS: {error}", id="webex.E007"))
    try:
        keeps = conf.uses_framework_session()
    except ConfigurationError:
        keeps = True  # E005 says so
    if not keeps:
        text = "webex.web.django.users needs WEBEX_SESSION = 'framework': a sign-out must end Django's session as well."
        found.append(Error(text, id="webex.E008"))
    order = list(settings.MIDDLEWARE)
    if _OURS in order and _AUTHENTICATION not in order[: order.index(_OURS)]:
        text = f"webex.web.django.users needs {_AUTHENTICATION!r} before {_OURS!r} in MIDDLEWARE."
        found.append(Error(text, id="webex.E009"))
    if not apps.is_installed("webex.web.django"):
        found.append(Error("INSTALLED_APPS names webex.web.django.users, but not webex.web.django.", id="webex.E010"))
    return found
