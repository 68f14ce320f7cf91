"""Logs the user in whose account a person signed in with; finds or makes the user by the rule of `WEBEX_USERS`.

A person is found by the key alone. To compare addresses would give an account to the person who controls the address
now, or to one who only claims it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.db import IntegrityError, transaction
from django.utils.module_loading import import_string

from webex.errors import ConfigurationError, LoginError
from webex.web.django import conf
from webex.web.django.users.models import WebexAccount

if TYPE_CHECKING:
    from webex.auth.login import SignedIn

CONNECTING: Final = "webex_connecting"  # in Django's session: which user connects an account, and until when
CONNECTING_SECONDS: Final = 900
_BACKEND: Final = "django.contrib.auth.backends.ModelBackend"


def log_in(signed_in: SignedIn, request: Any) -> None:
    """Log the user of a person in; without one, or with an inactive one, forget the tokens and raise `LoginError`."""
    user = _user_of(signed_in, _connecting(request))
    if user is None or not user.is_active:
        conf.integration().sign_out(signed_in.user.key)
        said = "No account of this app belongs to" if user is None else "The account of this app is not active for"
        raise LoginError(f"{said} {signed_in.user.email or 'this person'}.", reason="user")
    backends = settings.AUTHENTICATION_BACKENDS
    login(request, user, backend=_BACKEND if _BACKEND in backends else backends[0])


def rule() -> Any:
    """Return what is done with persons without an account: `"create"`, `"existing"`, or a function of the project."""
    chosen = getattr(settings, "WEBEX_USERS", "existing")
    if callable(chosen) or chosen in ("create", "existing"):
        return chosen
    if isinstance(chosen, str) and "." in chosen:
        return import_string(chosen)
    raise ConfigurationError(
        f"WEBEX_USERS must be 'create', 'existing', or the dotted path of a function, not {chosen!r}."
    )


def _connecting(request: Any) -> Any:
    """Return the user who asked to connect an account, if that is who is logged in."""
    user_id, until = request.session.pop(CONNECTING, (None, 0))
    user = request.user
    wanted = user.is_authenticated and str(user.pk) == user_id and time.time() < until
    return user if wanted else None


def _user_of(signed_in: SignedIn, connecting: Any) -> Any:
    key, email = signed_in.user.key, signed_in.user.email or ""
    account = WebexAccount.objects.select_related("user").filter(key=key).first()
    if account is not None:
        if account.email != email:
            account.email = email
            account.save(update_fields=["email"])
        return account.user
    if connecting is not None:
        return _linked(key, email, lambda: connecting)
    chosen = rule()
    if chosen == "existing":
        return None
    return _linked(key, email, lambda: _new_user(signed_in) if chosen == "create" else chosen(signed_in))


def _linked(key: str, email: str, make: Any) -> Any:
    atomic: Any = transaction.atomic
    try:
        with atomic():
            user = make()
            if user is not None:
                WebexAccount.objects.create(user=user, key=key, email=email)
            return user
    except IntegrityError:  # another request was first, or there is a user of that name
        account = WebexAccount.objects.select_related("user").filter(key=key).first()
        return None if account is None else account.user


def _new_user(signed_in: SignedIn) -> Any:
    """Make a user without a password, named by the key; where users are named by their address, by that."""
    model: Any = get_user_model()
    email = signed_in.user.email or ""
    if model.get_email_field_name() == model.USERNAME_FIELD:
        return model.objects.create_user(email) if email else None
    return model.objects.create_user(signed_in.user.key, email)
