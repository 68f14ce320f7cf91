"""The table of accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import migrations, models

if TYPE_CHECKING:

    class BaseMigration:
        """Django's class, which has no types."""

else:
    BaseMigration = migrations.Migration


class Migration(BaseMigration):
    """Creates the table."""

    initial = True
    dependencies: ClassVar[list[object]] = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations: ClassVar[list[object]] = [
        migrations.CreateModel(
            name="WebexAccount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=255, unique=True)),
                ("email", models.CharField(blank=True, max_length=320)),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=models.CASCADE, related_name="webex_accounts", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={"verbose_name": "Webex account"},
        ),
    ]
