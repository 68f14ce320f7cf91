"""The model of the admin page: the people who are signed in, who are in the SDK's storage and not in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models

if TYPE_CHECKING:

    class Model:
        """Django's class, which has no types."""

        def __init__(self, **fields: Any) -> None: ...

else:
    from django.db.models import Model


class SignedInPerson(Model):
    """A person whose tokens are stored. It has no table, only the permissions `view` and `delete` (sign out)."""

    key: Any = models.CharField(max_length=255, primary_key=True)

    class Meta:
        """What it is called, and what one may do with it."""

        managed = False
        default_permissions: ClassVar[tuple[str, ...]] = ("view", "delete")
        verbose_name = "signed-in person"
        verbose_name_plural = "signed-in people"

    def __str__(self) -> str:
        return str(self.key)
