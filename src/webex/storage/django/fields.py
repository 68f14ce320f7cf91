"""A field for the bytes of a name, short enough for an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class BinaryField:
        """The part of Django's class that is used here: Django has no types."""

        max_length: int | None

        def __init__(self, *args: Any, **options: Any) -> None: ...

        def db_type(self, connection: Any) -> Any:
            """Return the type of the column."""

else:
    from django.db.models import BinaryField


class BytesField(BinaryField):
    """Up to `max_length` bytes, compared byte for byte: `VARBINARY` in MariaDB and MySQL, which index no `BLOB`."""

    def db_type(self, connection: Any) -> Any:
        """Return the type of the column."""
        if connection.vendor == "mysql":
            return f"varbinary({self.max_length})"
        return super().db_type(connection)
