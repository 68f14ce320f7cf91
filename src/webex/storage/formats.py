"""The number of a stored record's format, so that a later version can tell what an earlier one wrote.

A record without a number is of format 1, which version 0.1.0 wrote. Namespaces and the names in records are text of
their own: renaming a class or a module changes nothing that is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from webex.errors import StorageError

__all__ = ["FORMAT", "NewerRecordError", "check_format", "with_format"]

FORMAT: Final = 2  # what this version writes, and the highest that it reads
_NAME: Final = "format"


class NewerRecordError(StorageError):
    """A record was written by a later version of this SDK."""


def with_format(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with the number of the present format."""
    return {_NAME: FORMAT, **record}


def check_format(record: object, what: str) -> None:
    """Raise `NewerRecordError` for a record of a later format than this version reads.

    `what` names the record for the error's text: "The credentials of user 'x'".
    """
    number = record.get(_NAME, 1) if isinstance(record, Mapping) else 1
    if isinstance(number, int) and number > FORMAT:
        raise NewerRecordError(
            f"{what} are stored in format {number}; this version of webex reads formats 1 to {FORMAT}. Upgrade webex, "
            "or use another storage."
        )
