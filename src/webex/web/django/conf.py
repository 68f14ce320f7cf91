"""The sign-in of a Django project, made from its settings, in both styles over one storage.

`WEBEX_CLIENT_ID`, `WEBEX_CLIENT_SECRET`, `WEBEX_REDIRECT_URI`, `WEBEX_SCOPE` and every other setting of the SDK may
stand in the project's settings, or in the environment. Beside them there are:

- `WEBEX_STORAGE`: a storage, or the dotted path of one or of a function that gives one
- `WEBEX_PREFIX`: where the three routes are; `/auth`
- `WEBEX_SESSION`: `"framework"` keeps the session's id in Django's session; `"webex"` in a cookie of its own
- `WEBEX_SESSION_SECRET`: `SECRET_KEY`, with `SECRET_KEY_FALLBACKS`
- `WEBEX_OPTIONS`: other arguments of `webex.web.SignIn`; hooks may be dotted paths
- `WEBEX_USERS`: with the app `webex.web.django.users`, which users it logs in
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.apps import apps
from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpResponseBase
from django.utils.module_loading import import_string

from webex.config.settings import Settings
from webex.errors import ConfigurationError
from webex.integration import AsyncIntegration, Integration
from webex.web.blocking import BlockingSignIn
from webex.web.core import SignIn
from webex.web.django.session import AsyncDjangoSession, DjangoSession

SESSIONS: Final = ("webex", "framework")
_HOOKS: Final = ("on_success", "on_failure")


class _DjangoSignIn(SignIn):
    native_responses: ClassVar[tuple[type, ...]] = (HttpResponseBase,)
    styles: ClassVar[tuple[type, ...]] = (Integration,)


class _AsyncDjangoSignIn(_DjangoSignIn):
    styles: ClassVar[tuple[type, ...]] = (AsyncIntegration,)


class _BlockingDjangoSignIn(BlockingSignIn):
    sign_in_class: ClassVar[type[SignIn]] = _DjangoSignIn


@functools.cache
def storage() -> Any:
    """Return the project's storage; None when `WEBEX_STORAGE` is not set."""
    named = getattr(settings, "WEBEX_STORAGE", None)
    if not isinstance(named, str):
        return named
    found = import_string(named)
    return found() if callable(found) else found


@functools.cache
def integration() -> Integration:
    """Return the project's integration in blocking style."""
    return Integration(storage=storage(), **sdk_settings())


@functools.cache
def async_integration() -> AsyncIntegration:
    """Return the project's integration in event-loop style."""
    return AsyncIntegration(storage=storage(), **sdk_settings())


@functools.cache
def auth() -> BlockingSignIn:
    """Return the sign-in in blocking style."""
    return _BlockingDjangoSignIn(integration(), **options(DjangoSession(), _blocking_hook))


@functools.cache
def async_auth() -> SignIn:
    """Return the sign-in in event-loop style."""
    return _AsyncDjangoSignIn(async_integration(), **options(AsyncDjangoSession(), _asynchronous_hook))


def sdk_settings() -> dict[str, Any]:
    """Return those settings of the SDK that stand in the project's settings."""
    names = {name: f"WEBEX_{name.upper()}" for name in Settings.__annotations__}
    return {name: getattr(settings, named) for name, named in names.items() if hasattr(settings, named)}


def session_secret() -> Any:
    """Return what cookies are signed with; of a list the first signs and all are accepted."""
    own = getattr(settings, "WEBEX_SESSION_SECRET", None)
    return own if own is not None else [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def uses_framework_session() -> bool:
    """Return whether Django's session keeps the id; `ConfigurationError` for another value than the two."""
    chosen = getattr(settings, "WEBEX_SESSION", "webex")
    if chosen not in SESSIONS:
        raise ConfigurationError(f"WEBEX_SESSION must be 'webex' or 'framework', not {chosen!r}.")
    return bool(chosen == "framework")


def options(carrier: Any, adapt: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the arguments of `SignIn` that the settings say."""
    given = getattr(settings, "WEBEX_OPTIONS", {})
    if not isinstance(given, Mapping):
        raise ConfigurationError("WEBEX_OPTIONS must be a dict with arguments of webex.web.SignIn.")
    made = {"prefix": getattr(settings, "WEBEX_PREFIX", "/auth"), "session_secret": session_secret(), **given}
    for name in _HOOKS:
        if made.get(name) is not None:
            hook = made[name]
            made[name] = adapt(import_string(hook) if isinstance(hook, str) else hook)
    if apps.is_installed("webex.web.django.users"):
        made["on_success"] = _after_log_in(made.get("on_success"), adapt)
    return {**made, "session_carrier": carrier if uses_framework_session() else None}


def _after_log_in(hook: Any, adapt: Callable[[Any], Any]) -> Any:
    """Return a hook that logs the project's user in, and asks the app's own hook after that."""
    from webex.web.django.users.bridge import log_in

    first = adapt(log_in)

    def blocking(signed_in: Any, request: Any) -> Any:
        return first(signed_in, request) or (hook(signed_in, request) if hook is not None else None)

    async def asynchronous(signed_in: Any, request: Any) -> Any:
        return await first(signed_in, request) or (await hook(signed_in, request) if hook is not None else None)

    return asynchronous if iscoroutinefunction(first) else blocking


def _blocking_hook(hook: Any) -> Any:
    return async_to_sync(hook) if iscoroutinefunction(hook) else hook


def _asynchronous_hook(hook: Any) -> Any:
    # A plain hook uses Django's database, which refuses to be used in an event loop.
    return hook if iscoroutinefunction(hook) else sync_to_async(hook)


def forget(*, setting: str = "WEBEX_", **_: Any) -> None:
    """Make everything anew at its next use: a test has changed a setting."""
    if setting.startswith(("WEBEX_", "SECRET_KEY")):
        for made in (storage, integration, async_integration, auth, async_auth):
            made.cache_clear()


setting_changed.connect(forget)
