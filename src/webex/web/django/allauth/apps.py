"""The entry for `INSTALLED_APPS`: `"webex.web.django.allauth"`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:

    class AppConfig:
        """The part of Django's class that is used here: Django has no types."""

        name: str
        label: str
        verbose_name: str

else:
    from django.apps import AppConfig


class WebexAllauthConfig(AppConfig):
    """The app whose `provider` module allauth finds."""

    name = "webex.web.django.allauth"
    label = "webex_allauth"
    verbose_name = "Webex for allauth"
