"""The tables for values and leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import migrations, models

import webex.storage.django.fields

if TYPE_CHECKING:

    class BaseMigration:
        """Django's class, which has no types."""

else:
    BaseMigration = migrations.Migration


class Migration(BaseMigration):
    """Creates both tables."""

    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[object]] = [
        migrations.CreateModel(
            name="StoredLease",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "namespace", "name", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("namespace", webex.storage.django.fields.BytesField(max_length=512)),
                ("name", webex.storage.django.fields.BytesField(max_length=2560)),
                ("token", webex.storage.django.fields.BytesField(max_length=32)),
                ("expires_at", models.FloatField(db_index=True)),
            ],
            options={"db_table": "webex_storage_lease"},
        ),
        migrations.CreateModel(
            name="StoredValue",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "namespace", "key", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("namespace", webex.storage.django.fields.BytesField(max_length=512)),
                ("key", webex.storage.django.fields.BytesField(max_length=2560)),
                ("value", models.BinaryField()),
                ("version", webex.storage.django.fields.BytesField(max_length=32)),
                ("expires_at", models.FloatField(db_index=True, null=True)),
            ],
            options={"db_table": "webex_storage_value"},
        ),
    ]
