"""What an app on the Node SDK has stored of a signed-in person (oauth §10)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from webex.auth.tokens import TokenSet, normalise_token
from webex.errors import ConfigurationError

_INSIDE: Final = ("Credentials", "credentials", "@")


def read_node_record(record: Any, now: float) -> TokenSet:
    """Read the tokens that the Node SDK keeps under the key `@` of its namespace `Credentials`.

    Takes the record itself, its JSON (text or bytes), and a dump with `Credentials` or `@` around it. Reduced tokens
    (`userTokens`) are left behind: they are made again when needed. `ConfigurationError` when there is no token in it.
    """
    if isinstance(record, str | bytes | bytearray):
        try:
            record = json.loads(record)
        except (ValueError, RecursionError):
            raise ConfigurationError("The record of the Node SDK is text that is no JSON.") from None
    while isinstance(record, Mapping) and (inner := next((name for name in _INSIDE if name in record), None)):
        record = record[inner]
        if isinstance(record, str):
            return read_node_record(record, now)
    token = (
        record.get("supertoken", record if "access_token" in record else None) if isinstance(record, Mapping) else None
    )
    if not isinstance(token, Mapping) or not isinstance(token.get("access_token"), str):
        raise ConfigurationError(
            "There is no token in the record: it is what the Node SDK stores under the key '@' of the namespace "
            '\'Credentials\', {"supertoken": {"access_token": …, "refresh_token": …, …}}.'
        )
    found = normalise_token(dict(token), now)
    assert found is not None
    return found
