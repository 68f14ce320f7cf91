"""A storage in the database of a Django project: an app with two tables, and `DjangoStorage`.

INSTALLED_APPS = [..., "webex.storage.django"]  # then: python manage.py migrate
WEBEX_STORAGE = DjangoStorage()                 # where settings.py imports it from webex.storage
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webex.extras import needed_by

with needed_by("DjangoStorage"):
    import django as _django  # noqa: F401  # only whether it is there

if TYPE_CHECKING:
    from webex.storage.django.storage import DjangoStorage

__all__ = ["DjangoStorage"]


def __getattr__(name: str) -> Any:
    if name != "DjangoStorage":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from webex.storage.django.storage import DjangoStorage

    return DjangoStorage
