"""`webex/login/` and `webex/login/callback/`, which allauth includes by the name of this module."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.providers.oauth2.urls import default_urlpatterns

from webex.web.django.allauth.provider import WebexProvider

urlpatterns: list[Any] = default_urlpatterns(WebexProvider)
