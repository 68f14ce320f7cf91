"""Which user of the project a person at Webex is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models

if TYPE_CHECKING:

    class Model:
        """Django's class, which has no types."""

        objects: Any

else:
    from django.db.models import Model


class WebexAccount(Model):
    """An account at Webex, by the key of `SignedIn.user`, and the user that signs in with it."""

    user: Any = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="webex_accounts")
    key: Any = models.CharField(max_length=255, unique=True)
    email: Any = models.CharField(max_length=320, blank=True)  # as Webex said at the last sign-in
    created: Any = models.DateTimeField(auto_now_add=True)

    class Meta:
        """What it is called."""

        verbose_name = "Webex account"

    def __str__(self) -> str:
        return str(self.email or self.key)
