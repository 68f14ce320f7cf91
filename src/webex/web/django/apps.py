"""The entry for `INSTALLED_APPS`: `"webex.web.django"`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.checks import register

if TYPE_CHECKING:

    class AppConfig:
        """The part of Django's class that is used here: Django has no types."""

        name: str
        label: str
        verbose_name: str

        def ready(self) -> None:
            """Run once Django is set up."""

else:
    from django.apps import AppConfig


class WebexConfig(AppConfig):
    """Registers the system checks; the app has no tables."""

    name = "webex.web.django"
    label = "webex"
    verbose_name = "Webex"

    def ready(self) -> None:
        """Register the checks."""
        from webex.web.django.checks import check_settings

        register(check_settings, "webex")
