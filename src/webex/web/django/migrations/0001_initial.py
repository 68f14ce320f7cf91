"""The permissions of the admin page; there is no table."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import migrations, models

if TYPE_CHECKING:

    class BaseMigration:
        """Django's class, which has no types."""

else:
    BaseMigration = migrations.Migration


class Migration(BaseMigration):
    """Names the model, so that its permissions exist."""

    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[object]] = [
        migrations.CreateModel(
            name="SignedInPerson",
            fields=[("key", models.CharField(max_length=255, primary_key=True, serialize=False))],
            options={
                "verbose_name": "signed-in person",
                "verbose_name_plural": "signed-in people",
                "managed": False,
                "default_permissions": ("view", "delete"),
            },
        ),
    ]
