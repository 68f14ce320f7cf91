"""The entry for `INSTALLED_APPS`: `"webex.web.django.users"`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.checks import register

if TYPE_CHECKING:

    class AppConfig:
        """The part of Django's class that is used here: Django has no types."""

        name: str
        label: str
        verbose_name: str
        default_auto_field: str

        def ready(self) -> None:
            """Run once Django is set up."""

else:
    from django.apps import AppConfig


class WebexUsersConfig(AppConfig):
    """The app that has the accounts."""

    name = "webex.web.django.users"
    label = "webex_users"
    verbose_name = "Webex accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks."""
        from webex.web.django.users.checks import check_users

        register(check_users, "webex")
