"""The view that connects the account at Webex of a user who is logged in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.contrib.auth.decorators import login_required
from django.http import HttpResponseRedirect
from django.views.decorators.http import require_POST

from webex.web.django import conf

__all__ = ["connect"]


def _connect(request: Any) -> HttpResponseRedirect:
    """Send a user to Webex, and connect the account that comes back with this user.

    Only a POST of a page of the app does it (Django's CSRF protection), and only within 15 minutes and while the same
    user is logged in. `next` is the page to come back to.
    """
    from webex.web.django.users.bridge import CONNECTING, CONNECTING_SECONDS  # needs the models, so Django set up

    request.session[CONNECTING] = (str(request.user.pk), time.time() + CONNECTING_SECONDS)
    return HttpResponseRedirect(
        f"{conf.auth().sign_in.login_url}?return_to={quote(request.POST.get('next', '/'), safe='')}"
    )


connect: Callable[..., Any] = login_required(require_POST(_connect))
