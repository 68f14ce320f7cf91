"""The entry for `INSTALLED_APPS`: `"webex.storage.django"`."""

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


class WebexStorageConfig(AppConfig):
    """The app that has the tables of a `DjangoStorage`."""

    name = "webex.storage.django"
    label = "webex_storage"
    verbose_name = "Webex storage"
