"""What `manage.py check` says of the settings; it makes no call and opens no storage of its own."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error

from webex.config import load_config
from webex.errors import ConfigurationError, WebexError
from webex.web.django import conf

MIDDLEWARE = "webex.web.django.middleware.WebexMiddleware"
_SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
_REQUIRED = ("client_id", "client_secret", "redirect_uri", "scope")


def check_settings(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Name what is missing or can't work."""
    found = [*_missing_settings(), *_middleware()]
    if not any(isinstance(message, Error) for message in found):
        try:
            conf.auth()
        except (WebexError, ImportError, TypeError) as error:
            found.append(Error(str(error), hint="See docs/frameworks.md for the settings' names.", id="webex.E003"))
    if getattr(settings, "WEBEX_STORAGE", None) is None:
        hint = 'For example WEBEX_STORAGE = SQLiteStorage(BASE_DIR / "webex.db").'
        text = "WEBEX_STORAGE is not set: users are known to one process only, and signed out when it ends."
        found.append(checks.Warning(text, hint=hint, id="webex.W001"))
    return [*found, *_cookies()]


def _cookies() -> list[CheckMessage]:
    """Warn of a session cookie that browsers would also send over plain http."""
    redirect_uri = str(getattr(settings, "WEBEX_REDIRECT_URI", None) or os.environ.get("WEBEX_REDIRECT_URI", ""))
    kept = getattr(settings, "WEBEX_SESSION", "webex") == "framework"
    if not kept or settings.SESSION_COOKIE_SECURE or not redirect_uri.startswith("https:"):
        return []
    text = "SESSION_COOKIE_SECURE is not set, and with WEBEX_SESSION = 'framework' that cookie signs people in."
    return [checks.Warning(text, hint="Set SESSION_COOKIE_SECURE = True.", id="webex.W002")]


def _missing_settings() -> list[CheckMessage]:
    try:
        config, _ = load_config(conf.sdk_settings(), None)
    except ConfigurationError as error:
        return [Error(str(error), id="webex.E002")]
    missing = [name for name in _REQUIRED if not getattr(config, name)]
    hint = "Set it in the project's settings, or in the environment. To try it: webex emulator -- python manage.py …"
    return [Error(f"WEBEX_{name.upper()} is not set.", hint=hint, id="webex.E001") for name in missing]


def _middleware() -> list[CheckMessage]:
    order = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in order:
        return [Error(f"MIDDLEWARE does not name {MIDDLEWARE!r}.", id="webex.E004")]
    try:
        needs_sessions = conf.uses_framework_session()
    except ConfigurationError as error:
        return [Error(str(error), id="webex.E005")]
    if needs_sessions and _SESSIONS not in order[: order.index(MIDDLEWARE)]:
        text = f"WEBEX_SESSION = 'framework' needs {_SESSIONS!r} before {MIDDLEWARE!r} in MIDDLEWARE."
        return [Error(text, id="webex.E006")]
    return []
