"""Accounts on the admin site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin

from webex.web.django.users.models import WebexAccount

if TYPE_CHECKING:

    class ModelAdmin:
        """Django's class, which has no types."""

else:
    from django.contrib.admin import ModelAdmin


class Accounts(ModelAdmin):
    """Which person is which user; deleting one disconnects the two."""

    list_display: tuple[str, ...] = ("email", "key", "user", "created")
    search_fields: tuple[str, ...] = ("email", "key")
    raw_id_fields: tuple[str, ...] = ("user",)


admin.site.register(WebexAccount, Accounts)
