"""The two tables of a `DjangoStorage`. They are written by it alone, with statements of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import models

from webex.storage.django.fields import BytesField

if TYPE_CHECKING:

    class Model:
        """Django's class, which has no types."""

else:
    from django.db.models import Model

NAMESPACE_BYTES: Final = 512  # with the key they are what an index of MariaDB holds: 3,072 bytes
NAME_BYTES: Final = 2560


class StoredValue(Model):
    """A value under its namespace and key; `expires_at` in seconds since the epoch, by the database's clock."""

    pk: Any = models.CompositePrimaryKey("namespace", "key")
    namespace: Any = BytesField(max_length=NAMESPACE_BYTES)
    key: Any = BytesField(max_length=NAME_BYTES)
    value: Any = models.BinaryField()
    version: Any = BytesField(max_length=32)
    expires_at: Any = models.FloatField(null=True, db_index=True)

    class Meta:
        """What the table is called."""

        db_table = "webex_storage_value"


class StoredLease(Model):
    """A lease under its namespace and name; `expires_at` in seconds since the epoch, by the database's clock."""

    pk: Any = models.CompositePrimaryKey("namespace", "name")
    namespace: Any = BytesField(max_length=NAMESPACE_BYTES)
    name: Any = BytesField(max_length=NAME_BYTES)
    token: Any = BytesField(max_length=32)
    expires_at: Any = models.FloatField(db_index=True)

    class Meta:
        """What the table is called."""

        db_table = "webex_storage_lease"
